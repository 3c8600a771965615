//! Customers in CSV: its encoding and its separator are found out.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::rc::Rc;

use super::encoding::{Encoded, beginning};
use super::quotes::{LineEnds, Quotes};
use crate::formula::as_meant;
use crate::intake::{Cell, Column, Found, ReadError, Row, Sink};

/// The most bytes of a row. Where a quote is missing, a row goes on to the end of the file.
const MOST_BYTES: u64 = 4 << 20;

/// What may stand between two values, the more usual first.
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// How a file is written.
pub struct Written {
    encoded: Encoded,
    separator: u8,
    /// Whether its first line is not that of the headings, but names the separator.
    names_separator: bool,
}

impl std::fmt::Display for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let separator = match self.separator {
            b'\t' => "tabs".to_owned(),
            separator => format!("\"{}\"", separator as char),
        };
        write!(f, "CSV in {}, separated by {separator}", self.encoded)?;
        match self.encoded.broken {
            0 => Ok(()),
            broken => write!(f, "; {broken} bytes of it are not in that encoding"),
        }
    }
}

impl Written {
    /// Finds out how a file is written, unless it is said what its separator is.
    pub fn find_out(file: &mut File, separator: Option<u8>) -> io::Result<Self> {
        let encoded = Encoded::find_out(file)?;
        let start = beginning(file)?;
        let text = encoded.decode(&start);
        let named = named_separator(&text);
        let separator = separator.or(named).unwrap_or_else(|| find_separator(&text));
        Ok(Self { encoded, separator, names_separator: named.is_some() })
    }

    /// Reads the table, whose first row are the headings.
    pub fn read(&self, file: impl Read, is_raw: bool, sink: Sink<'_>) -> Result<(), ReadError> {
        let lines = Rc::new(RefCell::new(Lines::default()));
        let text = Watched {
            input: self.encoded.read(file),
            lines: lines.clone(),
            quotes: Quotes::new(self.separator),
            wrong: None,
        };
        let mut table = csv::ReaderBuilder::new()
            .delimiter(self.separator)
            .flexible(true)
            .has_headers(false)
            .from_reader(text);
        let mut record = csv::ByteRecord::new();
        let mut width = 0;
        let mut names_separator = self.names_separator;
        while table.read_byte_record(&mut record).map_err(ReadError::unreadable)? {
            let line = lines.borrow_mut().pass(table.position().byte(), &record);
            if std::mem::take(&mut names_separator) {
                continue;
            }
            let is_blank = |value: &[u8]| value.trim_ascii().is_empty();
            if record.iter().all(is_blank) {
                continue;
            }
            if width == 0 {
                width = record.len();
                let column = |name: &[u8]| {
                    let name = String::from_utf8_lossy(name);
                    Column { name: name.trim().to_owned(), letters: None }
                };
                sink(Found::Heading(record.iter().map(column).collect()))?;
                continue;
            }
            let cells = record.iter().take(width).map(|value| cell(value, is_raw));
            let row = Row { line, cells: cells.enumerate().collect() };
            if record.len() < width || record.iter().skip(width).any(|value| !is_blank(value)) {
                let what = format!("has {} values, and there are {width} columns", record.len());
                sink(Found::Broken(row, what))?;
                continue;
            }
            sink(Found::Row(row))?;
        }
        Ok(())
    }
}

/// The text of a value, as it was before an export has guarded it, unless it is raw.
fn cell(value: &[u8], is_raw: bool) -> Cell {
    let value = if is_raw { Cow::Borrowed(value) } else { as_meant(value) };
    match std::str::from_utf8(&value) {
        Ok(text) => Cell::Text(text.to_owned()),
        Err(_) => Cell::Broken,
    }
}

/// The separator of a first line `sep=;`, with which Excel is told of it.
fn named_separator(text: &str) -> Option<u8> {
    let line = text.split(['\r', '\n']).next()?.trim_matches('"');
    let (word, separator) = line.split_at_checked(4)?;
    match separator.as_bytes() {
        [byte] if word.eq_ignore_ascii_case("sep=") && byte.is_ascii_punctuation() => Some(*byte),
        b"\t" if word.eq_ignore_ascii_case("sep=") => Some(b'\t'),
        _ => None,
    }
}

/// The separator that stands most often in the first line that is not blank, outside of quotes.
fn find_separator(text: &str) -> u8 {
    let mut counts = [0; SEPARATORS.len()];
    let (mut is_quoted, mut is_blank) = (false, true);
    for byte in text.bytes() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\n' | b'\r' if !is_quoted && !is_blank => break,
            byte if !is_quoted => {
                if let Some(at) = SEPARATORS.iter().position(|separator| *separator == byte) {
                    counts[at] += 1;
                }
            }
            _ => {}
        }
        is_blank &= byte.is_ascii_whitespace();
    }
    // Of several that do, the first is taken.
    let best = (0..SEPARATORS.len()).rev().max_by_key(|at| counts[*at]);
    SEPARATORS[best.unwrap_or(0)]
}

