//! Spreadsheets are archives, and small ones can hold more than any memory: how much is found out
//! before one is read.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use zip::ZipArchive;

use crate::intake::ReadError;

/// The most bytes that a file of an archive may have.
const MOST_BYTES: u64 = 1 << 30;

/// So many bytes are never too many for the size of the archive.
const FEW_BYTES: u64 = 16 << 20;

/// Of more, an archive may hold so many times its own size. What people type is packed to a tenth, and
/// hardly to less than a fiftieth.
const MOST_TIMES: u64 = 200;

/// The most cells that are held in memory, where those between are held, too.
const MOST_CELLS: u64 = 4_000_000;

/// Whether an XLSX workbook can be read: only the texts that its cells share are held in memory.
///
/// # Errors
///
/// Where it is no archive, or too much in memory.
pub fn check_xlsx(file: &File) -> Result<(), ReadError> {
    check(file, |name, content| {
        if name.to_lowercase().ends_with("sharedstrings.xml") {
            check_count(content)?;
        }
        Ok(())
    })
}

/// Whether an ODS document can be read, all of which is held in memory.
///
/// # Errors
///
/// Where it is no archive, or too much in memory.
pub fn check_ods(file: &File) -> Result<(), ReadError> {
    check(file, |name, content| if name == "content.xml" { check_cells(content) } else { Ok(()) })
}

/// Unpacks each file of an archive, after something was made of its beginning.
fn check(
    mut file: &File,
    of_file: impl Fn(&str, &mut dyn BufRead) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let size = file.metadata().map_err(ReadError::unreadable)?.len();
    let most = MOST_BYTES.min(size.saturating_mul(MOST_TIMES).max(FEW_BYTES));
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(no_spreadsheet)?;
    for at in 0..archive.len() {
        let content = archive.by_index(at).map_err(ReadError::unreadable)?;
        let name = content.name().map_err(ReadError::unreadable)?.into_owned();
        // The sizes that it says its files have may be anything.
        let mut content = BufReader::new(content.take(most + 1));
        of_file(&name, &mut content)?;
        std::io::copy(&mut content, &mut std::io::sink()).map_err(ReadError::unreadable)?;
        if content.get_ref().limit() == 0 {
            return Err(ReadError::Unreadable(format!(
                "{name} in it unpacks to more than {} MiB; save it as CSV",
                most >> 20
            )));
        }
    }
    drop(archive);
    file.rewind().map_err(ReadError::unreadable)
}

/// Memory is set aside for as many shared texts as the beginning says there are.
fn check_count(content: &mut dyn BufRead) -> Result<(), ReadError> {
    let mut xml = Reader::from_reader(content);
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        match xml.read_event_into(&mut buffer).map_err(ReadError::unreadable)? {
            Event::Start(element) if element.local_name().as_ref() == "sst" => {
                let count = number(&element, "uniqueCount")?;
                return match count.is_none_or(|count| count <= MOST_CELLS * 4) {
                    true => Ok(()),
                    false => Err(ReadError::Unreadable("it says it shares too many texts".into())),
                };
            }
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

/// Cells and rows can be said to be repeated, and so be many in few bytes.
fn check_cells(content: &mut dyn BufRead) -> Result<(), ReadError> {
    let mut xml = Reader::from_reader(content);
    let mut buffer = Vec::new();
    // What is held: each row once, up to its last cell that is not empty; then a rectangle around all.
    let (mut held, mut rows, mut last_row, mut widest) = (0_u64, 0_u64, 0_u64, 0_u64);
    let (mut at, mut width) = (0_u64, 0_u64);
    loop {
        buffer.clear();
        match xml.read_event_into(&mut buffer).map_err(ReadError::unreadable)? {
            Event::Start(element) | Event::Empty(element) => match element.local_name().as_ref() {
                "table" => (rows, last_row, widest) = (0, 0, 0),
                "table-row" => {
                    let repeats = number(&element, "table:number-rows-repeated")?;
                    rows = rows.saturating_add(repeats.unwrap_or(1));
                    (at, width) = (0, 0);
                }
                "table-cell" | "covered-table-cell" => {
                    let repeats = number(&element, "table:number-columns-repeated")?;
                    at = at.saturating_add(repeats.unwrap_or(1));
                    if has(&element, "office:value-type") || has(&element, "table:formula") {
                        held = held.saturating_add(at - width);
                        width = at;
                        widest = widest.max(width);
                        last_row = rows;
                    }
                }
                _ => {}
            },
            Event::Eof => return Ok(()),
            _ => {}
        }
        if held > MOST_CELLS || last_row.saturating_mul(widest) > MOST_CELLS {
            return Err(ReadError::Unreadable(format!(
                "it has more than {MOST_CELLS} cells; save it as CSV or XLSX"
            )));
        }
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
    let attribute = element.try_get_attribute(name).map_err(ReadError::unreadable)?;
    let Some(attribute) = attribute else { return Ok(None) };
    // What is no number is refused by whoever reads it.
    Ok(attribute.value.parse().ok())
}
