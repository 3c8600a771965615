//! A row of whatever is read: a line of CSV or JSON, a row of a spreadsheet, a customer of a page.

use customers_domain::lenient::Sent;
use serde::{Deserialize, Serialize};

/// A value, as its format has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cell {
    Null,
    Boolean(bool),
    /// A number as it is written.
    Number(String),
    Text(String),
    /// An array or an object.
    Composite,
    /// What a spreadsheet shows where it could not calculate, such as `#N/A`.
    Error(String),
    /// Bytes that are no text.
    Broken,
}

impl Cell {
    /// The same for whoever reads it.
    pub fn as_sent(&self) -> Sent<'_> {
        match self {
            Self::Null => Sent::Null,
            Self::Boolean(boolean) => Sent::Boolean(*boolean),
            Self::Number(number) => Sent::Number(number),
            Self::Text(text) => Sent::Text(text),
            Self::Composite | Self::Error(_) | Self::Broken => Sent::Other,
        }
    }
}

/// A row, and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The line, or the number of the row or of the customer, from 1 on.
    pub line: u64,
    /// Its values by their columns.
    pub cells: Vec<(usize, Cell)>,
}

impl Row {
    /// How many bytes its values take.
    pub fn bytes(&self) -> usize {
        let of_cell = |(_, cell): &(usize, Cell)| match cell {
            Cell::Number(text) | Cell::Text(text) | Cell::Error(text) => text.len(),
            Cell::Null | Cell::Boolean(_) | Cell::Composite | Cell::Broken => 0,
        };
        self.cells.iter().map(of_cell).sum()
    }
}

/// What a reader finds, in its order.
pub enum Found {
    /// An export of a registry has written it, and says so: a column `id` that follows holds ids.
    Export,
    /// The names of all columns of a table, which hold different things.
    Heading(Vec<Column>),
    /// A name that an object of JSON has first. Two may hold the same in different rows.
    Member(Column),
    Row(Row),
    /// A row that cannot be taken, with what can be read of it, and why.
    Broken(Row, String),
}

/// A column of what is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its heading, or the name of a member.
    pub name: String,
    /// What a spreadsheet calls it, such as `AB`.
    pub letters: Option<String>,
}

/// Why reading ends before the end.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Whoever takes the rows wants no more.
    #[error("stopped")]
    Stopped,
    /// What is read changed while it was read, and not all of it may have been seen.
    #[error("it changed while it was read")]
    Changed,
    /// It cannot be read on.
    #[error("{0}")]
    Unreadable(String),
}

impl ReadError {
    pub fn unreadable(error: impl std::fmt::Display) -> Self {
        Self::Unreadable(error.to_string())
    }
}

/// Takes what a reader finds, until it wants no more.
pub type Sink<'a> = &'a mut dyn FnMut(Found) -> Result<(), ReadError>;
