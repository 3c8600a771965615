//! What is logged, and what is not.

use serde_json::Value;

use crate::metrics::{page, with_metrics};
use crate::support::{Home, Program, TestServer};

cases! {
    both: [
        every_request_has_one_line_and_no_secret_in_it,
        the_log_can_be_json,
    ]
    sqlite: [
        a_log_that_is_not_read_stops_nothing,
        a_log_that_is_not_read_does_not_keep_the_process_from_its_end,
        every_line_is_written_before_the_process_ends,
        a_failed_command_says_why_behind_its_log,
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

    // Lines come in the order of the answers.
    server.call("GET", "/health/live").header("x-request-id", "the-last").await.expect(200);
    server.program.wait_for_log(|line| line.ends_with("request_id=the-last"));
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

/// Asks so many times whether the process lives, a hundred times at once, and counts the answers.
fn ask(server: &TestServer, times: usize) {
    const AT_ONCE: usize = 100;
    let request =
        format!("GET /health/live HTTP/1.1\r\nHost: x\r\nX-Request-Id: {}\r\n\r\n", "x".repeat(64));
    let mut socket = server.socket();
    for _ in 0..times / AT_ONCE {
        socket.send(request.repeat(AT_ONCE));
        for _ in 0..AT_ONCE {
            let answer = socket.read_to("\r\n\r\n{\"status\":\"ok\"}");
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
    }
}

/// More lines than the pipe and the memory for lines take.
const FLOOD: usize = 8_000;

/// A server whose log is not read, and has no room left.
async fn flooded(home: Home) -> TestServer {
    let server = with_metrics(home, &[("LOG_FORMAT", "json")]);
    // With the first answer the client looks at the OpenAPI document.
    server.get("/health/live").await.expect(200);
    server.program.pause_log();
    ask(&server, FLOOD);
    server
}

async fn a_log_that_is_not_read_stops_nothing(home: Home) {
    let server = flooded(home).await;
    server.create(&serde_json::json!({ "name": "A" })).await;
    let dropped = page(&server).await["customers_log_lines_dropped_total"];
    assert!((1.0..FLOOD as f64).contains(&dropped), "{dropped}");
    // A line about a login finds room.
    let login = server.post("/api/login?email=a@example.com&password=b").anonymous();
    login.header("x-request-id", "a-login").await.expect(401);
    assert_eq!(page(&server).await["customers_log_lines_dropped_total"], dropped);

    server.program.resume_log();
    let line = server.program.wait_for_log(|line| line.contains("lines were dropped"));
    let event: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(event["dropped"].as_f64(), Some(dropped), "{event}");
    let log = server.program.log();
    assert_eq!(log.iter().filter(|line| line.contains("a-login")).count(), 1);
    // All other lines are whole, and there.
    let is_asked = |line: &&String| {
        let event: Value = serde_json::from_str(line).expect("JSON");
        event["route"] == "/health/live"
    };
    let asked = log.iter().filter(is_asked).count();
    // One was asked before the flood, and the create is one of the dropped.
    assert_eq!(asked as f64 + dropped, FLOOD as f64 + 2.0);
}

async fn a_log_that_is_not_read_does_not_keep_the_process_from_its_end(home: Home) {
    let mut server = flooded(home).await;
    server.program.signal("TERM");
    assert!(server.program.wait_without_its_output().success());
}

async fn every_line_is_written_before_the_process_ends(mut server: TestServer) {
    const LINES: usize = 3000;
    ask(&server, LINES);
    server.program.signal("TERM");
    assert!(server.program.wait().success());
    let log = server.program.log();
    assert_eq!(log.iter().filter(|line| line.contains("/health/live")).count(), LINES);
    assert!(log.last().is_some_and(|line| line.contains("stopped")), "{:?}", log.last());
}

async fn a_failed_command_says_why_behind_its_log(home: Home) {
    let ran = home.run(&["token", "revoke", "nothing"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let lines: Vec<_> = ran.stderr.lines().collect();
    assert!(lines[0].contains("database migrated"), "{lines:?}");
    assert!(lines.last().is_some_and(|line| line.starts_with("error: there is no token")));
}
