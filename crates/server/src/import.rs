//! `customers import`: brings in customers from a file.

mod columns;
mod json;
mod reading;
mod report;
mod row;
mod sheet;
mod table;

use std::fs::File;
use std::io::{IsTerminal, Seek};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use customers_domain::Timestamp;
use customers_domain::import::{Incoming, Refusal};
use customers_storage::{Import, ImportMode, ImportOptions, Outcome};
use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressStyle};
use tokio::sync::oneshot;

use crate::Failure;
use crate::cli::ImportFrom;
use crate::config::Database;
use crate::signals::StopSignals;
use columns::{Columns, Fault};
pub use reading::Format;
use reading::{Message, Reading};
use report::Report;
use row::ReadError;

/// Where nobody watches a bar, how far it is gets told so often.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// So many batches may wait to be taken in.
const WAITING: usize = 2;

/// How many customers have come in, and how.
#[derive(Default)]
struct Counts {
    created: u64,
    updated: u64,
    unchanged: u64,
    skipped: u64,
    refused: u64,
}

/// Brings in the customers of a file. Stopped by SIGINT or SIGTERM, it keeps what it has taken in.
pub async fn run(database: &Database, from: ImportFrom) -> Result<(), Failure> {
    let columns = Columns::new(&from.map).map_err(Failure::Usage)?;
    let mut stop_signals = StopSignals::listen()?;
    let stop = Arc::new(AtomicBool::new(false));
    let mode = match (from.dry_run, from.all_or_nothing) {
        (true, _) => ImportMode::DryRun,
        (false, true) => ImportMode::AllOrNothing,
        (false, false) => ImportMode::Batches,
    };
    let options = ImportOptions {
        on_conflict: from.on_conflict.into(),
        request_id: format!("import-{}", Timestamp::now().as_micros()),
        mode,
    };
    let url = database.url()?;
    let import = Import::open(&url, database.options()?, options)
        .map_err(|source| Failure::Open { url: url.to_string(), source })?;
    let (done, imported) = oneshot::channel();
    let stop_work = stop.clone();
    std::thread::spawn(move || {
        // An error means that the process is about to end.
        let _ = done.send(Work::start(import, columns, &from, mode, stop_work));
    });
    tokio::pin!(imported);
    tokio::select! {
        imported = &mut imported => imported.map_err(Failure::other)?,
        () = stop_signals.next() => {
            stop.store(true, Ordering::Relaxed);
            tokio::select! {
                imported = imported => imported.map_err(Failure::other)?,
                // What is not finished is undone or mended by whoever opens the database next.
                () = stop_signals.next() => std::process::exit(1),
            }
        }
    }
}

struct Work {
    import: Import,
    report: Report,
    counts: Counts,
    columns: Arc<Mutex<Columns>>,
    progress: Progress,
    stop: Arc<AtomicBool>,
}

impl Work {
    fn start(
        import: Import,
        columns: Columns,
        from: &ImportFrom,
        mode: ImportMode,
        stop: Arc<AtomicBool>,
    ) -> Result<(), Failure> {
        let named = |error: std::io::Error| {
            Failure::other(format!("cannot read {}: {error}", from.file.display()))
        };
        let mut file = open(&from.file).map_err(named)?;
        let format = match from.format {
            Some(format) => format,
            None => Format::of(&from.file, &mut file).map_err(named)?,
        };
        let length = file.metadata().map_err(named)?.len();
        let columns = Arc::new(Mutex::new(columns));
        let position = Arc::new(AtomicU64::new(0));
        // Of a spreadsheet nobody can tell how much of it is read.
        let length = Some(length).filter(|_| !matches!(format, Format::Xlsx | Format::Ods));
        let progress = Progress::new(position.clone(), length);
        let report = Report::new(from.report.as_deref(), progress.bar.clone(), format.unit());
        let (to, messages) = mpsc::sync_channel(WAITING);
        let reading = Reading {
            file,
            format,
            separator: from.separator,
            sheet: from.sheet.clone(),
            columns: columns.clone(),
            to,
            stop: stop.clone(),
            position,
        };
        let mut work = Self {
            import,
            report: report
                .map_err(|error| Failure::other(format!("cannot write the report: {error}")))?,
            counts: Counts::default(),
            columns,
            progress,
            stop,
        };
        work.report.say(&format!("reading {}", from.file.display()));
        let reader = std::thread::spawn(move || reading.run());
        let taken = messages.into_iter().try_for_each(|message| work.take(message));
        let read = reader.join().map_err(|_| Failure::other("the reader panicked"))?;
        work.end(mode, taken, read, from)
    }

    fn take(&mut self, message: Message) -> Result<(), Failure> {
        match message {
            Message::Note(note) => self.report.say(&note),
            Message::Faults(line, faults) => self.refuse(line, &faults)?,
            Message::Rest => self.import.settle().map_err(Failure::other)?,
            Message::Batch(batch) if !self.stop.load(Ordering::Relaxed) => self.load(batch)?,
            Message::Batch(_) => {}
        }
        Ok(())
    }

