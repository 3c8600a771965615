//! The lanes of lists and searches: one for reads that end soon, one for reads that take long.
//!
//! Each lane has connections of its own, so that reads that take long never keep one that ends soon from
//! being answered. How long a read takes is often not known before: such a read begins in the quick lane,
//! is stopped there when its time is over, and begins again in the other lane. A read is also stopped
//! when its answer is no longer waited for.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use customers_domain::RepositoryError;
use diesel::QueryResult;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::file::DatabaseFile;
use super::scanner::{Limit, Scanner, Unread};
use crate::error::{from_sqlite, unavailable};
use crate::statistics::PoolStatistics;

/// The most lists and searches that wait for a connection; one more is refused.
const WAITING: usize = 1024;

/// The maximum time for a list or a search, waiting included.
const PATIENCE: Duration = Duration::from_secs(5);

/// The maximum time of a read in the quick lane.
const QUICK: Duration = Duration::from_millis(50);

/// How long a read takes, as far as that is known before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cost {
    /// As long as a few point reads.
    Bounded,
    /// Depends on the customers.
    Unknown,
    /// Grows with the number of customers.
    Scan,
}

/// The connections for lists and searches.
pub(super) struct Lanes {
    quick: Lane,
    scans: Lane,
    /// One permit for each read that is served or waits.
    admitted: Semaphore,
}

impl Lanes {
    /// Lanes for a machine on which so many threads read at once.
    pub fn new(file: Arc<DatabaseFile>, threads: NonZeroU32) -> Self {
        let quick = threads.get() as usize;
        // A scan keeps a processor busy: one processor is left for everything else.
        let scans = quick.saturating_sub(1).max(1);
        Self {
            quick: Lane::new("lists", file.clone(), quick),
            scans: Lane::new("scans", file, scans),
            admitted: Semaphore::new(quick + scans + WAITING),
        }
    }

    /// The figures of this moment.
    pub fn statistics(&self) -> [PoolStatistics; 2] {
        let capacity = self.quick.size + self.scans.size + WAITING;
        let admitted = capacity.saturating_sub(self.admitted.available_permits());
        let [mut quick, mut scans] = [&self.quick, &self.scans].map(Lane::statistics);
        // A read that waits may go either way: it is counted once, where it is served most likely.
        let waiting = admitted.saturating_sub((quick.used + scans.used) as usize) as u32;
        match quick.used < quick.size {
            true => scans.waiting = waiting,
            false => quick.waiting = waiting,
        }
        [quick, scans]
    }

    /// Runs a read that is not [`Cost::Bounded`], on one state of the database.
    ///
    /// The read may be run twice.
    pub async fn read<T: Send + 'static>(
        &self,
        cost: Cost,
        query: impl FnOnce(&mut Scanner) -> QueryResult<T> + Clone + Send + 'static,
    ) -> Result<T, RepositoryError> {
        let Ok(_admitted) = self.admitted.try_acquire() else {
            return Err(unavailable("too many lists and searches are waiting"));
        };
        let waiter = Waiter::default();
        let read = async {
            if cost != Cost::Scan
                && let Some(read) = self.quick.read(Some(QUICK), &waiter, query.clone()).await?
            {
                return Ok(read);
            }
            let read = self.scans.read(None, &waiter, query).await?;
            read.ok_or_else(|| unavailable("the read was stopped"))
        };
        tokio::time::timeout(PATIENCE, read)
            .await
            .unwrap_or_else(|_| Err(unavailable("a list or a search took too long")))
    }
}

/// Whoever waits for an answer: when the waiter is dropped, the query stops.
#[derive(Default)]
struct Waiter {
    is_gone: Arc<AtomicBool>,
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.is_gone.store(true, Ordering::Relaxed);
    }
}

/// Connections for reads of one kind.
struct Lane {
    name: &'static str,
    size: usize,
    idle: Arc<Idle>,
    /// One permit for each connection.
    free: Arc<Semaphore>,
}

impl Lane {
    fn new(name: &'static str, file: Arc<DatabaseFile>, size: usize) -> Self {
        let idle = Arc::new(Idle { file, scanners: Mutex::default() });
        Self { name, size, idle, free: Arc::new(Semaphore::new(size)) }
    }

    fn statistics(&self) -> PoolStatistics {
        let used = self.size.saturating_sub(self.free.available_permits()) as u32;
        let open = used + self.idle.count() as u32;
        let size = self.size as u32;
        PoolStatistics { name: self.name, size, open: open.min(size), used, waiting: 0 }
    }

    /// Runs a read in a thread; `None` where it was stopped.
    async fn read<T: Send + 'static>(
        &self,
        at_most: Option<Duration>,
        waiter: &Waiter,
        query: impl FnOnce(&mut Scanner) -> QueryResult<T> + Send + 'static,
    ) -> Result<Option<T>, RepositoryError> {
        let permit = self.free.clone().acquire_owned().await.map_err(unavailable)?;
        let is_abandoned = waiter.is_gone.clone();
        let idle = self.idle.clone();
        let task = tokio::task::spawn_blocking(move || {
            let deadline = at_most.map(|at_most| Instant::now() + at_most);
            idle.run(permit, Limit { is_abandoned, deadline }, query)
        });
        task.await.unwrap_or_else(|panic| Err(RepositoryError::Internal(panic.into())))
    }
}

