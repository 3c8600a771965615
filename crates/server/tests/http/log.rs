//! What is logged, and what is not.

use serde_json::Value;

use crate::support::{Home, Program, TestServer};

cases! {
    both: [
        every_request_has_one_line_and_no_secret_in_it,
        the_log_can_be_json,
    ]
}

async fn every_request_has_one_line_and_no_secret_in_it(server: TestServer) {
    let calls = [
        (
            "POST",
            "/api/v1/customers?name=SECRET1&customerAccount=SECRET2&nonsense=SECRET3",
            201,
            "/api/v1/customers",
        ),
        (
            "GET",
            "/api/v1/customerAccounts/SECRET2?x=SECRET3",
            200,
            "/api/v1/customerAccounts/{customerAccount}",
        ),
        ("HEAD", "/api/v1/customers/SECRET2", 200, "/api/v1/customers/{customer}"),
        ("POST", "/api/v1/customers?name=x&customerAccount=SECRET2", 409, "/api/v1/customers"),
        ("GET", "/SECRET4", 404, "-"),
        ("DELETE", "/api/v1/customers?SECRET5", 405, "-"),
        ("GET", "/health/live", 200, "/health/live"),
    ];
    for (number, (method, target, status, route)) in calls.into_iter().enumerate() {
        let id = format!("call-{number}");
        let answer = server.call(method, target).header("x-request-id", &id).await;
        assert_eq!(answer.status, status);
        let id = format!("request_id={id}");
        let line = server.program.wait_for_log(|line| line.ends_with(&id));
        for part in [&*format!("method={method}"), &format!("status={status}"), "ms=", " INFO "] {
            assert!(line.contains(part), "{part} in {line}");
        }
        if route != "-" {
            assert!(line.contains(&format!("route={route} ")), "{line}");
        }
        let lines = server.program.log();
        assert_eq!(lines.iter().filter(|line| line.ends_with(&id)).count(), 1);
    }
    let post = || server.post("/api/v1/customers");
    let body = r#"{"name":"SECRET6","brand_id":"SECRET7"}"#;
    post().json_text(body).await.expect(422);
    post().form("name=SECRET8&SECRET9=x&name[=%ff").await.expect(400);
    post().multipart(&[("vip", "SECRET10")]).await.expect(422);
    let wrong = format!("Bearer cus_SECRET11{}", "A".repeat(35));
    post().header("authorization", wrong).await.expect(401);
    post().header("authorization", "Basic SECRET12").await.expect(401);

    // What cannot be had at first sight either: the line is there before the answer is.
    let log = server.program.log().join("\n");
    assert!(!log.contains("SECRET") && !log.contains("cus_"), "{log}");
    let url = server.home.database.url();
    if let Some((login, _)) = url.strip_prefix("postgres://").and_then(|url| url.split_once('@')) {
        let (_, password) = login.split_once(':').expect("a password");
        assert!(!log.contains(password), "{log}");
    }
}

async fn the_log_can_be_json(home: Home) {
    let variables = [("LOG_FORMAT", "json"), ("RUST_LOG", "debug")];
    let server = TestServer::start(home, &variables);
    let target = "/api/v1/customers?name=SECRET1&nonsense=SECRET2";
    server.post(target).header("x-request-id", "call-1").await.expect(201);
    let line = server.program.wait_for_log(|line| line.contains("call-1"));
    let event: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(event["level"], "INFO");
    assert_eq!(event["target"], "request");
    assert_eq!(event["method"], "POST");
    assert_eq!(event["route"], "/api/v1/customers");
    assert_eq!(event["status"], 201);
    assert!(event["ms"].as_f64().is_some_and(|ms| ms > 0.0), "{event}");
    // At this level the names of ignored parameters are told, never their values.
    let log = server.program.log();
    assert!(log.iter().any(|line| line.contains("nonsense")));
    assert!(!log.join("\n").contains("SECRET"));
    for line in Program::log(&server.program) {
        assert!(serde_json::from_str::<Value>(&line).is_ok(), "{line}");
    }
}
