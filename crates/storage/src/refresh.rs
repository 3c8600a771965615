//! Rebuilds the search keys of customers that an older version has folded, or none yet.

use std::time::{Duration, Instant};

use customers_domain::{Customer, FOLD_VERSION};
use diesel::prelude::*;

use crate::error::OpenError;
use crate::indexes;
use crate::listing::Dialect;
use crate::reading::Ask;
use crate::row::{KeysRow, phones};
use crate::sql::{Bind, Sql};
use crate::sqlite::search_index;

/// How many customers are done in one transaction, between which others can write: no more than a second
/// of work, and enough to find several of them on each page that is written.
const BATCH: i64 = 10_000;

/// The same where every one of their indexes is written to as well.
const BATCH_WITH_INDEXES: i64 = 2_000;

/// From so many on, it is faster to make the indexes of them when all is done.
const MANY: i64 = 20_000;

/// So many rows go into one statement.
const ROWS: usize = 50;

/// How often the log says how far it is.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// How many customers have keys of an older version.
pub(crate) enum Old {
    None,
    Some,
    /// So many that their indexes are better made when all is done.
    Many,
}

/// How many customers have keys of an older version of folding. To be asked outside of a transaction: the
/// table that was asked about must not be locked by a process that waits for the lock of a step.
///
/// # Errors
///
/// [`OpenError::NewerKeys`] where a newer version has made any: this one does not find what that has
/// folded, and would undo its work.
pub(crate) fn old_keys(conn: &mut impl Ask) -> Result<Old, OpenError> {
    let failed = |error: diesel::result::Error| OpenError::Migrate(error.into());
    let newest = newest(conn).map_err(failed)?;
    if newest > FOLD_VERSION.into() {
        return Err(OpenError::NewerKeys(newest));
    }
    Ok(match count_old(conn).map_err(failed)? {
        0 => Old::None,
        MANY.. => Old::Many,
        _ => Old::Some,
    })
}

/// The newest version of folding that has made any keys; 0 where there are none.
pub(crate) fn newest(conn: &mut (impl Ask + ?Sized)) -> QueryResult<i64> {
    let newest = "SELECT CAST(coalesce(max(fold_version), 0) AS BIGINT) FROM customer_keys";
    conn.number(Sql::new(newest))
}

/// Rebuilds the keys of the next customers whose keys are of an older version, and returns how many these
/// were. To be run in a transaction of its own.
pub(crate) fn step(conn: &mut impl Ask) -> QueryResult<usize> {
    // One server at a time.
    indexes::lock(conn)?;
    let batch = if indexes::are_set_aside(conn)? { BATCH } else { BATCH_WITH_INDEXES };
    let customers = next(conn, batch)?;
    rebuild(conn, &customers)?;
    Ok(customers.len())
}

/// How many have keys of an older version, as far as it matters.
fn count_old(conn: &mut impl Ask) -> QueryResult<i64> {
    let old = Sql::new("SELECT count(*) FROM (SELECT 1 FROM customer_keys WHERE fold_version < ")
        .bind(FOLD_VERSION)
        .push(" LIMIT ")
        .bind(MANY)
        .push(") AS old");
    conn.number(old)
}

/// The next customers whose keys are of an older version.
fn next(conn: &mut impl Ask, batch: i64) -> QueryResult<Vec<Customer>> {
    let old = Sql::new(
        "FROM customer_keys AS k CROSS JOIN customers \
         WHERE customers.id = k.id AND k.fold_version < ",
    )
    .bind(FOLD_VERSION)
    .push(" LIMIT ")
    .bind(batch);
    let old = match conn.dialect() {
        Dialect::Sqlite => old,
        // Others may be changing them.
        Dialect::Postgres => old.push(" FOR UPDATE"),
    };
    let mut customers = conn.customers(old, batch as usize)?;
    customers.sort_unstable_by_key(|customer| customer.id);
    Ok(customers)
}

/// Rebuilds all that stands beside these customers.
pub(crate) fn rebuild(conn: &mut (impl Ask + ?Sized), customers: &[Customer]) -> QueryResult<()> {
    if customers.is_empty() {
        return Ok(());
    }
    let keys: Vec<_> = customers.iter().map(KeysRow::from).collect();
    if conn.dialect() == Dialect::Sqlite {
        let texts = keys.iter().map(|keys| (keys.id, keys.searched_text.as_str()));
        conn.execute(search_index::replaced(texts)?)?;
    }
    // Digits are digits in every version: none has to be removed.
    let digits: Vec<_> = customers
        .iter()
        .flat_map(|it| phones(it).into_iter().map(|digits| vec![digits.into(), it.id.get().into()]))
        .collect();
    for digits in digits.chunks(ROWS) {
        conn.execute(
            Sql::new("INSERT INTO customer_phones (digits, customer_id) VALUES ")
                .append(rows(digits))
                .push(" ON CONFLICT (digits, customer_id) DO NOTHING"),
        )?;
    }
    let keys: Vec<_> = keys.into_iter().map(KeysRow::binds).collect();
    let names: Vec<_> = keys[0].iter().map(|(name, _)| *name).collect();
    let insert = format!("INSERT INTO customer_keys ({}) VALUES ", names.join(", "));
    let replaced: Vec<_> = names.iter().map(|name| format!("{name} = excluded.{name}")).collect();
    let replace = format!(" ON CONFLICT (id) DO UPDATE SET {}", replaced.join(", "));
    let keys: Vec<_> =
        keys.into_iter().map(|row| row.into_iter().map(|(_, value)| value).collect()).collect();
    for keys in keys.chunks(ROWS) {
        conn.execute(Sql::new(insert.clone()).append(rows(keys)).push(replace.clone()))?;
    }
    Ok(())
}

/// What stands behind `VALUES`.
fn rows(rows: &[Vec<Bind>]) -> Sql {
    let each = rows.iter().map(|row| Sql::new("(").list(row.iter().cloned()).push(")"));
    let all = Sql::default().join(each, ", ");
    // As many as this are not seen again.
    if rows.len() == ROWS { all } else { all.unique() }
}

/// Takes steps until all is done, and tells how far it is.
pub(crate) fn refresh(mut step: impl FnMut() -> QueryResult<usize>) -> QueryResult<()> {
    let mut customers = 0;
    let mut told = Instant::now();
    loop {
        let next = step()?;
        customers += next;
        let is_done = next == 0;
        if customers > 0 && (is_done || told.elapsed() >= TOLD_EVERY) {
            told = Instant::now();
            log::info!(customers = customers, done = is_done; "rebuilding search keys");
        }
        if is_done {
            return Ok(());
        }
    }
}
