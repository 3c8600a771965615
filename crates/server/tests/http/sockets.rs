//! What no HTTP client sends.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Home, PATIENCE, Socket, TestServer, parse};
use crate::{metrics, tls};

cases! {
    both: [
        a_chunked_body_that_is_too_large_is_refused,
        urls_may_be_long_but_not_without_end,
        a_url_that_is_too_long_is_told_before_anything_else,
        requests_may_come_in_a_row,
        garbage_does_no_harm,
        a_head_that_takes_too_long_is_given_up,
    ]
    sqlite: [
        what_is_between_chunks_counts_as_body,
        a_head_has_ten_seconds_on_every_port,
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

async fn what_is_between_chunks_counts_as_body(server: TestServer) {
    let extension = format!("1;{}\r\n \r\n", "e".repeat(1 << 16));
    for headers in ["Content-Type: application/json\r\n", ""] {
        let mut socket = server.socket();
        let chunked = format!("{headers}Transfer-Encoding: chunked\r\n");
        socket.send(head(&server, "POST /api/v1/customers", &chunked));
        for _ in 0..20 {
            socket.send(&extension);
        }
        let answer = socket.answer();
        assert_eq!(answer.expect(413)["code"], "payload_too_large");
        assert_eq!(answer.header("connection"), Some("close"));
    }
    // Where the answer did not wait for the body, the connection ends.
    let mut socket = server.socket();
    socket.send("POST /api/v1/customers HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    let head = socket.read_to("\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 401") && head.contains("connection: close"), "{head}");
    let start = Instant::now();
    while socket.try_send(&extension) {
        assert!(start.elapsed() < PATIENCE, "chunks are still taken");
    }
    server.create(&json!({ "name": "chunks" })).await;
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

async fn a_head_has_ten_seconds_on_every_port(home: Home) {
    let (certificate, key) = tls::make_pair(home.folder(), "tls");
    let [certificate, key] = [&certificate, &key].map(|path| path.to_str().expect("a path"));
    let in_clear = home.serve(&[], &[("METRICS_BIND", "127.0.0.1:0")]);
    let over_tls = home.serve(&[], &[("TLS_CERT", certificate), ("TLS_KEY", key)]);
    let (page, secure) = (metrics::address(&in_clear), over_tls.address());
    let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let (live, metrics) = (ask("/health/live"), ask("/metrics"));

    let took = std::thread::scope(|scope| {
        let silent = [in_clear.address(), page, secure].map(|address| {
            let start = Instant::now();
            let mut socket = Socket::connect(address);
            scope.spawn(move || {
                socket.read_all();
                start.elapsed()
            })
        });
        let dripping = [
            scope.spawn(|| drip_until_cut(in_clear.address(), &live)),
            scope.spawn(|| drip_until_cut(page, &metrics)),
            // The start of a handshake.
            scope.spawn(|| drip_until_cut(secure, "")),
            scope.spawn(|| drip_over_tls_until_cut(secure, &live)),
        ];
        let all = silent.into_iter().chain(dripping);
        all.map(|thread| thread.join().expect("no panic")).collect::<Vec<_>>()
    });
    assert!(took.iter().all(|took| *took >= Duration::from_secs(9)), "{took:?}");
}

/// Asks for something that is answered, drips another head until the connection is cut; how long that
/// took.
fn drip_until_cut(address: SocketAddr, ask: &str) -> Duration {
    let mut stream = TcpStream::connect(address).expect("a connection");
    if ask.is_empty() {
        // A handshake of 512 bytes.
        stream.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").expect("a connection");
    }
    stream.write_all(ask.as_bytes()).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_millis(500))).expect("a time limit");
    let start = Instant::now();
    loop {
        assert!(start.elapsed() < PATIENCE, "{address} still waits for a head");
        match stream.read(&mut [0; 4096]) {
            Ok(0) => break start.elapsed(),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if stream.write_all(b"G").is_err() {
                    break start.elapsed();
                }
            }
            Err(_) => break start.elapsed(),
        }
    }
}

/// The same over TLS.
fn drip_over_tls_until_cut(address: SocketAddr, ask: &str) -> Duration {
    let mut openssl = Command::new("openssl")
        .args(["s_client", "-quiet", "-connect", &address.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl");
    let mut input = openssl.stdin.take().expect("a pipe");
    input.write_all(ask.as_bytes()).expect("a connection");
    let mut answer = [0; 4096];
    let length = openssl.stdout.as_mut().expect("a pipe").read(&mut answer).expect("an answer");
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", answer[..length].escape_ascii());
    let start = Instant::now();
    while openssl.try_wait().expect("a child").is_none() {
        assert!(start.elapsed() < PATIENCE, "{address} still waits for a head");
        // An error means that the connection has been cut.
        let _ = input.write_all(b"G");
        std::thread::sleep(Duration::from_millis(500));
    }
    start.elapsed()
}
