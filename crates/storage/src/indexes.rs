//! The indexes of `customer_keys`, set aside while all of its rows are written.
//!
//! Each row has a place of its own in every index, so that writing all rows one after the other writes
//! most of each index again and again. Made from all rows at once, an index is written once.
//!
//! How to make them is kept in a table until they are back, also when the process ends before: a running
//! server puts them back then, and so does the next command that opens the database.

use std::time::Duration;

use diesel::prelude::*;

use crate::listing::Dialect;
use crate::reading::Ask;
use crate::sql::Sql;

/// The index that rows of another version are found by.
const STAYS: &str = "customer_keys_fold_version";

/// All indexes that there should be, beside the primary key.
pub(crate) const ALL: &[&str] = &[
    "customer_keys_accounts_reference",
    "customer_keys_active",
    "customer_keys_brand_id",
    "customer_keys_company_type",
    "customer_keys_created_at",
    "customer_keys_customer_account",
    "customer_keys_email_address",
    "customer_keys_fold_version",
    "customer_keys_is_reseller",
    "customer_keys_main_address_city",
    "customer_keys_main_address_country",
    "customer_keys_main_address_postal_code",
    "customer_keys_name",
    "customer_keys_on_call_duty",
    "customer_keys_registration_number",
    "customer_keys_representative_id",
    "customer_keys_tax_registration_number",
    "customer_keys_trashed",
    "customer_keys_updated_at",
    "customer_keys_vip",
];

/// The lock is asked for again so often.
const ASKED_EVERY: Duration = Duration::from_millis(50);

/// Waits until no other process sets indexes aside or puts them back. To be called first in a transaction,
/// not in a part of one.
///
/// PostgreSQL must not be left to wait: an index that is made concurrently waits for the end of every
/// transaction in which a statement runs at that moment, and so for one that waits for the lock of the
/// session that makes the index. Each attempt is therefore a transaction of its own.
pub(crate) fn lock(conn: &mut (impl Ask + ?Sized)) -> QueryResult<()> {
    while !try_lock(conn)? {
        // Where nobody has it, its row may be missing: logical replication may leave it out.
        conn.execute(Sql::new(
            "INSERT INTO customers_migration_lock (id)
             SELECT 1 WHERE NOT EXISTS (SELECT FROM customers_migration_lock) ON CONFLICT DO NOTHING",
        ))?;
        std::thread::sleep(ASKED_EVERY);
        conn.begin_again()?;
    }
    Ok(())
}

/// The same without waiting: returns whether it is locked now.
pub(crate) fn try_lock(conn: &mut (impl Ask + ?Sized)) -> QueryResult<bool> {
    match conn.dialect() {
        // Where nobody else writes.
        Dialect::Sqlite => Ok(true),
        Dialect::Postgres => {
            let lock = "SELECT id::bigint FROM customers_migration_lock FOR UPDATE SKIP LOCKED";
            let is_locked = !conn.numbers(Sql::new(lock))?.is_empty();
            // The server keeps the state of the database that a query has read until the next one.
            // This one reads none: an index that is made concurrently would wait for it.
            conn.execute(Sql::new("SHOW lock_timeout"))?;
            Ok(is_locked)
        }
    }
}

/// Whether any is set aside.
pub(crate) fn are_set_aside(conn: &mut (impl Ask + ?Sized)) -> QueryResult<bool> {
    Ok(next(conn)?.is_some())
}

/// The name of the next one to be put back.
pub(crate) fn next(conn: &mut (impl Ask + ?Sized)) -> QueryResult<Option<String>> {
    if !has_notes(conn)? {
        return Ok(None);
    }
    let first = "SELECT min(name) FROM customer_keys_indexes HAVING count(*) > 0";
    Ok(conn.texts(Sql::new(first))?.pop())
}

fn has_notes(conn: &mut (impl Ask + ?Sized)) -> QueryResult<bool> {
    let exists = match conn.dialect() {
        Dialect::Sqlite => "SELECT name FROM sqlite_master WHERE name = 'customer_keys_indexes'",
        Dialect::Postgres => {
            "SELECT relname::text FROM pg_class WHERE oid = to_regclass('customer_keys_indexes')"
        }
    };
    Ok(!conn.texts(Sql::new(exists))?.is_empty())
}

