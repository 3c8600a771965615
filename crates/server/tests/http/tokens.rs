//! Tokens, from the command line to the running server.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Home, TestServer, until};

cases! {
    both: [
        a_token_works_at_once_and_no_longer_than_five_seconds_after_its_revocation,
        a_token_expires,
        names_are_unique_among_live_tokens,
        the_list_shows_scopes_and_the_last_use_but_no_token,
        the_first_token_is_printed_once,
        without_a_token_the_server_says_how_to_make_one,
        only_the_digest_of_a_token_is_kept,
    ]
    postgres: [a_token_is_accepted_from_memory_while_its_look_up_waits_and_not_for_longer]
}

async fn a_token_works_at_once_and_no_longer_than_five_seconds_after_its_revocation(
    server: TestServer,
) {
    let client = server.with_token(&server.home.token(&["--name", "billing"]));
    assert_eq!(client.post("/api/v1/customers?name=A").await.status, 201);
    let said = server.home.run_well(&["token", "revoke", "billing"]);
    assert!(said.contains("billing"), "{said}");
    let took = until("the revocation", async || {
        let answer = client.get("/api/v1/customers/x").await;
        if answer.status == 401 {
            assert_eq!(answer.json()["code"], "invalid_token");
        }
        answer.status == 401
    });
    assert!(took.await.as_secs_f64() < 5.0);
    // The other goes on.
    assert_eq!(server.post("/api/v1/customers?name=B").await.status, 201);
    assert_eq!(server.home.run(&["token", "revoke", "billing"]).code, 1);
}

/// A look-up may wait, for a lock or for a connection.
async fn a_token_is_accepted_from_memory_while_its_look_up_waits_and_not_for_longer(
    server: TestServer,
) {
    let id = server.create(&json!({ "name": "A" })).await["id"].to_string();
    let target = format!("/api/v1/customers/{id}");
    let client = server.with_token(&server.home.token(&["--name", "phone"]));
    client.get(&target).await.expect(200);
    let confirmed = Instant::now();
    let mut lock = server.home.database.connect();
    lock.execute("BEGIN; LOCK TABLE tokens IN ACCESS EXCLUSIVE MODE");
    let mut accepted = Duration::ZERO;
    while confirmed.elapsed() < Duration::from_secs(4) {
        let answer = client.get(&target).await;
        assert_eq!(answer.status, 200, "after {:?}", confirmed.elapsed());
        accepted = confirmed.elapsed();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(accepted > Duration::from_secs(3), "{accepted:?}");
    tokio::time::sleep(Duration::from_secs(5).saturating_sub(confirmed.elapsed())).await;
    assert_eq!(client.get(&target).await.status, 503);
    lock.execute("COMMIT");
    until("the token to be found again", async || client.get(&target).await.status == 200).await;
}

async fn a_token_expires(server: TestServer) {
    let token = server.home.token(&["--name", "brief", "--expires-in", "2s"]);
    let client = server.with_token(&token);
    assert_eq!(client.post("/api/v1/customers?name=A").await.status, 201);
    until("the token to expire", async || client.get("/api/v1/customers/x").await.status == 401)
        .await;
    assert_eq!(client.get("/api/v1/customers/x").await.json()["code"], "invalid_token");
    assert!(server.home.run_well(&["token", "list"]).contains("(expired)"));
    // Its name is free again.
    server.home.token(&["--name", "brief"]);
}

async fn names_are_unique_among_live_tokens(home: Home) {
    home.token(&["--name", "crm"]);
    let again = home.run(&["token", "create", "--name", " crm "]);
    assert_eq!((again.code, &*again.stdout), (1, ""));
    assert!(again.stderr.contains("exists"), "{}", again.stderr);
    home.run_well(&["token", "revoke", "crm"]);
    home.token(&["--name", "crm"]);
    for wrong in [
        &["token", "create"][..],
        &["token", "create", "--name", ""],
        &["token", "create", "--name", "a\u{7}b"],
        &["token", "create", "--name", "x", "--scope", "admin"],
        &["token", "create", "--name", "x", "--expires-in", "1y"],
    ] {
        let ran = home.run(wrong);
        assert_eq!((ran.code, &*ran.stdout), (2, ""), "{wrong:?}: {ran:?}");
    }
}

async fn the_list_shows_scopes_and_the_last_use_but_no_token(server: TestServer) {
    let token = server.home.token(&["--name", "reader", "--scope", "read", "--expires-in", "90d"]);
    let line = |name: &str| {
        let list = server.home.run_well(&["token", "list"]);
        assert!(!list.contains("cus_"), "{list}");
        list.lines().find(|line| line.starts_with(name)).expect("a line").to_owned()
    };
    assert!(line("reader").contains("read ") && line("reader").ends_with("never"));
    server.with_token(&token).get("/api/v1/customers/x").await.expect(404);
    until("the use to be noted", async || !line("reader").ends_with("never")).await;
    assert!(line("first").contains("write"));
}

async fn the_first_token_is_printed_once(mut server: TestServer) {
    let greeting = server.program.stdout().join("\n");
    assert!(greeting.contains("curl --request POST"), "{greeting}");
    server.crash_and_restart();
    server.create(&json!({ "name": "A" })).await;
    for program in [&mut server.program, &mut server.home.serve(&["--first-token"], &[])] {
        program.signal("TERM");
        assert!(program.wait().success());
        assert_eq!(program.stdout(), Vec::<String>::new());
        assert!(!program.log().join("\n").contains("cus_"));
    }
}

async fn without_a_token_the_server_says_how_to_make_one(home: Home) {
    // stdout is no terminal here.
    let program = home.serve(&[], &[]);
    let line = program.wait_for_log(|line| line.contains("token"));
    assert!(line.contains("customers token create --name NAME"), "{line}");
    assert_eq!(program.stdout(), Vec::<String>::new());
    let revoked = home.token(&["--name", "gone"]);
    assert!(revoked.starts_with("cus_") && revoked.len() == 47);
    home.run_well(&["token", "revoke", "gone"]);
    // A database that ever held one gets no other by itself.
    let program = home.serve(&["--first-token=true"], &[]);
    assert_eq!(program.stdout(), Vec::<String>::new());
}

async fn only_the_digest_of_a_token_is_kept(server: TestServer) {
    let secret = server.token().trim_start_matches("cus_").to_owned();
    let columns = "name || scope || created_at || coalesce(last_used_at, 0)";
    let kept = server.home.database.values(&format!("SELECT {columns} AS value FROM tokens"));
    assert_eq!(kept.len(), 1);
    assert!(!kept[0].contains(&secret));
    assert_eq!(server.home.database.count("tokens WHERE length(digest) = 32"), 1);
}
