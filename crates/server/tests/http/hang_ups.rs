//! Callers that go away in the middle of a create.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::TestServer;
use crate::support::load::{Load, assert_found, assert_kept_once};

cases! {
    both: [creates_whose_callers_hang_up_are_done_once_or_not_at_all]
}

async fn creates_whose_callers_hang_up_are_done_once_or_not_at_all(server: TestServer) {
    let load = Load::start(&server.client, 4);
    for number in 0..200 {
        let body = body(number);
        let mut socket = server.socket();
        socket.send(format!(
            "POST /api/v1/customers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            server.token(),
            body.len(),
        ));
        match number % 4 {
            // Before all of it is sent.
            0 => socket.send(&body[..body.len() - 1]),
            1 => socket.send(&body),
            2 => {
                socket.send(&body);
                socket.finish();
            }
            // While it is being done, or its answer is on the way.
            _ => {
                socket.send(&body);
                tokio::time::sleep(Duration::from_micros(20 * number)).await;
            }
        }
        drop(socket);
    }
    load.until_created(50).await;
    // Those who stayed were answered, and none of them with 503.
    let outcome = load.stop().await;
    assert_eq!(outcome.refused, 0);

    let mut done = 0;
    for number in 0..200 {
        let again = server.post("/api/v1/customers").body("application/json", body(number)).await;
        if again.status == 201 {
            continue;
        }
        done += 1;
        let conflict = again.expect(409);
        assert_ne!(number % 4, 0, "a customer of which not all was sent");
        let id = &conflict["conflict"]["id"];
        let found = server.get(&format!("/api/v1/customers/{id}")).await.expect(200);
        let sent: Value = serde_json::from_str(&body(number)).expect("JSON");
        assert_eq!((&found["name"], &found["brand"]), (&sent["name"], &sent["brand"]));
    }
    assert!(done > 20, "{done} of 200 were done");
    assert_eq!(server.home.database.count("customers"), 200 + outcome.created.len());
    assert_found(&server.client, &outcome.created).await;
    assert_kept_once(&server.home.database, &outcome.created);
}

fn body(number: u64) -> String {
    let name = format!("hung up {number}");
    json!({ "name": name, "brand": name, "customerAccount": name }).to_string()
}
