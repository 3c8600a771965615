//! Clients that are slow, that never read, or that are too many.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::metrics;
use crate::support::{Home, PATIENCE, TestServer, until};

cases! {
    both: [
        a_body_that_takes_too_long_is_given_up,
        ten_thousand_idle_connections_keep_nobody_out,
        a_crowd_leaves_the_database_its_files,
        who_never_reads_is_not_listened_to,
        refusals_that_are_not_read_take_little_memory,
    ]
    sqlite: [
        a_crowd_at_the_metrics_leaves_the_service_its_files,
        clients_that_say_no_more_make_room_for_others,
    ]
}

/// Raises the limit of files that the tests themselves may have open.
fn open_many_files(files: u32) {
    let process = std::process::id().to_string();
    let limit = format!("--nofile={files}:");
    let raised = Command::new("prlimit").args(["--pid", &process, &limit]).output();
    let raised = raised.expect("prlimit, of util-linux");
    let error = String::from_utf8_lossy(&raised.stderr);
    assert!(raised.status.success(), "this takes {files} open files (ulimit -Hn): {error}");
}

fn head(server: &TestServer, line: &str, headers: &str) -> String {
    let token = server.token();
    format!("{line} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{headers}\r\n")
}

/// A connection that has been answered once, and is kept.
fn idle(server: &TestServer) -> TcpStream {
    let mut stream = TcpStream::connect(server.program.address()).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    ask(server, &mut stream);
    stream
}

/// Asks for what needs no database, and waits for the answer.
fn ask(server: &TestServer, stream: &mut TcpStream) {
    let request = head(server, "GET /health/live", "");
    stream.write_all(request.as_bytes()).expect("a connection that is open");
    let mut answer = [0; 4096];
    let length = stream.read(&mut answer).expect("an answer");
    assert!(answer[..length].starts_with(b"HTTP/1.1 200"), "{}", answer[..length].escape_ascii());
}

async fn a_body_that_takes_too_long_is_given_up(server: TestServer) {
    let mut stream = TcpStream::connect(server.program.address()).expect("a connection");
    let headers = "Content-Type: application/json\r\nContent-Length: 1000\r\n";
    let head = head(&server, "POST /api/v1/customers", headers);
    stream.write_all(head.as_bytes()).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_millis(200))).expect("a time limit");
    // One byte after the other, so that it is never idle.
    let (start, mut answer) = (Instant::now(), [0; 4096]);
    let length = loop {
        assert!(start.elapsed() < PATIENCE, "still waiting for the body");
        stream.write_all(b" ").expect("a connection that is open");
        match stream.read(&mut answer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            read => break read.expect("an answer"),
        }
    };
    let answer = String::from_utf8_lossy(&answer[..length]);
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("took longer than 30 seconds"), "{answer}");
    assert!(start.elapsed() > Duration::from_secs(29), "after {:?}", start.elapsed());
    assert!(answer.contains("connection: close"), "{answer}");
    // What still comes of the body is not waited for.
    while stream.write_all(b" ").is_ok() {
        assert!(start.elapsed() < 2 * PATIENCE, "still waiting for the rest of the body");
        std::thread::sleep(Duration::from_millis(200));
    }
}

async fn ten_thousand_idle_connections_keep_nobody_out(home: Home) {
    const CROWD: usize = 10_000;
    open_many_files(16_000);
    // Of which a shell or systemd gives a program 1,024 unless it asks for more.
    let server = TestServer::start_with_files(home, 1024, 16_000);
    let mut crowd: Vec<_> = (0..CROWD).map(|_| idle(&server)).collect();
    let id = server.create(&json!({ "name": "A" })).await["id"].clone();
    server.get(&format!("/api/v1/customers/{id}")).await.expect(200);
    // They are all still there.
    for stream in crowd.iter_mut().step_by(100) {
        ask(&server, stream);
    }
    let memory = server.program.peak_memory();
    assert!(memory < 400, "{memory} MiB for {CROWD} connections");
}

async fn a_crowd_leaves_the_database_its_files(home: Home) {
    open_many_files(16_000);
    let server = TestServer::start_with_files(home, 300, 300);
    // More than it takes; those beyond wait where the system keeps them.
    let address = server.program.address();
    let mut first = idle(&server);
    let crowd: Vec<_> =
        (0..400).map(|_| TcpStream::connect(address).expect("a connection")).collect();
    // Taken one by one, before this connection is heard again.
    ask(&server, &mut first);
    let files = std::fs::read_dir(format!("/proc/{}/fd", server.program.id()));
    let files = files.expect("a running process").count();
    assert!(files < 200, "{files} of 300 files are open");
    let body = json!({ "name": "A" }).to_string();
    let headers = format!(
        "Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n",
        body.len()
    );
    let create = head(&server, "POST /api/v1/customers", &headers) + &body;
    first.write_all(create.as_bytes()).expect("a connection that is open");
    let mut answer = String::new();
    first.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    // Who leaves makes room for others.
    drop(crowd);
    server.create(&json!({ "name": "B" })).await;
}

