//! Changes of the schema of PostgreSQL beside servers that read and write.
//!
//! Whatever takes a lock that others wait for asks for it briefly, and again later: PostgreSQL lets
//! nobody pass by who waits, so that a change that waits for pg_dump would stop the service. Indexes are
//! made concurrently, which stops nobody, outside of a transaction, and takes as long as it takes.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_types::{Bool, Text};

use super::reads::Asked;
use super::{check_encoding, connect, connect_for_long, connections, import, search_index};
use crate::error::OpenError;
use crate::sql::Sql;
use crate::{indexes, migrations};

/// While it lasts, others wait behind whoever waits for a lock: the same as
/// [`LOCK_BRIEFLY`](indexes::LOCK_BRIEFLY).
const LOCK_TIMEOUT: Duration = Duration::from_millis(500);

/// A lock that was not free is asked for again after this.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// After so long it is given up.
const PATIENCE: Duration = Duration::from_secs(600);

/// No limit but that of locks: of what is to be done once, a server's limit for requests must not stop
/// half.
const WITHOUT_LIMITS: &str =
    "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0;";

/// By this name others see that an import is under way that has set indexes aside.
const IMPORTING: &str = "customers import";

/// A connection that changes the schema; a second one holds the lock meanwhile.
pub(crate) struct Ddl {
    url: String,
    conn: PgConnection,
}

impl Ddl {
    /// Opens the connection.
    pub fn connect(url: &str) -> Result<Self, OpenError> {
        let url = connections::with_time_limits(url);
        let mut conn = import::connect(&url)?;
        lift_limits(&mut conn)?;
        Ok(Self { url, conn })
    }

    /// The same, and brings the schema to this version.
    pub fn migrated(url: &str) -> Result<Self, OpenError> {
        let mut ddl = Self::connect(url)?;
        check_encoding(&mut ddl.conn)?;
        let Self { url, conn } = &mut ddl;
        migrations::migrate_postgres(conn, || connect_for_long(url))?;
        Ok(ddl)
    }

    /// The connection, for all else that is to be done meanwhile.
    pub fn conn(&mut self) -> &mut PgConnection {
        &mut self.conn
    }

    /// Puts back one index that is set aside, or that was left invalid, and returns whether there was one.
    /// Waits for others that do the same, and for all transactions that read at this moment.
    pub fn restore_index(&mut self) -> QueryResult<bool> {
        if next(&mut self.conn)?.is_none() {
            return Ok(false);
        }
        self.locked(|conn| {
            note_invalid(conn)?;
            let Some(name) = next(conn)? else { return Ok(false) };
            let definition = indexes::definition(&mut target(conn), &name)?;
            concurrently(conn, &name, &definition)?;
            indexes::forget(&mut target(conn), &name)?;
            Ok(true)
        })
    }

    /// Makes the index of all that is searched where it is not there and can be made, and returns whether
    /// it was made.
    pub fn build_search_index(&mut self) -> QueryResult<bool> {
        let is_due =
            !search_index::exists(&mut self.conn)? && search_index::has_extension(&mut self.conn)?;
        match is_due {
            true => self.locked(search_index::build),
            false => Ok(false),
        }
    }

    /// Does something while no other process changes indexes, outside of a transaction.
    fn locked<T>(
        &mut self,
        work: impl FnOnce(&mut PgConnection) -> QueryResult<T>,
    ) -> QueryResult<T> {
        let Self { url, conn } = self;
        let mut lock = connect(url).map_err(|error| Error::QueryBuilderError(error.into()))?;
        lock.batch_execute(WITHOUT_LIMITS)?;
        // Whose states of the database do not last: else making an index would wait for this one.
        lock.build_transaction().read_committed().run(|lock| {
            indexes::lock(&mut target(lock))?;
            work(conn)
        })
    }
}

fn target(conn: &mut PgConnection) -> Asked<'_> {
    import::target(conn)
}

/// The name of the next index to be put back: one that is set aside, or else that is invalid.
fn next(conn: &mut PgConnection) -> QueryResult<Option<String>> {
    match indexes::next(&mut target(conn))? {
        Some(name) => Ok(Some(name)),
        None => {
            let invalid = Sql::new("SELECT name FROM (").append(invalid()).push(") AS invalid");
            Ok(invalid.typed::<Text>().load(conn)?.pop())
        }
    }
}

