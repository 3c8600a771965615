//! The connections for point reads, which run where they are asked for.
//!
//! A thread keeps to the connection that it has read with before. What a connection remembers, its pages
//! and its statements, is then in the memory next to the processor that needs it; out of a pool that
//! hands out whichever is free it would go from one processor to the other with every read.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use customers_domain::RepositoryError;
use diesel::prelude::*;
use diesel::r2d2::R2D2Connection;
use diesel::sqlite::SqliteConnection;

use super::connect_for_point_reads;
use super::file::DatabaseFile;
use crate::error::{OpenError, from_sqlite, unavailable};
use crate::statistics::PoolStatistics;

thread_local! {
    /// The connection that this thread has read with last.
    static KEPT: Cell<usize> = const { Cell::new(0) };
}

/// As many connections as threads read at once.
pub(super) struct Readers {
    file: Arc<DatabaseFile>,
    connections: Box<[Mutex<SqliteConnection>]>,
}

impl Readers {
    /// So many connections to this file.
    pub fn open(file: Arc<DatabaseFile>, count: NonZeroU32) -> Result<Self, OpenError> {
        let connect = |_| connect_for_point_reads(file.name()).map(Mutex::new);
        let connections = (0..count.get()).map(connect);
        let connections = connections.collect::<Result<_, _>>().map_err(OpenError::Connect)?;
        Ok(Self { file, connections })
    }

    /// Runs a point read here and now: it takes microseconds, less than handing it to a thread.
    pub fn read<T>(
        &self,
        query: impl FnOnce(&mut SqliteConnection) -> QueryResult<T>,
    ) -> Result<T, RepositoryError> {
        let mut conn = self.connection()?;
        let read = query(&mut conn);
        if read.is_err()
            && conn.is_broken()
            && let Ok(fresh) = self.connect()
        {
            *conn = fresh;
        }
        read.map_err(from_sqlite)
    }

    /// The connection that this thread keeps to, or another where somebody else has it, which the thread
    /// keeps to from then on.
    fn connection(&self) -> Result<MutexGuard<'_, SqliteConnection>, RepositoryError> {
        let count = self.connections.len();
        let kept = KEPT.get() % count;
        for at in (kept..count).chain(0..kept) {
            let connection = match self.connections[at].try_lock() {
                Ok(connection) => Ok(connection),
                Err(TryLockError::Poisoned(poisoned)) => self.renewed(at, poisoned),
                Err(TryLockError::WouldBlock) => continue,
            };
            if let Ok(connection) = connection {
                KEPT.set(at);
                return Ok(connection);
            }
        }
        self.connections[kept].lock().or_else(|poisoned| self.renewed(kept, poisoned))
    }

    /// A new connection in the place of one whose read has panicked, perhaps in a transaction.
    fn renewed<'a>(
        &'a self,
        at: usize,
        poisoned: PoisonError<MutexGuard<'a, SqliteConnection>>,
    ) -> Result<MutexGuard<'a, SqliteConnection>, RepositoryError> {
        let mut connection = poisoned.into_inner();
        *connection = self.connect()?;
        self.connections[at].clear_poison();
        Ok(connection)
    }

    fn connect(&self) -> Result<SqliteConnection, RepositoryError> {
        self.file.check()?;
        connect_for_point_reads(self.file.name()).map_err(unavailable)
    }

    /// The figures of this moment.
    pub fn statistics(&self) -> PoolStatistics {
        let is_used = |it: &&Mutex<_>| matches!(it.try_lock(), Err(TryLockError::WouldBlock));
        let used = self.connections.iter().filter(is_used).count() as u32;
        let open = self.connections.len() as u32;
        PoolStatistics { name: "reads", size: open, open, used, waiting: 0 }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use diesel::connection::SimpleConnection;
    use diesel::sql_types::BigInt;

    use super::*;
    use crate::sql::Sql;

    fn readers(count: u32) -> (tempfile::TempDir, Readers) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.db").to_str().unwrap().to_owned();
        drop(SqliteConnection::establish(&file).unwrap());
        let file = Arc::new(DatabaseFile::of(&file).unwrap());
        let readers = Readers::open(file, NonZeroU32::new(count).unwrap()).unwrap();
        (folder, readers)
    }

    fn one(conn: &mut SqliteConnection) -> QueryResult<i64> {
        Sql::new("SELECT 1").typed::<BigInt>().get_result(conn)
    }

    #[test]
    fn whoever_finds_its_connection_in_use_keeps_to_another() {
        let (_folder, readers) = readers(2);
        let held = readers.connections[0].lock().unwrap();
        let used = std::thread::scope(|scope| {
            let reading = scope.spawn(|| {
                readers.read(|conn| {
                    assert_eq!(readers.statistics().used, 2);
                    one(conn)
                })?;
                Ok::<_, RepositoryError>(KEPT.get())
            });
            reading.join().unwrap()
        });
        assert_eq!(used.unwrap(), 1);
        drop(held);
        assert_eq!(readers.statistics().used, 0);
    }

    #[test]
    fn more_threads_than_connections_wait_for_each_other() {
        let (_folder, readers) = readers(1);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..100).for_each(|_| assert_eq!(readers.read(one).unwrap(), 1)));
            }
        });
    }

    #[test]
    fn a_read_that_panics_leaves_no_transaction_behind() {
        let (_folder, readers) = readers(1);
        let panics = |conn: &mut SqliteConnection| {
            conn.batch_execute("BEGIN")?;
            panic!("while it reads")
        };
        let read = AssertUnwindSafe(|| readers.read::<()>(panics));
        assert!(catch_unwind(read).is_err());
        let read = readers.read(|conn| conn.transaction(one));
        assert_eq!(read.unwrap(), 1);
    }
}
