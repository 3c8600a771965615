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

/// The most entries of the history that are in memory at once. Each may hold a long text twice.
const ENTRIES: usize = 32;

/// Takes the values out of the next entries of the customer's history behind this one, and returns the
/// last of them; `None` where there are few, which [`forget`] does with the rest.
///
/// For a long history this is done before the customer is erased, in transactions of its own: one that
/// writes all of it would keep other writes waiting for too long.
pub(crate) fn forget_ahead(
    conn: &mut impl Ask,
    id: CustomerId,
    behind: i64,
) -> QueryResult<Option<i64>> {
    let entries = conn.numbers(next_entries(id, behind, "id"))?;
    match entries.len() < ENTRIES {
        true => Ok(None),
        false => {
            blank(conn, id, behind, &entries)?;
            Ok(entries.last().copied())
        }
    }
}

/// Takes the values and the ids of requests, which callers may choose, out of the customer's history, and
/// removes the answers that repeat the values.
pub(crate) fn forget(conn: &mut impl Ask, id: CustomerId) -> QueryResult<()> {
    let mut behind = 0;
    loop {
        let entries = conn.numbers(next_entries(id, behind, "id"))?;
        let Some(last) = entries.last() else { break };
        blank(conn, id, behind, &entries)?;
        behind = *last;
    }
    // That of the erasure itself is no caller's: it tells whether it was made where its answer was lost.
    let anonymous = Sql::new("UPDATE customer_history SET request_id = '' WHERE customer_id = ")
        .bind(id.get())
        .push(" AND action <> ")
        .bind(Action::Erased.as_str().to_owned());
    conn.execute(anonymous)?;
    conn.execute(Sql::new("DELETE FROM idempotency_keys WHERE customer_id = ").bind(id.get()))
}

/// A column of the next entries of the customer's history behind this one.
fn next_entries(id: CustomerId, behind: i64, column: &'static str) -> Sql {
    Sql::new("SELECT ")
        .push(column)
        .push(" FROM customer_history WHERE customer_id = ")
        .bind(id.get())
        .push(" AND id > ")
        .bind(behind)
        .push(" ORDER BY id LIMIT ")
        .bind(ENTRIES as i64)
}

/// Takes the values out of these entries, which are the next ones behind another.
fn blank(conn: &mut impl Ask, id: CustomerId, behind: i64, entries: &[i64]) -> QueryResult<()> {
    // Nobody adds to them between the two queries: who does so adds behind all others.
    let changes = conn.texts(next_entries(id, behind, "changes"))?;
    for (entry, changes) in entries.iter().zip(changes) {
        let names = without_values(&changes)?;
        if names != changes {
            let blank = Sql::new("UPDATE customer_history SET changes = ").bind(names);
            conn.execute(blank.push(" WHERE id = ").bind(*entry))?;
        }
    }
    Ok(())
}
