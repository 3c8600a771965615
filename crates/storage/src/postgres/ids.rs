//! The ids of new customers.

use std::sync::{Arc, Mutex, MutexGuard};

use customers_domain::CustomerId;
use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_types::BigInt;

use super::sequences::CUSTOMERS;
use crate::row::customer_id;
use crate::sql::Sql;

/// Ids are drawn so many at once, which saves a round trip for most customers. A process that stops
/// leaves a gap of no more than this.
const AT_ONCE: i32 = 32;

/// Ids that were drawn and not used yet, the next one last.
#[derive(Clone, Default)]
pub(super) struct Ids(Arc<Mutex<Vec<i64>>>);

impl Ids {
    /// The next id, of those drawn or newly drawn.
    pub fn next(&self, conn: &mut PgConnection) -> QueryResult<CustomerId> {
        if let Some(id) = self.drawn().pop() {
            return customer_id(id);
        }
        let mut drawn: Vec<i64> =
            Sql::new("SELECT nextval('customers_id') AS id FROM generate_series(1, ")
                .bind(AT_ONCE)
                .push(")")
                .typed::<BigInt>()
                .load(conn)?;
        drawn.sort_unstable_by(|a, b| b.cmp(a));
        let next = drawn.pop().ok_or(Error::NotFound)?;
        // Smaller ids are used first, also where two threads drew at once.
        let mut ids = self.drawn();
        ids.extend(drawn);
        ids.sort_unstable_by(|a, b| b.cmp(a));
        customer_id(next)
    }

    /// Keeps an id that was drawn and is not used for the next customer.
    pub fn give_back(&self, id: CustomerId) {
        self.drawn().push(id.get());
    }

    /// Goes on behind the highest id that there is, where one that was drawn is another customer's.
    pub fn go_on_behind_all(&self, conn: &mut PgConnection) -> QueryResult<()> {
        let highest = CUSTOMERS.highest(conn)?;
        self.drawn().retain(|id| *id > highest);
        CUSTOMERS.go_on_behind(conn, highest)
    }

    fn drawn(&self) -> MutexGuard<'_, Vec<i64>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
