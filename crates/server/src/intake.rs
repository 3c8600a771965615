//! Takes in customers that come from elsewhere, whatever they are read from.

mod columns;
mod headings;
mod progress;
mod report;
mod row;
mod rows;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use customers_domain::Timestamp;
use customers_domain::import::Refusal;
use customers_storage::{
    Brought, DatabaseUrl, Import, ImportMode, ImportOptions, Outcome, Schema, schema,
};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::cli::Intake;
use crate::config::Database;
use crate::output::tell;
use crate::printable::printable;
use crate::signals::StopSignals;
use crate::{Failure, STOPPED, logging, same_file};
use columns::{Columns, Fault};
use headings::Headings;
use progress::Progress;
use report::Report;
use rows::{Batch, Message};

pub use progress::Gauge;
pub use row::{Cell, Column, Found, ReadError, Row, Sink};
pub use rows::Rows;

/// So many batches may wait to be taken in.
const WAITING: usize = 2;

/// Reads all of a source.
type Read = Box<dyn FnOnce(&mut Rows) -> Result<(), ReadError> + Send>;

/// What customers are read from.
pub struct Source {
    /// What it is called.
    pub name: String,
    /// Where it is a file.
    pub file: Option<PathBuf>,
    /// What a row of it is called: a line, a row or a customer.
    pub unit: &'static str,
    /// How much of it is read.
    pub gauge: Arc<Gauge>,
    /// Rows of lines before this one are passed over.
    pub start_at: u64,
    /// Whether what is read may show a customer twice, because it changes meanwhile.
    pub may_repeat: bool,
    /// Whether it may hold no customer.
    pub may_be_empty: bool,
    /// Reads it, in a thread of its own.
    pub read: Read,
    /// Tells how to go on where it is stopped: all lines before this one, if any, have been taken in.
    pub go_on: Box<dyn Fn(u64) -> String + Send>,
}

/// Takes in all customers of a source. Stopped by SIGINT or SIGTERM, it keeps what it has taken in.
///
/// A column `id` counts if ids are trusted, or as soon as the source finds out that they are to be.
pub async fn run(
    database: &Database,
    how: Intake,
    trusts_ids: bool,
    open: impl FnOnce(&AtomicBool) -> Result<Source, Failure> + Send + 'static,
) -> Result<(), Failure> {
    let headings = Headings::new(&how.map).map_err(Failure::Usage)?;
    if let Some(heading) = headings.mapped_to_ids().filter(|_| !trusts_ids) {
        return Err(Failure::Usage(format!(
            "--map {heading}=id: only with --ids, which says that these are ids of this registry"
        )));
    }
    let columns = Columns::new(headings, trusts_ids);
    let mut stop_signals = StopSignals::listen()?;
    let stop = Arc::new(AtomicBool::new(false));
    let (url, options) = (database.url()?, database.options()?);
    let (done, taken) = oneshot::channel();
    let stop_work = stop.clone();
    std::thread::spawn(move || {
        let work = || {
            let source = open(&stop_work)?;
            if let Some(report) = how.report_file() {
                same_file::refuse(report, source.file.as_deref(), &url)?;
            }
            let import = ImportOptions {
                on_conflict: how.on_conflict.into(),
                request_id: format!("import-{}", Timestamp::now().as_micros()),
                mode: how.mode(),
                may_repeat: source.may_repeat,
            };
            let (url, _folder) = match how.mode() {
                ImportMode::DryRun => to_try_in(url)?,
                _ => (url, None),
            };
            let brought = Brought::new(options.numbering.clone());
            let import = Import::open(&url, options, import)
                .map_err(|source| Failure::Open { url: url.to_string(), source })?;
            Work::run(import, columns, brought, &how, source, stop_work)
        };
        // An error means that the process is about to end.
        let _ = done.send(work());
    });
    tokio::pin!(taken);
    tokio::select! {
        taken = &mut taken => taken.map_err(Failure::other)?,
        () = stop_signals.next() => {
            stop.store(true, Ordering::Relaxed);
            // Where stderr is not read, this waits, as the work may do already; the second signal must not.
            std::thread::spawn(|| {
                tell("stopping when the customers being written are in; a second signal ends it at once");
            });
            tokio::select! {
                taken = taken => taken.map_err(Failure::other)?,
                // What is not finished is undone or mended by whoever opens the database next.
                () = stop_signals.next() => logging::exit_at_once(STOPPED),
            }
        }
    }
}

/// The database for a dry run, which changes nothing of it: where nothing is there to be looked at, one that
/// is gone with its folder.
fn to_try_in(url: DatabaseUrl) -> Result<(DatabaseUrl, Option<TempDir>), Failure> {
    let opened = schema(&url).map_err(|source| Failure::Open { url: url.to_string(), source });
    match opened? {
        Schema::Current => Ok((url, None)),
        Schema::Missing => {
            let folder = tempfile::tempdir().map_err(Failure::other)?;
            Ok((DatabaseUrl::Sqlite(folder.path().join("customers.db")), Some(folder)))
        }
        Schema::Earlier => Err(Failure::other(
            "the database is of an earlier version, and a dry run changes nothing of it; run \
             `customers migrate` first",
        )),
    }
}

