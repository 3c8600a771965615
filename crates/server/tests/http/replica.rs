//! Lists and searches that are read from a streaming replica.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::database::TestDatabase;
use crate::support::cluster::Cluster;
use crate::support::{Client, Home, TestServer, run, until};

cases! {
    sqlite: [a_replica_takes_postgresql]
    postgres: [a_server_that_does_not_follow_is_not_read]
}

/// What the log says then.
const CANNOT_BE_ASKED: &str = "the replica cannot be asked";

/// How often customers were looked for on a server, since its start.
fn lists_on(server: &Cluster) -> u64 {
    let scans = "SELECT CAST(seq_scan + idx_scan AS TEXT) AS value FROM pg_stat_user_tables
                 WHERE relname = 'customer_keys'";
    server.database().values(scans)[0].parse().expect("a number")
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
    // Most were read there, right after each create. The figures come with a delay.
    until("the replica to be read", async || lists_on(&standby) > lists_on(&primary)).await;

    // One that replays nothing is behind, and is read as soon as it is not.
    standby.execute("SELECT pg_wal_replay_pause()");
    for number in 51..=55 {
        create_and_look_for(number, &server.client, &elsewhere).await;
    }
    assert!(!second.log().iter().any(|line| line.contains(CANNOT_BE_ASKED)));
    standby.execute("SELECT pg_wal_replay_resume()");

    // One that says nothing more is waited for, but not for long, and not by everybody.
    standby.freeze();
    let frozen = Instant::now();
    for number in 56..=65 {
        create_and_look_for(number, &server.client, &elsewhere).await;
    }
    assert!(frozen.elapsed() < Duration::from_secs(20), "{:?}", frozen.elapsed());
    second.wait_for_log(|line| line.contains(CANNOT_BE_ASKED));
    standby.thaw();
    until("the replica to be read again", async || {
        elsewhere.get("/api/v1/customers").await.expect(200);
        second.log().iter().any(|line| line.contains("read from the replica again"))
    })
    .await;

    // One that is gone is away.
    standby.stop("KILL");
    for number in 66..=70 {
        create_and_look_for(number, &server.client, &elsewhere).await;
    }
    standby.resume();
    until("the replica to be read again", async || {
        elsewhere.get("/api/v1/customers").await.expect(200);
        lists_on(&standby) > 0
    })
    .await;
    create_and_look_for(71, &server.client, &elsewhere).await;

    // One that was promoted has a history of its own.
    standby.execute("SELECT pg_promote()");
    standby.execute("DELETE FROM customer_keys");
    for number in 72..=75 {
        create_and_look_for(number, &server.client, &elsewhere).await;
    }
    let page = server.get("/api/v1/customers").await.expect(200);
    assert_eq!(page["total"], 75);
}

/// Servers of others, however far their logs are.
async fn a_server_that_does_not_follow_is_not_read(home: Home) {
    let stranger = TestDatabase::postgres();
    home.run_well(&["migrate"]);
    let cluster = Cluster::start(&[]);
    let token = home.token(&["--name", "replica"]);
    let file = home.folder().join("replica").to_str().expect("a path").to_owned();
    std::fs::write(&file, format!("{}\n", cluster.url())).expect("a file");
    let settings = [("DATABASE_READ_URL", stranger.url()), ("DATABASE_READ_URL_FILE", file)];
    for (number, (setting, value)) in (1..).zip(&settings) {
        let variables = [(*setting, value.as_str())];
        let mut check = home.command();
        let checked = run(check.args(["check", "--bind", "127.0.0.1:0"]).envs(variables));
        assert_eq!(checked.code, 0, "{checked:?}");
        assert!(checked.stdout.contains("warning  replica: does not follow"), "{checked:?}");
        let server = home.serve(&[], &variables);
        let client = Client::new(server.address(), &token);
        create_and_look_for(number, &client, &client).await;
        server.wait_for_log(|line| line.contains(CANNOT_BE_ASKED));
    }
}

async fn a_replica_takes_postgresql(home: Home) {
    let ran = home.run(&["--database-read-url", "postgres://me:secret@h/db", "token", "list"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.contains("DATABASE_READ_URL: only a PostgreSQL database has replicas"));
    let ran = home.run(&["--database-read-url", "mysql://me:secret@h/db", "token", "list"]);
    assert!(ran.stderr.contains("DATABASE_READ_URL: a database URL begins with"), "{ran:?}");
    assert!(!ran.stderr.contains("secret"));
    let ran = home.run(&["--database-read-url-file", "/nowhere/replica", "token", "list"]);
    assert!(ran.stderr.contains("DATABASE_READ_URL_FILE: cannot read /nowhere/replica"), "{ran:?}");
}
