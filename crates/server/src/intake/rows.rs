//! Makes customers of the rows that are read, and hands them on in batches.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use customers_domain::import::Incoming;
use customers_storage::Brought;

use super::columns::{Columns, Fault, Ignored, MOST as MOST_COLUMNS, Why};
use super::row::{Column, Found, ReadError, Row};

/// The most customers that are taken in at once, and the most bytes of their values: what is taken in is held
/// in memory several times, and on SQLite others wait until it is written.
const BATCH: usize = 2_000;
const BATCH_BYTES: usize = 4 << 20;

/// So many columns that are unknown are named.
const MOST_WARNINGS: u32 = 20;

/// The lines of rows, with their customers or what is wrong with them.
pub type Batch = Vec<(u64, Result<Incoming, Vec<Fault>>)>;

/// What is to be done once all that came before is kept.
type Then = Box<dyn FnOnce() -> std::io::Result<()> + Send>;

/// What is handed on.
pub enum Message {
    /// Something to be said once.
    Note(String),
    /// Rows in their order.
    Batch(Batch),
    /// The first row, by its line, that waits for all others to be taken in.
    Waits(u64),
    /// Only the rows that wait are left. What no id and no account is made of for them.
    Rest(Brought),
    /// Only those that wait for an account are left.
    Last,
    /// All that came before is to be kept, and this done then.
    Then(Then),
}

/// Takes rows, and hands customers on.
pub struct Rows {
    columns: Arc<Mutex<Columns>>,
    to: SyncSender<Message>,
    stop: Arc<AtomicBool>,
    batch: Batch,
    /// The bytes of the values in it.
    batch_bytes: usize,
    /// Rows of lines before this one are passed over.
    start_at: u64,
    /// The rows without an id where others have one, and behind them those without an account: they come
    /// last, so that none is made for them that another comes with. They may be more than memory holds.
    waiting: [File; 2],
    waits: bool,
    /// What is to be done when these are in.
    then: Option<Then>,
    /// What is made for none of them, either: what rows bring that are refused, or passed over.
    brought: Brought,
    /// Whether a row to come has an id, so far as was looked ahead.
    foresees_ids: bool,
    /// How many columns were seen there.
    foreseen: usize,
    may_be_empty: bool,
    warned: u32,
    /// Whether it was told that a value stands below no heading.
    warned_of_nameless: bool,
}

impl Rows {
    /// Rows from this line on, whose columns are to be found here by whoever is told of them; without any,
    /// there must be a reason.
    ///
    /// # Errors
    ///
    /// Where there can be no temporary file.
    pub fn new(
        columns: Arc<Mutex<Columns>>,
        to: SyncSender<Message>,
        stop: Arc<AtomicBool>,
        start_at: u64,
        may_be_empty: bool,
        brought: Brought,
    ) -> std::io::Result<Self> {
        let waiting = [tempfile::tempfile()?, tempfile::tempfile()?];
        Ok(Self {
            columns,
            to,
            stop,
            batch: Batch::new(),
            batch_bytes: 0,
            start_at,
            waiting,
            waits: false,
            then: None,
            brought,
            foresees_ids: false,
            foreseen: 0,
            may_be_empty,
            warned: 0,
            warned_of_nameless: false,
        })
    }

    /// Says something, once.
    ///
    /// # Errors
    ///
    /// Where nobody wants more.
    pub fn note(&self, what: String) -> Result<(), ReadError> {
        self.send(Message::Note(what))
    }

    /// Whether nobody wants more.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Looks at what will be taken later, where the columns are not told first: as soon as one holds ids,
    /// the rows without one wait, and nobody has to look further.
    ///
    /// # Errors
    ///
    /// Where nobody has to look further.
    pub fn foresee(&mut self, found: &Found) -> Result<(), ReadError> {
        if let Found::Member(column) = found {
            self.foreseen += 1;
            let means_ids = self.columns().means_ids(&column.name);
            self.foresees_ids |= means_ids;
        }
        // There are too many to be taken.
        let is_enough = self.foresees_ids || self.foreseen > MOST_COLUMNS;
        match is_enough || self.is_stopped() {
            true => Err(ReadError::Stopped),
            false => Ok(()),
        }
    }

