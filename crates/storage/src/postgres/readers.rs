//! Reads of one customer each, in groups: what is asked for while the readers are busy is asked with
//! one statement, so that many reads share one way to the server and back. Nobody waits for others to
//! come.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use customers_domain::{Customer, RepositoryError};
use diesel::prelude::*;
use tokio::sync::oneshot;

use super::connections::{ANSWER, PATIENCE, Shared};
use crate::error::{from_postgres, unavailable};
use crate::queries;
use crate::row::CustomerRow;
use crate::statistics::PoolStatistics;

/// The most reads that wait; one more is turned away.
const QUEUE: usize = 1024;

/// The most reads of one statement.
const GROUP: usize = 32;

/// One thread reads while it keeps up, because many small groups take the server more than few large
/// ones. Where a read has waited for so long, another thread helps: what has to be fetched from a slow
/// disk is fetched side by side.
const LATE: Duration = Duration::from_millis(10);

/// Statements for several customers are planned once, and a plan that was made when there were next to
/// none would read the whole table ever after.
const SETTINGS: &str = "SET enable_seqscan = off";

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
    since: Instant,
    reply: oneshot::Sender<Result<Option<Customer>, RepositoryError>>,
}

impl Read {
    /// Whether nobody waits for it any more.
    fn is_given_up(&self) -> bool {
        self.reply.is_closed()
    }
}

/// Hands reads to the threads.
pub(super) struct Readers {
    queue: Arc<Queue>,
    connections: Shared,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    /// How many of so many connections they have: a quarter.
    pub fn of(connections: NonZeroU32) -> NonZeroU32 {
        NonZeroU32::new(connections.get() / 4).unwrap_or(NonZeroU32::MIN)
    }

    /// Starts so many threads, each with a connection.
    pub fn start(url: &str, count: NonZeroU32) -> Result<Self, r2d2::Error> {
        let queue = Arc::new(Queue { threads: count.get() as usize, ..Queue::default() });
        let connections = Shared::new(url, count, PATIENCE, SETTINGS)?;
        let start = |number| {
            let (connections, queue) = (connections.clone(), queue.clone());
            std::thread::Builder::new()
                .name(format!("postgres-read-{number}"))
                .spawn(move || read(&connections, &queue))
                .expect("a thread for reading")
        };
        let threads = (0..count.get()).map(start).collect();
        Ok(Self { queue, connections, threads })
    }

    /// The figures of their connections.
    pub fn statistics(&self) -> PoolStatistics {
        let waiting = self.queue.lock().waiting.len() + self.queue.held.load(Ordering::Relaxed);
        PoolStatistics { waiting: waiting as u32, ..self.connections.statistics("reads") }
    }

    /// The customer of this key, unless deleted, as of this call or later.
    pub async fn find(&self, key: Key) -> Result<Option<Customer>, RepositoryError> {
        let (reply, answer) = oneshot::channel();
        self.queue.add(Read { key, since: Instant::now(), reply })?;
        match tokio::time::timeout(ANSWER, answer).await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) => Err(RepositoryError::Internal("the read panicked".into())),
            Err(_) => Err(unavailable("PostgreSQL does not answer")),
        }
    }
}

/// Nobody waits any more. A thread whose server hangs is left behind after a while.
impl Drop for Readers {
    fn drop(&mut self) {
        self.queue.close();
        let deadline = Instant::now() + PATIENCE;
        for thread in self.threads.drain(..) {
            while !thread.is_finished() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// The reads that wait for a thread.
#[derive(Default)]
struct Queue {
    threads: usize,
    state: Mutex<State>,
    call: Condvar,
    /// How many reads have a thread that has no connection yet.
    held: AtomicUsize,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Read>,
    /// How many threads have nothing to do, and how many of them are called.
    idle: usize,
    called: usize,
    is_closed: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, read: Read) -> Result<(), RepositoryError> {
        let mut state = self.lock();
        if state.waiting.len() >= QUEUE {
            state.waiting.retain(|read| !read.is_given_up());
        }
        if state.waiting.len() >= QUEUE {
            return Err(unavailable("too many reads wait for a connection"));
        }
        state.waiting.push_back(read);
        let is_late = state.waiting.front().is_some_and(|first| first.since.elapsed() >= LATE);
        let free = state.idle - state.called;
        if free == self.threads || (free > 0 && is_late) {
            state.called += 1;
            self.call.notify_one();
        }
        Ok(())
    }

    /// Waits for reads; none when there will be no more.
    fn take(&self, group: &mut Vec<Read>) {
        let mut state = self.lock();
        loop {
            let count = state.waiting.len().min(GROUP);
            group.extend(state.waiting.drain(..count).filter(|read| !read.is_given_up()));
            if !group.is_empty() || (state.is_closed && state.waiting.is_empty()) {
                return;
            }
            if state.waiting.is_empty() {
                state.idle += 1;
                while state.called == 0 && !state.is_closed {
                    state = self.call.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                state.called = state.called.saturating_sub(1);
                state.idle -= 1;
            }
        }
    }

    /// Answers all that wait like this.
    fn turn_away(&self, error: &RepositoryError) {
        let waiting = std::mem::take(&mut self.lock().waiting);
        for read in waiting {
            let _ = read.reply.send(Err(the_same(error)));
        }
    }

    fn close(&self) {
        self.lock().is_closed = true;
        self.call.notify_all();
    }
}

fn read(connections: &Shared, queue: &Queue) {
    let mut group = Vec::with_capacity(GROUP);
    loop {
        queue.take(&mut group);
        if group.is_empty() {
            return;
        }
        // A panic is in the log, and the reads that were not answered are dropped, which tells those
        // who wait for them.
        let _ = catch_unwind(AssertUnwindSafe(|| answer(connections, queue, &mut group)));
        group.clear();
    }
}

fn answer(connections: &Shared, queue: &Queue, group: &mut Vec<Read>) {
    let mut held = group.len();
    queue.held.fetch_add(held, Ordering::Relaxed);
    let found = connections.query(|conn| {
        queue.held.fetch_sub(std::mem::take(&mut held), Ordering::Relaxed);
        rows(conn, group)
    });
    queue.held.fetch_sub(held, Ordering::Relaxed);
    for Read { key, reply, .. } in group.drain(..) {
        let _ = reply.send(match &found {
            Ok(rows) => customer(rows, &key),
            Err(error) => Err(the_same(error)),
        });
    }
    // The server is away: waiting for it again, for each group, would keep the last of a full queue
    // for minutes.
    if let Err(error @ RepositoryError::Unavailable(_)) = &found {
        queue.turn_away(error);
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
    // What finds one customer takes the server less than what finds several of one.
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
