//! Takes out of the file what erasing has left in it.

use std::time::{Duration, Instant};

use customers_domain::RepositoryError;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel::sqlite::SqliteConnection;

use super::{connect_for_writing, wal};
use crate::error::{from_sqlite, unavailable};
use crate::sql::Sql;

/// The index is merged in steps of so many pages, so that others write in between.
const STEP: i32 = 500;

/// So long are readers waited for that still need the write-ahead log.
const PATIENCE: Duration = Duration::from_secs(10);

/// Takes what was erased out of the search index and out of the write-ahead log.
///
/// The index has no text of what it has to forget: it notes that the customer is gone, and keeps the
/// trigrams until it is merged. The log holds pages as they were. All this is done on a connection of
/// its own, because a checkpoint cannot be part of a transaction.
pub(super) fn scrub(file: &str) -> Result<(), RepositoryError> {
    let mut conn = connect_for_writing(file).map_err(unavailable)?;
    conn.batch_execute("PRAGMA secure_delete = ON").map_err(from_sqlite)?;
    merge_index(&mut conn).map_err(from_sqlite)?;
    let deadline = Instant::now() + PATIENCE;
    while !wal::truncate(&mut conn).map_err(from_sqlite)? {
        if Instant::now() >= deadline {
            log::warn!(
                "what was erased is still in the write-ahead log, because somebody reads for long: \
                 erase it again when that has ended"
            );
            break;
        }
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
        let step =
            Sql::new("INSERT INTO customer_search (customer_search, rank) VALUES ('merge', ");
        RunQueryDsl::execute(step.bind(pages).push(")"), conn)?;
        // The statement itself counts as one; fewer than two mean that the index is as it was.
        if total_changes(conn)? - before < 2 {
            return Ok(());
        }
        pages = STEP;
    }
}

fn total_changes(conn: &mut SqliteConnection) -> QueryResult<i64> {
    Sql::new("SELECT total_changes()").typed::<BigInt>().get_result(conn)
}
