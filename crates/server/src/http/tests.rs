//! Clients that are too slow, under limits that are short.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use actix_web::rt::System;
use actix_web::{App, HttpResponse, web};

use super::{Limits, Options, bind, serve};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Limits that are out of the way of a test of another limit.
const LONG: Limits = Limits {
    head: PATIENCE,
    body: PATIENCE,
    body_size: 1 << 20,
    answer: PATIENCE,
    idle: PATIENCE,
    linger: Duration::from_millis(100),
};

const SECOND: Duration = Duration::from_secs(1);

/// A server with these endpoints:
///
/// - `/` answers at once and leaves a body unread.
/// - `/body` answers with the length of the body, or 413 or 408.
/// - `/work` answers after three seconds.
/// - `/large` answers with 32 MiB.
struct TestServer {
    address: SocketAddr,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl TestServer {
    fn start(limits: Limits) -> Self {
        let (sender, receiver) = mpsc::channel();
        let thread = spawn(move || {
            System::new().block_on(async {
                let listener = bind(([127, 0, 0, 1], 0).into()).unwrap();
                let address = listener.local_addr().unwrap();
                let options = Options {
                    tls: None,
                    workers: 1,
                    connections_per_worker: 100,
                    limits,
                    shutdown_timeout: 0,
                };
                let server = serve(listener, options, app).unwrap();
                sender.send((address, server.handle())).unwrap();
                server.await.unwrap();
            });
        });
        let (address, handle) = receiver.recv().unwrap();
        Self { address, handle, thread: Some(thread) }
    }

    fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Client(stream)
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        // Stops even where it is not awaited.
        drop(self.handle.stop(false));
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(ended.is_none_or(|ended| ended.is_ok()) || std::thread::panicking());
    }
}

fn app() -> App<
    impl actix_web::dev::ServiceFactory<
        actix_web::dev::ServiceRequest,
        Config = (),
        Response = actix_web::dev::ServiceResponse,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    App::new()
        .route("/", web::to(async || "at once"))
        .route("/body", web::to(body_length))
        .route(
            "/work",
            web::to(async || {
                actix_web::rt::time::sleep(3 * SECOND).await;
                "worked"
            }),
        )
        .route("/large", web::to(async || vec![b'x'; LARGE]))
}

const LARGE: usize = 32 << 20;

async fn body_length(payload: web::Payload) -> HttpResponse {
    use actix_web::error::PayloadError;
    match payload.to_bytes_limited(usize::MAX).await.unwrap() {
        Ok(bytes) => HttpResponse::Ok().body(bytes.len().to_string()),
        Err(error) => match error.as_error::<PayloadError>() {
            Some(PayloadError::Overflow) => HttpResponse::PayloadTooLarge().finish(),
            Some(PayloadError::Io(error)) if error.kind() == ErrorKind::TimedOut => {
                HttpResponse::RequestTimeout().finish()
            }
            _ => HttpResponse::BadRequest().finish(),
        },
    }
}

struct Client(TcpStream);

impl Client {
    fn send(&mut self, text: impl AsRef<[u8]>) {
        self.0.write_all(text.as_ref()).unwrap();
    }

    /// Sends a text again and again, until the server has hung up.
    fn drip(mut self, text: &str, every: Duration) -> Vec<u8> {
        let mut writer = self.0.try_clone().unwrap();
        let text = text.to_owned();
        let dripping = spawn(move || {
            while writer.write_all(text.as_bytes()).is_ok() {
                sleep(every);
            }
        });
        let received = self.rest();
        self.0.shutdown(Shutdown::Both).ok();
        dripping.join().unwrap();
        received
    }

    /// Reads what comes until the server hangs up.
    fn rest(&mut self) -> Vec<u8> {
        let mut received = Vec::new();
        match self.0.read_to_end(&mut received) {
            Err(error) if error.kind() != ErrorKind::ConnectionReset => {
                panic!("{error} behind {:?}", String::from_utf8_lossy(&received))
            }
            _ => received,
        }
    }