/// How many customers have come in, and how.
#[derive(Default)]
struct Counts {
    created: u64,
    updated: u64,
    unchanged: u64,
    skipped: u64,
    refused: u64,
}

impl Counts {
    fn all(&self) -> u64 {
        self.created + self.updated + self.unchanged + self.skipped + self.refused
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { created, updated, unchanged, skipped, refused } = self;
        write!(
            f,
            "{created} created, {updated} updated, {unchanged} unchanged, {skipped} skipped, \
             {refused} refused"
        )
    }
}

/// Why an import ends before all of its source is taken in.
enum End {
    /// SIGINT or SIGTERM asked for it.
    Stopped,
    /// The source changed while it was read.
    Changed,
    Failed(String),
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure.to_string())
    }
}

struct Work {
    import: Import,
    report: Report,
    counts: Counts,
    columns: Arc<Mutex<Columns>>,
    progress: Progress,
    stop: Arc<AtomicBool>,
    /// All lines before this one have been taken in, but for those that wait, from `waits` on.
    reached: u64,
    waits: Option<u64>,
}

impl Work {
    fn run(
        import: Import,
        columns: Columns,
        brought: Brought,
        how: &Intake,
        source: Source,
        stop: Arc<AtomicBool>,
    ) -> Result<(), Failure> {
        let columns = Arc::new(Mutex::new(columns));
        let progress = Progress::new(source.gauge);
        let report = Report::new(how.report.as_deref(), progress.bar().cloned(), source.unit);
        let (to, messages) = mpsc::sync_channel(WAITING);
        let (start_at, may_be_empty) = (source.start_at, source.may_be_empty);
        let rows = Rows::new(columns.clone(), to, stop.clone(), start_at, may_be_empty, brought);
        let mut rows =
            rows.map_err(|error| Failure::other(format!("no temporary file: {error}")))?;
        let mut work = Self {
            import,
            report: report.map_err(cannot_report)?,
            counts: Counts::default(),
            columns,
            progress,
            stop,
            reached: source.start_at,
            waits: None,
        };
        work.report.say(&format!("reading {}", source.name));
        let read = source.read;
        let reader = std::thread::Builder::new().name("reader".to_owned()).spawn(move || {
            let read = read(&mut rows);
            rows.finish(read)
        });
        let reader = reader.map_err(Failure::other)?;
        let taken = messages.into_iter().try_for_each(|message| work.take(message));
        let read = reader.join().map_err(|_| Failure::other("the reader panicked"))?;
        let read = read.map_err(|error| match error {
            ReadError::Stopped => End::Stopped,
            ReadError::Changed => End::Changed,
            ReadError::Unreadable(what) => End::Failed(format!("{}: {what}", source.name)),
        });
        // Where taking has ended, reading has ended because of that.
        work.end(how, taken.and(read), &source.go_on)
    }

