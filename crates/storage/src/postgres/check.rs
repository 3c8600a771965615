//! What stands in the way of serving a PostgreSQL database, found out without changing it.

use diesel::prelude::*;
use diesel::sql_types::Text;

use super::{check_encoding, connect, connections, search_index};
use crate::check::{Finding, schema};
use crate::error::OpenError;
use crate::migrations;

/// Tables of ours that this role may not use as the service does.
const FORBIDDEN: &str = "(
    SELECT coalesce(string_agg(c.relname::text, ', ' ORDER BY c.relname), '') FROM pg_class AS c
    WHERE c.relnamespace = current_schema()::text::regnamespace AND c.relkind = 'r'
        AND (c.relname LIKE 'customer%' OR c.relname IN ('tokens', 'users'))
        AND NOT (has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
            AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')))";

/// `false` also where there is no schema to create anything in.
const MAY_CREATE: &str = "coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)::text";

const HAS_TRIGRAMS: &str = "EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm')::text";

/// Looks at the database of this URL.
pub(crate) fn check(url: &str) -> Result<Vec<Finding>, OpenError> {
    let mut conn = connect(&connections::with_time_limits(url))?;
    check_encoding(&mut conn)?;
    let pending = migrations::pending_postgres(&mut conn)?;
    let failed = |error: diesel::result::Error| OpenError::Connect(error.into());
    let mut findings =
        vec![Finding::good("database", "can be reached, and keeps text as UTF8"), schema(pending)];
    if tell(&mut conn, "current_setting('transaction_read_only')").map_err(failed)? == "on" {
        findings.push(Finding::bad(
            "database",
            "takes no writes: name the primary, such as with target_session_attrs=read-write",
        ));
    }
    findings.push(permissions(&mut conn, pending).map_err(failed)?);
    findings.push(search(&mut conn).map_err(failed)?);
    Ok(findings)
}

fn permissions(conn: &mut PgConnection, pending: usize) -> QueryResult<Finding> {
    if pending > 0 && tell(conn, MAY_CREATE)? != "true" {
        let text = "this role may not create tables; GRANT CREATE ON SCHEMA to it, or run customers \
                    migrate as one that may";
        return Ok(Finding::bad("permissions", text));
    }
    let forbidden = tell(conn, FORBIDDEN)?;
    Ok(match &*forbidden {
        "" => Finding::good("permissions", "suffice"),
        tables => Finding::bad(
            "permissions",
            format!("GRANT SELECT, INSERT, UPDATE, DELETE to this role ON {tables}"),
        ),
    })
}

fn search(conn: &mut PgConnection) -> QueryResult<Finding> {
    Ok(if search_index::exists(conn)? {
        Finding::good("search", "has its index of trigrams")
    } else if tell(conn, HAS_TRIGRAMS)? == "true" {
        Finding::good("search", "pg_trgm is there; serving makes the index")
    } else {
        Finding::doubtful(
            "search",
            "pg_trgm is not there; serving tries to create it, and where it may not, searching looks \
             at the beginnings of names and accounts only: let somebody who may do so run CREATE \
             EXTENSION pg_trgm",
        )
    })
}

/// What an expression of type text is.
fn tell(conn: &mut PgConnection, expression: &str) -> QueryResult<String> {
    diesel::select(diesel::dsl::sql::<Text>(expression)).get_result(conn)
}
