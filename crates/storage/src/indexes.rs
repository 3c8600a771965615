//! The indexes of `customer_keys`, set aside while all of its rows are written.
//!
//! Each row has a place of its own in every index, so that writing all rows one after the other writes
//! most of each index again and again. Made from all rows at once, an index is written once.
//!
//! How to make them is kept in a table until they are back, also when the process ends before.

use diesel::prelude::*;

use crate::listing::Dialect;
use crate::reading::Ask;
use crate::sql::Sql;

/// The index that rows of another version are found by.
const STAYS: &str = "customer_keys_fold_version";

/// Waits, in a transaction, until nobody else sets them aside or puts them back.
pub(crate) fn lock(conn: &mut (impl Ask + ?Sized)) -> QueryResult<()> {
    match conn.dialect() {
        // Where nobody else writes.
        Dialect::Sqlite => Ok(()),
        Dialect::Postgres => {
            conn.execute(Sql::new("SELECT id FROM customers_migration_lock FOR UPDATE"))
        }
    }
}

/// The same without waiting: returns whether it is locked now.
pub(crate) fn try_lock(conn: &mut (impl Ask + ?Sized)) -> QueryResult<bool> {
    match conn.dialect() {
        Dialect::Sqlite => Ok(true),
        Dialect::Postgres => {
            let lock = "SELECT id::bigint FROM customers_migration_lock FOR UPDATE SKIP LOCKED";
            Ok(!conn.numbers(Sql::new(lock))?.is_empty())
        }
    }
}

/// Whether they are set aside.
pub(crate) fn are_set_aside(conn: &mut (impl Ask + ?Sized)) -> QueryResult<bool> {
    let exists = match conn.dialect() {
        Dialect::Sqlite => "SELECT name FROM sqlite_master WHERE name = 'customer_keys_indexes'",
        Dialect::Postgres => {
            "SELECT relname::text FROM pg_class WHERE oid = to_regclass('customer_keys_indexes')"
        }
    };
    Ok(!conn.texts(Sql::new(exists))?.is_empty())
}

/// Sets them aside. To be run in a transaction, by one server at a time, as is putting them back.
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
    conn.execute(Sql::new("CREATE TABLE customer_keys_indexes AS ").append(definitions))?;
    for name in conn.texts(Sql::new("SELECT name FROM customer_keys_indexes ORDER BY name"))? {
        conn.execute(Sql::new("DROP INDEX ").push(name).unique())?;
    }
    Ok(())
}

/// Makes one anew that is set aside, and tells whether there was one.
pub(crate) fn put_one_back(conn: &mut (impl Ask + ?Sized)) -> QueryResult<bool> {
    if !are_set_aside(conn)? {
        return Ok(false);
    }
    let first =
        conn.texts(Sql::new("SELECT min(name) FROM customer_keys_indexes HAVING count(*) > 0"))?;
    let Some(name) = first.first() else {
        conn.execute(Sql::new("DROP TABLE customer_keys_indexes"))?;
        return Ok(false);
    };
    let definition =
        Sql::new("SELECT sql FROM customer_keys_indexes WHERE name = ").bind(name.as_str());
    for definition in conn.texts(definition)? {
        conn.execute(Sql::new(definition).unique())?;
    }
    conn.execute(Sql::new("DELETE FROM customer_keys_indexes WHERE name = ").bind(name.as_str()))?;
    Ok(true)
}