    /// Takes what was found.
    ///
    /// # Errors
    ///
    /// Where nobody wants more, or it cannot be understood.
    pub fn take(&mut self, found: Found) -> Result<(), ReadError> {
        match found {
            Found::Export => {
                self.columns().trust_ids();
                Ok(())
            }
            Found::Heading(columns) => {
                self.add_columns(columns)?;
                // Nothing comes in yet.
                self.columns().check(self.may_be_empty).map_err(ReadError::Unreadable)
            }
            Found::Member(column) => self.add_columns(vec![column]),
            Found::Broken(row, what) => {
                self.note_numbers(&row);
                match row.line < self.start_at {
                    true => Ok(()),
                    false => self.add(&row, Err(vec![Fault::of_row(what)])),
                }
            }
            Found::Row(row) => {
                self.note_numbers(&row);
                if row.line < self.start_at { Ok(()) } else { self.row(row, true) }
            }
        }
    }

    /// Lets this be done once all that came before is kept. As soon as rows wait that is at the end, and
    /// only the last of what is to be done then counts.
    ///
    /// # Errors
    ///
    /// Where nobody wants more.
    pub fn then(
        &mut self,
        then: impl FnOnce() -> std::io::Result<()> + Send + 'static,
    ) -> Result<(), ReadError> {
        if self.waits {
            self.then = Some(Box::new(then));
            return Ok(());
        }
        self.flush()?;
        self.send(Message::Then(Box::new(then)))
    }

    /// Whether a batch is nearly full.
    pub fn is_nearly_full(&self) -> bool {
        self.batch.len() >= BATCH / 2 || self.batch_bytes >= BATCH_BYTES / 2
    }

    /// Hands on what is left when reading has ended like this. Where it cannot be read on, what came before
    /// is handed on, but for the rows that wait: the rest might bring what would be made for them.
    ///
    /// # Errors
    ///
    /// Where it could not be read on, nobody wants more, or there was nothing to be understood.
    pub fn finish(mut self, read: Result<(), ReadError>) -> Result<(), ReadError> {
        match &read {
            Ok(()) => self.columns().check(self.may_be_empty).map_err(ReadError::Unreadable)?,
            Err(ReadError::Stopped) => return read,
            Err(ReadError::Unreadable(_) | ReadError::Changed) => {}
        }
        self.flush()?;
        if read.is_err() || !self.waits {
            return read;
        }
        let stages = [Message::Rest(std::mem::take(&mut self.brought)), Message::Last];
        for (stage, message) in stages.into_iter().enumerate() {
            self.send(message)?;
            let mut waiting = self.waiting[stage].try_clone().map_err(ReadError::unreadable)?;
            waiting.rewind().map_err(ReadError::unreadable)?;
            for line in BufReader::new(waiting).lines() {
                let line = line.map_err(ReadError::unreadable)?;
                self.row(serde_json::from_str(&line).map_err(ReadError::unreadable)?, false)?;
            }
            self.flush()?;
        }
        self.then.take().map_or(Ok(()), |then| self.send(Message::Then(then)))
    }

    fn note_numbers(&mut self, row: &Row) {
        let columns = self.columns.lock().unwrap_or_else(PoisonError::into_inner);
        columns.note_numbers(row, &mut self.brought);
    }

    fn add_columns(&mut self, columns: Vec<Column>) -> Result<(), ReadError> {
        let ignored = self.columns().add(columns).map_err(ReadError::Unreadable)?;
        ignored.iter().try_for_each(|column| self.warn(column))
    }

