//! The index of all that is searched. It takes an extension, pg_trgm, that not every server has and
//! not every role may create: the service runs without.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use crate::sql::Sql;

/// Inserts go to a list first, which a search reads from its beginning to its end: it must be short.
const CREATE: &str = "
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE INDEX IF NOT EXISTS customer_keys_searched_text ON customer_keys
        USING gin (searched_text gin_trgm_ops) WITH (gin_pending_list_limit = 256);";

/// Makes the index where it is not there, and tells whether it is.
pub(super) fn ensure(conn: &mut PgConnection) -> QueryResult<bool> {
    if exists(conn)? {
        return Ok(true);
    }
    // Another server may be faster.
    if let Err(error) = conn.batch_execute(CREATE).or_else(|_| conn.batch_execute(CREATE)) {
        log::warn!(
            "searching looks at the beginnings of names and accounts only, because there is no \
             index of trigrams: {error}; let somebody who may do so run CREATE EXTENSION pg_trgm, \
             and start the service again"
        );
    }
    exists(conn)
}

pub(super) fn exists(conn: &mut PgConnection) -> QueryResult<bool> {
    Sql::new("SELECT to_regclass('customer_keys_searched_text') IS NOT NULL")
        .typed::<Bool>()
        .get_result(conn)
}
