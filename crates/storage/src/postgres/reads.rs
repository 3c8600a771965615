//! Lists and searches in PostgreSQL.

use customers_domain::Customer;
use diesel::connection::DefaultLoadingMode;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use crate::listing::Dialect;
use crate::reading::{Ask, collect};
use crate::row::CustomerRow;
use crate::sql::Sql;

/// A connection, and what there is behind it.
pub(crate) struct Asked<'a> {
    pub conn: &'a mut PgConnection,
    pub has_search_index: bool,
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

    fn customers(&mut self, from: Sql, at_most: usize) -> QueryResult<Vec<Customer>> {
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
}
