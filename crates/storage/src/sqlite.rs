//! The adapter for SQLite: reads inline, all writes through one thread.

mod customers;
mod deferred;
mod file;
mod horizon;
pub(crate) mod import;
mod lanes;
pub(crate) mod presence;
mod read_lock;
mod readers;
mod reads;
mod scanner;
mod scrubbing;
pub(crate) mod search_index;
mod tokens;
mod users;
mod wal;
mod writer;
mod writes;

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use customers_domain::{AccountNumbering, RepositoryError};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use crate::error::{Abort, Never, OpenError, is_locked};
use crate::mending::Mending;
use crate::refresh::Old;
use crate::sql::Sql;
use crate::statistics::{Instrumented, Statistics};
use crate::upkeep::Upkeep;
use crate::{Options, indexes, migrations, refresh};
use file::DatabaseFile;
use horizon::Horizon;
use lanes::{Cost, Lanes};
use presence::Presence;
use read_lock::ReadLock;
use readers::Readers;
use scanner::Scanner;
use wal::Wal;
use writer::Writer;

/// Writing waits so long for another process that writes to the same file.
const WRITE_LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// The same while the database is opened. Several that do so at once may have much to write, one piece
/// after the other, and SQLite lets nobody stand in a queue.
const OPENING_LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// Memory for pages, in KiB, of each connection that reads inline: enough for the inner pages of the
/// indexes of millions of customers, so that a point read touches the file for its leaves only.
const CACHE_KIB: u32 = 8 * 1024;

/// The same of the connection that writes. A create touches a leaf of each of two dozen indexes.
const WRITING_CACHE_KIB: u32 = 24 * 1024;

/// The same of each connection for lists and searches, which pass by more than any cache would hold:
/// the operating system's is behind it.
const SCANNING_CACHE_KIB: u32 = 2 * 1024;

/// What was written ahead is brought into the file when it has so many pages of 4 KiB: seldom enough
/// that a page that many writes change is written there once for all of them.
const CHECKPOINT_PAGES: u32 = 8_000;

/// In WAL mode a reader waits for nobody, unless another process recovers or vacuums the file.
const READ_LOCK_TIMEOUT: Duration = Duration::from_millis(250);

pub(crate) struct SqliteStore {
    file: Arc<DatabaseFile>,
    readers: Readers,
    lanes: Lanes,
    horizon: Arc<Horizon>,
    /// Dropped with the connections that it is held for.
    _read_lock: ReadLock,
    writer: Writer,
    mending: Arc<Mending>,
    /// As they were looked at last.
    missing_indexes: AtomicU64,
    numbering: AccountNumbering,
    /// Dropped when everything else is closed.
    _presence: Presence,
}