/// The line breaks of what is read ahead.
#[derive(Default)]
struct Lines {
    ends: LineEnds,
    /// Where they are, beginning with those that are not passed yet.
    breaks: VecDeque<u64>,
    passed: u64,
    /// How many bytes are read, and where the last record ended.
    read: u64,
    ended: u64,
}

impl Lines {
    /// The line on which this record begins that ends here, behind a line break or the first half of
    /// one. The parser's own count is one too low behind blank lines and two characters for a break.
    fn pass(&mut self, end: u64, record: &csv::ByteRecord) -> u64 {
        self.ended = end;
        while self.breaks.front().is_some_and(|at| at + 1 < end) {
            self.breaks.pop_front();
            self.passed += 1;
        }
        let of_value = |value: &[u8]| {
            let mut ends = LineEnds::default();
            value.iter().filter(|byte| ends.see(**byte)).count() as u64
        };
        let within: u64 = record.iter().map(of_value).sum();
        1 + self.passed - within.min(self.passed)
    }
}

/// What notes line breaks, and refuses to go on with a row that has no end, or quotes at odds.
struct Watched<R> {
    input: R,
    lines: Rc<RefCell<Lines>>,
    quotes: Quotes,
    /// What is wrong with the row behind what has been read.
    wrong: Option<String>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if let Some(wrong) = self.wrong.take() {
            return Err(io::Error::other(wrong));
        }
        let mut lines = self.lines.borrow_mut();
        if lines.read > lines.ended + MOST_BYTES {
            return Err(io::Error::other(format!(
                "the row behind line {} is longer than {} MiB; is a quote missing?",
                lines.passed + 1,
                MOST_BYTES >> 20
            )));
        }
        let mut length = self.input.read(out)?;
        if length == 0 {
            self.quotes.end().map_err(io::Error::other)?;
        }
        if let Err((before, wrong)) = self.quotes.see(&out[..length]) {
            // The rows before it come in.
            if before == 0 {
                return Err(io::Error::other(wrong));
            }
            self.wrong = Some(wrong);
            length = before;
        }
        let Lines { ends, breaks, read, .. } = &mut *lines;
        let found = out[..length].iter().enumerate().filter(|(_, byte)| ends.see(**byte));
        breaks.extend(found.map(|(at, _)| *read + at as u64));
        lines.read += length as u64;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<u64> {
        let names_separator = named_separator(text).is_some();
        let written = Written {
            encoded: Encoded::beginning_like(text.as_bytes()),
            separator: b',',
            names_separator,
        };
        let mut lines = Vec::new();
        let read = written.read(text.as_bytes(), false, &mut |found| {
            if let Found::Row(Row { line, .. }) | Found::Broken(Row { line, .. }, _) = found {
                lines.push(line);
            }
            Ok(())
        });
        assert!(read.is_ok());
        lines
    }

    #[test]
    fn rows_are_on_the_lines_that_an_editor_shows() {
        for end in ["\n", "\r\n", "\r"] {
            let text = |parts: &[&str]| parts.join(end);
            assert_eq!(lines(&text(&["a,b", "1,2", "3,4"])), [2, 3], "{end:?}");
            assert_eq!(lines(&text(&["a,b", "", "1,2", "", "", "3,4", ""])), [3, 6], "{end:?}");
            assert_eq!(lines(&text(&["sep=,", "a,b", "1,2", "", "3,4"])), [3, 5], "{end:?}");
            let quoted = ["a,b", "\"1", "2\",3", "4,\"5", "6", "\"", "7,8"];
            assert_eq!(lines(&text(&quoted)), [2, 4, 7], "{end:?}");
        }
    }

    #[test]
    fn the_separator_is_what_stands_between_the_headings() {
        for (text, separator) in [
            ("a;b,c;d\n1,2,3,4,5", b';'),
            ("a\tb", b'\t'),
            ("\"a;b;c\",d", b','),
            ("a|b|c", b'|'),
            ("\r\n \r\na;b\r\n1,2,3;4", b';'),
            ("a;b\r1,2,3", b';'),
            ("a", b','),
        ] {
            assert_eq!(find_separator(text), separator, "{text}");
        }
    }

    #[test]
    fn a_first_line_may_name_the_separator() {
        for (text, separator) in [
            ("sep=;\r\na,b;c\n", Some(b';')),
            ("\"SEP=|\"\na|b", Some(b'|')),
            ("sep=\t\na\tb", Some(b'\t')),
            ("sep=,", Some(b',')),
            ("sep=\n", None),
            ("sep=ab\n", None),
            ("sep=é\n", None),
            ("name;sep=;\n", None),
            ("été", None),
            ("", None),
        ] {
            assert_eq!(named_separator(text), separator, "{text}");
        }
    }
}
