//! Users, from the command line to the running server.

use serde_json::json;

use crate::support::{Client, Home, TestServer, until};

cases! {
    both: [
        addresses_are_unique_in_any_case,
        the_list_shows_who_may_do_what,
        another_password_ends_what_the_old_one_began,
        who_is_disabled_is_refused_within_five_seconds,
    ]
    sqlite: [
        what_makes_no_user_is_refused,
        only_the_hash_of_a_password_is_kept,
    ]
}

const PASSWORD: &str = "correct horse";

async fn addresses_are_unique_in_any_case(home: Home) {
    home.user("Zoe@example.com", PASSWORD);
    let arguments =
        ["user", "create", "--email", " zoe@EXAMPLE.com", "--name", "Z", "--password-stdin"];
    let again = home.run_reading(&arguments, PASSWORD.as_bytes());
    assert_eq!((again.code, &*again.stdout), (1, ""), "{again:?}");
    assert!(again.stderr.contains("exists"), "{}", again.stderr);
    home.run_well(&["user", "disable", "ZOE@example.com"]);
    assert_eq!(home.run_reading(&arguments, PASSWORD.as_bytes()).code, 1);
    assert_eq!(home.database.count("users"), 1);
}

async fn the_list_shows_who_may_do_what(home: Home) {
    home.user("zoe@example.com", PASSWORD);
    let bob = ["--email", "Bob@example.com", "--name", "Bob ☎️", "--scope", "read"];
    let bob = [&["user", "create", "--password-stdin"], &bob[..]].concat();
    assert_eq!(home.run_reading(&bob, b"correct horse\nnothing more").code, 0);
    home.run_well(&["user", "disable", "zoe@example.com"]);
    let list = home.run_well(&["user", "list"]);
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), 3, "{list}");
    assert!(lines[1].starts_with("Bob@example.com  Bob ☎️  ") && lines[1].contains("  read "));
    assert!(lines[2].starts_with("zoe@example.com  zoe") && lines[2].contains("  write "));
    assert!(lines[2].ends_with("(disabled)") && !lines[1].contains("disabled"), "{list}");
    home.run_well(&["user", "enable", "zoe@example.com"]);
    assert!(!home.run_well(&["user", "list"]).contains("disabled"));
}

async fn what_makes_no_user_is_refused(home: Home) {
    let create = ["user", "create", "--email", "zoe@example.com", "--name", "Zoé"];
    let reading = [&create[..], &["--password-stdin"]].concat();
    for password in
        [&b""[..], b"\n", b"\ncorrect horse", b"1234567", b"caf\xe9 caf\xe9", &[b'x'; 1025]]
    {
        let ran = home.run_reading(&reading, password);
        assert_eq!((ran.code, &*ran.stdout), (1, ""), "{ran:?}");
        assert!(ran.stderr.contains("password"), "{}", ran.stderr);
    }
    for wrong in [
        &create[..],
        &["user", "create", "--email", "zoe", "--name", "Z", "--password-stdin"],
        &["user", "create", "--email", "z@example.com", "--name", " ", "--password-stdin"],
        &["user", "password", "zoe@example.com"],
        &["user", "disable"],
    ] {
        let ran = home.run_reading(wrong, PASSWORD.as_bytes());
        assert_eq!((ran.code, &*ran.stdout), (2, ""), "{wrong:?}: {ran:?}");
    }
    for nobody in [
        &["user", "password", "zoe@example.com", "--password-stdin"][..],
        &["user", "disable", "zoe@example.com"],
        &["user", "enable", "zoe@example.com"],
    ] {
        let ran = home.run_reading(nobody, PASSWORD.as_bytes());
        assert_eq!((ran.code, &*ran.stdout), (1, ""), "{nobody:?}: {ran:?}");
        assert!(ran.stderr.contains("customers user list"), "{}", ran.stderr);
    }
    assert_eq!(home.database.count("users"), 0);
}

async fn only_the_hash_of_a_password_is_kept(home: Home) {
    home.user("zoe@example.com", PASSWORD);
    let hash = home.database.values("SELECT password_hash AS value FROM users").remove(0);
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    let file = std::fs::read(home.database.path()).expect("a database");
    assert!(!file.windows(PASSWORD.len()).any(|bytes| bytes == PASSWORD.as_bytes()));
}

async fn log_in(client: &Client, password: &str) -> u16 {
    let credentials = json!({ "email": "zoe@example.com", "password": password });
    client.post("/api/login").anonymous().json(&credentials).await.status
}

async fn logged_in(client: &Client) -> Client {
    let credentials = json!({ "email": "zoe@example.com", "password": PASSWORD });
    let answer = client.post("/api/login").anonymous().json(&credentials).await.expect(200);
    client.with_token(answer["token"].as_str().expect("a token"))
}

/// Waits until the token is refused; that must not take more than five seconds.
async fn assert_refused_soon(client: &Client) {
    let took = until("the token to be refused", async || {
        client.get("/api/v1/customers/x").await.status == 401
    });
    assert!(took.await.as_secs_f64() < 5.0);
}

async fn another_password_ends_what_the_old_one_began(server: TestServer) {
    server.home.user("zoe@example.com", PASSWORD);
    let client = logged_in(&server).await;
    client.get("/api/v1/customers/x").await.expect(404);
    let arguments = ["user", "password", "ZOE@example.com", "--password-stdin"];
    let ran = server.home.run_reading(&arguments, b"another horse\n");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("5 seconds"), "{}", ran.stdout);
    assert_eq!(log_in(&server, PASSWORD).await, 401);
    assert_eq!(log_in(&server, "another horse").await, 200);
    assert_refused_soon(&client).await;
}

async fn who_is_disabled_is_refused_within_five_seconds(server: TestServer) {
    server.home.user("zoe@example.com", PASSWORD);
    let client = logged_in(&server).await;
    client.get("/api/v1/customers/x").await.expect(404);
    let said = server.home.run_well(&["user", "disable", "zoe@example.com"]);
    assert!(said.contains("5 seconds"), "{said}");
    assert_eq!(log_in(&server, PASSWORD).await, 401);
    assert_refused_soon(&client).await;
    server.get("/api/v1/customers/x").await.expect(404);
    server.home.run_well(&["user", "enable", "zoe@example.com"]);
    assert_eq!(log_in(&server, PASSWORD).await, 200);
    client.get("/api/v1/customers/x").await.expect(401);
}
