//! The end of the process, wanted and not.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{Socket, TestServer};

cases! {
    both: [
        requests_under_way_are_answered_before_it_ends,
        idle_connections_do_not_hold_it_up,
        a_second_signal_ends_it_at_once,
    ]
    sqlite: [a_copy_that_was_made_while_it_was_written_to_can_take_its_place]
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

async fn a_copy_that_was_made_while_it_was_written_to_can_take_its_place(mut server: TestServer) {
    let before = server.create(&json!({ "name": "before" })).await;
    let mut calls = JoinSet::new();
    for _ in 0..200 {
        calls.spawn(server.post("/api/v1/customers?name=meanwhile").into_future());
    }
    assert_eq!(calls.join_next().await.expect("a task").expect("no panic").status, 201);
    let copy = server.home.folder().join("copy.db");
    let copy = copy.to_str().expect("UTF-8");
    server.home.run_well(&["backup", copy]);
    assert!(calls.join_all().await.iter().all(|answer| answer.status == 201));
    // The last good copy is not written over.
    let again = server.home.run(&["backup", copy]);
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("exists"), "{}", again.stderr);

    server.program.signal("TERM");
    assert!(server.program.wait().success());
    let path = server.home.database.path();
    for old in ["", "-wal", "-shm"] {
        // An error means that the server has left nothing behind.
        let _ = std::fs::remove_file(format!("{}{old}", path.display()));
    }
    std::fs::rename(copy, &path).expect("the copy in its place");
    let check = "SELECT integrity_check AS value FROM pragma_integrity_check";
    assert_eq!(server.home.database.values(check), ["ok"]);
    server.crash_and_restart();
    let found = server.get(&format!("/api/v1/customers/{}", before["id"])).await.expect(200);
    assert_eq!(found, before);
    // Ids go on behind those that the copy knows.
    let kept = server.home.database.count("customers");
    assert!((2..=201).contains(&kept), "{kept}");
    let next = server.create(&json!({ "name": "after" })).await;
    assert_eq!(next["id"], kept + 1);
}
