//! Logging in and out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::{Answer, Call, Client, Home, TestServer, encode, until};

cases! {
    both: [
        a_user_logs_in_however_the_credentials_are_sent,
        a_login_permits_what_the_user_may_do,
        the_logins_of_a_user_are_one_caller,
        whoever_cannot_log_in_is_told_the_same,
        what_is_wrong_with_the_credentials_is_told_at_once,
        passwords_are_taken_as_they_are,
        failures_close_an_account_to_their_address_only,
        failures_close_everything_to_their_address_only,
        guesses_at_once_are_no_more_than_guesses_one_by_one,
        a_storm_of_logins_takes_little_memory_and_keeps_nobody_waiting,
        a_token_is_refused_once_its_user_logs_out,
        a_token_of_the_command_line_can_log_out_too,
        a_login_expires_and_is_forgotten,
        neither_addresses_nor_passwords_are_logged,
    ]
    sqlite: [
        who_is_no_trusted_proxy_cannot_say_where_a_request_comes_from,
        a_hash_that_makes_no_sense_is_a_server_error_that_says_nothing,
    ]
}

const EMAIL: &str = "zoe@example.com";
const PASSWORD: &str = "correct horse battery staple";

fn log_in(client: &Client, email: &str, password: &str) -> Call {
    let credentials = json!({ "email": email, "password": password });
    client.post("/api/login").anonymous().json(&credentials)
}

/// A client that shows the token of a login.
async fn logged_in(client: &Client) -> Client {
    let answer = log_in(client, EMAIL, PASSWORD).await.expect(200);
    client.with_token(answer["token"].as_str().expect("a token"))
}

async fn a_user_logs_in_however_the_credentials_are_sent(server: TestServer) {
    server.home.user("Zoe@Example.com", PASSWORD);
    let [email, password] = [encode("zoe@EXAMPLE.com "), encode(PASSWORD)];
    let pairs = format!("email={email}&password={password}");
    let login = |target: &str| server.post(target).anonymous();
    for call in [
        login(&format!("/api/login?{pairs}")),
        login("/api/login").form(pairs),
        login("/api/login").multipart(&[("email", "zoe@EXAMPLE.com "), ("password", PASSWORD)]),
        login(&format!("/api/login?email={email}&password=x"))
            .json(&json!({ "password": PASSWORD, "remember": true })),
        // Once more: it is no write that could be repeated.
        log_in(&server, EMAIL, PASSWORD).header("idempotency-key", "a key"),
        log_in(&server, EMAIL, PASSWORD).header("idempotency-key", "a key"),
        // Whoever shows a token, right or wrong, may log in.
        log_in(&server, EMAIL, PASSWORD).header("authorization", "Bearer nonsense"),
    ] {
        let answer = call.await;
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let body = answer.expect(200);
        let members: Vec<_> = body.as_object().expect("an object").keys().collect();
        assert_eq!(members, ["token", "user", "teams", "support_teams"]);
        let user = json!({ "id": 1, "name": "Zoe", "email": "Zoe@Example.com", "scope": "write" });
        assert_eq!(body["user"], user);
        assert_eq!((&body["teams"], &body["support_teams"]), (&json!([]), &json!([])));
        let token = body["token"].as_str().expect("a token");
        assert!(token.starts_with("cus_") && token.len() == 47);
        server.with_token(token).create(&json!({ "name": "A" })).await;
    }
    // None of them is in anybody's way.
    assert_eq!(server.home.run_well(&["token", "list"]).lines().count(), 2);
    server.home.token(&["--name", "Zoe"]);
}

async fn a_login_permits_what_the_user_may_do(server: TestServer) {
    let arguments = ["user", "create", "--email", EMAIL, "--name", "Zoé Martin"];
    let reader = [&arguments[..], &["--scope", "read", "--password-stdin"]].concat();
    assert_eq!(server.home.run_reading(&reader, PASSWORD.as_bytes()).code, 0);
    let answer = log_in(&server, EMAIL, PASSWORD).await.expect(200);
    assert_eq!(
        (&answer["user"]["scope"], &answer["user"]["name"]),
        (&json!("read"), &json!("Zoé Martin"))
    );
    let client = logged_in(&server).await;
    let id = server.create(&json!({ "name": "A" })).await["id"].clone();
    client.get(&format!("/api/v1/customers/{id}")).await.expect(200);
    let refused = client.post("/api/v1/customers?name=A").await.expect(403);
    assert_eq!(refused["code"], "insufficient_scope");
}

