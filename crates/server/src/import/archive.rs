//! Spreadsheets are archives, and small ones can hold more than any memory: how much is found out
//! before one is read.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use zip::ZipArchive;

use super::sheet::MOST_COLUMNS;
use crate::intake::ReadError;

/// The most bytes that a file of an archive may have.
const MOST_BYTES: u64 = 128 << 20;

/// So many bytes are never too many for the size of the archive.
const FEW_BYTES: u64 = 16 << 20;

/// Of more, an archive may hold so many times its own size. What people type is packed to a tenth, and
/// hardly to less than a fiftieth.
const MOST_TIMES: u64 = 200;

/// The most bytes of memory that what is held of a workbook may take: the texts that cells share and all
/// that is said of styles.
const MOST_HELD: u64 = 96 << 20;

/// The same for all cells of an ODS document; what each takes while its row is read; and what it takes in the
/// rectangle of all, which is copied once.
const MOST_HELD_OF_ODS: u64 = 128 << 20;
const HELD_OF_CELL: u64 = 64;
const HELD_OF_RECTANGLE: u64 = 80;

/// The most rows of a sheet.
const MOST_ROWS: u64 = 1 << 20;

/// The most characters of a cell, for any program.
const MOST_CHARS: usize = 32_767;

/// The most bytes between two brackets of XML: of a cell in which each character is written as a reference,
/// and more than any tag has.
const MOST_BETWEEN: usize = 512 << 10;

/// What of a workbook is held for each element of these names beside the bytes that it is written in.
const HELD: &[(&str, u64)] = &[
    ("si", 64),
    ("xf", 512),
    ("font", 256),
    ("fill", 256),
    ("border", 512),
    ("numFmt", 256),
    ("sheet", 256),
    ("definedName", 256),
    ("Relationship", 256),
    ("property", 256),
];

/// Whether an XLSX workbook can be read: only the texts that its cells share are held in memory, and the
/// styles.
///
/// # Errors
///
/// Where it is no archive, or too much in memory, or has a cell that no spreadsheet has.
pub fn check_xlsx(file: &File) -> Result<(), ReadError> {
    let mut held = 0;
    check(file, |name, content| {
        let name = name.to_lowercase();
        match name.ends_with(".xml") || name.ends_with(".rels") {
            true => check_part(content, &mut held),
            false => Ok(()),
        }
    })
}

/// Whether an ODS document can be read, all of which is held in memory.
///
/// # Errors
///
/// Where it is no archive, or too much in memory, or has a cell that no spreadsheet has.
pub fn check_ods(file: &File) -> Result<(), ReadError> {
    check(file, |name, content| match name {
        "content.xml" => check_cells(content),
        "META-INF/manifest.xml" | "meta.xml" => check_part(content, &mut 0),
        _ => Ok(()),
    })
}

/// Unpacks each file of an archive, after something was made of its beginning.
fn check(
    mut file: &File,
    mut of_file: impl FnMut(&str, &mut dyn BufRead) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let size = file.metadata().map_err(ReadError::unreadable)?.len();
    let most = MOST_BYTES.min(size.saturating_mul(MOST_TIMES).max(FEW_BYTES));
    refuse_zip64(file, size)?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(no_spreadsheet)?;
    for at in 0..archive.len() {
        let content = archive.by_index(at).map_err(ReadError::unreadable)?;
        let name = content.name().map_err(ReadError::unreadable)?.into_owned();
        // The sizes that it says its files have may be anything.
        let mut content = BufReader::new(content.take(most + 1));
        let checked = of_file(&name, &mut content);
        std::io::copy(&mut content, &mut std::io::sink()).map_err(ReadError::unreadable)?;
        if content.get_ref().limit() == 0 {
            return Err(ReadError::Unreadable(format!(
                "{name} in it unpacks to more than {} MiB; save it as CSV",
                most >> 20
            )));
        }
        checked?;
    }
    drop(archive);
    file.rewind().map_err(ReadError::unreadable)
}

/// An archive of more than 65,535 files, whose names alone fill the memory, is one of ZIP64.
fn refuse_zip64(mut file: &File, size: u64) -> Result<(), ReadError> {
    // The end of an archive, with the longest comment, and the place of the end of ZIP64 before it.
    let end = size.min(65_535 + 22 + 20);
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(size - end)).map_err(ReadError::unreadable)?;
    file.take(end).read_to_end(&mut bytes).map_err(ReadError::unreadable)?;
    file.rewind().map_err(ReadError::unreadable)?;
    match bytes.windows(4).any(|it| it == b"PK\x06\x07") {
        true => {
            Err(ReadError::Unreadable("it is an archive of the kind ZIP64; save it as CSV".into()))
        }
        false => Ok(()),
    }
}

