//! The index of all that is searched.

use diesel::prelude::*;
use diesel::result::Error;

use crate::sql::Sql;

/// Adds the texts of customers that have none in it, by their ids.
pub(crate) fn added<'a>(texts: impl Iterator<Item = (i64, &'a str)>) -> QueryResult<Sql> {
    written("INSERT", texts)
}

/// Puts the texts of customers in the place of what they have in it, if anything.
pub(crate) fn replaced<'a>(texts: impl Iterator<Item = (i64, &'a str)>) -> QueryResult<Sql> {
    written("INSERT OR REPLACE", texts)
}

/// In one statement: the index writes out what it was given at the end of each.
fn written<'a>(
    insert: &'static str,
    texts: impl Iterator<Item = (i64, &'a str)>,
) -> QueryResult<Sql> {
    let texts: Vec<_> = texts.collect();
    let texts = serde_json::to_string(&texts).map_err(|it| Error::SerializationError(it.into()))?;
    let statement = Sql::new(insert).push(
        " INTO customer_search (rowid, searched_text)
         SELECT value ->> 0, value ->> 1 FROM json_each(",
    );
    Ok(statement.bind(texts).push(")"))
}
