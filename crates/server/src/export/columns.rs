//! The columns of a table of customers.

use std::sync::LazyLock;

use customers_domain::{ATTRIBUTES, Customer, Timestamp, Value};

use crate::formula::guarded;

/// What they are called: as the API calls what they hold.
pub static NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let attributes = ATTRIBUTES.iter().map(|attribute| attribute.name);
    ["id"].into_iter().chain(attributes).chain(["created_at", "updated_at", "deleted_at"]).collect()
});

/// What stands in those behind the attributes; nothing of a customer that is not deleted in the last.
pub fn times(customer: &Customer) -> [String; 3] {
    let Customer { created_at, updated_at, deleted_at, .. } = customer;
    let deleted_at = deleted_at.as_ref().map_or(String::new(), Timestamp::to_string);
    [created_at.to_string(), updated_at.to_string(), deleted_at]
}

/// The names as a row of CSV, as RFC 4180 writes it.
pub fn csv_head() -> Vec<u8> {
    csv(|table| table.write_record(NAMES.iter()))
}

/// The customers as rows of CSV. Raw, text stands there as it is; otherwise none of it can become a
/// formula.
pub fn csv_rows(customers: &[Customer], raw: bool) -> Vec<u8> {
    let cell = |text: &str| if raw { text.to_owned() } else { guarded(text).into_owned() };
    csv(|table| {
        for customer in customers {
            table.write_field(customer.id.to_string())?;
            for attribute in ATTRIBUTES {
                match attribute.of(customer) {
                    Value::Null => table.write_field("")?,
                    Value::Text(text) => table.write_field(cell(&text))?,
                    Value::Integer(number) => table.write_field(number.to_string())?,
                    Value::Boolean(boolean) => table.write_field(boolean.to_string())?,
                }
            }
            for time in times(customer) {
                table.write_field(time)?;
            }
            table.write_record(None::<&[u8]>)?;
        }
        Ok(())
    })
}

fn csv(write: impl FnOnce(&mut csv::Writer<Vec<u8>>) -> csv::Result<()>) -> Vec<u8> {
    // Where a program takes another separator, a value without quotes would be several cells.
    let mut table = csv::WriterBuilder::new()
        .quote_style(csv::QuoteStyle::Always)
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    write(&mut table).expect("rows of one length, in memory");
    table.into_inner().expect("memory")
}
