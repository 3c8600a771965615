//! `customers export`: writes customers to a file or to stdout, all as they are at one moment.

mod columns;
mod progress;
mod sheet;
mod target;

use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use customers_api::export::{selection, write_customer, write_entry};
use customers_domain::selection::{Filter, Selection, Trashed};
use customers_domain::{Customer, CustomerId, RepositoryError};
use customers_storage::{DatabaseUrl, Export, Options};
use indicatif::HumanCount;
use tokio::sync::oneshot;

use crate::cli::{Deleted, ExportFormat as Format, ExportTo};
use crate::config::Database;
use crate::erase::unknown;
use crate::output::{show, tell};
use crate::signals::StopSignals;
use crate::{Failure, logging, same_file};
use progress::Progress;
use sheet::{Sheet, SheetError};
use target::Target;

pub use sheet::MARK;

/// So many entries of a history are read at once.
const ENTRIES: u32 = 500;

/// Why an export is not made.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error("{0}")]
    Write(#[from] io::Error),
    #[error(transparent)]
    Read(#[from] RepositoryError),
    #[error(transparent)]
    Sheet(#[from] SheetError),
    #[error(
        "a sheet has rows for {most} customers, and there are {total}; export as csv or ndjson, or \
         fewer with --filter",
        most = sheet::MOST
    )]
    TooMany { total: u64 },
    #[error("stopped before all was written")]
    Stopped,
    #[error("there is no customer {0}")]
    Unknown(CustomerId),
}

/// What is exported.
enum What {
    Table { selection: Selection, format: Format, raw: bool },
    Document(CustomerId),
}

/// Exports what is asked for. Stopped by SIGINT or SIGTERM, it leaves no file.
pub async fn run(database: &Database, to: ExportTo) -> Result<(), Failure> {
    let path = to.path.filter(|path| path != Path::new("-"));
    let what = match to.id {
        Some(id) => What::Document(id),
        None => What::Table {
            selection: selected(&to.filters, to.trashed)?,
            format: format(to.format, path.as_deref())?,
            raw: to.raw,
        },
    };
    let (url, options) = (database.url()?, database.options()?);
    let mut signals = StopSignals::listen()?;
    let stop = Arc::new(AtomicBool::new(false));
    let unfinished = Arc::new(OnceLock::new());
    let (done, exported) = oneshot::channel();
    let (flag, part) = (stop.clone(), unfinished.clone());
    std::thread::spawn(move || {
        // An error means that the process is about to end.
        let _ = done.send(export(&url, options, what, path.as_deref(), flag, &part));
    });
    tokio::pin!(exported);
    tokio::select! {
        exported = &mut exported => exported.map_err(Failure::other)?,
        () = signals.next() => {
            stop.store(true, Ordering::Relaxed);
            tokio::select! {
                exported = exported => exported.map_err(Failure::other)?,
                () = signals.next() => {
                    // An error means that it has its name, or is gone.
                    let _ = unfinished.get().map(fs::remove_file::<&PathBuf>);
                    logging::exit_at_once(1)
                }
            }
        }
    }
}

/// The customers that are asked for, as the API's list reads it.
fn selected(filters: &[(String, String)], trashed: Option<Deleted>) -> Result<Selection, Failure> {
    let trashed = trashed.map(|which| match which {
        Deleted::With => ("trashed", "with"),
        Deleted::Only => ("trashed", "only"),
    });
    let filters = filters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    selection(filters.chain(trashed)).map_err(|error| Failure::Usage(error.to_string()))
}

/// The format, by the name of the file where it is not said.
fn format(said: Option<Format>, path: Option<&Path>) -> Result<Format, Failure> {
    let (None, Some(path)) = (said, path) else { return Ok(said.unwrap_or(Format::Ndjson)) };
    let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    match ending.to_ascii_lowercase().as_str() {
        "ndjson" | "jsonl" => Ok(Format::Ndjson),
        "csv" => Ok(Format::Csv),
        "xlsx" => Ok(Format::Xlsx),
        _ => Err(Failure::Usage(format!(
            "the name {} does not say how to write it: let it end with .ndjson, .csv or .xlsx, or say \
             --format",
            path.display()
        ))),
    }
}

