//! What is wrong with the rows, for people and for programs.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;
use std::path::Path;

use indicatif::ProgressBar;
use serde_json::json;

use super::columns::Fault;
use crate::formula::guarded;
use crate::output::{show, tell};
use crate::printable::printable;

/// Where faults are told: each on a line of stderr, or in a file.
pub struct Report {
    file: Option<ReportFile>,
    /// Whether that file is stdout.
    is_stdout: bool,
    bar: Option<ProgressBar>,
    /// What a row is called: a line, a row or a customer.
    unit: &'static str,
}

enum ReportFile {
    Csv(Box<csv::Writer<File>>),
    Json(BufWriter<File>),
}

impl Report {
    /// To stderr, past the bar that may be drawn there, to a new file, or, as `-`, to stdout: CSV by its
    /// name, and else a JSON object on each line.
    pub fn new(
        path: Option<&Path>,
        bar: Option<ProgressBar>,
        unit: &'static str,
    ) -> io::Result<Self> {
        let is_stdout = path == Some(Path::new("-"));
        let file = match path {
            None => None,
            Some(_) if is_stdout => {
                let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
                Some(ReportFile::Json(BufWriter::new(stdout)))
            }
            Some(path) if path.extension().is_some_and(|it| it.eq_ignore_ascii_case("csv")) => {
                let file = File::create(path)?;
                let quoted = csv::QuoteStyle::Always;
                let mut file = csv::WriterBuilder::new().quote_style(quoted).from_writer(file);
                file.write_record(["line", "column", "field", "message"])?;
                Some(ReportFile::Csv(Box::new(file)))
            }
            Some(path) => Some(ReportFile::Json(BufWriter::new(File::create(path)?))),
        };
        Ok(Self { file, is_stdout, bar, unit })
    }

    /// Tells what is wrong with a row.
    pub fn tell(&mut self, line: u64, fault: &Fault) -> io::Result<()> {
        let Fault { column, field, what } = fault;
        match &mut self.file {
            Some(ReportFile::Csv(file)) => {
                let [column, field] = [column, field].map(|it| it.as_deref().unwrap_or_default());
                // Headings are as anybody has written them, and a spreadsheet is to open it.
                let [column, field, what] = [column, field, what].map(guarded);
                file.write_record([&*line.to_string(), &*column, &*field, &*what])?;
            }
            Some(ReportFile::Json(file)) => {
                let entry =
                    json!({ "line": line, "column": column, "field": field, "message": what });
                writeln!(file, "{entry}")?;
            }
            None => {
                let mut text = format!("{} {line}", self.unit);
                if let Some(column) = column {
                    text += &format!(", column {column}");
                }
                text += ": ";
                if let Some(field) = field {
                    text += &format!("{field} ");
                }
                self.say(&(text + what));
            }
        }
        Ok(())
    }

    /// Says something to whoever watches.
    pub fn say(&self, text: &str) {
        let text = printable(text);
        match &self.bar {
            Some(bar) => bar.suspend(|| tell(&text)),
            None => tell(&text),
        }
    }

    /// Sees to it that all is in the file, and says how it went: on stdout, unless the faults are there.
    pub fn finish(mut self, summary: &str) -> io::Result<()> {
        let written = match &mut self.file {
            Some(ReportFile::Csv(file)) => file.flush(),
            Some(ReportFile::Json(file)) => file.flush(),
            None => Ok(()),
        };
        match self.is_stdout {
            true => tell(summary),
            false => show(summary)?,
        }
        written
    }
}