    /// Reads up to the end of a text.
    fn read_to(&mut self, end: &str) -> String {
        let (mut received, mut byte) = (String::new(), [0]);
        while !received.ends_with(end) {
            self.0.read_exact(&mut byte).unwrap();
            received.push(byte[0].into());
        }
        received
    }
}

fn request(line: &str, headers: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: x\r\n{headers}\r\n")
}

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

/// Makes sure that answers end with a text, and that there are so many.
#[track_caller]
fn assert_answers(received: &[u8], statuses: &[&str]) {
    let text = String::from_utf8_lossy(received);
    let found: Vec<_> = text.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(found, statuses, "{text}");
}

#[test]
fn a_connection_that_says_nothing_is_closed() {
    let server = TestServer::start(Limits { head: SECOND, ..LONG });
    assert_answers(&server.connect().rest(), &["408"]);
}

#[test]
fn a_later_head_has_the_same_time_however_it_drips() {
    let server = TestServer::start(Limits { head: SECOND, ..LONG });
    let mut client = server.connect();
    client.send(request("GET /", ""));
    client.read_to("at once");
    let start = Instant::now();
    assert_answers(&client.drip("G", SECOND / 10), &[]);
    assert!(start.elapsed() >= SECOND, "{:?}", start.elapsed());
}

#[test]
fn a_head_that_begins_before_the_answer_has_the_same_time() {
    let server = TestServer::start(Limits { head: SECOND, ..LONG });
    let mut client = server.connect();
    client.send(request("GET /work", ""));
    sleep(SECOND);
    client.send("GET / HT");
    assert_answers(&client.rest(), &["200"]);
}

#[test]
fn heads_in_a_row_are_all_answered() {
    let server = TestServer::start(Limits { head: SECOND, idle: 2 * SECOND, ..LONG });
    let mut client = server.connect();
    client.send(request("GET /", "").repeat(3) + &request("GET /work", "") + &request("GET /", ""));
    assert_answers(&client.rest(), &["200"; 5]);
}

#[test]
fn a_body_that_stops_is_given_up() {
    let server = TestServer::start(Limits { body: SECOND, ..LONG });
    for (headers, start) in [(CHUNKED, "1\r\nx\r\n"), ("Content-Length: 2\r\n", "x")] {
        let mut client = server.connect();
        client.send(request("POST /body", headers) + start);
        assert_answers(&client.rest(), &["408"]);
    }
}

#[test]
fn a_body_that_drips_is_given_up() {
    let server = TestServer::start(Limits { body: SECOND, ..LONG });
    let mut client = server.connect();
    client.send(request("POST /body", CHUNKED));
    assert_answers(&client.drip("1\r\nx\r\n", SECOND / 10), &["408"]);
}

#[test]
fn a_body_that_moves_has_more_time() {
    let server = TestServer::start(Limits { body: 5 * SECOND, ..LONG });
    let mut client = server.connect();
    let length = 128 * 1024;
    client.send(request("POST /body", &format!("Content-Length: {length}\r\n")));
    // Eight seconds, of thirteen.
    for _ in 0..8 {
        sleep(SECOND);
        client.send("x".repeat(length / 8));
    }
    assert!(client.read_to("131072").starts_with("HTTP/1.1 200"));
}

#[test]
fn a_body_that_was_not_waited_for_does_not_keep_the_connection() {
    let server = TestServer::start(Limits { body: SECOND, ..LONG });
    for path in ["/", "/nowhere"] {
        let mut client = server.connect();
        client.send(request(&format!("POST {path}"), CHUNKED));
        let head = client.read_to("\r\n\r\n");
        assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
        assert_answers(&client.drip("1\r\nx\r\n", SECOND / 10), &[]);
    }
}