impl SqliteStore {
    pub fn open(path: &Path, options: Options) -> Result<Self, OpenError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)
                .map_err(|source| OpenError::Folder { path: folder.to_owned(), source })?;
        }
        let presence = Presence::share(path)?;
        let file = file_name(path)?;
        let mut conn = connect_for_writing(&file)?;
        let failed = |error: diesel::result::Error| OpenError::Migrate(error.into());
        set_lock_timeout(&mut conn, OPENING_LOCK_TIMEOUT).map_err(failed)?;
        migrations::migrate_sqlite(&mut conn)?;
        match refresh::old_keys(&mut conn)? {
            Old::None => {}
            old => {
                if matches!(old, Old::Many) {
                    conn.immediate_transaction(|conn| match indexes::are_set_aside(conn)? {
                        true => Ok(()),
                        false => indexes::set_aside(conn),
                    })
                    .map_err(failed)?;
                }
                refresh::refresh(|| conn.immediate_transaction(refresh::step)).map_err(failed)?;
            }
        }
        if indexes::are_set_aside(&mut conn).map_err(failed)? && !import::is_under_way(&file) {
            while conn.immediate_transaction(indexes::restore).map_err(failed)? {}
        }
        set_lock_timeout(&mut conn, WRITE_LOCK_TIMEOUT).map_err(failed)?;
        let count = reading_threads(options.connections);
        let file = DatabaseFile::of(&file).map_err(|error| OpenError::Connect(error.into()))?;
        let file = Arc::new(file);
        let readers = Readers::open(file.clone(), count)?;
        let read_lock = ReadLock::hold(file.name())?;
        let wal = Wal::of(file.name());
        let lanes = Lanes::new(file.clone(), count);
        let same_file = file.clone();
        let mending = Arc::new(Mending::default());
        let reconnect = move || connect_for_writing(same_file.name());
        let horizon = Arc::new(Horizon::open(file.name())?);
        let shared = writer::Shared::new(file.clone(), mending.clone(), horizon.clone());
        let writer = Writer::start(conn, wal, shared, reconnect);
        Ok(Self {
            file,
            mending,
            missing_indexes: AtomicU64::new(0),
            readers,
            lanes,
            horizon,
            _read_lock: read_lock,
            writer,
            _presence: presence,
            numbering: options.numbering,
        })
    }

    /// Runs a write that the data cannot refuse.
    async fn write<T: Send + 'static>(
        &self,
        mut work: impl FnMut(&mut SqliteConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, RepositoryError> {
        let Ok(done) =
            self.writer.run(move |conn| work(conn).map_err(Abort::<Never>::Failed)).await?;
        Ok(done)
    }
}

impl SqliteStore {
    /// Runs a statement that removes rows whose time is over. How many.
    async fn sweep_with(&self, statement: Sql) -> Result<u64, RepositoryError> {
        let swept =
            move |conn: &mut SqliteConnection| RunQueryDsl::execute(statement.clone(), conn);
        Ok(self.write(swept).await? as u64)
    }
}

impl Instrumented for SqliteStore {
    fn statistics(&self) -> Statistics {
        let [lists, scans] = self.lanes.statistics();
        Statistics {
            pools: vec![self.readers.statistics(), lists, scans],
            writer: Some(self.writer.statistics()),
            mended: self.mending.statistics(),
            missing_indexes: self.missing_indexes.load(Ordering::Relaxed),
        }
    }
}

#[async_trait]
impl Upkeep for SqliteStore {
    async fn restore_index(&self) -> Result<bool, RepositoryError> {
        let look = |conn: &mut Scanner| {
            Ok((indexes::missing(conn)?.len() as u64, indexes::are_set_aside(conn)?))
        };
        let (missing, are_set_aside) = self.lanes.read(Cost::Unknown, look).await?;
        self.missing_indexes.store(missing, Ordering::Relaxed);
        if !are_set_aside || import::is_under_way(self.file.name()) {
            return Ok(false);
        }
        let restored = self.write(indexes::restore).await?;
        let (missing, _) = self.lanes.read(Cost::Unknown, look).await?;
        self.missing_indexes.store(missing, Ordering::Relaxed);
        Ok(restored)
    }
}

/// How many connections read: no more than there are threads that can do so, as each has a cache of its
/// own to fill.
fn reading_threads(most: NonZeroU32) -> NonZeroU32 {
    let threads = std::thread::available_parallelism().ok();
    let threads = threads.and_then(|threads| NonZeroU32::try_from(threads.get() as u32).ok());
    threads.map_or(most, |threads| threads.min(most))
}

/// From now on, whoever writes to the same file is waited for so long.
fn set_lock_timeout(conn: &mut SqliteConnection, timeout: Duration) -> QueryResult<()> {
    conn.batch_execute(&format!("PRAGMA busy_timeout = {}", timeout.as_millis()))
}

/// The path as SQLite takes it.
pub(crate) fn file_name(path: &Path) -> Result<String, OpenError> {
    let file = path.to_str().ok_or_else(|| OpenError::Path(path.to_owned()))?;
    // A relative path must not be taken for one of SQLite's `file:` URLs.
    Ok(if path.is_absolute() { file.to_owned() } else { format!("./{file}") })
}

