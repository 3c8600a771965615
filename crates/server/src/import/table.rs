//! Customers in CSV: its encoding and its separator are found out.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::rc::Rc;

use encoding_rs::{Decoder, Encoding, UTF_8, WINDOWS_1252};

use super::quotes::Quotes;
use crate::formula::as_meant;
use crate::intake::{Cell, Column, Found, ReadError, Row, Sink};

/// So much is looked at to find the separator.
const SAMPLE: usize = 64 * 1024;

/// The most bytes of a row. Where a quote is missing, a row goes on to the end of the file.
const MOST_BYTES: u64 = 4 << 20;

/// What may stand between two values, the more usual first.
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// How a file is written.
pub struct Written {
    encoding: &'static Encoding,
    has_mark: bool,
    separator: u8,
    /// How many bytes of it are not in its encoding, UTF-8.
    broken: u64,
}

impl std::fmt::Display for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let separator = match self.separator {
            b'\t' => "tabs".to_owned(),
            separator => format!("\"{}\"", separator as char),
        };
        let mark = if self.has_mark { " with a byte order mark" } else { "" };
        write!(f, "CSV in {}{mark}, separated by {separator}", self.encoding.name())?;
        match self.broken {
            0 => Ok(()),
            broken => write!(f, "; {broken} bytes of it are not in that encoding"),
        }
    }
}

impl Written {
    /// Finds out how a file is written. Unless it says so itself, it is UTF-8 where no less of it is than
    /// is not, of what is not ASCII, and Windows-1252 otherwise.
    pub fn find_out(file: &mut File, separator: Option<u8>) -> io::Result<Self> {
        file.rewind()?;
        let mut sample = Vec::new();
        (&*file).take(SAMPLE as u64).read_to_end(&mut sample)?;
        let mark = Encoding::for_bom(&sample);
        let (encoding, broken) = match mark {
            Some((encoding, _)) if encoding != UTF_8 => (encoding, 0),
            _ => {
                let Utf8 { characters, broken } = Utf8::in_file(file)?;
                match mark.is_some() || broken == 0 || characters >= broken {
                    true => (UTF_8, broken),
                    false => (WINDOWS_1252, 0),
                }
            }
        };
        let (text, ..) = encoding.decode(&sample);
        let separator = separator.unwrap_or_else(|| find_separator(&text));
        file.rewind()?;
        Ok(Self { encoding, has_mark: mark.is_some(), separator, broken })
    }

    /// Reads the table, whose first row are the headings.
    pub fn read(&self, file: impl Read, sink: Sink<'_>) -> Result<(), ReadError> {
        // What is broken must be told, and not be replaced.
        let decoder =
            (self.encoding != UTF_8).then(|| self.encoding.new_decoder_with_bom_removal());
        let lines = Rc::new(RefCell::new(Lines::default()));
        let text = Watched {
            input: Text::new(file, decoder),
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
        while table.read_byte_record(&mut record).map_err(ReadError::unreadable)? {
            let line = lines.borrow_mut().pass(table.position().byte(), &record);
            if width == 0 {
                width = record.len();
                let column = |name: &[u8]| {
                    let name = String::from_utf8_lossy(name);
                    Column { name: name.trim().to_owned(), letters: None }
                };
                sink(Found::Columns(record.iter().map(column).collect()))?;
                continue;
            }
            let is_blank = |value: &[u8]| value.trim_ascii().is_empty();
            if record.iter().all(is_blank) {
                continue;
            }
            if record.len() < width || record.iter().skip(width).any(|value| !is_blank(value)) {
                let what = format!("has {} values, and there are {width} columns", record.len());
                sink(Found::Broken(line, what))?;
                continue;
            }
            let cells = record.iter().take(width).map(cell).enumerate().collect();
            sink(Found::Row(Row { line, cells }))?;
        }
        Ok(())
    }
}

fn cell(value: &[u8]) -> Cell {
    match std::str::from_utf8(as_meant(value)) {
        Ok(text) => Cell::Text(text.to_owned()),
        Err(_) => Cell::Broken,
    }
}

/// The separator that stands most often in the first line, outside of quotes.
fn find_separator(text: &str) -> u8 {
    let mut counts = [0; SEPARATORS.len()];
    let mut is_quoted = false;
    for byte in text.bytes() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\n' if !is_quoted => break,
            byte if !is_quoted => {
                if let Some(at) = SEPARATORS.iter().position(|separator| *separator == byte) {
                    counts[at] += 1;
                }
            }
            _ => {}
        }
    }
    // Of several that do, the first is taken.
    let best = (0..SEPARATORS.len()).rev().max_by_key(|at| counts[*at]);
    SEPARATORS[best.unwrap_or(0)]
}

/// How much of something is UTF-8.
#[derive(Debug, Default, PartialEq, Eq)]
struct Utf8 {
    /// How many characters that are not ASCII.
    characters: u64,
    /// How many sequences of bytes that are no character.
    broken: u64,
}

