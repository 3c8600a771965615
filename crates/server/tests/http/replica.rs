//! Lists and searches that are read from a streaming replica.

use serde_json::json;

use crate::database::TestDatabase;
use crate::support::cluster::Cluster;
use crate::support::{Client, Home, TestServer, until};

cases! {
    sqlite: [a_replica_takes_postgresql]
}

/// Creates a customer at one server, and looks for it in a list and a search at another.
async fn create_and_look_for(number: u32, at: &Client, elsewhere: &Client) {
    let word = format!("x{number:06}y");
    let customer = at.create(&json!({ "name": word })).await;
    let newest = elsewhere.get("/api/v1/customers?sort=-id&per_page=1").await.expect(200);
    assert_eq!((&newest["total"], &newest["data"][0]), (&json!(number), &customer));
    let cursor = elsewhere.get("/api/v1/customers?sort=-id&per_page=1&cursor=").await.expect(200);
    assert_eq!(cursor["data"][0], customer);
    let found = elsewhere.get(&format!("/api/v1/customers/search?term={word}")).await;
    assert_eq!(found.expect(200)["data"], json!([customer]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_read_from_a_replica_and_show_all_that_was_answered() {
    let primary = Cluster::start(&[]);
    let mut standby = primary.standby(&[]);
    let url = standby.url();
    let variables = [("DATABASE_READ_URL", url.as_str())];
    let server = TestServer::start(Home::new(TestDatabase::at(&primary.url())), &variables);
    let second = server.home.serve(&[], &variables);
    let elsewhere = Client::new(second.address(), server.token());

    for number in 1..=50 {
        create_and_look_for(number, &server.client, &elsewhere).await;
    }
    let lists = "pg_stat_activity WHERE query LIKE '%customer_keys%' AND pid <> pg_backend_pid()";
    assert_ne!(standby.database().count(lists), 0);

    // One that stands still is behind, and one that is gone is away.
    standby.execute("SELECT pg_wal_replay_pause()");
    for number in 51..=55 {
        create_and_look_for(number, &server.client, &elsewhere).await;
    }
    standby.stop("KILL");
    for number in 56..=60 {
        create_and_look_for(number, &server.client, &elsewhere).await;
    }
    assert!(second.log().iter().any(|line| line.contains("the replica cannot be asked")));

    standby.resume();
    until("the replica to be read again", async || {
        elsewhere.get("/api/v1/customers").await.expect(200);
        standby.database().count(lists) > 0
    })
    .await;
    create_and_look_for(61, &server.client, &elsewhere).await;
}

async fn a_replica_takes_postgresql(home: Home) {
    let ran = home.run(&["--database-read-url", "postgres://me:secret@h/db", "token", "list"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.contains("DATABASE_READ_URL: only a PostgreSQL database has replicas"));
    let ran = home.run(&["--database-read-url", "mysql://me:secret@h/db", "token", "list"]);
    assert!(ran.stderr.contains("DATABASE_READ_URL: a database URL begins with"), "{ran:?}");
    assert!(!ran.stderr.contains("secret"));
}
