//! The process is killed in the middle of its work, and started again.

use serde_json::Value;

use crate::support::TestServer;
use crate::support::load::{Load, assert_found, assert_kept_once, assert_sound};

cases! {
    both: [what_was_answered_survives_twenty_crashes]
}

async fn what_was_answered_survives_twenty_crashes(mut server: TestServer) {
    let is_sqlite = server.home.database.url().starts_with("sqlite:");
    let mut created: Vec<Value> = Vec::new();
    for round in 1..=20 {
        let load = Load::start(&server.client, 8);
        // At another point of the work each time.
        load.until_created(10 + 7 * (round % 5)).await;
        server.crash_and_restart();
        let answered = load.stop().await;
        assert_eq!(answered.refused, 0);
        assert_found(&server.client, &answered.created).await;
        created.extend(answered.created);
        if is_sqlite {
            assert_sound(&server.home.database);
        }
    }
    assert_kept_once(&server.home.database, &created);
}