impl Utf8 {
    fn in_file(file: &mut File) -> io::Result<Self> {
        file.rewind()?;
        Self::of(file)
    }

    fn of(mut input: impl Read) -> io::Result<Self> {
        let mut counts = Self::default();
        let mut buffer = vec![0; SAMPLE];
        let mut left = 0;
        loop {
            let read = input.read(&mut buffer[left..])?;
            let end = left + read;
            left = 0;
            let mut at = 0;
            for chunk in buffer[..end].utf8_chunks() {
                let (valid, invalid) = (chunk.valid().as_bytes(), chunk.invalid());
                at += valid.len() + invalid.len();
                counts.characters += valid.iter().filter(|byte| **byte >= 0xC0).count() as u64;
                match std::str::from_utf8(invalid) {
                    Ok(_) => {}
                    // The beginning of a character, whose end is still to come.
                    Err(error) if error.error_len().is_none() && at == end && read > 0 => {
                        left = invalid.len();
                    }
                    Err(_) => counts.broken += 1,
                }
            }
            if read == 0 {
                return Ok(counts);
            }
            buffer.copy_within(end - left..end, 0);
        }
    }
}

/// The line breaks of what is read ahead.
#[derive(Default)]
struct Lines {
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
        let within = record.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
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
        let start = lines.read;
        let breaks = out[..length].iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        lines.breaks.extend(breaks.map(|(at, _)| start + at as u64));
        lines.read += length as u64;
        Ok(length)
    }
}

/// Text of another encoding, as UTF-8; what is in UTF-8 as it is.
struct Text<R> {
    input: R,
    decoder: Option<Decoder>,
    raw: Vec<u8>,
    text: Vec<u8>,
    at: usize,
    is_over: bool,
}

impl<R> Text<R> {
    fn new(input: R, decoder: Option<Decoder>) -> Self {
        Self { input, decoder, raw: vec![0; SAMPLE], text: Vec::new(), at: 0, is_over: false }
    }
}

impl<R: Read> Read for Text<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let Some(decoder) = &mut self.decoder else { return self.input.read(out) };
        while self.at == self.text.len() && !self.is_over {
            let read = self.input.read(&mut self.raw)?;
            self.is_over = read == 0;
            let most = decoder.max_utf8_buffer_length(read).unwrap_or(SAMPLE * 4);
            self.text.resize(most, 0);
            let raw = &self.raw[..read];
            let (_, _, written, _) = decoder.decode_to_utf8(raw, &mut self.text, self.is_over);
            self.text.truncate(written);
            self.at = 0;
        }
        let length = out.len().min(self.text.len() - self.at);
        out[..length].copy_from_slice(&self.text[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<u64> {
        let written = Written { encoding: UTF_8, has_mark: false, separator: b',', broken: 0 };
        let mut lines = Vec::new();
        let read = written.read(text.as_bytes(), &mut |found| {
            if let Found::Row(Row { line, .. }) | Found::Broken(line, _) = found {
                lines.push(line);
            }
            Ok(())
        });
        assert!(read.is_ok());
        lines
    }

    #[test]
    fn rows_are_on_the_lines_that_an_editor_shows() {
        for end in ["\n", "\r\n"] {
            let text = |parts: &[&str]| parts.join(end);
            assert_eq!(lines(&text(&["a,b", "1,2", "3,4"])), [2, 3], "{end:?}");
            assert_eq!(lines(&text(&["a,b", "", "1,2", "", "", "3,4", ""])), [3, 6], "{end:?}");
            let quoted = ["a,b", "\"1", "2\",3", "4,\"5", "6", "\"", "7,8"];
            assert_eq!(lines(&text(&quoted)), [2, 4, 7], "{end:?}");
        }
    }

    #[test]
    fn characters_are_counted_across_the_ends_of_buffers() {
        for shift in 0..4 {
            let text = format!("{}{}", "x".repeat(shift), "é€😀".repeat(20_000));
            let counts = Utf8::of(text.as_bytes()).expect("bytes in memory");
            assert_eq!(counts, Utf8 { characters: 60_000, broken: 0 }, "{shift}");
        }
        let counts = Utf8::of(&b"\xC3\xA9 \xE9t\xE9 \xC3"[..]).expect("bytes in memory");
        assert_eq!(counts, Utf8 { characters: 1, broken: 3 });
    }

    #[test]
    fn the_separator_is_what_stands_between_the_headings() {
        for (text, separator) in [
            ("a;b,c;d\n1,2,3,4,5", b';'),
            ("a\tb", b'\t'),
            ("\"a;b;c\",d", b','),
            ("a|b|c", b'|'),
            ("a", b','),
        ] {
            assert_eq!(find_separator(text), separator, "{text}");
        }
    }
}
