//! Clients that ask for another protocol on their connection.

use std::io::ErrorKind;
use std::process::Command;

use crate::support::{TestServer, run};

cases! {
    sqlite: [
        a_request_for_another_protocol_is_answered_and_the_connection_closed,
        javas_client_makes_calls_as_it_comes,
    ]
}

async fn a_request_for_another_protocol_is_answered_and_the_connection_closed(server: TestServer) {
    let h2c = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEA\r\n";
    let body = "Content-Type: application/json\r\nContent-Length: 12\r\n";
    for (line, headers, body, status) in [
        ("GET /health/live", h2c, "", 200),
        ("GET /health/live", "Upgrade: h2c\r\n", "", 200),
        ("GET /health/live", "Connection: keep-alive, Upgrade\r\nUpgrade: x/1\r\n", "", 200),
        ("GET /health/live", "Connection: Upgrade\r\nUpgrade: websocket\r\n", "", 200),
        ("GET /nowhere", h2c, "", 404),
        ("PUT /health/live", h2c, "", 405),
        ("GET /api/v1/customers/1", h2c, "", 404),
        ("POST /api/v1/customers", &format!("{h2c}{body}"), r#"{"name":"A"}"#, 201),
    ] {
        let mut socket = server.socket();
        let token = server.token();
        socket.send(format!(
            "{line} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{headers}\r\n{body}"
        ));
        // The answer ends with the connection.
        let answer = socket.answer();
        assert_eq!(answer.status, status, "{line}: {}", answer.text());
        assert_eq!(answer.header("connection"), Some("close"), "{line} with {headers}");
    }
}

async fn javas_client_makes_calls_as_it_comes(server: TestServer) {
    if let Err(error) = Command::new("java").arg("-version").output() {
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        println!("left out: there is no java here");
        return;
    }
    let ran = run(Command::new("java")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/http/upgrade/Calls.java"))
        .args([&format!("http://{}", server.address()), server.token()]));
    assert_eq!(ran.stdout.trim(), "{GET 200=40, POST 201=40, at once 200=40}", "{}", ran.stderr);
}
