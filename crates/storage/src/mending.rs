//! What a write mends on its way: rows beside its customer that should be there, and are not.
//!
//! No way is known in which they get lost. Where they are, a write puts them back instead of failing, or
//! of leaving its customer out of lists. `check` finds the rest, and `rebuild` mends it.

use std::sync::atomic::{AtomicU64, Ordering};

use customers_domain::CustomerId;
use diesel::prelude::*;

use crate::reading::Ask;
use crate::sql::{Bind, Sql};

/// What a write has found missing and put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mended {
    /// The keys of a customer.
    Keys(CustomerId),
    /// Phone numbers of a customer.
    Phones(CustomerId),
    /// The count of all customers.
    Totals,
}

/// How often writes have mended what, since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MendedStatistics {
    /// Customers whose keys were missing.
    pub keys: u64,
    /// Customers of whom phone numbers were missing.
    pub phones: u64,
    /// Counts of all customers.
    pub totals: u64,
}

/// Counts what writes mend.
#[derive(Debug, Default)]
pub(crate) struct Mending {
    keys: AtomicU64,
    phones: AtomicU64,
    totals: AtomicU64,
}

impl Mending {
    /// Counts it, and says so in the log.
    pub fn add(&self, mended: Mended) {
        let count = match mended {
            Mended::Keys(customer) => {
                log::warn!(customer = customer.get(); "mended: the customer had no search keys");
                &self.keys
            }
            Mended::Phones(customer) => {
                log::warn!(customer = customer.get(); "mended: phone numbers of the customer could not be found");
                &self.phones
            }
            Mended::Totals => {
                log::warn!("mended: the count of all customers was missing");
                &self.totals
            }
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub fn statistics(&self) -> MendedStatistics {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        MendedStatistics {
            keys: count(&self.keys),
            phones: count(&self.phones),
            totals: count(&self.totals),
        }
    }
}

/// Corrects the count of all customers, and returns by how much it was off: of those that are not
/// deleted, and of those that are.
///
/// Every write changes the count together with its customer, so the difference between both stays the
/// same while others write. Adding it once is right, whatever they do meanwhile. To be run in a
/// transaction, under the [lock](crate::indexes::lock): added twice, it would be wrong.
pub(crate) fn correct_totals(conn: &mut (impl Ask + ?Sized)) -> QueryResult<(i64, i64)> {
    let live = off_by(conn, "live", "IS NULL")?;
    let deleted = off_by(conn, "deleted", "IS NOT NULL")?;
    if (live, deleted) != (0, 0) {
        let values = [Bind::from(0), live.into(), deleted.into()];
        conn.execute(counted(Sql::new("VALUES (").list(values).push(")")))?;
    }
    Ok((live, deleted))
}

/// How many customers there are more than counted in this column.
pub(crate) fn off_by(
    conn: &mut (impl Ask + ?Sized),
    column: &'static str,
    deleted_at: &'static str,
) -> QueryResult<i64> {
    conn.number(
        Sql::new("SELECT CAST((SELECT count(*) FROM customers WHERE deleted_at ")
            .push(deleted_at)
            .push(") - (SELECT coalesce(sum(")
            .push(column)
            .push("), 0) FROM customer_totals) AS BIGINT)"),
    )
}

/// Adds what is selected, a slot and two numbers, to the count of all customers. The row of the slot is
/// made where it is missing: else what is counted would be lost.
pub(crate) fn counted(values: Sql) -> Sql {
    Sql::new("INSERT INTO customer_totals (slot, live, deleted) ").append(values).push(
        " ON CONFLICT (slot) DO UPDATE SET live = customer_totals.live + excluded.live, \
         deleted = customer_totals.deleted + excluded.deleted",
    )
}