pub(crate) fn connect_for_writing(file: &str) -> Result<SqliteConnection, OpenError> {
    // Until SQLite's own lock tells that the database is in use.
    let _presence = Presence::share(Path::new(file))?;
    let connect = || -> Result<_, Box<dyn std::error::Error + Send + Sync>> {
        let mut conn = SqliteConnection::establish(file)?;
        set_lock_timeout(&mut conn, WRITE_LOCK_TIMEOUT)?;
        let deadline = Instant::now() + WRITE_LOCK_TIMEOUT;
        // Where several processes make the file at once, SQLite does not wait: each would wait for
        // the other. The one that is not told so goes on.
        while let Err(error) = conn.batch_execute("PRAGMA journal_mode = WAL") {
            if !is_locked(&error) || Instant::now() >= deadline {
                return Err(error.into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // secure_delete: what is replaced or removed is overwritten, in pages that are given up, too, so
        // that the file holds nothing of it any more when the customer is erased.
        conn.batch_execute(&format!(
            "PRAGMA synchronous = FULL;
             PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES};
             PRAGMA journal_size_limit = {};
             PRAGMA foreign_keys = ON;
             PRAGMA secure_delete = ON;
             PRAGMA cache_size = -{WRITING_CACHE_KIB};",
            wal::LIMIT
        ))?;
        Ok(conn)
    };
    connect().map_err(OpenError::Connect)
}

/// A connection that mends what stands beside the customers, in a file of the schema of this version.
pub(crate) fn open_for_rebuilding(path: &Path) -> Result<SqliteConnection, OpenError> {
    let mut conn = import::connect(path)?;
    set_lock_timeout(&mut conn, OPENING_LOCK_TIMEOUT)
        .map_err(|error| OpenError::Connect(error.into()))?;
    migrations::migrate_sqlite(&mut conn)?;
    Ok(conn)
}

/// A connection of its own for a read that takes long.
pub(crate) fn connect_for_reading(path: &Path) -> Result<SqliteConnection, OpenError> {
    let _presence = Presence::share(path)?;
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| OpenError::Connect(error);
    let mut conn =
        SqliteConnection::establish(&file_name(path)?).map_err(|error| failed(error.into()))?;
    conn.batch_execute(&format!(
        "PRAGMA busy_timeout = {}; PRAGMA query_only = ON; PRAGMA cache_size = -{SCANNING_CACHE_KIB};
         SELECT count(*) FROM sqlite_master;",
        WRITE_LOCK_TIMEOUT.as_millis()
    ))
    .map_err(|error| failed(error.into()))?;
    Ok(conn)
}

/// A connection for point reads.
fn connect_for_point_reads(
    file: &str,
) -> Result<SqliteConnection, Box<dyn std::error::Error + Send + Sync>> {
    let mut conn = SqliteConnection::establish(file)?;
    conn.batch_execute(&format!(
        "PRAGMA busy_timeout = {}; PRAGMA query_only = ON; PRAGMA cache_size = -{CACHE_KIB};",
        READ_LOCK_TIMEOUT.as_millis()
    ))?;
    Ok(conn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_may_change_any_number_of_pages() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.db");
        let mut conn = connect_for_writing(file.to_str().unwrap()).unwrap();
        conn.batch_execute(
            "CREATE TABLE wide (text TEXT);
             WITH RECURSIVE numbers (number) AS (
                 SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < 6000
             )
             INSERT INTO wide SELECT hex(randomblob(1800)) FROM numbers;
             CREATE INDEX wide_text ON wide (text);",
        )
        .unwrap();
        // Its 20 MB are overwritten, and would have to be restored where that failed.
        conn.batch_execute("BEGIN; DROP INDEX wide_text; COMMIT").unwrap();
    }
}
