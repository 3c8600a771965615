//! A streaming replica that lists and searches are read from, as long as nobody can tell.

use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use customers_domain::RepositoryError;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool};

use super::connections::Connections;
use crate::sql::Sql;

/// A replica that is behind is waited for so long. Then the primary is asked.
const PATIENCE: Duration = Duration::from_millis(50);

/// It is asked again how far it is so often.
const PAUSE: Duration = Duration::from_millis(2);

/// A connection to it is waited for so long.
const CONNECTION: Duration = Duration::from_millis(250);

/// One that cannot be asked is left alone for so long.
const REST: Duration = Duration::from_secs(5);

/// How far the primary's log is on its disk, in bytes. A commit that was answered is within.
const FLUSHED: &str = "SELECT pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::BIGINT";

/// Whether the replica has replayed so much. Nothing, where it is none.
const HAS_REPLAYED: &str =
    "SELECT coalesce(pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0'), -1) >= ";

pub(super) struct Replica {
    connections: Connections,
    rests_until: Mutex<Option<Instant>>,
}

impl Replica {
    /// Connects to it when it is asked.
    pub fn new(url: &str, size: NonZeroU32) -> Result<Self, r2d2::Error> {
        let connections = Connections::new(url, size, CONNECTION)?;
        Ok(Self { connections, rests_until: Mutex::default() })
    }

    /// What a query finds on it, `None` where it does not have all that was answered before this call,
    /// at this server or another, or cannot be asked.
    pub async fn ask<T: Send + 'static>(
        &self,
        primary: &Connections,
        mut query: impl FnMut(&mut PgConnection) -> QueryResult<T> + Send + 'static,
    ) -> Option<T> {
        if self.rests_until().is_some_and(|until| Instant::now() < until) {
            return None;
        }
        // Where there is no primary now, whoever asks is told by the one who asks it.
        let flushed = primary.query(|conn| Sql::new(FLUSHED).typed::<BigInt>().get_result(conn));
        let flushed: i64 = flushed.await.ok()?;
        let found = self.connections.query(move |conn| {
            // Before the query begins: what it sees is decided then.
            match catch_up(conn, flushed)? {
                true => query(conn).map(Some),
                false => Ok(None),
            }
        });
        found.await.unwrap_or_else(|error| {
            self.rest(&error);
            None
        })
    }

    fn rest(&self, error: &RepositoryError) {
        log::warn!(error:% = error; "lists and searches are read from the primary for some time, because the replica cannot be asked");
        *self.lock() = Some(Instant::now() + REST);
    }

    fn rests_until(&self) -> Option<Instant> {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.rests_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until the replica has so much of the log, but not for long; whether it has.
fn catch_up(conn: &mut PgConnection, flushed: i64) -> QueryResult<bool> {
    let started = Instant::now();
    loop {
        let has_replayed = Sql::new(HAS_REPLAYED).bind(flushed).typed::<Bool>().get_result(conn)?;
        if has_replayed || started.elapsed() >= PATIENCE {
            return Ok(has_replayed);
        }
        std::thread::sleep(PAUSE);
    }
}
