//! The end of the process, wanted and not.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{Home, Socket, TestServer};
use crate::tls;

cases! {
    both: [
        requests_under_way_are_answered_before_it_ends,
        idle_connections_do_not_hold_it_up,
        a_second_signal_ends_it_at_once,
        balancers_are_told_before_it_stops,
        another_signal_ends_the_wait_for_balancers,
    ]
    sqlite: [clients_that_are_slow_do_not_hold_it_up]
}

const SLOW_BODY: &str = r#"{"name":"slow"}"#;

/// A request of which the server has the head for certain, and the start of the body.
fn under_way(server: &TestServer) -> Socket {
    let mut socket = server.socket();
    socket.send(format!(
        "POST /api/v1/customers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        server.token(),
        SLOW_BODY.len(),
    ));
    assert_eq!(socket.read_to("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    socket.send(&SLOW_BODY[..5]);
    socket
}

async fn requests_under_way_are_answered_before_it_ends(mut server: TestServer) {
    let mut slow: Vec<_> = (0..10).map(|_| under_way(&server)).collect();
    let mut quick = JoinSet::new();
    for _ in 0..20 {
        quick.spawn(server.post("/api/v1/customers?name=quick").attempt());
    }
    assert!(quick.join_next().await.expect("a task").expect("no panic").is_ok());
    server.program.signal("TERM");
    server.program.wait_for_log(|line| line.contains("stopping"));
    for slow in &mut slow {
        slow.send(&SLOW_BODY[5..]);
        let answer = slow.answer();
        assert_eq!(answer.expect(201)["name"], "slow");
    }

    let mut answered = slow.len();
    while let Some(answer) = quick.join_next().await {
        // Those whose connection was not accepted any more get none.
        if let Ok(answer) = answer.expect("no panic") {
            assert_eq!(answer.status, 201);
            answered += 1;
        }
    }
    assert!(server.program.wait().success());
    let log = server.program.log();
    assert!(log.last().is_some_and(|line| line.contains("stopped")));
    assert!(log.iter().all(|line| line.contains(" INFO ")), "{log:#?}");
    let kept = server.home.database.count("customers");
    assert!(kept > answered, "{kept} kept, {answered} quick ones answered");
}

async fn idle_connections_do_not_hold_it_up(mut server: TestServer) {
    let _idle = server.socket();
    server.get("/health/live").await.expect(200);
    let start = Instant::now();
    server.program.signal("INT");
    assert!(server.program.wait().success());
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

async fn clients_that_are_slow_do_not_hold_it_up(home: Home) {
    let (certificate, key) = tls::make_pair(home.folder(), "tls");
    let [certificate, key] = [&certificate, &key].map(|path| path.to_str().expect("a path"));
    let in_clear = home.serve(&[], &[]);
    let over_tls = home.serve(&[], &[("TLS_CERT", certificate), ("TLS_KEY", key)]);

    let mut half_a_head = Socket::connect(in_clear.address());
    half_a_head.send("GET / HT");
    let mut half_a_second_head = Socket::connect(in_clear.address());
    half_a_second_head.send("GET /health/live HTTP/1.1\r\nHost: x\r\n\r\nGET / HT");
    half_a_second_head.read_to("{\"status\":\"ok\"}");
    let mut unread_body = Socket::connect(in_clear.address());
    unread_body
        .send("POST /api/v1/customers HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    unread_body.read_to("\r\n\r\n");
    let mut half_a_handshake = Socket::connect(over_tls.address());
    half_a_handshake.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");

    let start = Instant::now();
    for mut program in [in_clear, over_tls] {
        program.signal("TERM");
        assert!(program.wait().success());
    }
    // Without waiting for a deadline.
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
}

async fn a_second_signal_ends_it_at_once(mut server: TestServer) {
    let mut slow = under_way(&server);
    server.program.signal("TERM");
    server.program.wait_for_log(|line| line.contains("stopping"));
    let start = Instant::now();
    server.program.signal("INT");
    assert_eq!(server.program.wait().code(), Some(1));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    slow.send(&SLOW_BODY[5..]);
    assert_eq!(slow.read_all(), b"");
    assert_eq!(server.home.database.count("customers"), 0);
}

async fn balancers_are_told_before_it_stops(home: Home) {
    let mut server = TestServer::start(home, &[("DRAIN", "2s")]);
    let mut kept = server.socket();
    let get = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";
    kept.send(get);
    assert!(!kept.read_to("\r\n\r\n{\"status\":\"ok\"}").contains("connection: close"));
    server.get("/health/ready").await.expect(200);

    let start = Instant::now();
    server.program.signal("TERM");
    server.program.wait_for_log(|line| line.contains("draining"));
    server.get("/health/ready").await.expect(503);
    // Who comes nevertheless is served, on new connections and on those that are there, which end.
    server.create(&json!({ "name": "late" })).await;
    kept.send(get);
    let answer = kept.answer();
    answer.expect(200);
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(server.program.wait().success());
    assert!(start.elapsed() >= Duration::from_secs(2), "{:?}", start.elapsed());
    let log = server.program.log();
    assert!(log.iter().all(|line| line.contains(" INFO ")), "{log:#?}");
}

async fn another_signal_ends_the_wait_for_balancers(home: Home) {
    let mut server = TestServer::start(home, &[("DRAIN", "1h")]);
    server.program.signal("TERM");
    server.program.wait_for_log(|line| line.contains("draining"));
    server.program.signal("TERM");
    assert!(server.program.wait().success());
}
