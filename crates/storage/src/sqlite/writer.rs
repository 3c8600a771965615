//! The thread that does all writing: it commits what is queued as one transaction, so that many
//! writes share one flush to the disk.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use customers_domain::RepositoryError;
use diesel::prelude::*;
use diesel::r2d2::R2D2Connection;
use diesel::result::Error;
use diesel::sqlite::SqliteConnection;
use tokio::sync::{mpsc, oneshot};

use super::deferred::Deferred;
use super::file::DatabaseFile;
use super::horizon::Horizon;
use super::wal::{self, Wal};
use crate::error::{Abort, OpenError, from_sqlite, is_locked, unavailable};
use crate::mending::Mending;
use crate::statistics::{Groups, WriterStatistics};

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
    groups: Arc<Groups>,
    wal: PathBuf,
}

/// What the thread and others look at.
pub(super) struct Shared {
    file: Arc<DatabaseFile>,
    mending: Arc<Mending>,
    horizon: Arc<Horizon>,
    groups: Arc<Groups>,
}

impl Shared {
    pub fn new(file: Arc<DatabaseFile>, mending: Arc<Mending>, horizon: Arc<Horizon>) -> Self {
        Self { file, mending, horizon, groups: Arc::default() }
    }
}

impl Writer {
    /// Starts the thread on its connection, which is opened anew should it be left in the middle of
    /// a transaction.
    pub fn start(
        conn: SqliteConnection,
        wal: Wal,
        shared: Shared,
        reconnect: impl Fn() -> Result<SqliteConnection, OpenError> + Send + 'static,
    ) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let (groups, wal_path) = (shared.groups.clone(), wal.path().to_owned());
        let thread = std::thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || write(jobs, conn, wal, &shared, reconnect))
            .expect("a thread for writing");
        Self { queue: Some(queue), thread: Some(thread), groups, wal: wal_path }
    }

    pub fn statistics(&self) -> WriterStatistics {
        let free = self.queue.as_ref().map_or(QUEUE, |queue| queue.capacity());
        WriterStatistics {
            queued: QUEUE - free,
            capacity: QUEUE,
            groups: self.groups.counts(),
            writes: self.groups.writes(),
            wal_bytes: wal::length(&self.wal),
        }
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
        let job = Box::new(Queued { work, outcome: Outcome::Unknown, reply });
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
    outcome: Outcome<T, E>,
    reply: oneshot::Sender<Result<Result<T, E>, RepositoryError>>,
}

/// What has become of a write.
enum Outcome<T, E> {
    Unknown,
    Done(T),
    Refused(E),
    /// The work panicked. It is not done again: it may have been left half-way.
    Panicked,
}

/// Why the savepoint of a write is rolled back.
enum Undone<E> {
    Aborted(Abort<E>),
    Panicked,
}

impl<E> From<Error> for Undone<E> {
    fn from(error: Error) -> Self {
        Self::Aborted(error.into())
    }
}

impl<F, T, E> Job for Queued<F, T, E>
where
    F: FnMut(&mut SqliteConnection, &mut Deferred) -> Result<T, Abort<E>> + Send,
    T: Send,
    E: Send,
{
    fn attempt(&mut self, conn: &mut SqliteConnection, deferred: &mut Deferred) -> QueryResult<()> {
        if let Outcome::Panicked = self.outcome {
            return Ok(());
        }
        let mut cause = None;
        let mut own = Deferred::default();
        let done = conn.transaction(|conn| {
            // A panic undoes this write and none of its group. The panic itself is in the log.
            let work = AssertUnwindSafe(|| (self.work)(conn, &mut own));
            match catch_unwind(work) {
                Ok(Ok(done)) => Ok(done),
                Ok(Err(Abort::Refused(refusal))) => Err(Undone::Aborted(Abort::Refused(refusal))),
                Ok(Err(Abort::Failed(error))) => Err(keep(&mut cause, error).into()),
                Err(_) => Err(Undone::Panicked),
            }
        });
        self.outcome = match done {
            Ok(done) => {
                deferred.add(own);
                Outcome::Done(done)
            }
            Err(Undone::Aborted(Abort::Refused(refusal))) => Outcome::Refused(refusal),
            Err(Undone::Aborted(Abort::Failed(error))) => return Err(cause.unwrap_or(error)),
            Err(Undone::Panicked) => Outcome::Panicked,
        };
        Ok(())
    }

    fn answer(self: Box<Self>, result: Result<(), RepositoryError>) {
        let Self { outcome, reply, .. } = *self;
        let answer = result.and_then(|()| match outcome {
            Outcome::Done(done) => Ok(Ok(done)),
            Outcome::Refused(refusal) => Ok(Err(refusal)),
            Outcome::Panicked => Err(RepositoryError::Internal("the write panicked".into())),
            Outcome::Unknown => Err(RepositoryError::Internal("the write was not tried".into())),
        });
        // The client may be gone. The write is done all the same.
        let _ = reply.send(answer);
    }
}

