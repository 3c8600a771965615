//! What lists and searches cost in SQLite: what is bounded runs inline, everything else in a lane.

use customers_domain::selection::{Filter, Order, Selection, Trashed};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::{Sqlite, SqliteConnection};

use super::lanes::Cost;
use crate::drift::Compare;
use crate::listing::{self, Dialect};
use crate::queries;
use crate::reading::{Ask, Readable, collect};
use crate::row::{CustomerRow, KeysRow};
use crate::sql::Sql;

/// The most customers or entries of a page that is read inline, and the most that are skipped before it.
pub(super) const INLINE: u64 = 100;

/// From this many customers to skip on, a page is known to be a scan.
const DEEP: u64 = 20_000;

/// What a list costs.
pub(super) fn cost(selection: &Selection, order: &Order, skip: u64, take: u32) -> Cost {
    // All customers, in the order of one index.
    if selection.filters.is_empty()
        && selection.trashed == Trashed::Without
        && order.sorts().len() <= 2
        && skip <= INLINE
        && u64::from(take) <= INLINE
    {
        return Cost::Bounded;
    }
    if skip >= DEEP || is_scan(selection) { Cost::Scan } else { Cost::Unknown }
}

/// Whether each customer has to be looked at: names are searched for texts that no index has, and no
/// other filter has an index.
fn is_scan(selection: &Selection) -> bool {
    let is_unindexed = |filter: &Filter| match filter {
        Filter::Name(texts) => !texts.iter().all(|text| listing::is_indexable(text)),
        _ => false,
    };
    selection.filters.iter().any(is_unindexed) && listing::indexed(selection).is_empty()
}

impl Ask for SqliteConnection {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn has_search_index(&self) -> bool {
        true
    }

    fn numbers(&mut self, query: Sql) -> QueryResult<Vec<i64>> {
        query.typed::<BigInt>().load(self)
    }

    fn texts(&mut self, query: Sql) -> QueryResult<Vec<String>> {
        query.typed::<Text>().load(self)
    }

    fn readable(&mut self, from: Sql, at_most: usize) -> QueryResult<Readable> {
        collect(CustomerRow::select::<Sqlite>(from).load_iter(self)?, at_most)
    }

    fn rows(&mut self, from: Sql) -> QueryResult<Vec<CustomerRow>> {
        CustomerRow::select::<Sqlite>(from).load(self)
    }

    fn execute(&mut self, statement: Sql) -> QueryResult<()> {
        RunQueryDsl::execute(statement, self).map(drop)
    }
}

impl Compare for SqliteConnection {
    fn keys(&mut self, after: i64, last: i64) -> QueryResult<Vec<KeysRow>> {
        queries::keys_of_customers(after, last).select(KeysRow::as_select()).load(self)
    }

    fn phones(&mut self, from: Sql) -> QueryResult<Vec<(String, i64)>> {
        let phones = Sql::new("SELECT digits, customer_id ").append(from);
        phones.typed::<(Text, BigInt)>().load(self)
    }
}