/// The connections that are not in use. A connection is opened when none is left.
struct Idle {
    file: Arc<DatabaseFile>,
    scanners: Mutex<Vec<Scanner>>,
}

impl Idle {
    fn run<T>(
        &self,
        permit: OwnedSemaphorePermit,
        limit: Limit,
        query: impl FnOnce(&mut Scanner) -> QueryResult<T>,
    ) -> Result<Option<T>, RepositoryError> {
        let mut scanner = match self.take() {
            Some(scanner) => scanner,
            None => {
                self.file.check()?;
                Scanner::open(self.file.name()).map_err(unavailable)?
            }
        };
        // A scanner whose query panics is closed.
        let read = scanner.read(limit, query);
        if scanner.is_sound() {
            self.put(scanner);
        }
        drop(permit);
        match read {
            Ok(read) => Ok(Some(read)),
            Err(Unread::Stopped) => Ok(None),
            Err(Unread::Failed(error)) => Err(from_sqlite(error)),
        }
    }

    fn take(&self) -> Option<Scanner> {
        self.scanners.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn put(&self, scanner: Scanner) {
        self.scanners.lock().unwrap_or_else(PoisonError::into_inner).push(scanner);
    }

    fn count(&self) -> usize {
        self.scanners.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use diesel::connection::SimpleConnection;

    use super::super::connect_for_writing;
    use super::*;
    use crate::reading::Ask;
    use crate::sql::Sql;

    /// Counts for longer than any test waits.
    const ENDLESS: &str = "WITH RECURSIVE numbers (number) AS (
        SELECT 1 UNION ALL SELECT number + 1 FROM numbers
    ) SELECT count(*) FROM numbers";

    fn lanes(threads: u32) -> (tempfile::TempDir, Arc<Lanes>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.db");
        let name = file.to_str().unwrap();
        connect_for_writing(name).unwrap().batch_execute("CREATE TABLE t (x)").unwrap();
        let file = Arc::new(DatabaseFile::of(name).unwrap());
        (folder, Arc::new(Lanes::new(file, NonZeroU32::new(threads).unwrap())))
    }

    fn one(conn: &mut Scanner) -> QueryResult<i64> {
        conn.number(Sql::new("SELECT 1"))
    }

    /// Says that it has begun, and then takes longer than any test waits.
    fn endless(
        began: mpsc::Sender<()>,
    ) -> impl FnOnce(&mut Scanner) -> QueryResult<i64> + Clone + Send {
        move |conn: &mut Scanner| {
            let _ = began.send(());
            conn.number(Sql::new(ENDLESS))
        }
    }

    fn used(lanes: &Lanes) -> [u32; 2] {
        lanes.statistics().map(|lane| lane.used)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_read_that_takes_long_goes_on_in_the_other_lane_and_ends_with_its_waiter() {
        let (_folder, lanes) = lanes(2);
        let (began, begins) = mpsc::channel();
        let reading = tokio::spawn({
            let lanes = lanes.clone();
            async move { lanes.read(Cost::Unknown, endless(began)).await }
        });
        tokio::task::spawn_blocking(move || {
            (0..2).for_each(|_| begins.recv().unwrap());
        })
        .await
        .unwrap();
        assert_eq!(used(&lanes), [0, 1]);
        // Beside it, the quick lane is free.
        assert_eq!(lanes.read(Cost::Unknown, one).await.unwrap(), 1);
        reading.abort();
        assert!(reading.await.unwrap_err().is_cancelled());
        // The only connection for scans is free again.
        assert_eq!(lanes.read(Cost::Scan, one).await.unwrap(), 1);
        assert_eq!(used(&lanes), [0, 0]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn reads_that_take_too_long_are_refused_and_end() {
        let (_folder, lanes) = lanes(1);
        let (began, begins) = mpsc::channel();
        let read = lanes.read(Cost::Scan, endless(began)).await;
        assert!(matches!(read, Err(RepositoryError::Unavailable(_))), "{read:?}");
        begins.recv().unwrap();
        assert_eq!(lanes.read(Cost::Scan, one).await.unwrap(), 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn any_number_of_scans_leaves_the_quick_lane_free() {
        let (_folder, lanes) = lanes(2);
        let scans: Vec<_> = (0..20)
            .map(|_| {
                let (lanes, began) = (lanes.clone(), mpsc::channel().0);
                tokio::spawn(async move { lanes.read(Cost::Scan, endless(began)).await })
            })
            .collect();
        for _ in 0..100 {
            assert_eq!(lanes.read(Cost::Unknown, one).await.unwrap(), 1);
        }
        assert!(scans.iter().all(|scan| !scan.is_finished()));
        scans.iter().for_each(|scan| scan.abort());
        assert_eq!(lanes.read(Cost::Scan, one).await.unwrap(), 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_read_that_panics_costs_its_connection_only() {
        let (_folder, lanes) = lanes(1);
        let panics = |_: &mut Scanner| -> QueryResult<i64> { panic!("while it reads") };
        let read = lanes.read(Cost::Scan, panics).await;
        assert!(matches!(read, Err(RepositoryError::Internal(_))), "{read:?}");
        assert_eq!(lanes.read(Cost::Scan, one).await.unwrap(), 1);
    }
}