#[test]
fn what_is_between_the_chunks_counts_as_body() {
    let server = TestServer::start(LONG);
    let extension = format!("1;{}\r\nx\r\n", "e".repeat(30_000));
    for (path, status) in [("/body", "413"), ("/", "200")] {
        let mut client = server.connect();
        client.send(request(&format!("POST {path}"), CHUNKED));
        assert_answers(&client.drip(&extension, Duration::ZERO), &[status]);
    }
    // A single line, too, and what stands behind the last chunk.
    for start in ["1;", "0\r\n"] {
        let mut client = server.connect();
        client.send(request("POST /body", CHUNKED) + start);
        assert_answers(&client.drip(&"e".repeat(30_000), Duration::ZERO), &["413"]);
    }
}

#[test]
fn an_answer_that_is_not_read_is_given_up() {
    let server = TestServer::start(Limits { answer: SECOND, ..LONG });
    let mut client = server.connect();
    client.send(request("GET /large", ""));
    let start = Instant::now();
    // The kernel says so only to those who send.
    while client.0.write_all(b"G").is_ok() {
        assert!(start.elapsed() < PATIENCE, "the connection is still open");
        sleep(SECOND / 10);
    }
    assert!(start.elapsed() >= SECOND / 2, "{:?}", start.elapsed());
}

#[test]
fn an_answer_that_moves_has_no_limit() {
    let short = 4 * SECOND;
    let server = TestServer::start(Limits { head: short, answer: short, idle: short, ..LONG });
    let mut client = server.connect();
    client.send(request("GET /large", ""));
    // So slowly that the kernel does not wake the server in time.
    let (start, mut part) = (Instant::now(), vec![0; 64 * 1024]);
    while start.elapsed() < 3 * short {
        client.0.read_exact(&mut part).unwrap();
        sleep(SECOND / 2);
    }
    let received = client.rest().len();
    assert!(received > LARGE - 100 * part.len(), "the last {received} bytes");
}

#[test]
fn a_connection_that_is_idle_is_closed() {
    let server = TestServer::start(Limits { idle: SECOND, ..LONG });
    let mut client = server.connect();
    for _ in 0..2 {
        client.send(request("GET /", ""));
        client.read_to("at once");
    }
    let start = Instant::now();
    assert_answers(&client.rest(), &[]);
    assert!(start.elapsed() >= SECOND / 2, "{:?}", start.elapsed());
}

#[test]
fn a_request_that_is_worked_on_has_no_limit() {
    let server = TestServer::start(Limits {
        head: SECOND,
        body: SECOND,
        answer: SECOND,
        idle: SECOND,
        ..LONG
    });
    let mut client = server.connect();
    client.send(request("GET /work", ""));
    assert!(client.read_to("worked").starts_with("HTTP/1.1 200"));
}

#[test]
fn a_client_that_asks_for_another_protocol_is_answered_on_a_connection_of_its_own() {
    let server = TestServer::start(LONG);
    let upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEA\r\n";
    for (call, headers, body) in [
        ("GET /", upgrade, ""),
        ("HEAD /", upgrade, ""),
        ("GET /nowhere", upgrade, ""),
        ("GET /", "Upgrade: h2c\r\n", ""),
        ("GET /", "Connection: Upgrade\r\n", ""),
        ("GET /", "Connection: keep-alive, Upgrade\r\nUpgrade: TLS/1.3\r\n", ""),
        ("GET /", "Connection: Upgrade\r\nUpgrade: websocket\r\n", ""),
        ("POST /body", &format!("{upgrade}Content-Length: 1\r\n"), "x"),
        ("POST /body", &format!("{upgrade}{CHUNKED}"), "1\r\nx\r\n0\r\n\r\n"),
    ] {
        let mut client = server.connect();
        client.send(request(call, headers) + body);
        let received = String::from_utf8(client.rest()).unwrap();
        let says: Vec<_> =
            received.lines().filter(|line| line.starts_with("connection:")).collect();
        assert_eq!(says, ["connection: close"], "{call} with {headers}: {received}");
    }
}
