//! What is erased beside the customer itself: the same on both databases.

use customers_domain::CustomerId;
use customers_domain::history::Action;
use diesel::QueryResult;

use crate::reading::Ask;
use crate::row::without_values;
use crate::sql::Sql;

/// Whether nothing was done to the customer since it was erased.
pub(crate) fn is_erased(conn: &mut impl Ask, id: CustomerId) -> QueryResult<bool> {
    let last = Sql::new("SELECT action FROM customer_history WHERE customer_id = ")
        .bind(id.get())
        .push(" ORDER BY id DESC LIMIT 1");
    Ok(conn.texts(last)?.first().is_some_and(|last| last == Action::Erased.as_str()))
}

/// Takes the values and the ids of requests, which callers may choose, out of the customer's history, and
/// removes the answers that repeat the values.
pub(crate) fn forget(conn: &mut impl Ask, id: CustomerId) -> QueryResult<()> {
    let history = |column: &'static str| {
        Sql::new("SELECT ")
            .push(column)
            .push(" FROM customer_history WHERE customer_id = ")
            .bind(id.get())
            .push(" ORDER BY id")
    };
    // Nobody adds to it between the two: whoever does so changes the customer, too.
    let entries = conn.numbers(history("id"))?;
    let changes = conn.texts(history("changes"))?;
    for (entry, changes) in entries.into_iter().zip(changes) {
        let names = without_values(&changes)?;
        if names != changes {
            let blank = Sql::new("UPDATE customer_history SET changes = ").bind(names);
            conn.execute(blank.push(" WHERE id = ").bind(entry))?;
        }
    }
    // That of the erasure itself is no caller's: it tells whether it was made where its answer was lost.
    let anonymous = Sql::new("UPDATE customer_history SET request_id = '' WHERE customer_id = ")
        .bind(id.get())
        .push(" AND action <> ")
        .bind(Action::Erased.as_str().to_owned());
    conn.execute(anonymous)?;
    conn.execute(Sql::new("DELETE FROM idempotency_keys WHERE customer_id = ").bind(id.get()))
}
