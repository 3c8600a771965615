//! The lock that reads share, held for them while nobody writes.
//!
//! Every read transaction takes a lock of the file and gives it back: two system calls, under a mutex
//! that all connections of the process share, and for which the threads that read wait in turn. Where
//! another connection of the process has the lock already, SQLite only counts who else has it. So one
//! connection does nothing but read one state of the database for a while, and then the next.
//!
//! It makes no difference to what is read. While something is written, by this process or another,
//! nothing is held: what is written ahead could not be brought into the file past it.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel::sqlite::SqliteConnection;

use crate::error::OpenError;
use crate::sql::Sql;

/// One state is held so long. As long others wait for it at most: whoever brings all that was written
/// ahead into the file, or changes the layout of tables.
const HELD: Duration = Duration::from_millis(100);

/// Held until it is dropped.
pub(super) struct ReadLock {
    /// Nothing is sent by it: that it is gone tells the thread to end.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ReadLock {
    /// Begins to hold the lock of this file.
    pub fn hold(file: &str) -> Result<Self, OpenError> {
        let start = || -> Result<_, Box<dyn std::error::Error + Send + Sync>> {
            let mut conn = SqliteConnection::establish(file)?;
            conn.batch_execute("PRAGMA query_only = ON")?;
            let mut reader = Reader { conn, version: None, is_reading: false };
            let (stop, stopped) = channel();
            let thread = Builder::new().name("read-lock".into()).spawn(move || {
                while stopped.recv_timeout(HELD) == Err(RecvTimeoutError::Timeout) {
                    // Where it fails, reads take the lock themselves: as good, but slower.
                    if let Err(error) = reader.go_on() {
                        log::debug!(error:%; "the lock for reads is not held");
                    }
                }
            })?;
            Ok(Self { stop: Some(stop), thread: Some(thread) })
        };
        start().map_err(OpenError::Connect)
    }
}

impl Drop for ReadLock {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Nothing in it panics, and there would be nobody to tell.
            let _ = thread.join();
        }
    }
}

/// The connection that holds the lock while it reads.
struct Reader {
    conn: SqliteConnection,
    /// The state of the database that it has seen last.
    version: Option<i64>,
    is_reading: bool,
}

impl Reader {
    /// Lets go of the state that it holds, and holds the present one if it is still the same.
    fn go_on(&mut self) -> QueryResult<()> {
        self.let_go()?;
        self.conn.batch_execute("BEGIN")?;
        self.is_reading = true;
        // Begins to read; another number than before where somebody else has written.
        let version = Sql::new("PRAGMA data_version").typed::<BigInt>();
        let version = version.get_result(&mut self.conn)?;
        if self.version.replace(version) != Some(version) {
            self.let_go()?;
        }
        Ok(())
    }

    fn let_go(&mut self) -> QueryResult<()> {
        match std::mem::take(&mut self.is_reading) {
            true => self.conn.batch_execute("ROLLBACK"),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(file: &str) -> SqliteConnection {
        let mut conn = SqliteConnection::establish(file).unwrap();
        conn.batch_execute("PRAGMA journal_mode = WAL; PRAGMA busy_timeout = 2000").unwrap();
        conn
    }

    #[test]
    fn is_held_while_nobody_writes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.db").to_str().unwrap().to_owned();
        let mut writer = connect(&file);
        writer.batch_execute("CREATE TABLE t (x)").unwrap();
        let mut reader = Reader { conn: connect(&file), version: None, is_reading: false };
        let mut turn = |wrote: bool| {
            if wrote {
                writer.batch_execute("INSERT INTO t VALUES (1)").unwrap();
            }
            reader.go_on().unwrap();
            reader.is_reading
        };
        let held: Vec<_> =
            [false, false, true, true, false, false].into_iter().map(&mut turn).collect();
        assert_eq!(held, [false, true, false, false, true, true]);
    }

    #[test]
    fn what_was_written_ahead_gets_past_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.db").to_str().unwrap().to_owned();
        let mut writer = connect(&file);
        writer.batch_execute("CREATE TABLE t (x)").unwrap();
        let lock = ReadLock::hold(&file).unwrap();
        std::thread::sleep(HELD * 3);
        writer.batch_execute("INSERT INTO t VALUES (1)").unwrap();
        let is_busy = Sql::new("PRAGMA wal_checkpoint(TRUNCATE)").typed::<BigInt>();
        assert_eq!(is_busy.get_result::<i64>(&mut writer), Ok(0));
        assert_eq!(std::fs::metadata(format!("{file}-wal")).unwrap().len(), 0);
        drop(lock);
    }
}
