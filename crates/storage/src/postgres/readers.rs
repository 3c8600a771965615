//! Reads of one customer each, in groups: what is asked for while the readers are busy is asked with
//! one statement, so that many reads share one way to the server and back. Nobody waits for others to
//! come.

use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use customers_domain::{Customer, RepositoryError};
use diesel::prelude::*;
use tokio::sync::{mpsc, oneshot};

use super::connections::{ANSWER, Shared};
use crate::error::{from_postgres, unavailable};
use crate::queries;
use crate::row::CustomerRow;

/// The most reads that wait; one more is turned away.
const QUEUE: usize = 1024;

/// The most reads of one statement.
const GROUP: usize = 64;

/// Whom a read is about.
pub(super) enum Key {
    Id(i64),
    /// By the key of the account.
    Account(String),
}

impl Key {
    fn is_of(&self, row: &CustomerRow) -> bool {
        match self {
            Self::Id(id) => row.id == *id,
            Self::Account(key) => row.account_key == *key,
        }
    }
}

struct Read {
    key: Key,
    reply: oneshot::Sender<Result<Option<Customer>, RepositoryError>>,
}

/// Hands reads to the threads.
pub(super) struct Readers {
    /// `None` only while dropping.
    queue: Option<mpsc::Sender<Read>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    /// How many threads read, of so many connections: a quarter. With more, groups would be smaller;
    /// with fewer, what has to be fetched from the server's disk would wait for each other.
    pub fn of(connections: NonZeroU32) -> u32 {
        (connections.get() / 4).max(1)
    }

    /// Starts so many threads, each of which uses a connection.
    pub fn start(count: u32, connections: &Shared) -> Self {
        let (queue, reads) = mpsc::channel(QUEUE);
        let reads = Arc::new(Mutex::new(reads));
        let start = |number| {
            let (connections, reads) = (connections.clone(), reads.clone());
            std::thread::Builder::new()
                .name(format!("postgres-read-{number}"))
                .spawn(move || read(&connections, &reads))
                .expect("a thread for reading")
        };
        let threads = (0..count).map(start).collect();
        Self { queue: Some(queue), threads }
    }

    /// How many reads wait for a thread.
    pub fn waiting(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| QUEUE - queue.capacity())
    }

    /// The customer of this key, unless deleted, as of this call or later.
    pub async fn find(&self, key: Key) -> Result<Option<Customer>, RepositoryError> {
        let (reply, answer) = oneshot::channel();
        let queue = self.queue.as_ref().expect("a queue until it is dropped");
        queue
            .try_send(Read { key, reply })
            .map_err(|_| unavailable("too many reads wait for a connection"))?;
        match tokio::time::timeout(ANSWER, answer).await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) => Err(RepositoryError::Internal("the read panicked".into())),
            Err(_) => Err(unavailable("PostgreSQL does not answer")),
        }
    }
}

/// Answers what is queued.
impl Drop for Readers {
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn read(connections: &Shared, reads: &Mutex<mpsc::Receiver<Read>>) {
    let mut group = Vec::with_capacity(GROUP);
    loop {
        let taken = {
            let mut reads = reads.lock().unwrap_or_else(PoisonError::into_inner);
            reads.blocking_recv_many(&mut group, GROUP)
        };
        if taken == 0 {
            return;
        }
        // Nobody may be waiting any more.
        group.retain(|read| !read.reply.is_closed());
        // A panic is in the log, and the reads that were not answered are dropped, which tells those
        // who wait for them.
        let _ = catch_unwind(AssertUnwindSafe(|| answer(connections, &mut group)));
        group.clear();
    }
}

fn answer(connections: &Shared, group: &mut Vec<Read>) {
    let found = connections.query(|conn| rows(conn, group));
    for Read { key, reply } in group.drain(..) {
        let _ = reply.send(match &found {
            Ok(rows) => customer(rows, &key),
            Err(error) => Err(the_same(error)),
        });
    }
}

/// The rows of those who are asked for, in no order.
fn rows(conn: &mut PgConnection, group: &[Read]) -> QueryResult<Vec<CustomerRow>> {
    let (mut ids, mut accounts) = (Vec::new(), Vec::new());
    for Read { key, .. } in group {
        match key {
            Key::Id(id) => ids.push(*id),
            Key::Account(key) => accounts.push(key.as_str()),
        }
    }
    // PostgreSQL plans a statement for several anew each time, one for a single key only once.
    let mut rows = match *ids {
        [] => Vec::new(),
        [id] => queries::live_customer(id).select(CustomerRow::as_select()).load(conn)?,
        _ => queries::live_customers(ids).select(CustomerRow::as_select()).load(conn)?,
    };
    rows.extend(match *accounts {
        [] => Vec::new(),
        [key] => queries::live_customer_of(key).select(CustomerRow::as_select()).load(conn)?,
        _ => queries::live_customers_of(accounts).select(CustomerRow::as_select()).load(conn)?,
    });
    Ok(rows)
}

fn customer(rows: &[CustomerRow], key: &Key) -> Result<Option<Customer>, RepositoryError> {
    let row = rows.iter().find(|row| key.is_of(row)).cloned();
    row.map(Customer::try_from).transpose().map_err(from_postgres)
}

/// An error once more, for another who waits.
fn the_same(error: &RepositoryError) -> RepositoryError {
    match error {
        RepositoryError::Unavailable(cause) => unavailable(cause.to_string()),
        RepositoryError::Internal(cause) => RepositoryError::Internal(cause.to_string().into()),
    }
}