/// Those that should be there and are not, or not to be used.
pub(crate) fn missing(conn: &mut (impl Ask + ?Sized)) -> QueryResult<Vec<&'static str>> {
    let present = conn.texts(Sql::new(match conn.dialect() {
        Dialect::Sqlite => {
            "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'customer_keys'"
        }
        Dialect::Postgres => {
            "SELECT relname::text FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
             WHERE indrelid = to_regclass('customer_keys') AND indisvalid"
        }
    }))?;
    let is_missing = |name: &&str| !present.iter().any(|present| present == name);
    Ok(ALL.iter().copied().filter(is_missing).collect())
}

/// Sets them aside. To be run in a transaction, by one server at a time, as is putting them back. Where
/// others read the table for longer than a moment, such as pg_dump, it fails instead of waiting: all
/// others would wait behind it.
pub(crate) fn set_aside(conn: &mut (impl Ask + ?Sized)) -> QueryResult<()> {
    let definitions = match conn.dialect() {
        Dialect::Sqlite => {
            "SELECT name, sql FROM sqlite_master
             WHERE tbl_name = 'customer_keys' AND type = 'index' AND sql IS NOT NULL AND name <> "
        }
        Dialect::Postgres => {
            "SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS sql
             FROM pg_index
             WHERE indrelid = 'customer_keys'::regclass AND NOT indisprimary
                 AND indexrelid::regclass::text <> "
        }
    };
    let definitions = Sql::new(definitions).push("'").push(STAYS).push("'");
    note(conn, definitions)?;
    if conn.dialect() == Dialect::Postgres {
        conn.execute(Sql::new(LOCK_BRIEFLY))?;
    }
    for name in conn.texts(Sql::new("SELECT name FROM customer_keys_indexes ORDER BY name"))? {
        conn.execute(Sql::new("DROP INDEX ").push(name).unique())?;
    }
    Ok(())
}

/// Until the end of the transaction, no lock of PostgreSQL is waited for any longer: others wait behind
/// whoever waits.
pub(crate) const LOCK_BRIEFLY: &str = "SET LOCAL lock_timeout = 500";

/// Notes the names and definitions that this query finds.
pub(crate) fn note(conn: &mut (impl Ask + ?Sized), definitions: Sql) -> QueryResult<()> {
    let table = Sql::new("CREATE TABLE IF NOT EXISTS customer_keys_indexes AS ");
    conn.execute(table.append(definitions.clone()).push(" AND 1 = 0"))?;
    conn.execute(Sql::new("INSERT INTO customer_keys_indexes (name, sql) ").append(definitions))
}

/// How to make one that is noted.
pub(crate) fn definition(conn: &mut (impl Ask + ?Sized), name: &str) -> QueryResult<String> {
    let definition = Sql::new("SELECT sql FROM customer_keys_indexes WHERE name = ").bind(name);
    conn.texts(definition)?.pop().ok_or(diesel::result::Error::NotFound)
}

/// Notes that one is back.
pub(crate) fn forget(conn: &mut (impl Ask + ?Sized), name: &str) -> QueryResult<()> {
    conn.execute(Sql::new("DELETE FROM customer_keys_indexes WHERE name = ").bind(name))
}

/// Puts one back on SQLite, in a transaction, and returns whether there was one. An index of its name
/// that somebody has made meanwhile stays.
pub(crate) fn restore(conn: &mut (impl Ask + ?Sized)) -> QueryResult<bool> {
    let Some(name) = next(conn)? else {
        conn.execute(Sql::new("DROP TABLE IF EXISTS customer_keys_indexes"))?;
        return Ok(false);
    };
    let exists = Sql::new("SELECT name FROM sqlite_master WHERE type = 'index' AND name = ");
    if conn.texts(exists.bind(name.as_str()))?.is_empty() {
        let definition = definition(conn, &name)?;
        conn.execute(Sql::new(definition).unique())?;
    }
    forget(conn, &name)?;
    Ok(true)
}
