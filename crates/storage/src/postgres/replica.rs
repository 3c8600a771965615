//! A streaming replica that lists and searches are read from, as long as nobody can tell.

use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use customers_domain::RepositoryError;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Integer, Nullable};

use super::connections::Connections;
use crate::error::unavailable;
use crate::sql::Sql;
use crate::statistics::PoolStatistics;

/// A replica that is behind is waited for so long. Then the primary is asked.
const PATIENCE: Duration = Duration::from_millis(50);

/// It is asked again how far it is so often.
const PAUSE: Duration = Duration::from_millis(2);

/// A connection to it is waited for so long.
const CONNECTION: Duration = Duration::from_millis(250);

/// Its answer is waited for so long, which is more than any list takes.
const ANSWER: Duration = Duration::from_secs(2);

/// One that cannot be asked is left alone for so long, and then tried by one request at a time.
const REST: Duration = Duration::from_secs(5);

/// How far the primary's log is on its disk, in bytes, and on which timeline. A commit that was
/// answered is within.
const FLUSHED: &str = "
    SELECT pg_wal_lsn_diff(lsn, '0/0')::BIGINT AS position,
        ('x' || left(pg_walfile_name(lsn), 8))::BIT(32)::INTEGER AS timeline
    FROM pg_current_wal_flush_lsn() AS lsn";

/// Which database cluster it is.
const ORIGIN: &str = "SELECT system_identifier FROM pg_control_system()";

/// Where the primary is.
#[derive(Clone, Copy)]
struct Flushed {
    position: i64,
    timeline: i32,
}

impl Flushed {
    /// Of the primary at the other end.
    fn of(conn: &mut PgConnection) -> QueryResult<Self> {
        let flushed = Sql::new(FLUSHED).typed::<(BigInt, Integer)>().get_result(conn);
        flushed.map(|(position, timeline)| Self { position, timeline })
    }
}

/// The database cluster that a primary and its replicas have in common.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin(i64);

impl Origin {
    /// Of the cluster at the other end.
    pub fn of(conn: &mut PgConnection) -> QueryResult<Self> {
        Sql::new(ORIGIN).typed::<BigInt>().get_result(conn).map(Self)
    }
}

/// Whether the server at the other end has replayed so much of the log. Nothing, where it is no
/// replica of this origin on this timeline: one that was promoted, or that follows a primary which
/// was given up, may have written what never happened.
fn has_replayed(conn: &mut PgConnection, origin: Origin, to: Flushed) -> QueryResult<Option<bool>> {
    let statement = Sql::new(
        "SELECT CASE WHEN pg_is_in_recovery() AND (SELECT system_identifier FROM pg_control_system()) = ",
    )
    .bind(origin.0)
    .push(" AND (SELECT timeline_id FROM pg_control_checkpoint()) = ")
    .bind(to.timeline)
    .push(" THEN coalesce(pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0') >= ")
    .bind(to.position)
    .push(", FALSE) END");
    statement.typed::<Nullable<Bool>>().get_result(conn)
}

/// How a server at the other end stands to a primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It follows it, and has all that is on its disk.
    UpToDate,
    /// It follows it, and is behind.
    Behind,
    /// It does not follow it.
    Stranger,
}

/// How the server at the other end of `replica` stands to the one of `primary`.
pub(super) fn standing(
    replica: &mut PgConnection,
    primary: &mut PgConnection,
) -> QueryResult<Standing> {
    let origin = Origin::of(primary)?;
    let flushed = Flushed::of(primary)?;
    Ok(match catch_up(replica, origin, flushed)? {
        Some(true) => Standing::UpToDate,
        Some(false) => Standing::Behind,
        None => Standing::Stranger,
    })
}

pub(super) struct Replica {
    connections: Connections,
    origin: Origin,
    /// Where it could not be asked: until when it is left alone.
    rests_until: Mutex<Option<Instant>>,
}

impl Replica {
    /// Connects to it when it is asked.
    pub fn new(url: &str, size: NonZeroU32, origin: Origin) -> Result<Self, r2d2::Error> {
        let connections = Connections::new(url, size, CONNECTION)?;
        Ok(Self { connections, origin, rests_until: Mutex::default() })
    }

    pub fn statistics(&self) -> PoolStatistics {
        self.connections.statistics("replica")
    }

    /// What a query finds on it, `None` where it does not have all that was answered before this call,
    /// at this server or another, or cannot be asked.
    pub async fn ask<T: Send + 'static>(
        &self,
        primary: &Connections,
        query: impl FnMut(&mut PgConnection) -> QueryResult<T> + Send + 'static,
    ) -> Option<T> {
        if !self.may_be_asked() {
            return None;
        }
        // Where there is no primary now, whoever asks is told by the one who asks it.
        let flushed = primary.list(Flushed::of);
        let flushed = flushed.await.ok()?;
        match self.find(flushed, query).await {
            Ok(found) => {
                self.wake();
                found
            }
            Err(error) => {
                self.rest(&error);
                None
            }
        }
    }

    async fn find<T: Send + 'static>(
        &self,
        flushed: Flushed,
        mut query: impl FnMut(&mut PgConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<Option<T>, RepositoryError> {
        let origin = self.origin;
        let found = self.connections.query(move |conn| {
            // Before the query begins: what it sees is decided then.
            match catch_up(conn, origin, flushed)? {
                Some(true) => query(conn).map(|found| Some(Some(found))),
                Some(false) => Ok(Some(None)),
                None => Ok(None),
            }
        });
        let found = tokio::time::timeout(ANSWER, found)
            .await
            .map_err(|_| unavailable("the replica does not answer"))??;
        found.ok_or_else(|| unavailable("it is no replica that follows the primary"))
    }

    /// Whether it is awake, or has rested for long enough: then whoever asks first is the one to try it.
    fn may_be_asked(&self) -> bool {
        let mut rests_until = self.lock();
        match *rests_until {
            None => true,
            Some(until) if Instant::now() < until => false,
            Some(_) => {
                *rests_until = Some(Instant::now() + REST);
                true
            }
        }
    }

    fn wake(&self) {
        if self.lock().take().is_some() {
            log::info!("lists and searches are read from the replica again");
        }
    }

    fn rest(&self, error: &RepositoryError) {
        log::warn!(error:% = error; "lists and searches are read from the primary, because the replica cannot be asked");
        *self.lock() = Some(Instant::now() + REST);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.rests_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until the replica has so much of the log, but not for long; whether it has.
fn catch_up(conn: &mut PgConnection, origin: Origin, to: Flushed) -> QueryResult<Option<bool>> {
    let started = Instant::now();
    loop {
        let has_replayed = has_replayed(conn, origin, to)?;
        if has_replayed != Some(false) || started.elapsed() >= PATIENCE {
            return Ok(has_replayed);
        }
        std::thread::sleep(PAUSE);
    }
}