async fn the_logins_of_a_user_are_one_caller(server: TestServer) {
    server.home.user(EMAIL, PASSWORD);
    let clients = [logged_in(&server).await, logged_in(&server).await, server.client.clone()];
    let create = |client: &Client| {
        client.post("/api/v1/customers?name=A").header("idempotency-key", "the same key")
    };
    let created = create(&clients[0]).await.expect(201);
    let again = create(&clients[1]).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.expect(201), created);
    assert_ne!(create(&clients[2]).await.expect(201)["id"], created["id"]);
    // Who it was is told by the name.
    let history = format!("/api/v1/customers/{}/history", created["id"]);
    assert_eq!(server.get(&history).await.expect(200)["data"][0]["actor"], "zoe");
}

async fn whoever_cannot_log_in_is_told_the_same(server: TestServer) {
    server.home.user(EMAIL, PASSWORD);
    server.home.user("bob@example.com", PASSWORD);
    server.home.run_well(&["user", "disable", "bob@example.com"]);
    let mut answers = Vec::new();
    for (email, password) in [
        (EMAIL, "wrong"),
        (EMAIL, &PASSWORD.to_uppercase()),
        ("bob@example.com", PASSWORD),
        ("bob@example.com", "wrong"),
        ("nobody@example.com", PASSWORD),
        ("no address", PASSWORD),
    ] {
        let answer = log_in(&server, email, password).header("x-request-id", "same").await;
        let problem = answer.expect(401);
        assert_eq!(problem["code"], "invalid_credentials");
        assert_eq!(problem["message"], "These credentials do not match our records.");
        answers.push(problem);
    }
    assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:?}");
    assert_eq!(server.home.database.count("tokens WHERE user_id IS NOT NULL"), 0);
    // None of which the others' tokens know of.
    server.get("/api/login").await.expect(405);
    server.post("/api/v1/login").await.expect(404);
}

async fn what_is_wrong_with_the_credentials_is_told_at_once(server: TestServer) {
    let errors = async |call: Call| {
        let problem = call.anonymous().await.expect(422);
        assert_eq!(problem["code"], "validation_failed");
        problem["errors"].clone()
    };
    let login = || server.post("/api/login");
    let required = json!({
        "email": ["The email field is required."],
        "password": ["The password field is required."],
    });
    assert_eq!(errors(login()).await, required);
    assert_eq!(
        errors(login().json(&json!({ "email": " \u{a0}", "password": "" }))).await,
        required
    );
    assert_eq!(errors(login().json(&json!({ "email": null, "password": null }))).await, required);
    let wrong = json!({ "email": ["x"], "password": true, "remember": 1 });
    assert_eq!(
        errors(login().json(&wrong).header("prefer", "handling=strict")).await,
        json!({
            "email": ["The email field must be a string."],
            "password": ["The password field must be a string."],
            "remember": ["The remember field is unknown."],
        })
    );
    let long = json!({ "email": "é".repeat(256), "password": "é".repeat(1025) });
    assert_eq!(
        errors(login().json(&long)).await,
        json!({
            "email": ["The email field must not be greater than 255 characters."],
            "password": ["The password field must not be greater than 1024 characters."],
        })
    );
    let control = json!({ "email": "a\u{0}", "password": "\u{0}" });
    assert_eq!(
        errors(login().json(&control)).await,
        json!({ "email": ["The email field must not contain control characters."] })
    );
    login().anonymous().json_text("{").await.expect(400);
    login().anonymous().body("text/plain", "x").await.expect(415);
    login().anonymous().json_text(vec![b' '; (16 << 10) + 1]).await.expect(413);
    let largest = [b"{}", &*vec![b' '; (16 << 10) - 2]].concat();
    login().anonymous().json_text(largest).await.expect(422);
}

async fn passwords_are_taken_as_they_are(server: TestServer) {
    let password = " \u{7}\ttwo  spaces\u{a0}☎️\u{0} ";
    server.home.user(EMAIL, &format!("{password}\r\nand another line"));
    for wrong in [password.trim(), &password.replace('\u{7}', ""), &password.replace('\u{0}', "")] {
        log_in(&server, EMAIL, wrong).await.expect(401);
    }
    log_in(&server, EMAIL, password).await.expect(200);
    let form = format!("email={EMAIL}&password={}", encode(password));
    server.post("/api/login").anonymous().form(form).await.expect(200);
    // Numbers are text here as elsewhere, and letters are the same whatever they are made of.
    server.home.user("digits@example.com", "1234567890");
    server.home.user("accents@example.com", "caf\u{e9} noir");
    let digits = r#"{"email": "digits@example.com", "password": 1234567890}"#;
    server.post("/api/login").anonymous().json_text(digits).await.expect(200);
    log_in(&server, "accents@example.com", "cafe\u{301} noir").await.expect(200);
}

/// Behind a proxy, a client of it at this address.
fn from(address: &str, call: Call) -> Call {
    call.header("x-forwarded-for", format!("203.0.113.66, {address}"))
}