/// Adds what is held of a file of a workbook, and looks at its cells. What cannot be read ends it: who reads it
/// in earnest ends there, too.
fn check_part(content: &mut dyn BufRead, held: &mut u64) -> Result<(), ReadError> {
    let mut xml = reader(content);
    let mut buffer = Vec::new();
    let (mut is_sheet, mut is_first, mut chars, mut is_in_cell) = (false, true, 0, false);
    loop {
        buffer.clear();
        let Some(event) = next(&mut xml, &mut buffer)? else { return Ok(()) };
        match &event {
            Event::Start(element) => {
                let name = element.local_name();
                let name = name.as_ref();
                is_sheet |= std::mem::take(&mut is_first) && name == "worksheet";
                if matches!(name, "si" | "c") {
                    (chars, is_in_cell) = (0, true);
                }
                check_place(element, name)?;
                if name == "sst" {
                    // Memory is set aside for as many texts as the beginning says there are.
                    *held = held.saturating_add(
                        number(element, "uniqueCount")?.unwrap_or(0).saturating_mul(24),
                    );
                }
                if name == "Relationship" {
                    check_relationship(element)?;
                }
                let of_element = HELD.iter().find(|(held, _)| *held == name).map_or(0, |it| it.1);
                *held += of_element + if is_sheet { 0 } else { element.len() as u64 };
            }
            Event::End(element) if matches!(element.local_name().as_ref(), "si" | "c") => {
                is_in_cell = false;
            }
            Event::Eof => return Ok(()),
            _ => {}
        }
        let (more, bytes) = text_of(&event);
        if is_in_cell {
            chars += more;
            check_chars(chars)?;
        }
        // The cells of a sheet are read one after the other.
        if !(is_sheet && is_in_cell) {
            *held += bytes;
        }
        if *held > MOST_HELD {
            return Err(ReadError::Unreadable(
                "its texts and styles take too much memory; save it as CSV".into(),
            ));
        }
    }
}

/// A spreadsheet reads its parts by what their names end with.
fn check_relationship(element: &BytesStart<'_>) -> Result<(), ReadError> {
    let kind = attribute(element, "Type")?.unwrap_or_default().to_lowercase();
    let target = attribute(element, "Target")?.unwrap_or_default().to_lowercase();
    let is_read = ["/officedocument", "/worksheet"].iter().any(|end| kind.ends_with(end));
    match is_read && !target.ends_with(".xml") {
        true => Err(no_spreadsheet("a part of it is no XML")),
        false => Ok(()),
    }
}

/// Looks at the row and the column that an element of a sheet names, before they are calculated with.
fn check_place(element: &BytesStart<'_>, name: &str) -> Result<(), ReadError> {
    let attribute_of_place = match name {
        "c" | "row" => "r",
        "dimension" => "ref",
        _ => return Ok(()),
    };
    let places = attribute(element, attribute_of_place)?.unwrap_or_default();
    for place in places.split(':') {
        let digits_from = place.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(place.len());
        let (letters, digits) = place.split_at(digits_from);
        // Any column of eight letters is beyond the last.
        let column = letters.bytes().take(8).fold(0_u64, |column, letter| {
            column * 26 + u64::from(letter.to_ascii_uppercase() - b'A') + 1
        });
        if column > MOST_COLUMNS as u64 {
            return Err(ReadError::Unreadable(format!(
                "it has a cell {place:.20}, and the last column of a spreadsheet is XFD"
            )));
        }
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let row = digits.parse::<u64>().unwrap_or(u64::MAX);
        if is_number && !(1..=MOST_ROWS).contains(&row) {
            return Err(ReadError::Unreadable(format!(
                "it has a place {place:.20}, and the rows of a spreadsheet go from 1 to {MOST_ROWS}"
            )));
        }
    }
    Ok(())
}

/// The characters and the bytes of a text.
fn text_of(event: &Event<'_>) -> (usize, u64) {
    match event {
        Event::Text(text) => (text.chars().count(), text.len() as u64),
        Event::CData(text) => (text.chars().count(), text.len() as u64),
        Event::GeneralRef(_) => (1, 4),
        _ => (0, 0),
    }
}

fn check_chars(chars: usize) -> Result<(), ReadError> {
    match chars > MOST_CHARS {
        true => Err(ReadError::Unreadable(format!(
            "a cell of it has more than {MOST_CHARS} characters; save it as CSV"
        ))),
        false => Ok(()),
    }
}

