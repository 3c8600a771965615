//! The end of the process, wanted and not.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::support::{Socket, TestServer};

cases! {
    both: [
        requests_under_way_are_answered_before_it_ends,
        idle_connections_do_not_hold_it_up,
        a_second_signal_ends_it_at_once,
    ]
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