fn write(
    mut jobs: mpsc::Receiver<Box<dyn Job>>,
    mut conn: SqliteConnection,
    mut wal: Wal,
    shared: &Shared,
    reconnect: impl Fn() -> Result<SqliteConnection, OpenError>,
) {
    let mut group = Vec::with_capacity(GROUP);
    while jobs.blocking_recv_many(&mut group, GROUP) > 0 {
        shared.groups.add(group.len());
        // What is written into a file that was replaced is lost when the process ends.
        if let Some(reason) = shared.file.replaced() {
            group.drain(..).for_each(|job| job.answer(Err(unavailable(reason.clone()))));
            continue;
        }
        // Each job catches its own panics. What else panics is in the log, and the jobs that were not
        // answered are dropped, which tells those who wait for them.
        let _ = catch_unwind(AssertUnwindSafe(|| commit(&mut conn, &mut group, &mut jobs, shared)));
        group.clear();
        if conn.is_broken() {
            match reconnect() {
                Ok(fresh) => conn = fresh,
                // The next group fails, and tries again.
                Err(error) => log::error!("the writer cannot open the database again: {error}"),
            }
        } else {
            wal.keep_short(&mut conn);
        }
    }
}

/// Commits the group as one transaction and answers.
///
/// A job that is tried again finds the database as it was before: where a transaction fails, SQLite keeps
/// nothing of it, not even where its COMMIT fails.
///
/// Where the database fails, nobody can tell which of the group is at fault (a full disk undoes the
/// whole transaction), so each job is tried again by itself.
fn commit(
    conn: &mut SqliteConnection,
    group: &mut Vec<Box<dyn Job>>,
    behind: &mut mpsc::Receiver<Box<dyn Job>>,
    shared: &Shared,
) {
    match attempt(conn, group, shared) {
        Ok(()) => group.drain(..).for_each(|job| job.answer(Ok(()))),
        Err(error) if is_locked(&error) => turn_away(group, behind, &error),
        Err(_) => {
            while !group.is_empty() {
                let alone = attempt(conn, &mut group[..1], shared);
                match alone {
                    Err(error) if is_locked(&error) => return turn_away(group, behind, &error),
                    alone => group.remove(0).answer(alone.map_err(from_sqlite)),
                }
            }
        }
    }
}

/// Does the jobs in one transaction.
fn attempt(
    conn: &mut SqliteConnection,
    jobs: &mut [Box<dyn Job>],
    shared: &Shared,
) -> QueryResult<()> {
    let mut cause = None;
    let mended = conn
        .immediate_transaction(|conn| {
            shared.horizon.reach();
            let mut deferred = Deferred::default();
            jobs.iter_mut()
                .try_for_each(|job| job.attempt(conn, &mut deferred))
                .and_then(|()| deferred.apply(conn))
                .map_err(|error| keep(&mut cause, error))
        })
        .map_err(|error| cause.unwrap_or(error))?;
    mended.into_iter().for_each(|mended| shared.mending.add(mended));
    Ok(())
}

