//! Lists and searches in SQLite: what is bounded runs inline, everything else on threads of its own.

use std::sync::Arc;
use std::time::Duration;

use customers_domain::selection::{Order, Selection, Trashed};
use customers_domain::{Customer, RepositoryError};
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool};
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::{Sqlite, SqliteConnection};
use tokio::sync::Semaphore;

use crate::error::{from_sqlite, unavailable};
use crate::listing::Dialect;
use crate::reading::{Ask, collect};
use crate::row::CustomerRow;
use crate::sql::Sql;
use crate::statistics::PoolStatistics;

/// The most customers of a page that is read inline, and the most that are skipped before it.
const INLINE: u64 = 100;

/// The most lists and searches that wait for a thread; one more is turned away.
const WAITING: usize = 1024;

/// A list or a search takes no longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether a list takes no longer than a few point reads: all customers, in the order of one index.
pub(super) fn is_bounded(selection: &Selection, order: &Order, skip: u64, take: u32) -> bool {
    selection.filters.is_empty()
        && selection.trashed == Trashed::Without
        && order.sorts().len() <= 2
        && skip <= INLINE
        && u64::from(take) <= INLINE
}

/// The threads for reads without a bound, as many as there are processors.
pub(super) struct Scanners {
    pool: Pool<ConnectionManager<SqliteConnection>>,
    free: Arc<Semaphore>,
    admitted: Semaphore,
}

impl Scanners {
    pub fn new(pool: Pool<ConnectionManager<SqliteConnection>>) -> Self {
        let threads = pool.max_size() as usize;
        Self {
            pool,
            free: Arc::new(Semaphore::new(threads)),
            admitted: Semaphore::new(threads + WAITING),
        }
    }

    pub fn statistics(&self) -> PoolStatistics {
        PoolStatistics::of("scans", self.pool.max_size(), self.pool.state()).with_waiting(
            &self.admitted,
            &self.free,
            WAITING,
        )
    }

    /// Runs a read on a thread. SQLite cannot be told to stop: one that takes too long is no longer
    /// waited for, but keeps its thread until it ends.
    pub async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut SqliteConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, RepositoryError> {
        let Ok(_admitted) = self.admitted.try_acquire() else {
            return Err(unavailable("too many lists and searches are waiting"));
        };
        let read = async {
            let permit = self.free.clone().acquire_owned().await.map_err(unavailable)?;
            let pool = self.pool.clone();
            let task = tokio::task::spawn_blocking(move || {
                let mut conn = pool.get().map_err(unavailable)?;
                let done = query(&mut conn).map_err(from_sqlite);
                drop(permit);
                done
            });
            task.await.unwrap_or_else(|panic| Err(RepositoryError::Internal(panic.into())))
        };
        tokio::time::timeout(PATIENCE, read)
            .await
            .unwrap_or_else(|_| Err(unavailable("a list or a search took too long")))
    }
}

impl Ask for SqliteConnection {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn has_search_index(&self) -> bool {
        true
    }

    fn numbers(&mut self, query: Sql) -> QueryResult<Vec<i64>> {
        query.typed::<BigInt>().load(self)
    }

    fn texts(&mut self, query: Sql) -> QueryResult<Vec<String>> {
        query.typed::<Text>().load(self)
    }

    fn customers(&mut self, from: Sql, at_most: usize) -> QueryResult<Vec<Customer>> {
        collect(CustomerRow::select::<Sqlite>(from).load_iter(self)?, at_most)
    }

    fn rows(&mut self, from: Sql) -> QueryResult<Vec<CustomerRow>> {
        CustomerRow::select::<Sqlite>(from).load(self)
    }

    fn execute(&mut self, statement: Sql) -> QueryResult<()> {
        RunQueryDsl::execute(statement, self).map(drop)
    }
}
