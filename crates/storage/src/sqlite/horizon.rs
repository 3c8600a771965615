//! Up to when a list has everything.
//!
//! Whatever writes to the file takes its time while it holds the lock that one connection has at a time.
//! So when a connection gets the lock, every write of an earlier time is committed, of this process or
//! another.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use customers_domain::Timestamp;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::set_lock_timeout;
use crate::error::OpenError;

pub(super) struct Horizon {
    /// When the lock was last known to be had, in microseconds.
    reached: AtomicI64,
    conn: Mutex<SqliteConnection>,
}

impl Horizon {
    pub fn open(file: &str) -> Result<Self, OpenError> {
        let connect = || -> Result<_, Box<dyn std::error::Error + Send + Sync>> {
            let mut conn = SqliteConnection::establish(file)?;
            set_lock_timeout(&mut conn, Duration::ZERO)?;
            Ok(conn)
        };
        let conn = connect().map_err(OpenError::Connect)?;
        Ok(Self { reached: AtomicI64::new(0), conn: Mutex::new(conn) })
    }

    /// Notes that a connection of this process has the lock.
    pub fn reach(&self) {
        self.reached.fetch_max(Timestamp::now().as_micros(), Ordering::Relaxed);
    }

    /// The moment before which every write is committed: now, where nobody is writing, and else when this
    /// process last had the lock.
    pub fn get(&self) -> Timestamp {
        let mut conn = self.conn.lock().unwrap_or_else(PoisonError::into_inner);
        if conn.batch_execute("BEGIN IMMEDIATE").is_ok() {
            self.reach();
            // Nothing was written: there is nothing that could fail.
            let _ = conn.batch_execute("ROLLBACK");
        }
        Timestamp::from_micros(self.reached.load(Ordering::Relaxed))
            .unwrap_or(Timestamp::UNIX_EPOCH)
    }
}