fn behind_a_proxy(home: Home) -> TestServer {
    TestServer::start(home, &[("TRUSTED_PROXIES", "10.0.0.0/8,127.0.0.1")])
}

#[track_caller]
fn assert_throttled(answer: &Answer) {
    let problem = answer.expect(429);
    assert_eq!(problem["code"], "too_many_requests");
    assert_eq!(problem["message"], "Too Many Attempts.");
    let seconds: u64 = answer.header("retry-after").expect("seconds").parse().expect("a number");
    assert!((1..=60).contains(&seconds), "{seconds}");
}

async fn failures_close_an_account_to_their_address_only(home: Home) {
    let server = behind_a_proxy(home);
    server.home.user(EMAIL, PASSWORD);
    server.home.user("bob@example.com", PASSWORD);
    for number in 0..5 {
        // What was right between does not count, and does not make up for the rest.
        from("192.0.2.1", log_in(&server, EMAIL, PASSWORD)).await.expect(200);
        let email = if number % 2 == 0 { EMAIL } else { "ZOE@example.com" };
        from("192.0.2.1", log_in(&server, email, "wrong")).await.expect(401);
    }
    assert_throttled(&from("192.0.2.1", log_in(&server, EMAIL, "wrong")).await);
    assert_throttled(&from("192.0.2.1", log_in(&server, EMAIL, PASSWORD)).await);
    from("192.0.2.1", log_in(&server, "bob@example.com", PASSWORD)).await.expect(200);
    from("192.0.2.2", log_in(&server, EMAIL, PASSWORD)).await.expect(200);
    from("2001:db8::1", log_in(&server, EMAIL, PASSWORD)).await.expect(200);
    log_in(&server, EMAIL, PASSWORD).await.expect(200);
    // The same for whoever does not exist.
    for _ in 0..5 {
        from("192.0.2.1", log_in(&server, "nobody@example.com", "wrong")).await.expect(401);
    }
    assert_throttled(&from("192.0.2.1", log_in(&server, "nobody@example.com", "wrong")).await);
}

async fn failures_close_everything_to_their_address_only(home: Home) {
    let server = behind_a_proxy(home);
    server.home.user(EMAIL, PASSWORD);
    for number in 0..30 {
        let email = format!("user{number}@example.com");
        from("192.0.2.1", log_in(&server, &email, "wrong")).await.expect(401);
    }
    assert_throttled(&from("192.0.2.1", log_in(&server, EMAIL, PASSWORD)).await);
    from("192.0.2.2", log_in(&server, EMAIL, PASSWORD)).await.expect(200);
    // Who has logged in already goes on.
    from("192.0.2.1", server.post("/api/v1/customers?name=A")).await.expect(201);
}

async fn who_is_no_trusted_proxy_cannot_say_where_a_request_comes_from(server: TestServer) {
    server.home.user(EMAIL, PASSWORD);
    for number in 0..5 {
        let call = log_in(&server, EMAIL, "wrong");
        from(&format!("192.0.2.{number}"), call).await.expect(401);
    }
    assert_throttled(&from("192.0.2.9", log_in(&server, EMAIL, PASSWORD)).await);
}

async fn guesses_at_once_are_no_more_than_guesses_one_by_one(server: TestServer) {
    server.home.user(EMAIL, PASSWORD);
    let guesses = (0..100).map(|_| log_in(&server, EMAIL, "wrong").into_future());
    let statuses: Vec<u16> = all(guesses).await.iter().map(|answer| answer.status).collect();
    let failed = statuses.iter().filter(|&&status| status == 401).count();
    let checked_at_once = std::thread::available_parallelism().expect("a number").get();
    assert!((5..5 + checked_at_once).contains(&failed), "{statuses:?}");
    assert!(statuses.iter().all(|status| [401, 429].contains(status)), "{statuses:?}");
}

async fn a_storm_of_logins_takes_little_memory_and_keeps_nobody_waiting(server: TestServer) {
    server.home.user(EMAIL, PASSWORD);
    let id = server.create(&json!({ "name": "A" })).await["id"].clone();
    let storm = (0..500).map(|_| log_in(&server, EMAIL, PASSWORD).into_future());
    let is_over = Arc::new(AtomicBool::new(false));
    let look_up = server.get(&format!("/api/v1/customers/{id}"));
    let lookups = tokio::spawn({
        let is_over = is_over.clone();
        async move {
            let mut answered = 0;
            while !is_over.load(Ordering::Relaxed) {
                look_up.clone().await.expect(200);
                answered += 1;
            }
            answered
        }
    });
    let answers = all(storm).await;
    is_over.store(true, Ordering::Relaxed);
    let logged_in = answers.iter().filter(|answer| answer.status == 200).count();
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!(answer.expect(503)["code"], "unavailable");
    }
    let (answered, memory) = (lookups.await.expect("no panic"), server.program.peak_memory());
    println!("{logged_in} logins, {answered} look-ups meanwhile, {memory} MiB at most");
    assert!(logged_in > 0 && answered > 0);
    assert!(memory < 200, "{memory} MiB");
    assert_eq!(server.home.database.count("tokens WHERE user_id IS NOT NULL"), logged_in);
}