    /// Does what a message says.
    ///
    /// # Errors
    ///
    /// The import is stopped: this message and all behind it are left undone. Or it failed.
    fn take(&mut self, message: Message) -> Result<(), End> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(End::Stopped);
        }
        match message {
            Message::Note(note) => self.report.say(&note),
            Message::Batch(batch) => self.load(batch)?,
            Message::Waits(line) => self.waits = Some(line),
            Message::Rest(brought) => {
                self.import.settle().map_err(Failure::other)?;
                self.import.keep_free(brought);
            }
            Message::Last => self.reached = self.waits.take().unwrap_or(self.reached),
            Message::Then(then) => then()
                .map_err(|error| Failure::other(format!("cannot keep how far it is: {error}")))?,
        }
        Ok(())
    }

    fn load(&mut self, batch: Batch) -> Result<(), Failure> {
        let mut customers = Vec::with_capacity(batch.len());
        let mut rows = Vec::with_capacity(batch.len());
        for (line, read) in batch {
            rows.push((line, read.map(|incoming| customers.push(incoming))));
        }
        let mut outcomes = self.import.load(&customers).map_err(Failure::other)?.into_iter();
        let reached = rows.last().map_or(self.reached, |(line, _)| line + 1);
        let mut refused = Vec::new();
        for (line, read) in rows {
            match read.map(|()| outcomes.next()) {
                Err(faults) => refused.push((line, faults)),
                Ok(Some(Outcome::Created)) => self.counts.created += 1,
                Ok(Some(Outcome::Updated)) => self.counts.updated += 1,
                Ok(Some(Outcome::Unchanged)) => self.counts.unchanged += 1,
                Ok(Some(Outcome::Skipped)) => self.counts.skipped += 1,
                Ok(Some(Outcome::Refused(refusal))) => refused.push((line, self.faults(&refusal))),
                Ok(None) => unreachable!("each customer has an outcome"),
            }
        }
        self.counts.refused += refused.len() as u64;
        for (line, faults) in refused {
            faults.iter().try_for_each(|it| self.report.tell(line, it)).map_err(cannot_report)?;
        }
        // Whose mistakes are not told has to be looked at again.
        self.reached = reached;
        self.progress.tell(self.counts.all());
        Ok(())
    }

    fn faults(&self, refusal: &Refusal) -> Vec<Fault> {
        let columns = self.columns.lock().unwrap_or_else(PoisonError::into_inner);
        match refusal {
            Refusal::Incomplete(violations) => {
                let fault = |it: &customers_domain::Violation| {
                    columns.fault(it.attribute.name, it.rule.to_string())
                };
                violations.iter().map(fault).collect()
            }
            Refusal::AccountTaken { id } => {
                let what = format!("has already been taken by customer {id}");
                vec![columns.fault("customerAccount", what)]
            }
            Refusal::Exists { id, differing } => {
                let what = format!("differs from that of customer {id}; see --on-conflict");
                differing.iter().map(|name| columns.fault(name, what.clone())).collect()
            }
            Refusal::Repeated { differing, .. } => {
                let what =
                    "is another one than in an earlier row about the same customer".to_owned();
                differing.iter().map(|name| columns.fault(name, what.clone())).collect()
            }
            Refusal::TimesCrossed { created_at } => {
                let what = format!("must not be before created_at, {created_at}");
                vec![columns.fault("updated_at", what)]
            }
            Refusal::InFuture { now } => {
                let what = format!("must not be in the future, and it is {now} now");
                vec![columns.fault("updated_at", what)]
            }
            Refusal::Deleted { .. } => vec![Fault::of_row(refusal.to_string())],
        }
    }

    fn end(
        self,
        how: &Intake,
        mut ended: Result<(), End>,
        go_on: &dyn Fn(u64) -> String,
    ) -> Result<(), Failure> {
        let Self { import, report, counts, progress, stop, reached, waits, .. } = self;
        let mode = how.mode();
        // The signal came while the last batch was written, and nothing of it is kept yet.
        if mode == ImportMode::AllOrNothing && ended.is_ok() && stop.load(Ordering::Relaxed) {
            ended = Err(End::Stopped);
        }
        let stopped_at = waits.unwrap_or(reached).min(reached);
        let keeps = match mode {
            ImportMode::DryRun => false,
            ImportMode::AllOrNothing => ended.is_ok() && counts.refused == 0,
            ImportMode::Batches => true,
        };
        // What was kept batch by batch is settled even where it cannot go on.
        let finished = match keeps {
            true => import.finish().map_err(Failure::other),
            false => Ok(()),
        };
        progress.end();
        let would_be = match (mode, keeps, &ended) {
            (ImportMode::DryRun, _, Err(End::Stopped)) => {
                "Nothing is written. Of what was read until it was stopped, it would be: "
            }
            (ImportMode::DryRun, ..) => "Nothing is written. It would be: ",
            (_, false, Err(End::Stopped)) => {
                "Nothing is kept, because it was stopped. Of what was read it would be: "
            }
            (_, false, _) => "Nothing is kept, because not all could be. It would be: ",
            (_, true, _) => "",
        };
        let reported = report.finish(&format!("{would_be}{counts}.")).map_err(cannot_report);
        // What failed while it ended says more than that it was stopped.
        let ended = match finished.and(reported) {
            Err(failure) if !matches!(ended, Err(End::Failed(_))) => Err(failure.into()),
            _ => ended,
        };
        let further = match mode {
            ImportMode::Batches if counts.all() > 0 => format!(
                "; what came in is kept. To go on, run the same command again{}",
                go_on(stopped_at)
            ),
            _ => String::new(),
        };
        match (ended, counts.refused) {
            (Err(End::Stopped), _) => Err(Failure::Stopped(match mode {
                ImportMode::AllOrNothing => {
                    "stopped; nothing is kept. To begin again, run the same command again"
                        .to_owned()
                }
                _ if further.is_empty() => {
                    "stopped; nothing was written. To begin again, run the same command again"
                        .to_owned()
                }
                _ => printable(&format!("stopped{further}")),
            })),
            (Err(End::Changed), _) => {
                Err(Failure::Changed("the list changed while it was read; run it again".to_owned()))
            }
            (Err(End::Failed(what)), _) => {
                Err(Failure::other(printable(&format!("{what}{further}"))))
            }
            (Ok(()), 0) => Ok(()),
            (Ok(()), refused) => {
                let file = how.report_file().map(|file| format!("; see {}", file.display()));
                let file = file.unwrap_or_default();
                Err(Failure::other(format!("{refused} did not come in{file}")))
            }
        }
    }
}

fn cannot_report(error: std::io::Error) -> Failure {
    Failure::other(format!("cannot write the report: {error}"))
}