/// Cells and rows can be said to be repeated, and so be many in few bytes.
fn check_cells(content: &mut dyn BufRead) -> Result<(), ReadError> {
    let mut xml = reader(content);
    let mut buffer = Vec::new();
    // What is held: each row once, up to its last cell that is not empty; then a rectangle around all, twice;
    // and the texts with them.
    let (mut held, mut rows, mut last_row, mut widest) = (0_u64, 0_u64, 0_u64, 0_u64);
    let (mut at, mut width, mut row_repeats, mut repeats) = (0_u64, 0_u64, 1_u64, 1_u64);
    let (mut rectangles, mut chars, mut is_in_cell) = (0_u64, 0, false);
    loop {
        buffer.clear();
        let Some(event) = next(&mut xml, &mut buffer)? else { return Ok(()) };
        let mut text = 0;
        match &event {
            Event::Start(element) => match element.local_name().as_ref() {
                "table" => {
                    rectangles = rectangles.saturating_add(last_row.saturating_mul(widest));
                    (rows, last_row, widest) = (0, 0, 0);
                }
                "table-row" => {
                    row_repeats = number(element, "table:number-rows-repeated")?.unwrap_or(1);
                    rows = rows.saturating_add(row_repeats);
                    (at, width) = (0, 0);
                }
                "table-cell" | "covered-table-cell" => {
                    repeats = number(element, "table:number-columns-repeated")?.unwrap_or(1);
                    at = at.saturating_add(repeats);
                    (chars, is_in_cell) = (0, true);
                    for name in ["office:string-value", "table:formula"] {
                        let value = attribute(element, name)?.unwrap_or_default();
                        check_chars(value.chars().count())?;
                        text += value.len() as u64;
                    }
                    if has(element, "office:value-type") || has(element, "table:formula") {
                        held = held.saturating_add((at - width).saturating_mul(HELD_OF_CELL));
                        width = at;
                        widest = widest.max(width);
                        last_row = rows;
                    }
                }
                _ => {}
            },
            Event::End(element)
                if matches!(element.local_name().as_ref(), "table-cell" | "covered-table-cell") =>
            {
                is_in_cell = false;
            }
            Event::Eof => return Ok(()),
            _ => {}
        }
        if is_in_cell {
            let (more, bytes) = text_of(&event);
            chars += more;
            text += bytes;
            check_chars(chars)?;
        }
        let copies = repeats.saturating_mul(row_repeats.saturating_mul(2).saturating_add(1));
        held = held.saturating_add(text.saturating_mul(copies));
        let rectangles = rectangles.saturating_add(last_row.saturating_mul(widest));
        if held.saturating_add(rectangles.saturating_mul(HELD_OF_RECTANGLE)) > MOST_HELD_OF_ODS {
            return Err(ReadError::Unreadable(
                "its cells take too much memory; save it as CSV or XLSX".into(),
            ));
        }
    }
}

/// XML as those read it who read it in earnest.
fn reader(content: &mut dyn BufRead) -> Reader<BufReader<Guarded<'_>>> {
    let mut xml = Reader::from_reader(BufReader::new(Guarded {
        content,
        kind: Kind::Usual,
        seen: [0; 4],
        between: 0,
    }));
    let config = xml.config_mut();
    config.check_end_names = false;
    config.check_comments = false;
    config.expand_empty_elements = true;
    xml
}

/// The next event; `None` where what follows is no XML.
fn next<'a>(
    xml: &mut Reader<BufReader<Guarded<'_>>>,
    buffer: &'a mut Vec<u8>,
) -> Result<Option<Event<'a>>, ReadError> {
    match xml.read_event_into(buffer) {
        Ok(event) => Ok(Some(event)),
        Err(quick_xml::Error::Io(error)) => Err(ReadError::unreadable(error)),
        Err(_) => Ok(None),
    }
}

/// XML of which no piece between two brackets is longer than one may be: each is held in memory.
struct Guarded<'a> {
    content: &'a mut dyn BufRead,
    kind: Kind,
    /// The last bytes.
    seen: [u8; 4],
    between: usize,
}

/// What is being read: within comments and the like a bracket is none.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Usual,
    Comment,
    Data,
}

impl Read for Guarded<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let length = self.content.read(out)?;
        for byte in &out[..length] {
            self.seen = [self.seen[1], self.seen[2], self.seen[3], *byte];
            self.between += 1;
            let ends = match (self.kind, &self.seen) {
                (Kind::Usual, b"<!--") => {
                    self.kind = Kind::Comment;
                    false
                }
                (Kind::Usual, b"<![C") => {
                    self.kind = Kind::Data;
                    false
                }
                (Kind::Usual, [.., b'<' | b'>']) => true,
                (Kind::Comment, [_, b'-', b'-', b'>']) | (Kind::Data, [_, b']', b']', b'>']) => {
                    self.kind = Kind::Usual;
                    true
                }
                _ => false,
            };
            if ends {
                self.between = 0;
            }
            if self.between > MOST_BETWEEN {
                return Err(std::io::Error::other(format!(
                    "a cell of it has more than {MOST_CHARS} characters; save it as CSV"
                )));
            }
        }
        Ok(length)
    }
}

/// What is said of a file that is none.
pub fn no_spreadsheet(error: impl std::fmt::Display) -> ReadError {
    ReadError::Unreadable(format!(
        "this is no XLSX and no ODS spreadsheet ({error}); save it as one of them or as CSV, or say with \
         --format what it is"
    ))
}

fn has(element: &BytesStart<'_>, name: &str) -> bool {
    matches!(element.try_get_attribute(name), Ok(Some(_)))
}

fn number(element: &BytesStart<'_>, name: &str) -> Result<Option<u64>, ReadError> {
    // What is no number is refused by whoever reads it.
    Ok(attribute(element, name)?.and_then(|value| value.parse().ok()))
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Result<Option<String>, ReadError> {
    let attribute = element.try_get_attribute(name).map_err(ReadError::unreadable)?;
    Ok(attribute.map(|it| it.value.into_owned()))
}