/// The indexes that were left invalid, because making them was stopped. What is just being made is, too.
fn invalid() -> Sql {
    Sql::new(
        "SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS sql FROM pg_index
         WHERE indrelid = to_regclass('customer_keys') AND NOT indisvalid
             AND indexrelid <> coalesce(to_regclass('customer_keys_searched_text')::oid, 0)
             AND indexrelid NOT IN (
                 SELECT index_relid FROM pg_stat_progress_create_index WHERE index_relid IS NOT NULL
             )",
    )
}

/// Notes how to make them, before they are dropped.
fn note_invalid(conn: &mut PgConnection) -> QueryResult<()> {
    if indexes::next(&mut target(conn))?.is_none() {
        conn.transaction(|conn| indexes::note(&mut target(conn), invalid()))?;
    }
    Ok(())
}

/// Whether an index can be used; `None` where there is none of this name.
pub(super) fn is_valid(conn: &mut PgConnection, name: &str) -> QueryResult<Option<bool>> {
    Sql::new("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(")
        .bind(name)
        .push(")")
        .typed::<Bool>()
        .get_result(conn)
        .optional()
}

/// Makes an index as it is defined, beside servers that read and write, unless there is one of this name.
pub(super) fn concurrently(
    conn: &mut PgConnection,
    name: &str,
    definition: &str,
) -> QueryResult<()> {
    let valid = is_valid(conn, name)?;
    if valid == Some(true) {
        return Ok(());
    }
    let started = Instant::now();
    log::info!(index = name; "making an index");
    if valid == Some(false) {
        conn.batch_execute(&format!("DROP INDEX CONCURRENTLY IF EXISTS {name}"))?;
    }
    let definition = definition.strip_prefix("CREATE INDEX").unwrap_or(definition);
    conn.batch_execute(&format!("CREATE INDEX CONCURRENTLY{definition}"))?;
    log::info!(index = name, seconds = started.elapsed().as_secs(); "made an index");
    Ok(())
}

/// Lifts the limits of statements and of transactions from a connection.
pub(crate) fn lift_limits(conn: &mut PgConnection) -> Result<(), OpenError> {
    conn.batch_execute(WITHOUT_LIMITS).map_err(|error| OpenError::Connect(error.into()))
}

/// Tells others that an import has set indexes aside, for as long as the connection lasts.
pub(crate) fn tell_importing(conn: &mut PgConnection) -> QueryResult<()> {
    conn.batch_execute(&format!("SET application_name = '{IMPORTING}'"))
}

/// Whether an import is under way that has set indexes aside.
pub(super) fn is_importing(conn: &mut PgConnection) -> QueryResult<bool> {
    Sql::new(
        "SELECT EXISTS (SELECT FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = ",
    )
    .bind(IMPORTING)
    .push(")")
    .typed::<Bool>()
    .get_result(conn)
}

/// Whether no other session is connected to the database.
pub(super) fn is_alone(conn: &mut PgConnection) -> QueryResult<bool> {
    Sql::new(
        "SELECT NOT EXISTS (SELECT FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()
             AND backend_type = 'client backend')",
    )
    .typed::<Bool>()
    .get_result(conn)
}

/// Tries something that takes locks, again where a lock was not free for half a second, for ten minutes.
pub(crate) fn patiently<E: std::fmt::Display>(
    conn: &mut PgConnection,
    mut attempt: impl FnMut(&mut PgConnection) -> Result<(), E>,
) -> Result<(), E> {
    // Where it cannot be set, the attempt says why.
    let _ = conn.batch_execute(&format!("SET lock_timeout = {}", LOCK_TIMEOUT.as_millis()));
    let deadline = Instant::now() + PATIENCE;
    let done = loop {
        let started = Instant::now();
        match attempt(conn) {
            // By the clock, because the server says it in its own language.
            Err(error) if started.elapsed() >= LOCK_TIMEOUT && Instant::now() < deadline => {
                log::warn!("waiting for a lock that others hold, such as pg_dump: {error}");
                std::thread::sleep(ASKED_AGAIN_AFTER);
            }
            done => break done,
        }
    };
    let _ = conn.batch_execute("RESET lock_timeout");
    done
}
