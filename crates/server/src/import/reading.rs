//! Reads a file in a thread of its own, row by row, and hands on what comes in.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex};

use clap::ValueEnum;
use customers_domain::import::Incoming;

use super::columns::{Columns, Fault};
use super::row::{Found, ReadError, Row};
use super::table::Written;
use super::{json, sheet};

/// So many customers are taken in at once.
const BATCH: usize = 2_000;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Values with commas, semicolons or tabs between them; UTF-8, UTF-16 or Windows-1252.
    Csv,
    /// A JSON object on each line.
    Ndjson,
    /// Pages as the list answers them, arrays of customers, or customers.
    Json,
    /// A workbook of Excel.
    Xlsx,
    /// A spreadsheet of OpenDocument.
    Ods,
}

impl Format {
    /// The format that the name or the beginning of a file tells.
    pub fn of(path: &Path, file: &mut File) -> io::Result<Self> {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        Ok(match extension.as_str() {
            "csv" | "tsv" | "txt" => Self::Csv,
            "ndjson" | "jsonl" => Self::Ndjson,
            "json" => Self::Json,
            "xlsx" | "xlsm" => Self::Xlsx,
            "ods" => Self::Ods,
            _ => {
                let mut start = Vec::new();
                (&*file).take(4096).read_to_end(&mut start)?;
                file.rewind()?;
                let text = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&start).trim_ascii_start();
                let has = |part: &[u8]| start.windows(part.len()).any(|it| it == part);
                match text.first() {
                    Some(b'[') => Self::Json,
                    Some(b'{') if has(b"\"data\"") => Self::Json,
                    Some(b'{') => Self::Ndjson,
                    Some(b'P') if has(b"opendocument") => Self::Ods,
                    Some(b'P') if start.starts_with(b"PK\x03\x04") => Self::Xlsx,
                    _ => Self::Csv,
                }
            }
        })
    }

    /// What a row of it is called.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Csv | Self::Ndjson => "line",
            Self::Json => "customer",
            Self::Xlsx | Self::Ods => "row",
        }
    }
}

/// What is handed on.
pub enum Message {
    /// Something to be said once.
    Note(String),
    Faults(u64, Vec<Fault>),
    /// Customers and the lines they come from.
    Batch(Vec<(u64, Incoming)>),
    /// Only customers without an account are left: they come last, so that none is made for them that
    /// another comes with.
    Rest,
}

/// What is read, and how.
pub struct Reading {
    pub file: File,
    pub format: Format,
    pub separator: Option<u8>,
    pub sheet: Option<String>,
    pub columns: Arc<Mutex<Columns>>,
    pub to: SyncSender<Message>,
    pub stop: Arc<AtomicBool>,
    /// How many bytes of it are read.
    pub position: Arc<AtomicU64>,
}

/// What counts the bytes that go through it.
struct Counted<R>(R, Arc<AtomicU64>);

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer)?;
        self.1.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

impl Reading {
    /// Reads all of it.
    ///
    /// # Errors
    ///
    /// Where it cannot be read on, or nobody wants more.
    pub fn run(self) -> Result<(), ReadError> {
        let Self { mut file, format, separator, sheet, columns, to, stop, position } = self;
        let spool = tempfile::tempfile().map_err(ReadError::unreadable)?;
        let mut rows = Rows { columns, to, stop, batch: Vec::new(), spool, spooled: 0 };
        let sheet = sheet.as_deref();
        let written = match format {
            Format::Csv => {
                let written =
                    Written::find_out(&mut file, separator).map_err(ReadError::unreadable)?;
                rows.send(Message::Note(format!("This is {written}.")))?;
                Some(written)
            }
            _ => None,
        };
        let counted = Counted(&file, position);
        let sink = &mut |found: Found| rows.take(found);
        match (format, written) {
            (Format::Ndjson, _) => json::read_lines(counted, sink)?,
            (Format::Json, _) => json::read_pages(counted, sink)?,
            (Format::Xlsx, _) => sheet::read_xlsx(&file, sheet, sink)?,
            (Format::Ods, _) => sheet::read_ods(&file, sheet, sink)?,
            (Format::Csv, Some(written)) => written.read(counted, sink)?,
            (Format::Csv, None) => {}
        }
        rows.finish()
    }
}

/// Reads customers of rows, and hands them on in batches.
struct Rows {
    columns: Arc<Mutex<Columns>>,
    to: SyncSender<Message>,
    stop: Arc<AtomicBool>,
    batch: Vec<(u64, Incoming)>,
    /// The rows without an account.
    spool: File,
    spooled: u64,
}

impl Rows {
    fn send(&self, message: Message) -> Result<(), ReadError> {
        match self.stop.load(Ordering::Relaxed) {
            true => Err(ReadError::Stopped),
            false => self.to.send(message).map_err(|_| ReadError::Stopped),
        }
    }

    fn columns(&self) -> std::sync::MutexGuard<'_, Columns> {
        self.columns.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn take(&mut self, found: Found) -> Result<(), ReadError> {
        match found {
            Found::Columns(columns) => {
                let unknown = self.columns().add(columns).map_err(ReadError::Unreadable)?;
                for name in unknown {
                    self.send(Message::Note(format!(
                        "warning: the column {name} is unknown and ignored; \
                         --map \"{name}=ATTRIBUTE\" names what it holds"
                    )))?;
                }
                Ok(())
            }
            Found::Broken(line, what) => {
                self.send(Message::Faults(line, vec![Fault::of_row(what)]))
            }
            Found::Row(row) => self.row(row, true),
        }
    }

    fn row(&mut self, row: Row, may_wait: bool) -> Result<(), ReadError> {
        let read = self.columns().read(&row);
        match read {
            Err(faults) => self.send(Message::Faults(row.line, faults)),
            Ok(incoming) if may_wait && incoming.account().is_none() => {
                let mut text = serde_json::to_vec(&row).map_err(ReadError::unreadable)?;
                text.push(b'\n');
                self.spooled += 1;
                self.spool.write_all(&text).map_err(ReadError::unreadable)
            }
            Ok(incoming) => {
                self.batch.push((row.line, incoming));
                if self.batch.len() < BATCH { Ok(()) } else { self.flush() }
            }
        }
    }

    fn flush(&mut self) -> Result<(), ReadError> {
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() { Ok(()) } else { self.send(Message::Batch(batch)) }
    }

    /// Hands on what waits.
    fn finish(mut self) -> Result<(), ReadError> {
        let columns = self.columns();
        if let Some(missing) = columns.missing().first() {
            return Err(ReadError::Unreadable(format!("--map: there is no column {missing}")));
        }
        if !columns.are_of_use() {
            return Err(ReadError::Unreadable(
                "no column of its first row is known; name them with --map \"COLUMN=ATTRIBUTE\""
                    .into(),
            ));
        }
        drop(columns);
        self.flush()?;
        if self.spooled > 0 {
            self.send(Message::Rest)?;
            self.spool.rewind().map_err(ReadError::unreadable)?;
            let spool = self.spool.try_clone().map_err(ReadError::unreadable)?;
            for line in BufReader::new(spool).lines() {
                let line = line.map_err(ReadError::unreadable)?;
                self.row(serde_json::from_str(&line).map_err(ReadError::unreadable)?, false)?;
            }
            self.flush()?;
        }
        Ok(())
    }
}
