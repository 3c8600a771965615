//! SQLite's log of what is not in its file yet: it stays short, whoever reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use customers_storage::Store;

use crate::Create as _;
use crate::database::{Connection, TestDatabase};
use crate::{named, open};

/// Of SQLite's own accord it is about 32 MB long, and after 64 MB readers are waited for.
const LONGEST: u64 = 96 * 1024 * 1024;

/// As when lists are read all the time: there is no moment at which nobody needs the log, which
/// would be over 200 MB long by the end.
async fn the_log_stays_short_while_reads_overlap(database: TestDatabase) {
    let store = open(&database);
    let over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..3).map(|number| reader(&database, number, over.clone())).collect();
    let mut longest = 0;
    for _ in 0..3000 {
        store.create(named("Aurora")).await.unwrap();
        longest = longest.max(length(&database));
    }
    over.store(true, Ordering::Relaxed);
    readers.into_iter().for_each(|reader| reader.join().expect("no panic"));
    assert!(longest < LONGEST, "{longest} bytes");
}

fn reader(database: &TestDatabase, number: u64, over: Arc<AtomicBool>) -> JoinHandle<()> {
    let mut conn = database.connect();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(10 * number));
        while !over.load(Ordering::Relaxed) {
            begin_reading(&mut conn);
            std::thread::sleep(Duration::from_millis(30));
            conn.execute("COMMIT");
        }
    })
}

/// As while a backup is made: what it reads must not be overwritten until it is done.
async fn the_log_is_short_again_after_a_long_read(database: TestDatabase) {
    let store = open(&database);
    let mut reader = database.connect();
    begin_reading(&mut reader);
    while length(&database) < LONGEST {
        create_many(&store, 1).await;
    }
    assert_eq!(count(&mut reader), 0);
    reader.execute("COMMIT");
    // Two turns of the log, at most.
    create_many(&store, 2000).await;
    assert!(length(&database) < LONGEST, "{} bytes", length(&database));
}

cases! {
    both: []
    sqlite: [
        the_log_stays_short_while_reads_overlap,
        the_log_is_short_again_after_a_long_read,
    ]
}

/// Reads within a transaction, which sees the database as it is now until it ends.
fn begin_reading(conn: &mut Connection) {
    conn.execute("BEGIN");
    count(conn);
}

fn count(conn: &mut Connection) -> u64 {
    conn.values("SELECT CAST(count(*) AS TEXT) AS value FROM customers")[0].parse().unwrap()
}

async fn create_many(store: &Store, number: usize) {
    for _ in 0..number {
        store.create(named("Aurora")).await.unwrap();
    }
}

fn length(database: &TestDatabase) -> u64 {
    let log = format!("{}-wal", database.path().display());
    std::fs::metadata(log).map_or(0, |log| log.len())
}
