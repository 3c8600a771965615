//! Customers in CSV: its encoding and its separator are found out.

use std::fs::File;
use std::io::{self, Read, Seek};

use encoding_rs::{Decoder, Encoding, UTF_8, WINDOWS_1252};

use super::row::{Cell, Column, Found, ReadError, Row, Sink};

/// So much is looked at to find the separator.
const SAMPLE: usize = 64 * 1024;

/// What may stand between two values, the more usual first.
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Characters that, at the beginning of a value, a spreadsheet takes for a formula. An export puts an
/// apostrophe in front of them.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// How a file is written.
pub struct Written {
    encoding: &'static Encoding,
    has_mark: bool,
    separator: u8,
}

impl std::fmt::Display for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let separator = match self.separator {
            b'\t' => "tabs".to_owned(),
            separator => format!("\"{}\"", separator as char),
        };
        let mark = if self.has_mark { " with a byte order mark" } else { "" };
        write!(f, "CSV in {}{mark}, separated by {separator}", self.encoding.name())
    }
}

impl Written {
    /// Finds out how a file is written. Unless it says so itself, it is UTF-8 where all of it could be,
    /// and Windows-1252 otherwise.
    pub fn find_out(file: &mut File, separator: Option<u8>) -> io::Result<Self> {
        file.rewind()?;
        let mut sample = Vec::new();
        (&*file).take(SAMPLE as u64).read_to_end(&mut sample)?;
        let mark = Encoding::for_bom(&sample);
        let encoding = match mark {
            Some((encoding, _)) => encoding,
            None if is_utf8(file)? => UTF_8,
            None => WINDOWS_1252,
        };
        let (text, ..) = encoding.decode(&sample);
        let separator = separator.unwrap_or_else(|| find_separator(&text));
        file.rewind()?;
        Ok(Self { encoding, has_mark: mark.is_some(), separator })
    }

    /// Reads the table, whose first row are the headings.
    pub fn read(&self, file: impl Read, sink: Sink<'_>) -> Result<(), ReadError> {
        let text = Utf8::new(file, self.encoding.new_decoder_with_bom_removal());
        let mut table = csv::ReaderBuilder::new()
            .delimiter(self.separator)
            .flexible(true)
            .has_headers(false)
            .from_reader(text);
        let mut record = csv::StringRecord::new();
        let mut width = 0;
        while table.read_record(&mut record).map_err(ReadError::unreadable)? {
            let line = record.position().map_or(0, csv::Position::line);
            if width == 0 {
                width = record.len();
                let column = |name: &str| Column { name: name.trim().to_owned(), letters: None };
                sink(Found::Columns(record.iter().map(column).collect()))?;
                continue;
            }
            let is_blank = |value: &str| value.trim().is_empty();
            if record.iter().all(is_blank) {
                continue;
            }
            if record.len() < width || record.iter().skip(width).any(|value| !is_blank(value)) {
                let what = format!("has {} values, and there are {width} columns", record.len());
                sink(Found::Broken(line, what))?;
                continue;
            }
            let cell = |value: &str| Cell::Text(as_meant(value).to_owned());
            let cells = record.iter().take(width).map(cell).enumerate().collect();
            sink(Found::Row(Row { line, cells }))?;
        }
        Ok(())
    }
}

/// The value without the apostrophe that keeps spreadsheets from calculating.
fn as_meant(value: &str) -> &str {
    match value.strip_prefix('\'') {
        Some(meant) if meant.starts_with(FORMULA) => meant,
        _ => value,
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

/// Whether all of a file is UTF-8.
fn is_utf8(file: &mut File) -> io::Result<bool> {
    file.rewind()?;
    let mut buffer = vec![0; SAMPLE];
    let mut left = 0;
    loop {
        let read = file.read(&mut buffer[left..])?;
        let end = left + read;
        match std::str::from_utf8(&buffer[..end]) {
            Ok(_) => left = 0,
            Err(error) if error.error_len().is_none() && read > 0 => {
                buffer.copy_within(error.valid_up_to()..end, 0);
                left = end - error.valid_up_to();
            }
            Err(_) => return Ok(false),
        }
        if read == 0 {
            return Ok(true);
        }
    }
}

/// Text of another encoding, as UTF-8.
struct Utf8<R> {
    input: R,
    decoder: Decoder,
    raw: Vec<u8>,
    text: Vec<u8>,
    at: usize,
    is_over: bool,
}

impl<R> Utf8<R> {
    fn new(input: R, decoder: Decoder) -> Self {
        Self { input, decoder, raw: vec![0; SAMPLE], text: Vec::new(), at: 0, is_over: false }
    }
}

impl<R: Read> Read for Utf8<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.text.len() && !self.is_over {
            let read = self.input.read(&mut self.raw)?;
            self.is_over = read == 0;
            let most = self.decoder.max_utf8_buffer_length(read).unwrap_or(SAMPLE * 4);
            self.text.resize(most, 0);
            let raw = &self.raw[..read];
            let (_, _, written, _) = self.decoder.decode_to_utf8(raw, &mut self.text, self.is_over);
            self.text.truncate(written);
            self.at = 0;
        }
        let length = out.len().min(self.text.len() - self.at);
        out[..length].copy_from_slice(&self.text[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}