    fn warn(&mut self, Ignored { heading, why }: &Ignored) -> Result<(), ReadError> {
        self.warned += 1;
        match self.warned {
            1..=MOST_WARNINGS => self.note(match why {
                Why::Unknown { like: Some(like) } => format!(
                    "warning: the column {heading} is unknown and ignored; is it {like}? \
                     --map \"{heading}={like}\" says so"
                ),
                Why::Unknown { like: None } => format!(
                    "warning: the column {heading} is unknown and ignored; \
                     --map \"{heading}=ATTRIBUTE\" names what it holds"
                ),
                Why::Ids => format!(
                    "warning: the column {heading} is ignored, because its numbers may be those of another \
                     system; --ids says that they are ids of this registry"
                ),
            }),
            it if it == MOST_WARNINGS + 1 => {
                self.note("warning: and so are further columns".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn row(&mut self, row: Row, may_wait: bool) -> Result<(), ReadError> {
        if !self.warned_of_nameless && self.columns().is_below_nothing(&row) {
            self.warned_of_nameless = true;
            self.note(format!(
                "warning: a value on line {} stands below no heading and is ignored, as are all that do",
                row.line
            ))?;
        }
        let (read, has_ids) = {
            let columns = self.columns();
            (columns.read(&row), self.foresees_ids || columns.has_ids())
        };
        match read {
            Ok(incoming) if may_wait && incoming.account().is_none() => self.wait(&row, 1),
            Ok(incoming) if may_wait && has_ids && incoming.id.is_none() => self.wait(&row, 0),
            read => self.add(&row, read),
        }
    }

    fn add(&mut self, row: &Row, read: Result<Incoming, Vec<Fault>>) -> Result<(), ReadError> {
        // What is refused is not held.
        self.batch_bytes += if read.is_ok() { row.bytes() } else { 0 };
        self.batch.push((row.line, read));
        let is_full = self.batch.len() >= BATCH || self.batch_bytes >= BATCH_BYTES;
        if is_full { self.flush() } else { Ok(()) }
    }

    fn wait(&mut self, row: &Row, stage: usize) -> Result<(), ReadError> {
        if !std::mem::replace(&mut self.waits, true) {
            self.send(Message::Waits(row.line))?;
        }
        let mut text = serde_json::to_vec(row).map_err(ReadError::unreadable)?;
        text.push(b'\n');
        self.waiting[stage].write_all(&text).map_err(ReadError::unreadable)
    }

    fn flush(&mut self) -> Result<(), ReadError> {
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        if batch.is_empty() { Ok(()) } else { self.send(Message::Batch(batch)) }
    }

    fn send(&self, message: Message) -> Result<(), ReadError> {
        match self.is_stopped() {
            true => Err(ReadError::Stopped),
            false => self.to.send(message).map_err(|_| ReadError::Stopped),
        }
    }

    fn columns(&self) -> MutexGuard<'_, Columns> {
        self.columns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use customers_domain::AccountNumbering;

    use super::super::headings::Headings;
    use super::*;
    use crate::intake::Cell;

    /// The sizes of the batches that so many rows make, each with a comment of so many bytes.
    fn batches(count: u64, comment: usize) -> Vec<usize> {
        let columns = Columns::new(Headings::new(&[]).expect("headings"), false);
        let (to, messages) = mpsc::sync_channel(1_000);
        let brought = Brought::new(AccountNumbering::default());
        let columns = Arc::new(Mutex::new(columns));
        let rows = Rows::new(columns, to, Arc::default(), 0, false, brought);
        let mut rows = rows.expect("temporary files");
        let names = ["customerAccount", "name", "comment"];
        let heading = names.map(|name| Column { name: name.to_owned(), letters: None });
        let mut read = rows.take(Found::Heading(heading.to_vec()));
        for line in 1..=count {
            let texts = [format!("A{line}"), "A".to_owned(), "x".repeat(comment)];
            let cells = texts.into_iter().map(Cell::Text).enumerate().collect();
            read = read.and_then(|()| rows.take(Found::Row(Row { line, cells })));
        }
        rows.finish(read).expect("rows");
        let size = |message| match message {
            Message::Batch(batch) => {
                assert!(batch.iter().all(|(_, read)| read.is_ok()));
                Some(batch.len())
            }
            _ => None,
        };
        messages.into_iter().filter_map(size).collect()
    }

    #[test]
    fn a_batch_ends_by_its_rows_or_by_their_bytes() {
        assert_eq!(batches(4_100, 10), [2_000, 2_000, 100]);
        // 4 MiB are 105 of them.
        assert_eq!(batches(250, 40_000), [105, 105, 40]);
    }
}
