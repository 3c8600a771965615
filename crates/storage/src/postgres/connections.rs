//! The connections to PostgreSQL: how they are shared, waited for, and replaced when they break.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use customers_domain::RepositoryError;
use diesel::Connection as _;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::r2d2::R2D2Connection;
use diesel::result::{DatabaseErrorKind, Error};
use r2d2::{ManageConnection, Pool};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Abort, Never, from_postgres, is_away, is_conflict, unavailable};
use crate::statistics::PoolStatistics;

/// A request waits so long for a connection to the primary, and one that has broken is replaced for so
/// long.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// A request waits so long for the server's answer.
pub(super) const ANSWER: Duration = Duration::from_secs(10);

/// The server gives up a statement, and frees its connection, after so long.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);

/// The server ends a transaction, and frees what it has locked, that this process leaves alone for so long:
/// because it was stopped, or its machine is gone.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// The most requests that wait for a connection; one more is turned away.
const WAITING: usize = 1024;

/// How often work is done again that other transactions stood in the way of.
const ATTEMPTS: u32 = 10;

/// A server that takes no writes is asked again so often. Without a pause, every request would open
/// hundreds of connections to it.
const PAUSE: Duration = Duration::from_millis(100);

/// How long libpq waits for a host that says nothing, which by itself it does for minutes: 2 seconds
/// for a connection, less than a request waits, after which it tries the next host; and 10 to 20
/// seconds for one that went away without a word. What the URL says of these wins.
const TIME_LIMITS: &str = "connect_timeout=2&tcp_user_timeout=10000&keepalives_idle=10\
                           &keepalives_interval=5&keepalives_count=2";

/// The URL with [`TIME_LIMITS`] before its own parameters, of which libpq takes the last.
pub(super) fn with_time_limits(url: &str) -> String {
    let scheme = url.find("://").map_or(0, |at| at + "://".len());
    // A password may hold a question mark: libpq looks for its end first, and so must this.
    let login = match url[scheme..].find(['@', '/']) {
        Some(at) if url[scheme + at..].starts_with('@') => scheme + at,
        _ => scheme,
    };
    match url[login..].find('?').map(|at| login + at) {
        Some(at) => format!("{}?{TIME_LIMITS}&{}", &url[..at], &url[at + 1..]),
        None => format!("{url}?{TIME_LIMITS}"),
    }
}

/// The connections, for threads that may wait for one.
#[derive(Clone)]
pub(super) struct Shared {
    pool: Pool<Manager>,
    /// How long a connection is waited for.
    patience: Duration,
}

/// The connections, for requests.
pub(super) struct Connections {
    shared: Shared,
    /// One permit for each connection, so that waiting takes no thread.
    free: Arc<Semaphore>,
    /// One permit for each request that is served or waits.
    admitted: Semaphore,
    /// The same for lists and searches, which have fewer: they may take seconds, and writes do not wait
    /// behind them.
    lists: Arc<Semaphore>,
    admitted_lists: Semaphore,
}

impl Connections {
    pub fn new(url: &str, size: NonZeroU32, patience: Duration) -> Result<Self, r2d2::Error> {
        let connections = size.get() as usize;
        Ok(Self {
            shared: Shared::new(url, size, patience, "")?,
            free: Arc::new(Semaphore::new(connections)),
            admitted: Semaphore::new(connections + WAITING),
            lists: Arc::new(Semaphore::new(for_lists(connections))),
            admitted_lists: Semaphore::new(for_lists(connections) + WAITING),
        })
    }

    /// The figures of this pool, under a name.
    pub fn statistics(&self, name: &'static str) -> PoolStatistics {
        let statistics =
            self.shared.statistics(name).with_waiting(&self.admitted, &self.free, WAITING);
        let lists = for_lists(statistics.size as usize);
        let admitted = (lists + WAITING).saturating_sub(self.admitted_lists.available_permits());
        let under_way = lists.saturating_sub(self.lists.available_permits());
        let waiting = statistics.waiting + admitted.saturating_sub(under_way) as u32;
        PoolStatistics { waiting, ..statistics }
    }

