//! What stands in the way of serving a PostgreSQL database, found out without changing it.

use diesel::prelude::*;
use diesel::sql_types::Text;

use super::replica::{self, Standing};
use super::sequences::{self, Sequence};
use super::{check_encoding, connect, connections, import, search_index};
use crate::check::{Finding, compare, consistency, schema};
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

/// Looks at the database of this URL, and at its replica.
pub(crate) fn check(url: &str, replica: Option<&str>) -> Result<Vec<Finding>, OpenError> {
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
    findings.push(durability(&mut conn).map_err(failed)?);
    if pending == 0 {
        findings.push(ids(&mut conn));
        findings.extend(consistency(
            conn.build_transaction()
                .repeatable_read()
                .read_only()
                .run(|conn| compare(&mut import::target(conn))),
        ));
    }
    findings.extend(replica.map(|url| check_replica(url, &mut conn)));
    Ok(findings)
}

/// Nothing about a replica keeps the service from being served, which does without it.
fn check_replica(url: &str, primary: &mut PgConnection) -> Finding {
    let standing = connect(&connections::with_time_limits(url)).and_then(|mut conn| {
        replica::standing(&mut conn, primary).map_err(|error| OpenError::Connect(error.into()))
    });
    let without = "lists and searches are read from the primary";
    match standing {
        Ok(Standing::UpToDate) => Finding::good("replica", "follows, and has all that is written"),
        Ok(Standing::Behind) => {
            Finding::doubtful("replica", format!("is behind: until it is not, {without}"))
        }
        Ok(Standing::Stranger) => Finding::doubtful(
            "replica",
            format!("does not follow the primary, so {without}: name a standby of it"),
        ),
        Err(error) => Finding::doubtful("replica", format!("{error}; {without}")),
    }
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

/// Whether a commit that is answered is on the primary's disk. The settings may be those of the server, the
/// database or the role.
fn durability(conn: &mut PgConnection) -> QueryResult<Finding> {
    const SETTINGS: [(&str, &str); 3] = [
        (
            "synchronous_commit",
            "a crash of the server loses writes that were answered, and a list that is read from a \
             replica may lack them; ALTER ROLE or ALTER DATABASE … SET synchronous_commit = on",
        ),
        ("fsync", "a crash of its machine may destroy the database; turn it on"),
        ("full_page_writes", "a crash of its machine may destroy the database; turn it on"),
    ];
    let mut off = Vec::new();
    for (setting, what_is_lost) in SETTINGS {
        if tell(conn, &format!("current_setting('{setting}')"))? == "off" {
            off.push(format!("{setting} is off: {what_is_lost}"));
        }
    }
    Ok(match &*off {
        [] => Finding::good("durability", "what is answered is on the disk"),
        _ => Finding::doubtful("durability", off.join("; ")),
    })
}

/// Whether each sequence of ids is ahead of its table.
fn ids(conn: &mut PgConnection) -> Finding {
    let mut behind = Vec::new();
    for sequence in &sequences::ALL {
        let Sequence { table, name } = sequence;
        match sequence.last(conn).and_then(|last| Ok((last, sequence.highest(conn)?))) {
            Ok((last, highest)) if last < highest => {
                behind.push(format!("{name} is at {last}, and {table} at {highest}"));
            }
            Ok(_) => {}
            Err(error) => {
                return Finding::doubtful("ids", format!("cannot look at {name}: {error}"));
            }
        }
    }
    match &*behind {
        [] => Finding::good("ids", "are drawn from sequences that are ahead of their tables"),
        _ => Finding::doubtful(
            "ids",
            format!(
                "{}: rows were copied without their sequences, as logical replication does; start the \
                 service after the last row has come, which sets them",
                behind.join("; ")
            ),
        ),
    }
}

/// What an expression of type text is.
fn tell(conn: &mut PgConnection, expression: &str) -> QueryResult<String> {
    diesel::select(diesel::dsl::sql::<Text>(expression)).get_result(conn)
}
