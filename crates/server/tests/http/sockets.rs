//! What no HTTP client sends.

use serde_json::json;

use crate::support::{Socket, TestServer, parse};

cases! {
    both: [
        a_chunked_body_that_is_too_large_is_refused,
        urls_may_be_long_but_not_without_end,
        a_url_that_is_too_long_is_told_before_anything_else,
        requests_may_come_in_a_row,
        garbage_does_no_harm,
        a_head_that_takes_too_long_is_given_up,
    ]
}

fn head(server: &TestServer, line: &str, headers: &str) -> String {
    let token = server.token();
    format!("{line} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{headers}\r\n")
}

async fn a_chunked_body_that_is_too_large_is_refused(server: TestServer) {
    let mut socket = server.socket();
    let headers =
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n";
    socket.send(head(&server, "POST /api/v1/customers", headers));
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 16, " ".repeat(1 << 16));
    for _ in 0..17 {
        socket.send(&chunk);
    }
    socket.send("0\r\n\r\n");
    assert_eq!(socket.answer().expect(413)["code"], "payload_too_large");

    let mut socket = server.socket();
    socket.send(head(&server, "POST /api/v1/customers", headers));
    socket.send("e\r\n{\"name\":\"chunk\r\n3\r\ns\"}\r\n0\r\n\r\n");
    assert_eq!(socket.answer().expect(201)["name"], "chunks");
}

async fn urls_may_be_long_but_not_without_end(server: TestServer) {
    let status = |length: usize| {
        let start = "/api/v1/customers/x?";
        let target = format!("GET {start}{}", "a".repeat(length - start.len()));
        let mut socket = server.socket();
        socket.send(head(&server, &target, "Connection: close\r\n"));
        parse_status(&mut socket)
    };
    assert_eq!(status(64_000), 404);
    assert_eq!(status(64_001), 414);
    assert_eq!(status(65_534), 414);
    // The HTTP library holds no longer one, so it answers itself.
    assert_eq!(status(65_535), 400);
    assert_eq!(status(140_000), 431);
}

fn parse_status(socket: &mut Socket) -> u16 {
    socket.answers().first().expect("an answer").status
}

async fn a_url_that_is_too_long_is_told_before_anything_else(server: TestServer) {
    let target = format!("/api/v1/customers?name={}", "a".repeat(64_000));
    for call in [server.post(&target), server.get(&target).anonymous()] {
        assert_eq!(call.await.expect(414)["code"], "uri_too_long");
    }
}

async fn requests_may_come_in_a_row(server: TestServer) {
    let mut socket = server.socket();
    let create = |name: &str, rest: &str| {
        head(&server, &format!("POST /api/v1/customers?name={name}"), rest)
    };
    socket.send(
        create("one", "Content-Length: 0\r\n")
            + &create("two", "")
            + &create("three", "Connection: close\r\n"),
    );
    let answers = socket.answers();
    let names: Vec<_> = answers.iter().map(|answer| answer.expect(201)["name"].clone()).collect();
    assert_eq!(names, ["one", "two", "three"]);
}

async fn garbage_does_no_harm(server: TestServer) {
    for bytes in [
        &b"\0\0\0\0"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST /api/v1/customers HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/v1/customers HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /api/v1/customers/\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: \x01\r\n\r\n",
    ] {
        let mut socket = server.socket();
        socket.send(bytes);
        socket.finish();
        let answered = socket.read_all();
        if answered.starts_with(b"HTTP/1.1") {
            let status = parse(&answered)[0].status;
            assert!((400..500).contains(&status), "{status} for {}", bytes.escape_ascii());
        }
    }
    // Somebody who goes away in the middle of a body.
    let mut socket = server.socket();
    let headers = "Content-Type: application/json\r\nContent-Length: 100\r\n";
    socket.send(head(&server, "POST /api/v1/customers", headers) + "{\"name\":");
    drop(socket);
    server.create(&json!({ "name": "A" })).await;
    assert_eq!(server.home.database.count("customers"), 1);
}

async fn a_head_that_takes_too_long_is_given_up(server: TestServer) {
    let mut socket = server.socket();
    socket.send("GET /health/live HTTP/1.1\r\nHost: x\r\n");
    assert_eq!(parse_status(&mut socket), 408);
}
