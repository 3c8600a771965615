//! Makes the keys anew of customers that another version has folded, or none yet.

use customers_domain::{Customer, FOLD_VERSION};
use diesel::prelude::*;

use crate::indexes;
use crate::listing::Dialect;
use crate::reading::Ask;
use crate::row::{KeysRow, phones};
use crate::sql::{Bind, Sql};
use crate::sqlite::search_index;

/// So many customers are done in one transaction, between which others can write: no more than a second
/// of work, and enough to find several of them on each page that is written.
const BATCH: i64 = 10_000;

/// From so many on, it is faster to make the indexes of them when all is done.
const MANY: i64 = 20_000;

/// So many rows go into one statement.
const ROWS: usize = 50;

/// Every so many batches it is told how far it is.
const TOLD_EVERY: i64 = 10;

/// What a step has done.
pub(crate) enum Step {
    /// The keys of so many customers are made anew.
    Customers(usize),
    /// An index is.
    Index,
    /// Nothing was left to be done.
    None,
}

/// Whether there is anything to be done. To be asked outside of a transaction: the table that was asked
/// about must not be locked by whoever waits for the lock of a step.
pub(crate) fn is_due(conn: &mut impl Ask) -> QueryResult<bool> {
    Ok(count_old(conn)? > 0 || indexes::are_set_aside(conn)?)
}

/// Makes the keys of the next customers anew whose keys are of an older version of folding. To be run in
/// a transaction of its own.
pub(crate) fn step(conn: &mut impl Ask) -> QueryResult<Step> {
    // One server at a time.
    indexes::lock(conn)?;
    let old = count_old(conn)?;
    // Before any row is locked: whoever waits for one would be waited for.
    if old >= MANY && !indexes::are_set_aside(conn)? {
        indexes::set_aside(conn)?;
    }
    let customers = next(conn)?;
    if !customers.is_empty() {
        make_anew(conn, &customers)?;
        return Ok(Step::Customers(customers.len()));
    }
    Ok(if indexes::put_one_back(conn)? { Step::Index } else { Step::None })
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
fn next(conn: &mut impl Ask) -> QueryResult<Vec<Customer>> {
    let old = Sql::new(
        "FROM customer_keys AS k CROSS JOIN customers \
         WHERE customers.id = k.id AND k.fold_version < ",
    )
    .bind(FOLD_VERSION)
    .push(" LIMIT ")
    .bind(BATCH);
    let old = match conn.dialect() {
        Dialect::Sqlite => old,
        // Others may be changing them.
        Dialect::Postgres => old.push(" FOR UPDATE"),
    };
    let mut customers = conn.customers(old, BATCH as usize)?;
    customers.sort_unstable_by_key(|customer| customer.id);
    Ok(customers)
}

fn make_anew(conn: &mut impl Ask, customers: &[Customer]) -> QueryResult<()> {
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
pub(crate) fn refresh<E>(mut step: impl FnMut() -> Result<Step, E>) -> Result<(), E> {
    let mut done = 0;
    loop {
        let is_done = match step()? {
            Step::Customers(customers) => {
                done += customers;
                false
            }
            Step::Index => continue,
            Step::None => true,
        };
        if done > 0 && (is_done || done as i64 % (TOLD_EVERY * BATCH) == 0) {
            log::info!(customers = done, done = is_done; "what customers are found by is made anew");
        }
        if is_done {
            return Ok(());
        }
    }
}
