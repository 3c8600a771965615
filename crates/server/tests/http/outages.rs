//! What is answered when the database is away or broken, and that it heals.

use std::time::Duration;

use serde_json::json;

use crate::support::load::{Load, assert_kept_once};
use crate::support::{TestServer, until};

cases! {
    both: [
        a_missing_column_is_a_server_error_that_says_nothing,
        a_database_that_lacks_something_is_not_ready,
    ]
    sqlite: [a_file_that_another_process_locks_is_waited_for_and_then_refused]
    postgres: [a_database_that_is_away_is_unavailable_and_comes_back]
}

async fn a_missing_column_is_a_server_error_that_says_nothing(server: TestServer) {
    let id = server.create(&json!({ "name": "A" })).await["id"].clone();
    server.home.database.execute("ALTER TABLE customers DROP COLUMN website");
    for call in [
        server.get(&format!("/api/v1/customers/{id}")),
        server.get("/api/v1/customerAccounts/CL000001"),
        server.post("/api/v1/customers?name=secret-name"),
    ] {
        let answer = call.header("x-request-id", "sabotage").await;
        let problem = answer.expect(500);
        assert_eq!(problem["code"], "server_error");
        assert_eq!(problem["message"], "Server Error");
        for word in ["website", "column", "SELECT", "INSERT", "secret-name"] {
            assert!(!answer.text().contains(word), "{}", answer.text());
        }
        // The cause is in the log, under the id of the request.
        let line = server
            .program
            .wait_for_log(|line| line.contains("website") && line.contains("request_id=sabotage"));
        assert!(line.contains("ERROR") && !line.contains("secret-name"), "{line}");
    }
}

async fn a_database_that_lacks_something_is_not_ready(server: TestServer) {
    for (spoil, mend) in [
        ("ALTER TABLE tokens RENAME TO t", "ALTER TABLE t RENAME TO tokens"),
        (
            "ALTER TABLE customers RENAME COLUMN vip TO v",
            "ALTER TABLE customers RENAME COLUMN v TO vip",
        ),
    ] {
        server.get("/health/ready").await.expect(200);
        server.home.database.execute(spoil);
        assert_eq!(server.get("/health/ready").await.expect(503)["code"], "unavailable");
        server.home.database.execute(mend);
    }
    server.home.database.execute("DELETE FROM __diesel_schema_migrations WHERE version LIKE '%2'");
    server.get("/health/ready").await.expect(503);
}

async fn a_file_that_another_process_locks_is_waited_for_and_then_refused(server: TestServer) {
    let mut other = server.home.database.connect();
    let read = async || {
        for customer in ["CL000001", "cl000002"] {
            server.get(&format!("/api/v1/customerAccounts/{customer}")).await.expect(200);
        }
        server.get("/health/ready").await.expect(200);
    };
    for name in ["A", "B"] {
        server.create(&json!({ "name": name })).await;
    }
    let load = Load::start(&server.client, 8);
    for _ in 0..3 {
        load.until_created(20).await;
        other.execute("BEGIN IMMEDIATE");
        // Reading needs no lock.
        read().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        other.execute("COMMIT");
    }
    let waited = load.stop().await;
    assert_eq!(waited.refused, 0);

    let load = Load::start(&server.client, 8);
    load.until_created(20).await;
    other.execute("BEGIN EXCLUSIVE");
    read().await;
    load.until_refused(8).await;
    read().await;
    other.execute("COMMIT");
    load.until_created(20).await;
    let mut all = load.stop().await;
    all += waited;
    assert_kept_once(&server.home.database, &all.created);
}

async fn a_database_that_is_away_is_unavailable_and_comes_back(server: TestServer) {
    let id = server.create(&json!({ "name": "A" })).await["id"].clone();
    server.home.database.allow_connections(false);
    server.home.database.end_connections();
    for call in [
        server.get(&format!("/api/v1/customers/{id}")),
        server.post("/api/v1/customers?name=B"),
        server.get("/health/ready").anonymous(),
    ] {
        let answer = call.await;
        assert_eq!(answer.expect(503)["code"], "unavailable");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    assert_eq!(server.get("/health/live").await.status, 200);
    server.home.database.allow_connections(true);
    until("the database to be back", async || server.get("/health/ready").await.status == 200)
        .await;
    assert_eq!(server.get(&format!("/api/v1/customers/{id}")).await.status, 200);
    server.create(&json!({ "name": "C" })).await;
    assert_eq!(server.home.database.count("customers"), 2);
}
