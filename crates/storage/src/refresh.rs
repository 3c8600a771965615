//! Makes the keys anew of customers that another version has folded, or none yet.

use customers_domain::{Customer, FOLD_VERSION};
use diesel::prelude::*;

use crate::listing::Dialect;
use crate::reading::Ask;
use crate::row::{KeysRow, phones};
use crate::sql::{Sql, assignments};

/// So many customers are done in one transaction, between which others can write.
const BATCH: i64 = 1_000;

/// Every so many batches it is told how far it is.
const TOLD_EVERY: u64 = 100;

/// Makes the keys of the next customers anew whose keys are of an older version of folding, and tells
/// how many these were: none when all is done. To be run in a transaction.
pub(crate) fn refresh_batch(conn: &mut impl Ask) -> QueryResult<usize> {
    let next = Sql::new(
        "FROM customer_keys AS k CROSS JOIN customers \
         WHERE customers.id = k.id AND k.fold_version < ",
    )
    .bind(FOLD_VERSION)
    .push(" LIMIT ")
    .bind(BATCH);
    let next = match conn.dialect() {
        Dialect::Sqlite => next,
        // Several servers may do this at once.
        Dialect::Postgres => next.push(" FOR UPDATE OF k"),
    };
    let mut customers = conn.customers(next)?;
    customers.sort_unstable_by_key(|customer| customer.id);
    for customer in &customers {
        refresh_one(conn, customer)?;
    }
    Ok(customers.len())
}

fn refresh_one(conn: &mut impl Ask, customer: &Customer) -> QueryResult<()> {
    let id = customer.id.get();
    let keys = KeysRow::from(customer);
    if conn.dialect() == Dialect::Sqlite {
        conn.execute(
            Sql::new("INSERT OR REPLACE INTO customer_search (rowid, searched_text) VALUES (")
                .bind(id)
                .push(", ")
                .bind(keys.searched_text.as_str())
                .push(")"),
        )?;
    }
    // Digits are digits in every version: none has to be removed.
    for digits in phones(customer) {
        conn.execute(
            Sql::new("INSERT INTO customer_phones (digits, customer_id) VALUES (")
                .bind(digits)
                .push(", ")
                .bind(id)
                .push(") ON CONFLICT (digits, customer_id) DO NOTHING"),
        )?;
    }
    conn.execute(
        Sql::new("UPDATE customer_keys SET ")
            .append(assignments(keys.binds()))
            .push(" WHERE id = ")
            .bind(id),
    )
}

/// Runs batches until all is done, and tells how far it is.
pub(crate) fn refresh<E>(mut batch: impl FnMut() -> Result<usize, E>) -> Result<(), E> {
    let mut done = 0;
    for batches in 1.. {
        let refreshed = batch()?;
        done += refreshed;
        let is_done = refreshed == 0;
        if done > 0 && (is_done || batches % TOLD_EVERY == 0) {
            log::info!(customers = done, done = is_done; "what customers are found by is made anew");
        }
        if is_done {
            break;
        }
    }
    Ok(())
}
