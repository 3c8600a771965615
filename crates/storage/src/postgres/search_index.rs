//! The index of all that is searched. It takes an extension, pg_trgm, that not every server has and
//! not every role may create: the service runs without.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::ddl::{concurrently, is_valid};
use crate::indexes::LOCK_BRIEFLY;
use crate::sql::Sql;

/// The index.
const NAME: &str = "customer_keys_searched_text";

/// Inserts go to a list first, which a search reads from its beginning to its end: it must be short.
const DEFINITION: &str = "customer_keys_searched_text ON customer_keys
    USING gin (searched_text gin_trgm_ops) WITH (gin_pending_list_limit = 256)";

/// With fewer customers than this, making the index takes a moment only.
const FEW: i64 = 10_000;

/// Makes the index at the start of a server where that takes a moment only, and returns whether it is
/// there. Else a running server makes it.
pub(super) fn ensure(conn: &mut PgConnection) -> QueryResult<bool> {
    if exists(conn)? {
        return Ok(true);
    }
    if let Err(error) = create_extension(conn) {
        log::warn!(
            "searching looks at the beginnings of names and accounts only, because there is no \
             index of trigrams: {error}; let somebody who may do so run CREATE EXTENSION pg_trgm"
        );
        return Ok(false);
    }
    let few =
        Sql::new("SELECT count(*) < ").bind(FEW).push(" FROM (SELECT 1 FROM customers LIMIT ");
    if few.bind(FEW).push(") AS few").typed::<Bool>().get_result(conn)? {
        let created = conn.transaction(|conn| {
            conn.batch_execute(LOCK_BRIEFLY)?;
            conn.batch_execute(&format!("CREATE INDEX IF NOT EXISTS {DEFINITION}"))
        });
        if let Err(error) = created {
            log::info!("the index of trigrams is made later: {error}");
        }
    }
    exists(conn)
}

/// Another server may be faster.
fn create_extension(conn: &mut PgConnection) -> QueryResult<()> {
    const CREATE: &str = "CREATE EXTENSION IF NOT EXISTS pg_trgm";
    conn.batch_execute(CREATE).or_else(|_| conn.batch_execute(CREATE))
}

/// Makes the index beside servers that read and write, and returns whether it is there. To be run outside
/// of a transaction, under the lock.
pub(super) fn build(conn: &mut PgConnection) -> QueryResult<bool> {
    concurrently(conn, NAME, &format!("CREATE INDEX {DEFINITION}"))?;
    exists(conn)
}

/// Whether the extension is there, which may be created at any time.
pub(super) fn has_extension(conn: &mut PgConnection) -> QueryResult<bool> {
    Sql::new("SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm')")
        .typed::<Bool>()
        .get_result(conn)
}

/// Whether it is there, and can be used.
pub(super) fn exists(conn: &mut PgConnection) -> QueryResult<bool> {
    is_valid(conn, NAME).map(|is_valid| is_valid == Some(true))
}
