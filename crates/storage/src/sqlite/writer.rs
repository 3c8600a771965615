//! The thread that does all writing: it commits what is queued as one transaction, so that many
//! writes share one flush to the disk.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;

use customers_domain::RepositoryError;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use tokio::sync::{mpsc, oneshot};

use super::deferred::Deferred;
use crate::error::{Abort, OpenError, from_sqlite, is_locked, unavailable};

/// The most writes that wait; one more is turned away.
const QUEUE: usize = 1024;

/// The most writes of one transaction: enough to make the flush cheap, few enough that the first
/// does not wait long for the last.
const GROUP: usize = 128;

/// Hands writes to the thread.
pub(super) struct Writer {
    /// `None` only while dropping.
    queue: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread on its connection, which is opened anew should a write panic.
    pub fn start(
        conn: SqliteConnection,
        reconnect: impl Fn() -> Result<SqliteConnection, OpenError> + Send + 'static,
    ) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || write(jobs, conn, reconnect))
            .expect("a thread for writing");
        Self { queue: Some(queue), thread: Some(thread) }
    }

    /// Does the work in a transaction and answers when that is on the disk.
    ///
    /// The work may be done more than once, from the start, when what shared its transaction failed.
    /// It is done whether or not anybody waits for the answer.
    pub async fn run<T, E>(
        &self,
        mut work: impl FnMut(&mut SqliteConnection) -> Result<T, Abort<E>> + Send + 'static,
    ) -> Result<Result<T, E>, RepositoryError>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        self.run_deferring(move |conn, _| work(conn)).await
    }

    /// The same for work that leaves something to be done for its whole group at once.
    pub async fn run_deferring<T, E>(
        &self,
        work: impl FnMut(&mut SqliteConnection, &mut Deferred) -> Result<T, Abort<E>> + Send + 'static,
    ) -> Result<Result<T, E>, RepositoryError>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Queued { work, outcome: None, reply });
        let queue = self.queue.as_ref().expect("a queue until it is dropped");
        queue.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => unavailable("too many writes are waiting"),
            mpsc::error::TrySendError::Closed(_) => unavailable("the writer has stopped"),
        })?;
        answer.await.unwrap_or_else(|_| Err(RepositoryError::Internal("the write panicked".into())))
    }
}

/// Finishes what is queued.
impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A write whose types the queue need not know.
trait Job: Send {
    /// Does the work under a savepoint. A refusal is kept for the answer; a failure is returned.
    fn attempt(&mut self, conn: &mut SqliteConnection, deferred: &mut Deferred) -> QueryResult<()>;
    /// Answers, after the commit.
    fn answer(self: Box<Self>, result: Result<(), RepositoryError>);
}

struct Queued<F, T, E> {
    work: F,
    outcome: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<Result<T, E>, RepositoryError>>,
}

impl<F, T, E> Job for Queued<F, T, E>
where
    F: FnMut(&mut SqliteConnection, &mut Deferred) -> Result<T, Abort<E>> + Send,
    T: Send,
    E: Send,
{
    fn attempt(&mut self, conn: &mut SqliteConnection, deferred: &mut Deferred) -> QueryResult<()> {
        let mut own = Deferred::default();
        self.outcome = match conn.transaction(|conn| (self.work)(conn, &mut own)) {
            Ok(done) => {
                deferred.add(own);
                Some(Ok(done))
            }
            Err(Abort::Refused(refusal)) => Some(Err(refusal)),
            Err(Abort::Failed(error)) => return Err(error),
        };
        Ok(())
    }

    fn answer(self: Box<Self>, result: Result<(), RepositoryError>) {
        let Self { outcome, reply, .. } = *self;
        let answer = result.map(|()| outcome.expect("an outcome of every attempted job"));
        // Nobody may be waiting any more; the write is done all the same.
        let _ = reply.send(answer);
    }
}

fn write(
    mut jobs: mpsc::Receiver<Box<dyn Job>>,
    mut conn: SqliteConnection,
    reconnect: impl Fn() -> Result<SqliteConnection, OpenError>,
) {
    let mut group = Vec::with_capacity(GROUP);
    while jobs.blocking_recv_many(&mut group, GROUP) > 0 {
        let done = catch_unwind(AssertUnwindSafe(|| commit(&mut conn, &mut group, &mut jobs)));
        if done.is_err() {
            // The jobs that were not answered are dropped, which tells those who wait for them.
            group.clear();
            match reconnect() {
                Ok(fresh) => conn = fresh,
                Err(error) => log::error!("the writer cannot open the database again: {error}"),
            }
        }
    }
}

/// Commits the group as one transaction and answers.
///
/// Where the database fails, nobody can tell which of the group is at fault (a full disk undoes the
/// whole transaction), so each job is tried again by itself.
fn commit(
    conn: &mut SqliteConnection,
    group: &mut Vec<Box<dyn Job>>,
    behind: &mut mpsc::Receiver<Box<dyn Job>>,
) {
    let together = conn.immediate_transaction(|conn| {
        let mut deferred = Deferred::default();
        group.iter_mut().try_for_each(|job| job.attempt(conn, &mut deferred))?;
        deferred.apply(conn)
    });
    match together {
        Ok(()) => group.drain(..).for_each(|job| job.answer(Ok(()))),
        Err(error) if is_locked(&error) => {
            // Nothing was begun. Waiting again, for each job or for each group behind this one,
            // would keep the last of a full queue for minutes.
            while let Ok(job) = behind.try_recv() {
                group.push(job);
            }
            group.drain(..).for_each(|job| job.answer(Err(unavailable(error.to_string()))));
        }
        Err(_) if group.len() > 1 => {
            for mut job in group.drain(..) {
                let alone = conn.immediate_transaction(|conn| {
                    let mut deferred = Deferred::default();
                    job.attempt(conn, &mut deferred)?;
                    deferred.apply(conn)
                });
                job.answer(alone.map_err(from_sqlite));
            }
        }
        Err(error) => {
            if let Some(job) = group.pop() {
                job.answer(Err(from_sqlite(error)));
            }
        }
    }
}
