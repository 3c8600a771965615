//! Up to when a list has everything: the moment before which no write can be committed any more.
//!
//! A write takes its time before it is committed, so what is committed later may have the earlier time. A
//! server takes the time, and sends a statement that does nothing where it arrives later than [`ARRIVAL`]
//! after that. From then on PostgreSQL shows the transaction to its own role, however long the commit
//! takes; to others it has [`TRANSACTION`], after which it is not committed, and a margin. An import takes
//! the time from PostgreSQL, within its transaction, and leaves in `customer_imports` when it began.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use customers_domain::Timestamp;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::connect_for_long;
use super::connections::with_time_limits;
use crate::error::OpenError;
use crate::row::timestamp;
use crate::sql::Sql;

/// A statement that arrives later after the time that it writes does nothing.
pub(super) const ARRIVAL: Duration = Duration::from_secs(5);

/// A transaction that takes longer after the time that it writes is not committed.
pub(super) const TRANSACTION: Duration = Duration::from_secs(10);

/// Writes of other roles, which do not show, are committed so long after their time at the latest.
const WRITE: Duration = Duration::from_secs(15);

/// An import that has not renewed its row for so long is taken for dead.
const LEASE: Duration = Duration::from_secs(60);

/// An import renews its row so often.
const RENEWED_EVERY: Duration = Duration::from_secs(10);

/// An import waits so long for a customer that somebody keeps locked.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);

/// The server's clock, in microseconds.
pub(super) const CLOCK: &str = "(extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT";

/// This moment by the server's clock.
pub(super) fn now(conn: &mut PgConnection) -> QueryResult<Timestamp> {
    timestamp(Sql::new("SELECT ").push(CLOCK).typed::<BigInt>().get_result(conn)?)
}

/// This moment by the server's clock, within the transaction of an import, which shows from now on, and
/// does not wait for a lock for ever.
pub(super) fn begin_import(conn: &mut PgConnection) -> QueryResult<Timestamp> {
    let now = Sql::new("SELECT set_config('lock_timeout', ")
        .bind(LOCK_TIMEOUT.as_millis().to_string())
        .push(", TRUE), txid_current(), ")
        .push(CLOCK)
        .typed::<(Text, BigInt, BigInt)>();
    let (_, _, now): (String, i64, i64) = now.get_result(conn)?;
    timestamp(now)
}

/// The moment before which no write can be committed any more.
pub(super) fn complete_until(conn: &mut PgConnection) -> QueryResult<Timestamp> {
    // The time of the statement is before all that it looks at.
    let until = Sql::new("SELECT least(now.at - ")
        .bind(WRITE.as_micros() as i64)
        .push(
            ", (SELECT min((extract(epoch FROM xact_start) * 1000000)::BIGINT) FROM pg_stat_activity \
             WHERE datname = current_database() AND backend_xid IS NOT NULL \
             AND pid <> pg_backend_pid()) - ",
        )
        .bind(ARRIVAL.as_micros() as i64)
        .push(", (SELECT min(started_at) FROM customer_imports WHERE expires_at > now.at) - 1) FROM ")
        .push("(SELECT (extract(epoch FROM statement_timestamp()) * 1000000)::BIGINT AS at) AS now");
    timestamp(until.typed::<BigInt>().get_result(conn)?)
}

/// The row of an import that runs. It is removed when this is dropped, and ignored some time after the
/// process was killed.
pub(crate) struct Running {
    /// `None` only while dropping.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Leaves the row, and keeps it valid from a thread with a connection of its own.
    pub fn begin(url: &str) -> Result<Self, OpenError> {
        let url = with_time_limits(url);
        let mut conn = connect_for_long(&url)?;
        let failed = |error: diesel::result::Error| OpenError::Connect(error.into());
        Sql::new("DELETE FROM customer_imports WHERE expires_at < ")
            .push(CLOCK)
            .execute(&mut conn)
            .map_err(failed)?;
        let id: String = Sql::new(
            "INSERT INTO customer_imports (id, started_at, expires_at) \
             SELECT gen_random_uuid()::TEXT, at, at + ",
        )
        .bind(LEASE.as_micros() as i64)
        .push(" FROM (SELECT ")
        .push(CLOCK)
        .push(" AS at) AS now RETURNING id")
        .typed::<Text>()
        .get_result(&mut conn)
        .map_err(failed)?;
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new()
            .name("import-renewal".into())
            .spawn(move || renew(conn, &url, &id, &stopped))
            .expect("a thread for the row of an import");
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Keeps the row of an import valid until it ends, and removes it.
fn renew(mut conn: PgConnection, url: &str, id: &str, stopped: &Receiver<()>) {
    while stopped.recv_timeout(RENEWED_EVERY) == Err(RecvTimeoutError::Timeout) {
        let renewal = Sql::new("UPDATE customer_imports SET expires_at = ")
            .push(CLOCK)
            .push(" + ")
            .bind(LEASE.as_micros() as i64)
            .push(" WHERE id = ")
            .bind(id);
        if let Err(error) = renewal.execute(&mut conn) {
            log::warn!("cannot renew the row of this import in customer_imports: {error}");
            if let Ok(fresh) = connect_for_long(url) {
                conn = fresh;
            }
        }
    }
    let removal = Sql::new("DELETE FROM customer_imports WHERE id = ").bind(id);
    if let Err(error) = removal.execute(&mut conn) {
        log::warn!("cannot remove the row of this import in customer_imports: {error}");
    }
}
