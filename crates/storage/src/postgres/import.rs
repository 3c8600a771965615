//! Customers that are brought into PostgreSQL, by COPY.

use customers_domain::{Customer, Timestamp, Write};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::Error;

use super::connections::with_time_limits;
use super::horizon;
use super::reads::Asked;
use super::sequences::CUSTOMERS;
use super::writes::{Arrival, Made, modify};
use crate::change::{Change, Creation, Difference};
use crate::error::OpenError;
use crate::import::{Changed, Load, Totals};
use crate::mending::{self, Mending};
use crate::reading::Ask;
use crate::schema::{customer_history, customer_keys, customer_phones, customers};
use crate::sql::Sql;

/// A connection for an import.
pub(crate) fn connect(url: &str) -> Result<PgConnection, OpenError> {
    let mut conn = super::connect_for_long(&with_time_limits(url))?;
    conn.batch_execute("SET maintenance_work_mem = '128MB'")
        .map_err(|error| OpenError::Connect(error.into()))?;
    Ok(conn)
}

/// The connection as it is asked and written to.
pub(crate) fn target(conn: &mut PgConnection) -> Asked<'_> {
    Asked { conn, has_search_index: false }
}

impl Load for Asked<'_> {
    fn next_ids(&mut self, count: usize, above: i64) -> QueryResult<Vec<i64>> {
        CUSTOMERS.go_on_behind(self.conn, above)?;
        let draw = Sql::new("SELECT nextval('customers_id') FROM generate_series(1, ");
        self.numbers(draw.bind(count as i64).push(")"))
    }

    fn now(&mut self) -> QueryResult<Timestamp> {
        horizon::begin_import(self.conn)
    }

    /// In one order, or two that lock the same customers would wait for each other.
    fn lock(&mut self, ids: &[i64], keys: &[String]) -> QueryResult<()> {
        let list = |values: serde_json::Result<String>| {
            values.map_err(|error| Error::SerializationError(error.into()))
        };
        let locked = Sql::new(
            "SELECT id FROM customers WHERE id IN (\
             SELECT CAST(value AS BIGINT) FROM json_array_elements_text(CAST(",
        )
        .bind(list(serde_json::to_string(ids))?)
        .push(
            " AS JSON)) UNION SELECT id FROM customers WHERE account_key IN (\
             SELECT value FROM json_array_elements_text(CAST(",
        )
        .bind(list(serde_json::to_string(keys))?)
        .push(" AS JSON)))) ORDER BY id FOR UPDATE");
        self.numbers(locked).map(drop)
    }

    fn store(
        &mut self,
        created: &[Customer],
        changed: Vec<Changed>,
        write: &Write,
        now: Timestamp,
    ) -> QueryResult<Totals> {
        let mut totals = Totals::default();
        if let Some(last) = created.iter().map(|customer| customer.id.get()).max() {
            CUSTOMERS.go_on_behind(self.conn, last)?;
            let (mut rows, mut keys, mut history) = (Vec::new(), Vec::new(), Vec::new());
            let mut phones = Vec::new();
            for customer in created {
                let creation = Creation::new(customer, write);
                let id = customer.id.get();
                let digits = creation.phones.into_iter().map(|digits| {
                    (customer_phones::digits.eq(digits), customer_phones::customer_id.eq(id))
                });
                phones.extend(digits);
                rows.push(creation.row);
                keys.push(creation.keys);
                history.push(creation.history);
                history.last_mut().expect("it was just put there").at = now.as_micros();
                let live = i64::from(creation.is_live);
                totals += Totals { live, deleted: 1 - live };
            }
            diesel::copy_from(customers::table).from_insertable(rows).execute(self.conn)?;
            diesel::copy_from(customer_keys::table).from_insertable(keys).execute(self.conn)?;
            diesel::copy_from(customer_phones::table).from_insertable(phones).execute(self.conn)?;
            diesel::copy_from(customer_history::table)
                .from_insertable(history)
                .execute(self.conn)?;
        }
        for Changed { stored, before, after } in changed {
            let change = Change::between(&before, &after);
            let mut difference = Difference::new(&change, &stored, &before, &after, write)?;
            difference.history.at = now.as_micros();
            let live = std::mem::take(&mut difference.live);
            totals += Totals { live, deleted: -live };
            let mending = Mending::default();
            // Somebody else has changed it meanwhile.
            if modify(self.conn, difference, &before, Arrival::Any, &mending)? != Made::Yes {
                return Err(Error::NotFound);
            }
        }
        Ok(totals)
    }

    fn count(&mut self, Totals { live, deleted }: Totals) -> QueryResult<()> {
        if (live, deleted) == (0, 0) {
            return Ok(());
        }
        let values = Sql::new("VALUES (0, ").bind(live).push(", ").bind(deleted).push(")");
        self.execute(mending::counted(values))
    }
}
