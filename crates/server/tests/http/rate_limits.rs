//! How many requests a caller may make in a minute.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::support::{Answer, Home, TestServer};

cases! {
    both: [every_caller_has_a_share_of_its_own]
    sqlite: [
        nothing_is_limited_unless_told,
        every_answer_tells_what_is_left,
        who_is_refused_is_told_when_to_come_again,
        the_tokens_of_a_user_share,
        where_no_token_is_needed_addresses_are_counted,
    ]
}

fn limited(home: Home, limit: &str) -> TestServer {
    TestServer::start(home, &[("RATE_LIMIT", limit), ("TRUSTED_PROXIES", "127.0.0.1")])
}

fn left(answer: &Answer) -> (&str, &str) {
    let header = |name| answer.header(name).expect("a header about the limit");
    (header("x-ratelimit-limit"), header("x-ratelimit-remaining"))
}

async fn nothing_is_limited_unless_told(server: TestServer) {
    for _ in 0..200 {
        let answer = server.get("/api/version").await;
        answer.expect(200);
        assert!(!answer.headers.keys().any(|name| name.as_str().starts_with("x-ratelimit")));
    }
}

async fn every_caller_has_a_share_of_its_own(home: Home) {
    let server = limited(home, "3");
    let other = server.with_token(&server.home.token(&["--name", "other"]));
    for left_over in ["2", "1", "0"] {
        for client in [&server.client, &other] {
            let answer = client.post("/api/v1/customers?name=A").await;
            answer.expect(201);
            assert_eq!(left(&answer), ("3", left_over));
        }
    }
    for client in [&server.client, &other] {
        client.post("/api/v1/customers?name=A").await.expect(429);
    }
    assert_eq!(server.home.database.count("customers"), 6);
    // Nor is there another share for another address.
    let elsewhere = server.get("/api/v1/customers/1").header("x-forwarded-for", "192.0.2.1");
    elsewhere.await.expect(429);
}

async fn every_answer_tells_what_is_left(home: Home) {
    let server = limited(home, "100");
    let long = format!("/api/v1/customers?name={}", "x".repeat(64_000));
    for (call, status) in [
        (server.post("/api/v1/customers?name=A"), 201),
        (server.get("/api/v1/customers/1"), 200),
        (server.get("/api/v1/nonsense"), 404),
        (server.call("DELETE", "/api/v1/customers"), 405),
        (server.post("/api/v1/customers"), 422),
        (server.get("/api/v1/customers/1").anonymous(), 401),
        (server.get("/api/v1/customers/1").header("authorization", "Bearer x"), 401),
        (server.get("/api/version"), 200),
        (server.get("/api/nonsense"), 404),
        (server.post("/api/login"), 422),
        (server.post(&long), 414),
    ] {
        let answer = call.await;
        assert_eq!(answer.status, status);
        let (limit, left_over) = left(&answer);
        assert_eq!(limit, "100");
        assert!((80..100).contains(&left_over.parse().expect("a number")), "{left_over}");
        assert_eq!(answer.header("x-ratelimit-reset"), None);
    }
    for open in ["/health/live", "/openapi.json", "/"] {
        assert_eq!(server.get(open).await.header("x-ratelimit-limit"), None);
    }
}

async fn who_is_refused_is_told_when_to_come_again(home: Home) {
    let server = limited(home, "1");
    server.get("/api/v1/customers/1").await.expect(404);
    // Whatever would be wrong with it otherwise, but for the token.
    for call in [
        server.get("/api/v1/customers/1"),
        server.get("/api/v1/nonsense"),
        server.call("DELETE", "/api/v1/customers"),
        server.post("/api/v1/customers").body("text/plain", "x"),
        server.post("/api/logout"),
    ] {
        let answer = call.await;
        let problem = answer.expect(429);
        assert_eq!(problem["code"], "too_many_requests");
        assert_eq!(problem["message"], "Too Many Attempts.");
        assert_eq!(left(&answer), ("1", "0"));
        let number =
            |name| answer.header(name).expect("a header").parse::<u64>().expect("a number");
        let (seconds, reset) = (number("retry-after"), number("x-ratelimit-reset"));
        assert!((1..=60).contains(&seconds), "{seconds}");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
        assert!((now - 60..=now + 60).contains(&(reset - seconds)), "{reset} at {now}");
    }
    server.get("/api/v1/customers/1").header("authorization", "Bearer x").await.expect(401);
}

async fn the_tokens_of_a_user_share(home: Home) {
    let server = limited(home, "3");
    server.home.user("zoe@example.com", "correct horse");
    let mut answers = Vec::new();
    for number in 0..4 {
        let credentials = json!({ "email": "zoe@example.com", "password": "correct horse" });
        let login = server.post("/api/login").anonymous().json(&credentials);
        let answer = login.header("x-forwarded-for", format!("192.0.2.{number}")).await;
        let token = answer.expect(200)["token"].as_str().expect("a token").to_owned();
        answers.push(server.with_token(&token).get("/api/v1/customers/1").await.status);
    }
    assert_eq!(answers, [404, 404, 404, 429]);
    server.get("/api/v1/customers/1").await.expect(404);
}

async fn where_no_token_is_needed_addresses_are_counted(home: Home) {
    let server = limited(home, "2");
    let from = |address: &str| server.get("/api/version").header("x-forwarded-for", address);
    from("192.0.2.1").await.expect(200);
    from("203.0.113.1, 192.0.2.1").await.expect(200);
    from("203.0.113.2, 192.0.2.1").await.expect(429);
    let login = server.post("/api/login").header("x-forwarded-for", "192.0.2.1");
    login.anonymous().await.expect(429);
    from("192.0.2.2").await.expect(200);
    // One network of IPv6 is one client.
    from("2001:db8::1").await.expect(200);
    from("2001:db8::2").await.expect(200);
    from("2001:db8::3").await.expect(429);
    from("2001:db8:0:1::1").await.expect(200);
}
