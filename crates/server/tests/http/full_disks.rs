//! There is no room left for what is to be written, until somebody makes some.

use crate::support::cluster::Cluster;
use crate::support::disk::{Disk, limit_files};
use crate::support::load::{Load, Outcome, assert_found, assert_kept_once, assert_sound};
use crate::support::{Home, TestServer};

cases! {
    sqlite: [
        a_full_disk_refuses_writes_until_there_is_room,
        a_limit_to_files_refuses_writes_until_it_is_lifted,
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_of_postgresql_refuses_writes_until_there_is_room() {
    let cluster = Cluster::start(&[]);
    let folder = cluster.new_folder("disk");
    let Some(disk) = Disk::mount(&folder, 32) else {
        eprintln!("skipped: a disk can be filled by root only");
        return;
    };
    // The data are on the disk and what is written ahead is not: PostgreSQL would end where it
    // cannot write that.
    cluster.execute(&format!("CREATE TABLESPACE disk LOCATION '{}'", folder.display()));
    cluster.execute("ALTER DATABASE postgres SET default_tablespace = 'disk'");
    let server = TestServer::start(Home::new(cluster.database()), &[]);
    let mut all = Outcome::default();
    for _ in 0..2 {
        all += run_out_of_room(&server, || disk.fill(64 * 1024), || disk.make_room()).await;
    }
    assert_kept_once(&server.home.database, &all.created);
}

async fn a_full_disk_refuses_writes_until_there_is_room(home: Home) {
    let path = home.database.path();
    let Some(disk) = Disk::mount(path.parent().expect("a folder"), 32) else {
        eprintln!("a disk can be filled by root only; the limit to files is tried all the same");
        return;
    };
    let mut server = TestServer::start(home, &[]);
    let mut all = Outcome::default();
    for round in 0..2 {
        all += run_out_of_room(&server, || disk.fill(300 * 1024), || disk.make_room()).await;
        // Once more, and now it has to begin with a full disk.
        if round == 0 {
            disk.fill(0);
            server.crash_and_restart();
            disk.make_room();
        }
    }
    assert_kept_once(&server.home.database, &all.created);
    assert_sound(&server.home.database);
    drop(server);
}

async fn a_limit_to_files_refuses_writes_until_it_is_lifted(server: TestServer) {
    let process = server.program.id();
    let limit = || limit_files(process, Some(1024 * 1024));
    let all = run_out_of_room(&server, limit, || limit_files(process, None)).await;
    assert_kept_once(&server.home.database, &all.created);
    assert_sound(&server.home.database);
}

/// Creates customers until there is no room, looks what can still be done, and goes on when there is
/// room again; what was answered.
async fn run_out_of_room(server: &TestServer, fill: impl Fn(), make_room: impl Fn()) -> Outcome {
    let load = Load::start(&server.client, 8);
    load.until_created(50).await;
    fill();
    load.until_refused(100).await;
    let mut outcome = load.stop().await;
    assert_found(&server.client, &outcome.created).await;
    server.get("/health/ready").await.expect(200);

    let load = Load::start(&server.client, 8);
    load.until_refused(10).await;
    make_room();
    load.until_created(50).await;
    outcome += load.stop().await;
    outcome
}