fn export(
    url: &DatabaseUrl,
    options: Options,
    what: What,
    path: Option<&Path>,
    stop: Arc<AtomicBool>,
    unfinished: &OnceLock<PathBuf>,
) -> Result<(), Failure> {
    let shown = path.map_or("stdout".into(), Path::to_string_lossy);
    let named = |error: ExportError| match error {
        ExportError::Write(_) if stop.load(Ordering::Relaxed) => {
            Failure::other(ExportError::Stopped)
        }
        ExportError::Write(error) => Failure::other(format!("cannot write to {shown}: {error}")),
        ExportError::Unknown(id) => unknown(id),
        ExportError::Read(error @ RepositoryError::Internal(_)) => Failure::other(format!(
            "{}; `customers check` tells what is wrong with the database",
            Failure::other(error)
        )),
        ExportError::Read(error) => Failure::other(error),
        error => Failure::other(error),
    };
    if let Some(path) = path {
        same_file::refuse(path, None, url)?;
    }
    let mut target = Target::open(path, stop.clone(), unfinished)
        .map_err(|error| named(ExportError::Write(error)))?;
    let begin = |selection| {
        Export::begin(url, options, selection)
            .map_err(|source| Failure::Open { url: url.to_string(), source })
    };
    // The state that is exported is given up before anybody is waited for who reads the rest.
    let written = match what {
        What::Table { selection, format, raw } => {
            let export = begin(selection)?;
            let is_watched =
                io::stderr().is_terminal() && (path.is_some() || !io::stdout().is_terminal());
            write_table(export, format, raw, &mut target, &stop, is_watched)
        }
        What::Document(id) => {
            let filters = vec![Filter::Id(vec![id])];
            let export = begin(Selection { filters, trashed: Trashed::With })?;
            write_document(export, id, &mut target)
        }
    };
    let customers = match written.and_then(|customers| {
        target.finish()?;
        Ok(customers)
    }) {
        Ok(customers) => customers,
        // Whoever reads may stop early, like `head` does.
        Err(ExportError::Write(error)) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
        Err(error) => return Err(named(error)),
    };
    let customers = match customers {
        1 => "1 customer".to_owned(),
        customers => format!("{} customers", HumanCount(customers)),
    };
    match path {
        Some(_) => show(&format!("Exported {customers} to {shown}.")).map_err(Failure::other),
        None => {
            tell(&format!("exported {customers}"));
            Ok(())
        }
    }
}

/// Writes the customers; how many there were.
fn write_table(
    mut export: Export,
    format: Format,
    raw: bool,
    target: &mut Target,
    stop: &AtomicBool,
    is_watched: bool,
) -> Result<u64, ExportError> {
    let total = export.total();
    let mut progress = Progress::new(total, is_watched);
    let mut each = |take: &mut dyn FnMut(&[Customer]) -> Result<(), ExportError>| {
        let written = loop {
            if stop.load(Ordering::Relaxed) {
                break Err(ExportError::Stopped);
            }
            match export.read()? {
                customers if customers.is_empty() => break Ok(progress.done()),
                customers => {
                    if let Err(error) = take(&customers) {
                        break Err(error);
                    }
                    progress.add(customers.len());
                }
            }
        };
        progress.end();
        written
    };
    match format {
        Format::Ndjson => each(&mut |customers| Ok(target.write_all(&lines(customers))?)),
        Format::Csv => {
            target.write_all(&columns::csv_head())?;
            each(&mut |customers| Ok(target.write_all(&columns::csv_rows(customers, raw))?))
        }
        Format::Xlsx => {
            if total > sheet::MOST {
                return Err(ExportError::TooMany { total });
            }
            let mut sheet = Sheet::new()?;
            let customers = each(&mut |customers| {
                Ok(customers.iter().try_for_each(|customer| sheet.add(customer))?)
            })?;
            // Packing it takes a while, and nothing of the database.
            drop(export);
            sheet.save(target.whole()?)?;
            Ok(customers)
        }
    }
}

/// The customers as lines of JSON.
fn lines(customers: &[Customer]) -> Vec<u8> {
    let mut lines = Vec::new();
    for customer in customers {
        write_customer(customer, &mut lines);
        lines.push(b'\n');
    }
    lines
}

/// Writes all that is kept of a customer.
fn write_document(
    mut export: Export,
    id: CustomerId,
    target: &mut Target,
) -> Result<u64, ExportError> {
    let customers = export.read()?;
    let customer = customers.first().ok_or(ExportError::Unknown(id))?;
    let mut json = b"{\"customer\":".to_vec();
    write_customer(customer, &mut json);
    json.extend_from_slice(b",\"history\":[");
    let mut before = None;
    loop {
        let entries = export.history(id, before, ENTRIES)?;
        for entry in &entries {
            if before.is_some() {
                json.push(b',');
            }
            write_entry(entry, &mut json);
            before = Some(entry.id);
        }
        target.write_all(&json)?;
        json.clear();
        if entries.len() < ENTRIES as usize {
            break;
        }
    }
    target.write_all(b"]}\n")?;
    Ok(1)
}
