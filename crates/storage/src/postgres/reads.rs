//! Lists and searches in PostgreSQL.

use customers_domain::selection::{Listing, Order, Page, Selection};
use diesel::connection::{DefaultLoadingMode, SimpleConnection};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use crate::drift::Compare;
use crate::listing::{self, Dialect, Route};
use crate::queries;
use crate::reading::{self, Ask, Readable, collect};
use crate::row::{CustomerRow, KeysRow};
use crate::sql::Sql;

/// A connection, and what there is behind it.
pub(crate) struct Asked<'a> {
    pub conn: &'a mut PgConnection,
    pub has_search_index: bool,
}

impl Asked<'_> {
    /// A page and its total in one query, which sees one state of the database by itself; `None` behind the
    /// last page, where the total has to be asked for. Terms are not searched for.
    pub fn page_at_once(
        &mut self,
        selection: &Selection,
        order: &Order,
        page: Page,
    ) -> QueryResult<Option<Listing>> {
        let route = Route::Order(order.sorts()[0].key);
        let total = reading::total_of(Dialect::Postgres, selection, route);
        let from = listing::counted_page(selection, order, route, page, total);
        let query = CustomerRow::select_counted::<Pg>(from.unique());
        let rows = query.load_iter::<(CustomerRow, i64), DefaultLoadingMode>(self.conn)?;
        let mut found = Readable::with_capacity(page.take as usize);
        let mut counted = None;
        for row in rows {
            let (row, total) = row?;
            found.add(row);
            counted = Some(u64::try_from(total).unwrap_or(0));
        }
        let is_behind = counted.is_none() && page.skip > 0;
        let listing = Listing { customers: found.customers, total: counted.unwrap_or(0) };
        Ok((!is_behind).then_some(listing))
    }
}

impl Ask for Asked<'_> {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn has_search_index(&self) -> bool {
        self.has_search_index
    }

    fn numbers(&mut self, query: Sql) -> QueryResult<Vec<i64>> {
        query.unique().typed::<BigInt>().load(self.conn)
    }

    fn texts(&mut self, query: Sql) -> QueryResult<Vec<String>> {
        query.unique().typed::<Text>().load(self.conn)
    }

    fn readable(&mut self, from: Sql, at_most: usize) -> QueryResult<Readable> {
        // A plan that was made for any value is a bad one for most.
        let query = CustomerRow::select::<Pg>(from.unique());
        collect(query.load_iter::<_, DefaultLoadingMode>(self.conn)?, at_most)
    }

    fn rows(&mut self, from: Sql) -> QueryResult<Vec<CustomerRow>> {
        // A plan that was made for any value is a bad one for most.
        CustomerRow::select::<Pg>(from.unique()).load(self.conn)
    }

    fn execute(&mut self, statement: Sql) -> QueryResult<()> {
        RunQueryDsl::execute(statement, self.conn).map(drop)
    }

    fn begin_again(&mut self) -> QueryResult<()> {
        // At once, so that diesel does not find its transaction ended.
        self.conn.batch_execute("COMMIT; BEGIN ISOLATION LEVEL READ COMMITTED")
    }
}

impl Compare for Asked<'_> {
    fn keys(&mut self, after: i64, last: i64) -> QueryResult<Vec<KeysRow>> {
        queries::keys_of_customers(after, last).select(KeysRow::as_select()).load(self.conn)
    }

    fn phones(&mut self, from: Sql) -> QueryResult<Vec<(String, i64)>> {
        let phones = Sql::new("SELECT digits, customer_id ").append(from).unique();
        phones.typed::<(Text, BigInt)>().load(self.conn)
    }
}