    /// Runs a list or a search, which never takes the last connections.
    pub async fn list<T: Send + 'static>(
        &self,
        mut work: impl FnMut(&mut PgConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, RepositoryError> {
        let Ok(_admitted) = self.admitted_lists.try_acquire() else {
            return Err(unavailable("too many lists wait for a connection"));
        };
        let turn = self.wait_for(&self.lists).await?;
        // The turn lasts until the thread is done, also where nobody waits for it any more.
        let list = move |conn: &mut PgConnection| {
            let _turn = &turn;
            work(conn)
        };
        self.query(list).await
    }

    /// Runs work that the data cannot refuse.
    pub async fn query<T: Send + 'static>(
        &self,
        mut work: impl FnMut(&mut PgConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, RepositoryError> {
        let Ok(done) = self.run(move |conn| work(conn).map_err(Abort::<Never>::Failed)).await?;
        Ok(done)
    }

    /// Runs work on a connection, in a thread.
    ///
    /// It is done again when another transaction stood in its way (PostgreSQL's 40001 and 40P01),
    /// and on a new connection when the one it had was found closed; it must see to it that this
    /// does no harm. It goes on whether or not anybody waits for the answer.
    pub async fn run<T, E>(
        &self,
        work: impl FnMut(&mut PgConnection) -> Result<T, Abort<E>> + Send + 'static,
    ) -> Result<Result<T, E>, RepositoryError>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let Ok(_admitted) = self.admitted.try_acquire() else {
            return Err(unavailable("too many requests wait for a connection"));
        };
        let permit = self.wait_for(&self.free).await?;
        let shared = self.shared.clone();
        let task = tokio::task::spawn_blocking(move || {
            let done = shared.run(work);
            drop(permit);
            done
        });
        match tokio::time::timeout(ANSWER, task).await {
            Ok(done) => done.unwrap_or_else(|panic| Err(RepositoryError::Internal(panic.into()))),
            // The thread keeps its permit until the server has answered it or given up.
            Err(_) => Err(unavailable("PostgreSQL does not answer")),
        }
    }

    async fn wait_for(
        &self,
        permits: &Arc<Semaphore>,
    ) -> Result<OwnedSemaphorePermit, RepositoryError> {
        tokio::time::timeout(self.shared.patience, permits.clone().acquire_owned())
            .await
            .map_err(|_| unavailable("no connection became free in time"))?
            .map_err(unavailable)
    }
}

/// How many connections of so many lists may have at once: where there are enough, two are left for
/// others.
fn for_lists(connections: usize) -> usize {
    match connections {
        0..4 => connections.saturating_sub(1).max(1),
        _ => connections - 2,
    }
}

impl Shared {
    /// So many connections, each of which begins with these settings of its session.
    pub fn new(
        url: &str,
        size: NonZeroU32,
        patience: Duration,
        settings: &'static str,
    ) -> Result<Self, r2d2::Error> {
        let pool = Pool::builder()
            .max_size(size.get())
            // None is opened before it is asked for. One that is just being opened when the process
            // ends can crash it, because OpenSSL cleans up while it is used.
            .min_idle(Some(0))
            .test_on_check_out(false)
            .connection_timeout(patience)
            .build(Manager { url: url.to_owned(), settings })?;
        Ok(Self { pool, patience })
    }

    /// The figures of this pool, under a name.
    pub fn statistics(&self, name: &'static str) -> PoolStatistics {
        PoolStatistics::of(name, self.pool.max_size(), self.pool.state())
    }

    /// Runs work that the data cannot refuse, as [`Shared::run`] does.
    pub fn query<T>(
        &self,
        mut work: impl FnMut(&mut PgConnection) -> QueryResult<T>,
    ) -> Result<T, RepositoryError> {
        let Ok(done) = self.run(move |conn| work(conn).map_err(Abort::<Never>::Failed))?;
        Ok(done)
    }

    /// Does the work until it is done, refused, or hopeless.
    fn run<T, E>(
        &self,
        mut work: impl FnMut(&mut PgConnection) -> Result<T, Abort<E>>,
    ) -> Result<Result<T, E>, RepositoryError> {
        let deadline = Instant::now() + self.patience;
        let mut attempts = 0;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut conn = self.pool.get_timeout(left).map_err(unavailable)?;
            let started = Instant::now();
            let error = match work(&mut conn.inner) {
                Ok(done) => return Ok(Ok(done)),
                Err(Abort::Refused(refusal)) => return Ok(Err(refusal)),
                Err(Abort::Failed(error)) => error,
            };
            attempts += 1;
            // By the clock, because the server says it in its own language.
            if matches!(error, Error::DatabaseError(DatabaseErrorKind::Unknown, _))
                && started.elapsed() >= STATEMENT_TIMEOUT
            {
                return Err(unavailable(error));
            }
            if is_away(&error) {
                conn.is_away = true;
                drop(conn);
                if matches!(error, Error::DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, _))
                {
                    std::thread::sleep(PAUSE);
                }
            } else if !is_conflict(&error) || attempts >= ATTEMPTS {
                return Err(from_postgres(error));
            }
            if Instant::now() >= deadline {
                return Err(from_postgres(error));
            }
        }
    }
}

/// Opens connections for the pool and tells it which ones to throw away.
struct Manager {
    url: String,
    settings: &'static str,
}

/// A connection, and whether it was found to lead nowhere.
struct Connection {
    inner: PgConnection,
    is_away: bool,
}

impl ManageConnection for Manager {
    type Connection = Connection;
    type Error = diesel::r2d2::Error;

    fn connect(&self) -> Result<Connection, Self::Error> {
        let mut inner =
            PgConnection::establish(&self.url).map_err(diesel::r2d2::Error::ConnectionError)?;
        inner
            .batch_execute(&format!(
                "SET statement_timeout = {}; SET idle_in_transaction_session_timeout = {}; {}",
                STATEMENT_TIMEOUT.as_millis(),
                IDLE_TIMEOUT.as_millis(),
                self.settings
            ))
            .map_err(diesel::r2d2::Error::QueryError)?;
        Ok(Connection { inner, is_away: false })
    }

    fn is_valid(&self, conn: &mut Connection) -> Result<(), Self::Error> {
        conn.inner.ping().map_err(diesel::r2d2::Error::QueryError)
    }

    fn has_broken(&self, conn: &mut Connection) -> bool {
        conn.is_away || std::thread::panicking() || conn.inner.is_broken()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_leave_connections_to_others() {
        assert_eq!([1, 2, 3, 4, 24].map(for_lists), [1, 1, 2, 2, 22]);
    }

    #[test]
    fn time_limits_come_before_the_parameters_of_the_url() {
        for (url, limited) in [
            ("postgres://h/db", "postgres://h/db?"),
            ("postgresql://u:p@h1:1,[::1]:2", "postgresql://u:p@h1:1,[::1]:2?"),
            (
                "postgres://u:w?y@h/db?sslmode=require&x=@/",
                "postgres://u:w?y@h/db?&sslmode=require&x=@/",
            ),
            ("postgres:///db?host=/run/p&user=a@b", "postgres:///db?&host=/run/p&user=a@b"),
        ] {
            assert_eq!(with_time_limits(url).replace(TIME_LIMITS, ""), limited);
        }
    }
}
