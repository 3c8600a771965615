//! Customers in a spreadsheet, as XLSX.

use std::fs::File;

use customers_domain::{ATTRIBUTES, Customer, Value};
use rust_xlsxwriter::{DocProperties, Format, Workbook, Worksheet, XlsxError};

use super::columns::{NAMES, times};

/// What the sheet is called.
const NAME: &str = "customers";

/// The most customers that a sheet has rows for, below the row of names.
pub const MOST: u64 = 1_048_575;

/// The most UTF-16 units that a cell holds.
const CELL: usize = 32_767;

/// The custom property of a workbook whose column `id` holds ids of a registry, which an import looks for.
/// Spreadsheet programs keep it when they save the workbook, as another format, too.
pub const MARK: &str = "customers export";

/// A spreadsheet that grows in a temporary file.
pub struct Sheet {
    book: Workbook,
    row: u32,
}

/// Why a customer does not get into a spreadsheet.
#[derive(Debug, thiserror::Error)]
pub enum SheetError {
    #[error(
        "of customer {id}, {name} has {length} characters, and a cell of a spreadsheet holds {CELL}; \
         export as csv or ndjson"
    )]
    TooLong { id: i64, name: &'static str, length: usize },
    #[error("cannot write the spreadsheet: {0}")]
    Other(#[from] XlsxError),
}

impl Sheet {
    /// One with a row of names.
    pub fn new() -> Result<Self, SheetError> {
        let mut book = Workbook::new();
        book.set_properties(&DocProperties::new().set_custom_property(MARK, true));
        let sheet = book.add_worksheet_with_constant_memory()?;
        sheet.set_name(NAME)?.set_freeze_panes(1, 0)?;
        let bold = Format::new().set_bold();
        for (column, name) in (0..).zip(NAMES.iter()) {
            sheet.write_string_with_format(0, column, *name, &bold)?;
        }
        Ok(Self { book, row: 1 })
    }

    /// Adds a customer.
    pub fn add(&mut self, customer: &Customer) -> Result<(), SheetError> {
        let row = self.row;
        let sheet = self.book.worksheet_from_index(0)?;
        // Below 2^53, so it is exact.
        sheet.write_number(row, 0, customer.id.get() as f64)?;
        let mut columns = 1..;
        for (attribute, column) in ATTRIBUTES.iter().zip(columns.by_ref()) {
            let value = attribute.of(customer);
            if let Value::Text(text) = &value
                && text.encode_utf16().count() > CELL
            {
                let length = text.chars().count();
                let id = customer.id.get();
                return Err(SheetError::TooLong { id, name: attribute.name, length });
            }
            write(sheet, row, column, &value)?;
        }
        for (time, column) in times(customer).into_iter().zip(columns) {
            write(sheet, row, column, &Value::Text(time.into()))?;
        }
        self.row += 1;
        Ok(())
    }

    /// Writes all of it to a file.
    pub fn save(mut self, file: &mut File) -> Result<(), SheetError> {
        self.book.save_to_writer(file)?;
        Ok(())
    }
}

/// Text is written as text, whatever it looks like: nothing here becomes a formula.
fn write(sheet: &mut Worksheet, row: u32, column: u16, value: &Value<'_>) -> Result<(), XlsxError> {
    match value {
        Value::Null => return Ok(()),
        Value::Text(text) if text.is_empty() => return Ok(()),
        Value::Text(text) => sheet.write_string(row, column, text.as_ref())?,
        Value::Integer(number) => sheet.write_number(row, column, *number)?,
        Value::Boolean(boolean) => sheet.write_boolean(row, column, *boolean)?,
    };
    Ok(())
}
