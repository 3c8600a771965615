//! Customers that are brought into SQLite, many in each transaction.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use customers_domain::{Customer, Timestamp, Write};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::deferred::Deferred;
use super::writes::{Writing, last_id};
use super::{connect_for_writing, file_name};
use crate::change::{Change, Creation, Difference};
use crate::error::OpenError;
use crate::import::{Changed, Load, Totals};
use crate::mending::Mending;
use crate::schema::customers;

/// Memory for pages, in KiB: what is written is all over the indexes.
const CACHE_KIB: u32 = 64 * 1024;

/// What an index is sorted in, by each of three threads, while it is made. Larger, memory would grow with
/// the number of customers.
const SORTED_IN_KIB: u32 = 16 * 1024;

/// Makes room for indexes to be made: the memory for pages is given back.
pub(crate) fn make_room(conn: &mut SqliteConnection) -> QueryResult<()> {
    conn.batch_execute(&format!("PRAGMA cache_size = -{SORTED_IN_KIB}; PRAGMA shrink_memory;"))
}

/// Takes the memory for pages again.
pub(crate) fn take_room(conn: &mut SqliteConnection) -> QueryResult<()> {
    conn.batch_execute(&format!("PRAGMA cache_size = -{CACHE_KIB};"))
}

/// A connection for an import.
pub(crate) fn connect(path: &Path) -> Result<SqliteConnection, OpenError> {
    let mut conn = connect_for_writing(&file_name(path)?)?;
    conn.batch_execute(&format!("PRAGMA cache_size = -{CACHE_KIB}; PRAGMA threads = 2;"))
        .map_err(|error| OpenError::Connect(error.into()))?;
    Ok(conn)
}

/// Tells others that an import is under way that has set indexes aside: a lock of a file beside the
/// database, which the operating system takes away with the process. Several imports may be.
pub(crate) struct UnderWay {
    path: String,
    _locked: File,
}

impl UnderWay {
    pub fn tell(path: &Path) -> std::io::Result<Self> {
        let path = lock_path(&path.to_string_lossy());
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
        file.lock_shared()?;
        Ok(Self { path, _locked: file })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        // One that is left means nothing without the lock.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Whether an import is under way that has set indexes aside.
pub(super) fn is_under_way(file: &str) -> bool {
    let file = OpenOptions::new().write(true).open(lock_path(file));
    file.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

fn lock_path(file: &str) -> String {
    format!("{file}-import")
}

impl Load for SqliteConnection {
    fn next_ids(&mut self, count: usize, above: i64) -> QueryResult<Vec<i64>> {
        let first = last_id(self)?.max(above) + 1;
        Ok((first..).take(count).collect())
    }

    /// While this connection holds the lock of the file.
    fn now(&mut self) -> QueryResult<Timestamp> {
        Ok(Timestamp::now())
    }

    /// Nobody else writes while this connection does.
    fn lock(&mut self, _: &[i64], _: &[String]) -> QueryResult<()> {
        Ok(())
    }

    fn store(
        &mut self,
        created: &[Customer],
        changed: Vec<Changed>,
        write: &Write,
        now: Timestamp,
    ) -> QueryResult<Totals> {
        let mut deferred = Deferred::default();
        let mut writing = Writing { conn: self, deferred: &mut deferred, write };
        for customer in created {
            let mut creation = Creation::new(customer, write);
            creation.history.at = now.as_micros();
            diesel::insert_into(customers::table).values(&creation.row).execute(writing.conn)?;
            writing.insert_around(creation, customer.id.get())?;
        }
        for Changed { stored, before, after } in changed {
            let change = Change::between(&before, &after);
            let mut difference = Difference::new(&change, &stored, &before, &after, write)?;
            difference.history.at = now.as_micros();
            writing.write_difference(&after, difference)?;
        }
        let mended = deferred.apply(self)?;
        mended.into_iter().for_each(|mended| Mending::default().add(mended));
        Ok(Totals::default())
    }

    /// Counted where it is stored.
    fn count(&mut self, _: Totals) -> QueryResult<()> {
        Ok(())
    }
}
