//! `customers import`: brings in customers from a file.

mod archive;
mod encoding;
pub mod json;
mod quotes;
mod sheet;
mod table;

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::ValueEnum;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::Failure;
use crate::cli::ImportFrom;
use crate::config::Database;
use crate::intake::{self, Gauge, ReadError, Rows, Source};
use encoding::{Encoded, beginning};
use table::Written;

/// So often it is looked whether whoever waits for input is to stop.
const SLICE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

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

/// Brings in the customers of a file. Stopped by SIGINT or SIGTERM, it keeps what it has taken in.
pub async fn run(database: &Database, from: ImportFrom) -> Result<(), Failure> {
    let ImportFrom { file, format, separator, raw, sheet, start_at, ids, how } = from;
    intake::run(database, how, ids, move |stop| {
        let named =
            |error: io::Error| Failure::other(format!("cannot read {}: {error}", file.display()));
        let mut input = open(&file, stop).map_err(named)?;
        if stop.load(Ordering::Relaxed) {
            return Err(Failure::Stopped("stopped before anything came in".to_owned()));
        }
        let format = match format {
            Some(format) => format,
            None => Format::of(&file, &mut input).map_err(named)?,
        };
        format.refuse_meaningless(&[
            ("--separator", separator.is_some(), &[Format::Csv]),
            ("--raw", raw, &[Format::Csv]),
            ("--sheet", sheet.is_some(), &[Format::Xlsx, Format::Ods]),
        ])?;
        let gauge = Arc::new(Gauge::default());
        if format.is_read_in_order() {
            gauge.set_length(input.metadata().map_err(named)?.len());
        }
        let counted = gauge.clone();
        Ok(Source {
            name: file.display().to_string(),
            file: Some(file.clone()),
            unit: format.unit(),
            gauge,
            start_at,
            may_repeat: false,
            may_be_empty: false,
            read: Box::new(move |rows| {
                read(input, format, separator, raw, sheet.as_deref(), &counted, rows)
            }),
            go_on: Box::new(|line| match line {
                ..=1 => String::new(),
                line => format!(
                    ": it passes over what is there, and with --start-at {line} it does so at once"
                ),
            }),
        })
    })
    .await
}

/// The file, or all that comes from stdin or a pipe.
fn open(path: &Path, stop: &AtomicBool) -> io::Result<File> {
    let mut input = match path == Path::new("-") {
        true => File::from(io::stdin().as_fd().try_clone_to_owned()?),
        false => File::open(path)?,
    };
    // What is read several times must be a file of its own.
    if path != Path::new("-") && !input.metadata()?.file_type().is_fifo() {
        return Ok(input);
    }
    let mut file = tempfile::tempfile()?;
    let mut buffer = vec![0; 64 * 1024];
    while !stop.load(Ordering::Relaxed) {
        match poll(&mut [PollFd::new(&input, PollFlags::IN)], Some(&SLICE)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        match input.read(&mut buffer)? {
            0 => break,
            length => file.write_all(&buffer[..length])?,
        }
    }
    file.rewind()?;
    Ok(file)
}

fn read(
    mut file: File,
    format: Format,
    separator: Option<u8>,
    is_raw: bool,
    sheet: Option<&str>,
    gauge: &Gauge,
    rows: &mut Rows,
) -> Result<(), ReadError> {
    match format {
        Format::Csv => {
            let written = Written::find_out(&mut file, separator).map_err(ReadError::unreadable)?;
            rows.note(format!("This is {written}."))?;
            written.read(Counted(file, gauge), is_raw, &mut |found| rows.take(found))
        }
        Format::Ndjson | Format::Json => {
            let start = beginning(&mut file).map_err(ReadError::unreadable)?;
            let encoded = Encoded::beginning_like(&start);
            if !encoded.is_utf_8() {
                rows.note(format!("This is JSON in {encoded}."))?;
            }
            let read = if format == Format::Json { json::read_pages } else { json::read_lines };
            // Whatever is wrong with it is told when it is taken.
            let _ = read(&mut encoded.read(&file), &mut |found| rows.foresee(&found));
            file.rewind().map_err(ReadError::unreadable)?;
            read(&mut encoded.read(Counted(file, gauge)), &mut |found| rows.take(found))
        }
        Format::Xlsx => {
            archive::check_xlsx(&file)?;
            sheet::read_xlsx(&file, sheet, gauge, &mut |found| rows.take(found))
        }
        Format::Ods => {
            archive::check_ods(&file)?;
            sheet::read_ods(&file, sheet, gauge, &mut |found| rows.take(found))
        }
    }
}

impl Format {
    /// The format that the name or the beginning of a file tells.
    fn of(path: &Path, file: &mut File) -> io::Result<Self> {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        Ok(match extension.as_str() {
            "csv" | "tsv" | "txt" => Self::Csv,
            "ndjson" | "jsonl" => Self::Ndjson,
            "json" => Self::Json,
            "xlsx" | "xlsm" => Self::Xlsx,
            "ods" => Self::Ods,
            _ => {
                let mut start = beginning(file)?;
                start.truncate(4096);
                let text = Encoded::beginning_like(&start).decode(&start);
                match text.trim_start().chars().next() {
                    Some('[') => Self::Json,
                    Some('{') if text.contains("\"data\"") => Self::Json,
                    Some('{') => Self::Ndjson,
                    Some('P') if start.starts_with(b"PK\x03\x04") => {
                        let has = |part: &[u8]| start.windows(part.len()).any(|it| it == part);
                        if has(b"opendocument") { Self::Ods } else { Self::Xlsx }
                    }
                    _ => Self::Csv,
                }
            }
        })
    }

    /// Refuses options that are given and mean nothing in this format, each with those in which it does.
    fn refuse_meaningless(self, options: &[(&str, bool, &[Self])]) -> Result<(), Failure> {
        let meaningless = options.iter().find(|(_, is_given, of)| *is_given && !of.contains(&self));
        let Some((option, _, formats)) = meaningless else { return Ok(()) };
        let name = |format: &Self| format!("{format:?}").to_uppercase();
        let formats = formats.iter().map(name).collect::<Vec<_>>().join(" and ");
        Err(Failure::Usage(format!(
            "{option} is for {formats} only, and this is {}; leave it out, or say --format",
            name(&self)
        )))
    }

    /// What a row of it is called.
    fn unit(self) -> &'static str {
        match self {
            Self::Csv | Self::Ndjson => "line",
            Self::Json => "customer",
            Self::Xlsx | Self::Ods => "row",
        }
    }

    /// Whether its bytes are read in their order, and so tell how far it is.
    fn is_read_in_order(self) -> bool {
        !matches!(self, Self::Xlsx | Self::Ods)
    }
}

/// What counts the bytes that go through it.
struct Counted<'a>(File, &'a Gauge);

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer)?;
        self.1.read(read as u64);
        Ok(read)
    }
}