async fn a_crowd_at_the_metrics_leaves_the_service_its_files(home: Home) {
    let server = TestServer::start(home, &[("METRICS_BIND", "127.0.0.1:0")]);
    let address = metrics::address(&server.program);
    let open_files = || {
        let files = std::fs::read_dir(format!("/proc/{}/fd", server.program.id()));
        files.expect("a running process").count()
    };
    let before = open_files();
    let _crowd: Vec<_> =
        (0..200).map(|_| TcpStream::connect(address).expect("a connection")).collect();
    // They are accepted as long as there is room.
    until("the crowd", async || open_files() >= before + 64).await;
    for number in 0..20 {
        server.create(&json!({ "name": number.to_string() })).await;
    }
    let files = open_files();
    assert!(files < before + 100, "{files} files are open, {before} before");
    // Clients that say nothing make room for others.
    let url = format!("http://{address}/metrics");
    assert_eq!(server.http().get(url).send().await.expect("an answer").status(), 200);
}

async fn clients_that_say_no_more_make_room_for_others(home: Home) {
    let server = TestServer::start_with_files(home, 456, 456);
    let id = server.create(&json!({ "name": "A" })).await["id"].clone();
    let path = format!("/api/v1/customers/{id}");
    // More than are accepted at once. Each has its answer, and stops within its body.
    let address = server.program.address();
    let start = "GET /health/live HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n";
    let _crowd: Vec<_> = (0..230)
        .map(|_| {
            let mut stream = TcpStream::connect(address).expect("a connection");
            stream.write_all(start.as_bytes()).expect("a connection");
            stream
        })
        .collect();
    // On a connection of its own, which waits to be accepted.
    let call = head(&server, &format!("GET {path}"), "Connection: close\r\n");
    let mut late = TcpStream::connect(address).expect("a connection");
    late.set_read_timeout(Some(2 * PATIENCE)).expect("a time limit");
    late.write_all(call.as_bytes()).expect("a connection");
    let mut answer = String::new();
    late.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

async fn who_never_reads_is_not_listened_to(server: TestServer) {
    for number in 0..200 {
        server.create(&json!({ "name": number.to_string(), "comment": "x".repeat(5_000) })).await;
    }
    let before = server.program.peak_memory();
    let mut stream = TcpStream::connect(server.program.address()).expect("a connection");
    stream.set_write_timeout(Some(Duration::from_secs(2))).expect("a time limit");
    // A megabyte is answered to each.
    let request = head(&server, "GET /api/v1/customers?per_page=200", "");
    let mut sent = 0;
    let stopped = loop {
        match stream.write(request.as_bytes()) {
            Ok(length) => sent += length,
            Err(error) => break error.kind(),
        }
        assert!(sent < 64 << 20, "it reads on while nobody reads its answers");
    };
    assert_eq!(stopped, ErrorKind::WouldBlock);
    server.get("/api/v1/customers/1").await.expect(200);
    let memory = server.program.peak_memory();
    assert!(memory < before + 64, "{before} MiB before, {memory} after");
}

async fn refusals_that_are_not_read_take_little_memory(server: TestServer) {
    const CROWD: usize = 200;
    // A megabyte of names that there are not.
    let names: Vec<String> = (0..).map(|n| format!("\"unknown{n}\":0")).take(60_000).collect();
    let body = format!("{{{}}}", names.join(","));
    assert!(body.len() > 1_000_000 && body.len() < 1 << 20, "{}", body.len());
    let headers = format!(
        "Prefer: handling=strict\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
        body.len()
    );
    let address = server.program.address();
    // A login needs no token, and takes no such body. A write takes it, but only a few at once.
    for (round, line, most) in [(1, "POST /api/login", 120), (2, "POST /api/v1/customers", 200)] {
        let request = head(&server, line, &headers) + &body;
        let send = || {
            let mut stream = TcpStream::connect(address).expect("a connection");
            stream.set_write_timeout(Some(PATIENCE)).expect("a time limit");
            // The server hangs up where the body is too large.
            let _ = stream.write_all(request.as_bytes());
            stream
        };
        let crowd: Vec<_> = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CROWD).map(|_| scope.spawn(send)).collect();
            clients.into_iter().map(|client| client.join().expect("no panic")).collect()
        });
        let is_refused = |line: &&String| line.contains("method=POST");
        until("all to be refused", async || {
            server.program.log().iter().filter(is_refused).count() == round * CROWD
        })
        .await;
        let memory = server.program.peak_memory();
        assert!(memory < most, "{line}: {memory} MiB");
        drop(crowd);
    }
}
