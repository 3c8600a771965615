//! Keeps SQLite's write-ahead log short.

use std::path::{Path, PathBuf};
use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::Integer;
use diesel::sqlite::SqliteConnection;

use super::{WRITE_LOCK_TIMEOUT, set_lock_timeout};
use crate::queries::tokens;

/// The log is this long, in bytes, before anybody is waited for.
///
/// SQLite itself copies the log into the database at half of this, and begins it anew once no reader
/// needs it any more. Where long reads overlap there is no such moment, and it would grow for ever.
pub(super) const LIMIT: u64 = 64 * 1024 * 1024;

/// So long are readers waited for, and writes with them: longer than nearly all reads take.
const READERS_TIMEOUT: Duration = Duration::from_millis(500);

/// The same where it is tried again and again: less than anybody notices.
const BRIEFLY: Duration = Duration::from_millis(10);

/// The log of one database.
pub(super) struct Wal {
    path: PathBuf,
    /// At which length it is shortened: doubled each time that a reader did not let it, such as a
    /// backup, so that writes seldom wait in vain.
    threshold: u64,
}

impl Wal {
    pub fn of(database: &str) -> Self {
        Self { path: format!("{database}-wal").into(), threshold: LIMIT }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Shortens the log if it has become long. To be called between transactions.
    ///
    /// Readers that begin meanwhile need the log no more, so only those are waited for that are
    /// there already.
    pub fn keep_short(&mut self, conn: &mut SqliteConnection) {
        let length = length(&self.path);
        if length < LIMIT {
            self.threshold = LIMIT;
        }
        if length < self.threshold {
            return;
        }
        match truncate(conn) {
            Ok(true) => self.threshold = LIMIT,
            Ok(false) => {
                self.threshold = length.saturating_mul(2);
                log::warn!(bytes = length; "the write-ahead log is long: somebody reads for long");
            }
            Err(error) => {
                self.threshold = length.saturating_mul(2);
                log::warn!(bytes = length; "the write-ahead log cannot be shortened: {error}");
            }
        }
    }
}

/// The length of a log, in bytes; none where there is no such file.
pub(super) fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |log| log.len())
}

/// Copies all of the log into the database and cuts it to nothing; false where readers were in the
/// way to the end. Writes wait meanwhile, for as long as readers are waited for.
fn truncate(conn: &mut SqliteConnection) -> QueryResult<bool> {
    truncate_within(conn, READERS_TIMEOUT)
}

/// The same without making others wait: false where a reader still needs the log, or others write.
pub(super) fn try_truncate(conn: &mut SqliteConnection) -> QueryResult<bool> {
    // Copies what it can beside readers and writers. What a reader needs is left out: then the lock for
    // writing is not asked for at all.
    let Checkpoint { log, checkpointed, .. } = checkpoint(conn, "PASSIVE")?;
    if checkpointed < log {
        return Ok(false);
    }
    truncate_within(conn, BRIEFLY)
}

fn truncate_within(conn: &mut SqliteConnection, timeout: Duration) -> QueryResult<bool> {
    set_lock_timeout(conn, timeout)?;
    // Readers share one of four marks of how far they read. A read up to the end sets one that those
    // who come meanwhile share; otherwise they may take the very one that is waited for.
    tokens::probe().get_result::<bool>(conn)?;
    let done = checkpoint(conn, "TRUNCATE");
    set_lock_timeout(conn, WRITE_LOCK_TIMEOUT)?;
    Ok(done?.busy == 0)
}

/// What a checkpoint has done: whether it had to leave off, and the pages of the log that there are and
/// that are copied.
#[derive(QueryableByName)]
struct Checkpoint {
    #[diesel(sql_type = Integer)]
    busy: i32,
    #[diesel(sql_type = Integer)]
    log: i32,
    #[diesel(sql_type = Integer)]
    checkpointed: i32,
}

fn checkpoint(conn: &mut SqliteConnection, mode: &str) -> QueryResult<Checkpoint> {
    diesel::sql_query(format!("PRAGMA wal_checkpoint({mode})")).get_result(conn)
}