async fn a_token_is_refused_once_its_user_logs_out(server: TestServer) {
    server.home.user(EMAIL, PASSWORD);
    let [client, other] = [logged_in(&server).await, logged_in(&server).await];
    let elsewhere = server.home.serve(&[], &[]);
    let elsewhere = Client::new(elsewhere.address(), client.token());
    for client in [&client, &elsewhere] {
        client.get("/api/v1/customers/x").await.expect(404);
    }
    let out = client.post("/api/logout").header("idempotency-key", "").json(&json!([])).await;
    assert_eq!((out.status, out.text()), (204, ""));
    assert_eq!(out.header("cache-control"), Some("no-store"));
    let refused = client.post("/api/logout").await.expect(401);
    assert_eq!(refused["code"], "invalid_token");
    client.get("/api/v1/customers/x").await.expect(401);
    other.get("/api/v1/customers/x").await.expect(404);
    let took = until("the others to refuse it", async || {
        elsewhere.get("/api/v1/customers/x").await.status == 401
    });
    assert!(took.await.as_secs_f64() < 5.0);
    let anonymous = server.post("/api/logout").anonymous().await.expect(401);
    assert_eq!(anonymous["code"], "unauthenticated");
    other.get("/api/logout").await.expect(405);
    other.post("/api/logout/").await;
    other.get("/api/v1/customers/x").await.expect(401);
}

async fn a_token_of_the_command_line_can_log_out_too(server: TestServer) {
    let token = server.home.token(&["--name", "reader", "--scope", "read"]);
    let client = server.with_token(&token);
    assert_eq!(client.post("/api/logout").await.status, 204);
    client.get("/api/v1/customers/x").await.expect(401);
    assert!(!server.home.run_well(&["token", "list"]).contains("reader"));
    server.get("/api/v1/customers/x").await.expect(404);
}

async fn a_login_expires_and_is_forgotten(home: Home) {
    let mut server = TestServer::start(home, &[("LOGIN_TOKEN_TTL", "5s")]);
    server.home.user(EMAIL, PASSWORD);
    let client = logged_in(&server).await;
    client.get("/api/v1/customers/x").await.expect(404);
    until("the login to expire", async || client.get("/api/v1/customers/x").await.status == 401)
        .await;
    let refused = client.get("/api/v1/customers/x").await.expect(401);
    assert_eq!(refused["code"], "invalid_token");
    // A server that trusts the clock removes the login within a minute, and then every minute.
    server.program.kill();
    server.program = server.home.serve(&[], &[("CLOCK_STEADY", "1s")]);
    server.client = Client::new(server.program.address(), server.client.token());
    until("the login to be forgotten", async || {
        server.home.database.count("tokens WHERE user_id IS NOT NULL") == 0
    })
    .await;
    server.get("/api/v1/customers/x").await.expect(404);
}

async fn neither_addresses_nor_passwords_are_logged(home: Home) {
    let server = TestServer::start(home, &[("RUST_LOG", "debug")]);
    server.home.user("secret1@example.com", "secret2 secret2");
    let query = "/api/login?email=secret1@example.com&password=secret2%20secret2&secret3=secret4";
    let token = server.post(query).anonymous().await.expect(200)["token"].clone();
    log_in(&server, "secret5@example.com", "secret6").await.expect(401);
    log_in(&server, "", "secret7").await.expect(422);
    let client = server.with_token(token.as_str().expect("a token"));
    client.post("/api/logout?secret8").await;
    server.program.wait_for_log(|line| line.contains("route=/api/logout"));
    let log = server.program.log().join("\n").replace("secret3", "");
    assert!(!log.contains("secret") && !log.contains("cus_"), "{log}");
}

async fn a_hash_that_makes_no_sense_is_a_server_error_that_says_nothing(server: TestServer) {
    server.home.user(EMAIL, PASSWORD);
    server.home.database.execute("UPDATE users SET password_hash = 'nonsense'");
    let problem: Value = log_in(&server, EMAIL, PASSWORD).await.expect(500);
    assert_eq!(problem["message"], "Server Error");
}

/// All answers, of calls that are made at once.
async fn all(
    calls: impl Iterator<Item = impl Future<Output = Answer> + Send + 'static>,
) -> Vec<Answer> {
    let calls: Vec<_> = calls.map(tokio::spawn).collect();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.expect("no panic"));
    }
    answers
}
