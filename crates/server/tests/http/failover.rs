//! PostgreSQL restarts, crashes and is replaced by its standby, while customers are created.

use crate::database::TestDatabase;
use crate::support::cluster::{Cluster, url_of};
use crate::support::load::{Load, assert_found, assert_kept_once};
use crate::support::{Home, TestServer, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_answered_is_lost_when_postgresql_restarts_and_fails_over() {
    let mut primary = Cluster::start(&["synchronous_standby_names=*"]);
    // It would wait for a standby of its own once it is the primary.
    let standby = primary.standby(&["synchronous_standby_names="]);
    until("the standby to follow", async || {
        primary.database().count("pg_stat_replication WHERE sync_state = 'sync'") == 1
    })
    .await;
    let database = TestDatabase::at(&url_of(&[&primary, &standby]));
    let server = TestServer::start(Home::new(database), &[]);
    let load = Load::start(&server.client, 8);
    load.until_created(50).await;
    // A fast shutdown, and an end without one: requests wait for the server to be back.
    for signal in ["INT", "QUIT"] {
        primary.stop(signal);
        primary.resume();
        load.until_created(50).await;
    }
    // Those that wait for too long are told so.
    primary.stop("KILL");
    load.until_refused(8).await;
    primary.resume();
    load.until_created(50).await;

    primary.stop("KILL");
    standby.execute("SELECT pg_promote()");
    load.until_created(50).await;
    let outcome = load.stop().await;
    assert_found(&server.client, &outcome.created).await;
    assert_kept_once(&server.home.database, &outcome.created);
}