/// Keeps an error that undoes a transaction. diesel would rather tell why the ROLLBACK failed, as it
/// does where SQLite has already rolled back by itself.
fn keep(cause: &mut Option<Error>, error: Error) -> Error {
    *cause = Some(error);
    Error::RollbackTransaction
}

/// Answers all that wait, too, when another process does not let go of the file: nothing was begun,
/// and waiting again, for each job or for each group, would keep the last of a full queue for
/// minutes.
fn turn_away(
    group: &mut Vec<Box<dyn Job>>,
    behind: &mut mpsc::Receiver<Box<dyn Job>>,
    locked: &Error,
) {
    while let Ok(job) = behind.try_recv() {
        group.push(job);
    }
    group.drain(..).for_each(|job| job.answer(Err(unavailable(locked.to_string()))));
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use diesel::connection::SimpleConnection;
    use diesel::sql_types::{BigInt, Text};

    use super::super::connect_for_writing;
    use super::*;
    use crate::error::Never;
    use crate::sql::Sql;

    #[tokio::test]
    async fn a_write_that_panics_undoes_itself_and_no_other_of_its_group() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.db").to_str().unwrap().to_owned();
        let mut conn = connect_for_writing(&file).unwrap();
        conn.batch_execute("CREATE TABLE t (x)").unwrap();
        let (reply_of, answers): (Vec<_>, Vec<_>) = (0..3).map(|_| oneshot::channel()).unzip();
        let tries = Arc::new(AtomicU32::new(0));
        let job = |(number, reply): (i64, _)| -> Box<dyn Job> {
            let tries = tries.clone();
            let work = move |conn: &mut SqliteConnection, _: &mut Deferred| {
                let insert = Sql::new("INSERT INTO t VALUES (").bind(number).push(")");
                RunQueryDsl::execute(insert, conn)?;
                if number == 1 {
                    tries.fetch_add(1, Ordering::Relaxed);
                    panic!("half-way");
                }
                Ok::<i64, Abort<Never>>(number)
            };
            Box::new(Queued { work, outcome: Outcome::Unknown, reply })
        };
        let mut group: Vec<_> = (0..).zip(reply_of).map(job).collect();
        let (_sender, mut behind) = mpsc::channel(1);
        let horizon = Arc::new(Horizon::open(&file).unwrap());
        let opened = Arc::new(DatabaseFile::of(&file).unwrap());
        let shared = Shared::new(opened, Arc::default(), horizon);
        commit(&mut conn, &mut group, &mut behind, &shared);
        let answers: Vec<_> = futures_util::future::join_all(answers).await;
        let is_done = |at: usize| matches!(answers[at], Ok(Ok(Ok(number))) if number == at as i64);
        assert!(is_done(0) && is_done(2), "{answers:?}");
        assert!(matches!(answers[1], Ok(Err(RepositoryError::Internal(_)))), "{answers:?}");
        let kept = Sql::new("SELECT x FROM t ORDER BY x").typed::<BigInt>().load::<i64>(&mut conn);
        assert_eq!(kept.unwrap(), [0, 2]);
        assert_eq!(tries.load(Ordering::Relaxed), 1);
    }

    /// No killed process shows whether a commit has reached the disk, only a power cut does.
    #[test]
    fn a_commit_is_flushed_to_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let mut conn = connect_for_writing(folder.path().join("c.db").to_str().unwrap()).unwrap();
        #[derive(QueryableByName)]
        struct Setting {
            #[diesel(sql_type = Text)]
            value: String,
        }
        let settings: Vec<Setting> = diesel::sql_query(
            "SELECT CAST(synchronous AS TEXT) AS value FROM pragma_synchronous
             UNION ALL SELECT journal_mode FROM pragma_journal_mode",
        )
        .load(&mut conn)
        .unwrap();
        let full = "2";
        assert_eq!(
            settings.iter().map(|setting| &*setting.value).collect::<Vec<_>>(),
            [full, "wal"]
        );
    }
}
