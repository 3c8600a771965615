//! Takes out of the file what erasing has left in it.

use std::error::Error;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel::sqlite::SqliteConnection;

use super::{connect_for_writing, wal};
use crate::error::is_locked;
use crate::sql::Sql;

/// The index is merged in steps of so many pages, so that others write in between.
const STEP: i32 = 500;

/// The pause between two steps is as long as the step was, within these bounds.
const SHORT_REST: Duration = Duration::from_millis(5);
const REST: Duration = Duration::from_millis(150);

/// So long are others waited for: writers for each step, and readers that still need the write-ahead
/// log.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pause before the log is tried again.
const PAUSE: Duration = Duration::from_millis(50);

/// Takes what was erased out of the search index and out of the write-ahead log.
///
/// The index has no text of what it has to forget: it notes that the customer is gone, and keeps the
/// trigrams until it is merged. The log holds pages as they were. All this is done on a connection of
/// its own, because a checkpoint cannot be part of a transaction.
///
/// # Errors
///
/// Why something is left, to be read behind "because".
pub(super) fn scrub(file: &str) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut conn = connect_for_writing(file)?;
    merge_index(&mut conn)?;
    let deadline = Instant::now() + PATIENCE;
    // Not with the lock for writing in hand: writers would wait for the same readers.
    while !wal::try_truncate(&mut conn)? {
        if Instant::now() >= deadline {
            return Err("a backup or another long read needs its write-ahead log".into());
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

/// Merges all segments of the search index into one, which leaves out who is gone.
fn merge_index(conn: &mut SqliteConnection) -> QueryResult<()> {
    // A negative number begins with all that there is, a positive one goes on with that
    // (https://www.sqlite.org/fts5.html#the_merge_command).
    let mut pages = -STEP;
    loop {
        let before = total_changes(conn)?;
        let began = Instant::now();
        merge(conn, pages)?;
        let took = began.elapsed();
        // The statement itself counts as one; fewer than two mean that the index is as it was.
        if total_changes(conn)? - before < 2 {
            return Ok(());
        }
        pages = STEP;
        // Who waits for the lock for writing asks for it every 100 ms, at worst.
        std::thread::sleep(took.clamp(SHORT_REST, REST));
    }
}

/// SQLite lets nobody stand in a queue for its lock: where a server writes without a pause, it may
/// take more than one wait.
fn merge(conn: &mut SqliteConnection, pages: i32) -> QueryResult<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let step =
            Sql::new("INSERT INTO customer_search (customer_search, rank) VALUES ('merge', ");
        match RunQueryDsl::execute(step.bind(pages).push(")"), conn) {
            Err(error) if is_locked(&error) && Instant::now() < deadline => {}
            merged => return merged.map(drop),
        }
    }
}

fn total_changes(conn: &mut SqliteConnection) -> QueryResult<i64> {
    Sql::new("SELECT total_changes()").typed::<BigInt>().get_result(conn)
}