    fn load(&mut self, batch: Vec<(u64, Incoming)>) -> Result<(), Failure> {
        let (lines, customers): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let outcomes = self.import.load(&customers).map_err(Failure::other)?;
        for (line, outcome) in lines.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Created => self.counts.created += 1,
                Outcome::Updated => self.counts.updated += 1,
                Outcome::Unchanged => self.counts.unchanged += 1,
                Outcome::Skipped => self.counts.skipped += 1,
                Outcome::Refused(refusal) => {
                    let faults = self.faults(&refusal);
                    self.refuse(line, &faults)?;
                }
            }
        }
        self.progress.tell(self.counts.all());
        Ok(())
    }

    fn refuse(&mut self, line: u64, faults: &[Fault]) -> Result<(), Failure> {
        self.counts.refused += 1;
        for fault in faults {
            let told = self.report.tell(line, fault);
            told.map_err(|error| Failure::other(format!("cannot write the report: {error}")))?;
        }
        Ok(())
    }

    fn faults(&self, refusal: &Refusal) -> Vec<Fault> {
        let columns = self.columns.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
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
            Refusal::Exists { .. } => {
                vec![Fault::of_row(format!("{refusal}; see --on-conflict"))]
            }
            Refusal::Deleted { .. } => vec![Fault::of_row(refusal.to_string())],
        }
    }

    fn end(
        self,
        mode: ImportMode,
        taken: Result<(), Failure>,
        read: Result<(), ReadError>,
        from: &ImportFrom,
    ) -> Result<(), Failure> {
        let Self { import, mut report, counts, progress, .. } = self;
        let stopped = matches!(read, Err(ReadError::Stopped));
        let is_whole = taken.is_ok() && read.is_ok() && counts.refused == 0;
        let keeps = mode != ImportMode::AllOrNothing || is_whole;
        let finished = if keeps { import.finish().map_err(Failure::other) } else { Ok(()) };
        if let Some(bar) = progress.bar {
            bar.finish_and_clear();
        }
        report.finish().map_err(Failure::other)?;
        taken.and(finished)?;
        if let Err(ReadError::Unreadable(what)) = &read {
            eprintln!("{counts}");
            return Err(Failure::other(format!("{}: {what}", from.file.display())));
        }
        match (mode, keeps) {
            (ImportMode::DryRun, _) => println!("Nothing is written. It would be: {counts}."),
            (_, false) => {
                println!("Nothing is kept, because not all could be. It would be: {counts}.")
            }
            _ => println!("{counts}."),
        }
        if stopped {
            let kept = match keeps {
                true => {
                    "what came in is kept; run the same command again to go on: it passes over \
                         what is there"
                }
                false => "nothing is kept",
            };
            return Err(Failure::other(format!("stopped; {kept}")));
        }
        match counts.refused {
            0 => Ok(()),
            refused => {
                let file = from.report.as_ref().map(|file| format!("; see {}", file.display()));
                Err(Failure::other(format!(
                    "{refused} did not come in{}",
                    file.unwrap_or_default()
                )))
            }
        }
    }
}

/// The file, or all that comes from stdin.
fn open(path: &Path) -> std::io::Result<File> {
    if path != Path::new("-") {
        return File::open(path);
    }
    let mut file = tempfile::tempfile()?;
    std::io::copy(&mut std::io::stdin().lock(), &mut file)?;
    file.rewind()?;
    Ok(file)
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

/// How far it is.
struct Progress {
    bar: Option<ProgressBar>,
    position: Arc<AtomicU64>,
    length: Option<u64>,
    started: Instant,
    next: Instant,
}

impl Progress {
    fn new(position: Arc<AtomicU64>, length: Option<u64>) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = match length {
                Some(_) => "{bar:40} {percent:>3} %  {msg}  {eta} left",
                None => "{spinner} {msg}",
            };
            let style = ProgressStyle::with_template(style).expect("a valid template");
            let bar = length.map_or_else(ProgressBar::no_length, ProgressBar::new);
            bar.with_style(style)
        });
        let started = Instant::now();
        Self { bar, position, length, started, next: started + LINE_EVERY }
    }

    fn tell(&mut self, rows: u64) {
        let now = Instant::now();
        let seconds = (now - self.started).as_secs_f64();
        let rate = HumanCount((rows as f64 / seconds) as u64);
        let position = self.position.load(Ordering::Relaxed);
        let text = format!("{} rows, {rate}/s", HumanCount(rows));
        if let Some(bar) = &self.bar {
            bar.set_message(text);
            bar.set_position(position);
        } else if now >= self.next {
            self.next = now + LINE_EVERY;
            let left = self.length.and_then(|length| {
                let left =
                    length.saturating_sub(position) as f64 / position.max(1) as f64 * seconds;
                Duration::try_from_secs_f64(left).ok()
            });
            let left = left.map_or(String::new(), |left| format!(", {} left", HumanDuration(left)));
            eprintln!("read {text}{left}");
        }
    }
}
