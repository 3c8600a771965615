//! Customers in spreadsheets: XLSX and ODS.

use std::io::{BufReader, Read, Seek};

use calamine::{Data, DataRef, DataType, Ods, Reader, WorkbookProperties, Xlsx};

use super::archive::no_spreadsheet;
use crate::export::MARK;
use crate::intake::{Cell, Column, Found, Gauge, ReadError, Row, Sink};

/// The most bytes of a row. Cells may share a long text, and a row holds it once for each.
const MOST_BYTES: usize = 4 << 20;

/// The most columns that a spreadsheet has.
pub const MOST_COLUMNS: usize = 16_384;

/// Reads a sheet of an XLSX workbook, the first unless one is named. Its rows are read one after the
/// other; the texts that it shares are held in memory.
pub fn read_xlsx(
    file: impl Read + Seek,
    sheet: Option<&str>,
    gauge: &Gauge,
    sink: Sink<'_>,
) -> Result<(), ReadError> {
    let mut book = Xlsx::new(BufReader::new(file)).map_err(no_spreadsheet)?;
    let sheet = choose(book.sheet_names(), sheet)?;
    if is_marked(book.workbook_properties()) {
        sink(Found::Export)?;
    }
    let mut cells = book.worksheet_cells_reader(&sheet).map_err(ReadError::unreadable)?;
    gauge.set_length(u64::from(cells.dimensions().end.0) + 1);
    let mut table = Table { sink, gauge, width: 0 };
    let (mut line, mut row, mut bytes) = (0, Vec::new(), 0);
    while let Some(cell) = cells.next_cell().map_err(ReadError::unreadable)? {
        let (at, column) = cell.get_position();
        if at + 1 != line {
            table.row(line, std::mem::take(&mut row))?;
            (line, bytes) = (at + 1, 0);
        }
        if row.len() == MOST_COLUMNS || column as usize >= MOST_COLUMNS {
            return Err(ReadError::Unreadable(format!("row {line} has too many cells")));
        }
        bytes += cell.get_value().get_string().map_or(0, str::len);
        refuse_long(line, bytes)?;
        row.push((column as usize, of_ref(cell.get_value())));
    }
    table.row(line, row)
}

/// Reads a sheet of an ODS document, the first unless one is named. The document is held in memory.
pub fn read_ods(
    file: impl Read + Seek,
    sheet: Option<&str>,
    gauge: &Gauge,
    sink: Sink<'_>,
) -> Result<(), ReadError> {
    let mut book = Ods::new(BufReader::new(file)).map_err(no_spreadsheet)?;
    let sheet = choose(book.sheet_names(), sheet)?;
    if is_marked(book.workbook_properties()) {
        sink(Found::Export)?;
    }
    let range = book.worksheet_range(&sheet).map_err(ReadError::unreadable)?;
    let (first_row, first_column) = range.start().unwrap_or_default();
    gauge.set_length(range.height() as u64);
    let mut table = Table { sink, gauge, width: 0 };
    for (row, line) in range.rows().zip(first_row + 1..) {
        let bytes = row.iter().map(|cell| cell.get_string().map_or(0, str::len));
        refuse_long(line, bytes.sum())?;
        let cells = row.iter().map(of_data).enumerate();
        table.row(line, cells.map(|(at, cell)| (at + first_column as usize, cell)).collect())?;
    }
    Ok(())
}

/// Whether an export has written a workbook. One whose properties cannot be read has not.
fn is_marked<E>(properties: Result<WorkbookProperties, E>) -> bool {
    properties.is_ok_and(|it| it.custom_properties.contains_key(MARK))
}

fn choose(names: Vec<String>, wanted: Option<&str>) -> Result<String, ReadError> {
    let found = match wanted {
        Some(wanted) => names.iter().find(|name| *name == wanted),
        None => names.first(),
    };
    found.cloned().ok_or_else(|| {
        ReadError::Unreadable(format!("there is no such sheet, but {}", names.join(", ")))
    })
}

fn refuse_long(line: u32, bytes: usize) -> Result<(), ReadError> {
    match bytes > MOST_BYTES {
        true => {
            let most = MOST_BYTES >> 20;
            Err(ReadError::Unreadable(format!("row {line} is longer than {most} MiB")))
        }
        false => Ok(()),
    }
}

/// Rows of which the first that is not empty holds the headings.
struct Table<'a> {
    sink: Sink<'a>,
    gauge: &'a Gauge,
    width: usize,
}

impl Table<'_> {
    fn row(&mut self, line: u32, cells: Vec<(usize, Cell)>) -> Result<(), ReadError> {
        self.gauge.read(1);
        let is_blank = |cell: &Cell| cell.as_sent().is_nothing();
        if cells.iter().all(|(_, cell)| is_blank(cell)) {
            return Ok(());
        }
        let line = line.into();
        if self.width == 0 {
            let width = cells.iter().map(|(at, _)| at + 1).max().unwrap_or(0);
            self.width = width;
            let mut names = vec![String::new(); width];
            for (at, cell) in cells {
                if let Cell::Text(name) | Cell::Number(name) = cell {
                    names[at] = name.trim().to_owned();
                }
            }
            let column = |(at, name)| Column { name, letters: Some(letters(at)) };
            return (self.sink)(Found::Heading(
                names.into_iter().enumerate().map(column).collect(),
            ));
        }
        // A workbook does not have the cells that are empty.
        let mut row: Vec<_> = (0..self.width).map(|at| (at, Cell::Null)).collect();
        for (at, cell) in cells {
            match row.get_mut(at) {
                Some((_, empty)) => *empty = cell,
                None if is_blank(&cell) => {}
                None => row.push((at, cell)),
            }
        }
        (self.sink)(Found::Row(Row { line, cells: row }))
    }
}

/// What a spreadsheet calls a column.
fn letters(at: usize) -> String {
    let last = char::from(b'A' + (at % 26) as u8);
    if at < 26 { last.to_string() } else { letters(at / 26 - 1) + &last.to_string() }
}

fn of_ref(value: &DataRef<'_>) -> Cell {
    match value {
        DataRef::SharedString(text) => Cell::Text((*text).to_owned()),
        value => of_data(&Data::from(value.clone())),
    }
}

fn of_data(value: &Data) -> Cell {
    match value {
        Data::Empty => Cell::Null,
        Data::Bool(boolean) => Cell::Boolean(*boolean),
        Data::Int(number) => Cell::Number(number.to_string()),
        // Written out, and whole where it is: an account, a SIRET.
        Data::Float(number) => Cell::Number(number.to_string()),
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => {
            Cell::Text(text.clone())
        }
        Data::DateTime(at) if value.is_datetime() => {
            let (year, month, day, hour, minute, second, milli) = at.to_ymd_hms_milli();
            Cell::Text(format!(
                "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"
            ))
        }
        Data::DateTime(at) => Cell::Number(at.as_f64().to_string()),
        Data::Error(error) => Cell::Error(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::letters;

    #[test]
    fn columns_are_lettered_as_in_a_spreadsheet() {
        let lettered = [0, 25, 26, 51, 52, 701, 702].map(letters);
        assert_eq!(lettered, ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]);
    }
}
