//! A connection for reads that may take long, which can be stopped while they run.
//!
//! It is one of `rusqlite`, because diesel has no way to stop a query. Both use the same SQLite.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use customers_domain::CustomerId;
use customers_domain::history::HistoryEntry;
use diesel::QueryResult;
use diesel::result::{DatabaseErrorKind, Error};
use rusqlite::{Connection, OpenFlags, Row, Statement};

use super::{READ_LOCK_TIMEOUT, SCANNING_CACHE_KIB};
use crate::listing::Dialect;
use crate::reading::{Ask, Readable};
use crate::row::{CustomerRow, HistoryRow};
use crate::sql::Sql;

/// SQLite asks whether to go on after this many steps of its virtual machine: tens of microseconds.
const STEPS: i32 = 1000;

/// The prepared statements that a connection keeps.
const STATEMENTS: usize = 64;

/// When a read has to stop.
#[derive(Debug, Clone)]
pub(super) struct Limit {
    /// Set when the answer is no longer waited for.
    pub is_abandoned: Arc<AtomicBool>,
    /// The moment after which the read is stopped.
    pub deadline: Option<Instant>,
}

impl Limit {
    fn is_reached(&self) -> bool {
        self.is_abandoned.load(Ordering::Relaxed)
            || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// Why a read has no result.
#[derive(Debug)]
pub(super) enum Unread {
    /// It was stopped at its limit.
    Stopped,
    /// The database failed.
    Failed(Error),
}

/// A connection that reads.
pub(super) struct Scanner(Connection);

impl Scanner {
    /// Connects to a file that is there.
    pub fn open(file: &str) -> QueryResult<Self> {
        let open = || {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let conn = Connection::open_with_flags(file, flags)?;
            conn.busy_timeout(READ_LOCK_TIMEOUT)?;
            conn.pragma_update(None, "query_only", true)?;
            conn.pragma_update(None, "cache_size", -i64::from(SCANNING_CACHE_KIB))?;
            conn.set_prepared_statement_cache_capacity(STATEMENTS);
            Ok(Self(conn))
        };
        open().map_err(failure)
    }

    /// Reads one state of the database, up to a limit. Afterwards, no transaction is left open.
    pub fn read<T>(
        &mut self,
        limit: Limit,
        query: impl FnOnce(&mut Self) -> QueryResult<T>,
    ) -> Result<T, Unread> {
        let reached = limit.clone();
        let watch = self.0.progress_handler(STEPS, Some(move || reached.is_reached()));
        let read = watch
            .and_then(|()| self.0.execute_batch("BEGIN"))
            .map_err(failure)
            .and_then(|()| query(self));
        // What ends the transaction must not be stopped itself.
        let ended = self.0.progress_handler(0, None::<fn() -> bool>).and_then(|()| {
            match self.0.is_autocommit() {
                true => Ok(()),
                false => self.0.execute_batch("ROLLBACK"),
            }
        });
        match read {
            Ok(read) => ended.map(|()| read).map_err(|error| Unread::Failed(failure(error))),
            Err(error) if is_interruption(&error) && limit.is_reached() => Err(Unread::Stopped),
            Err(error) => Err(Unread::Failed(error)),
        }
    }

    /// Whether the connection can be used for another read.
    pub fn is_sound(&self) -> bool {
        self.0.is_autocommit()
    }

    /// At most so many entries of a customer's history before this one, the newest first.
    pub fn history(
        &mut self,
        id: CustomerId,
        before: i64,
        take: u32,
    ) -> QueryResult<Vec<HistoryEntry>> {
        let mut entries = Vec::new();
        self.each(&HistoryRow::select_text(id.get(), before, take), |row| {
            entries.push(HistoryRow::from_columns(row).map_err(failure)?.try_into()?);
            Ok(())
        })?;
        Ok(entries)
    }

    /// Runs a query and hands each row on.
    fn each(&self, query: &Sql, each: impl FnMut(&Row<'_>) -> QueryResult<()>) -> QueryResult<()> {
        let (text, values) = query.in_sqlite();
        match query.is_unique() {
            true => step(&mut self.0.prepare(&text).map_err(failure)?, &values, each),
            false => {
                let mut statement = self.0.prepare_cached(&text).map_err(failure)?;
                step(&mut statement, &values, each)
            }
        }
    }

    /// The values of the only column of a query.
    fn column<T: rusqlite::types::FromSql>(&self, query: &Sql) -> QueryResult<Vec<T>> {
        let mut found = Vec::new();
        self.each(query, |row| {
            found.push(row.get(0).map_err(failure)?);
            Ok(())
        })?;
        Ok(found)
    }
}

fn step(
    statement: &mut Statement<'_>,
    values: &[&dyn rusqlite::ToSql],
    mut each: impl FnMut(&Row<'_>) -> QueryResult<()>,
) -> QueryResult<()> {
    let mut rows = statement.query(values).map_err(failure)?;
    while let Some(row) = rows.next().map_err(failure)? {
        each(row)?;
    }
    Ok(())
}

impl Ask for Scanner {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn has_search_index(&self) -> bool {
        true
    }

    fn numbers(&mut self, query: Sql) -> QueryResult<Vec<i64>> {
        self.column(&query)
    }

    fn texts(&mut self, query: Sql) -> QueryResult<Vec<String>> {
        self.column(&query)
    }

    fn readable(&mut self, from: Sql, at_most: usize) -> QueryResult<Readable> {
        let mut found = Readable::with_capacity(at_most);
        self.each(&CustomerRow::select_text(from), |row| {
            found.add(CustomerRow::from_columns(row).map_err(failure)?);
            Ok(())
        })?;
        Ok(found)
    }

    fn rows(&mut self, from: Sql) -> QueryResult<Vec<CustomerRow>> {
        let mut rows = Vec::new();
        self.each(&CustomerRow::select_text(from), |row| {
            rows.push(CustomerRow::from_columns(row).map_err(failure)?);
            Ok(())
        })?;
        Ok(rows)
    }

    fn execute(&mut self, statement: Sql) -> QueryResult<()> {
        self.each(&statement, |_| Ok(()))
    }
}

/// An error in diesel's words, of which the rest of the crate knows what they mean.
fn failure(error: rusqlite::Error) -> Error {
    let message = match error {
        rusqlite::Error::SqliteFailure(code, None) => {
            rusqlite::ffi::code_to_str(code.extended_code & 0xff).to_owned()
        }
        rusqlite::Error::SqliteFailure(_, Some(message)) => message,
        other => return Error::DeserializationError(other.into()),
    };
    Error::DatabaseError(DatabaseErrorKind::Unknown, Box::new(message))
}

/// What SQLite says of a query that was stopped.
fn is_interruption(error: &Error) -> bool {
    matches!(error, Error::DatabaseError(_, information) if information.message() == "interrupted")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use diesel::connection::SimpleConnection;

    use super::super::connect_for_writing;
    use super::*;

    /// Counts for longer than any test waits.
    const ENDLESS: &str = "WITH RECURSIVE numbers (number) AS (
        SELECT 1 UNION ALL SELECT number + 1 FROM numbers
    ) SELECT count(*) FROM numbers";

    fn scanner() -> (tempfile::TempDir, Scanner) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.db").to_str().unwrap().to_owned();
        connect_for_writing(&file).unwrap().batch_execute("CREATE TABLE t (x)").unwrap();
        let scanner = Scanner::open(&file).unwrap();
        (folder, scanner)
    }

    fn limit(deadline: Option<Instant>) -> Limit {
        Limit { is_abandoned: Arc::default(), deadline }
    }

    #[test]
    fn a_query_stops_when_its_time_is_over() {
        let (_folder, mut scanner) = scanner();
        let soon = Instant::now() + Duration::from_millis(20);
        let read = scanner.read(limit(Some(soon)), |conn| conn.number(Sql::new(ENDLESS)));
        assert!(matches!(read, Err(Unread::Stopped)), "{read:?}");
        // The connection goes on, and holds no state of the database.
        assert!(scanner.is_sound());
        let read = scanner.read(limit(None), |conn| conn.number(Sql::new("SELECT 1")));
        assert_eq!(read.unwrap(), 1);
    }

    #[test]
    fn a_query_stops_when_nobody_waits_for_it() {
        let (_folder, mut scanner) = scanner();
        let limit = limit(None);
        let abandoned = limit.is_abandoned.clone();
        std::thread::scope(|scope| {
            let reading =
                scope.spawn(|| scanner.read(limit, |conn| conn.number(Sql::new(ENDLESS))));
            abandoned.store(true, Ordering::Relaxed);
            assert!(matches!(reading.join().unwrap(), Err(Unread::Stopped)));
        });
    }

    #[test]
    fn a_scanner_makes_no_file_and_writes_nothing() {
        let (folder, mut scanner) = scanner();
        assert!(Scanner::open(folder.path().join("b.db").to_str().unwrap()).is_err());
        let insert = Sql::new("INSERT INTO t VALUES (1)");
        assert!(scanner.read(limit(None), |conn| conn.execute(insert)).is_err());
    }

    #[test]
    fn failures_are_those_that_diesel_would_tell() {
        let (_folder, mut scanner) = scanner();
        let read = scanner.read(limit(None), |conn| conn.number(Sql::new("SELECT x FROM nowhere")));
        let Err(Unread::Failed(Error::DatabaseError(_, information))) = read else {
            panic!("{read:?}")
        };
        assert_eq!(information.message(), "no such table: nowhere");
    }
}
