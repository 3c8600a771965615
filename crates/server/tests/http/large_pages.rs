//! Pages of long texts that their clients do not read.

use std::io::Write;
use std::net::TcpStream;

use serde_json::json;

use crate::support::TestServer;

cases! {
    sqlite: [pages_that_are_not_read_take_memory_for_some_only]
}

async fn pages_that_are_not_read_take_memory_for_some_only(server: TestServer) {
    for number in 0..200 {
        server.create(&json!({ "name": number.to_string(), "comment": "x".repeat(65_000) })).await;
    }
    let before = server.program.peak_memory();
    // 13 MB for each, 780 MB for all.
    let ask = |_| {
        let mut stream = TcpStream::connect(server.program.address()).expect("a connection");
        let head = format!(
            "GET /api/v1/customers?per_page=200 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
            server.token()
        );
        stream.write_all(head.as_bytes()).expect("a connection");
        stream
    };
    let crowd: Vec<_> = (0..60).map(ask).collect();
    // Those that have no room wait for it: no longer than this takes, most are refused.
    let large = server.get("/api/v1/customers?per_page=200").attempt().await.expect("an answer");
    assert!(matches!(large.status, 200 | 503), "{}", large.status);
    let memory = server.program.peak_memory();
    assert!(memory < before + 450, "{before} MiB before, {memory} after");
    // Others are answered all the same.
    server.get("/api/v1/customers?per_page=2").await.expect(200);
    server.get("/api/v1/customers/1").await.expect(200);
    drop(crowd);
}
