//! Brings a database to the schema of this version.

use std::error::Error;

use diesel::backend::Backend;
use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as QueryError};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::error::OpenError;

const SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

type BoxError = Box<dyn Error + Send + Sync>;

pub(crate) fn migrate_sqlite(conn: &mut SqliteConnection) -> Result<(), OpenError> {
    // The lock is taken before anything is read, so that of several processes that start at once
    // one migrates and the others find it done.
    conn.immediate_transaction(|conn| Ok::<_, Failure>(run_pending(conn, SQLITE)))
        .map_err(|Failure(error)| OpenError::Migrate(error))?
}

/// The lock is a row and not an advisory lock, which not every server that speaks PostgreSQL's
/// protocol has. It is held by one connection while the other migrates.
pub(crate) fn migrate_postgres(
    lock: &mut PgConnection,
    conn: &mut PgConnection,
) -> Result<(), OpenError> {
    create_lock(lock).map_err(|error| OpenError::Migrate(error.into()))?;
    lock.transaction(|lock| {
        diesel::sql_query("SELECT id FROM customers_migration_lock FOR UPDATE").execute(lock)?;
        Ok::<_, Failure>(run_pending(conn, POSTGRES))
    })
    .map_err(|Failure(error)| OpenError::Migrate(error))?
}

/// `IF NOT EXISTS` does not keep two servers from creating a table at once: one of them is told of a
/// duplicate in the catalogue, and finds the table when it looks again.
fn create_lock(conn: &mut PgConnection) -> QueryResult<()> {
    const CREATE: &str = "
        CREATE TABLE IF NOT EXISTS customers_migration_lock (id INTEGER PRIMARY KEY);
        INSERT INTO customers_migration_lock (id) VALUES (1) ON CONFLICT (id) DO NOTHING;";
    // Nothing is written where all is there, so that a role without CREATE can start the service.
    let there = "SELECT id FROM customers_migration_lock WHERE id = 1";
    if diesel::sql_query(there).execute(conn) == Ok(1) {
        return Ok(());
    }
    match conn.batch_execute(CREATE) {
        Err(QueryError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => {
            conn.batch_execute(CREATE)
        }
        result => result,
    }
}

fn run_pending<C, DB>(conn: &mut C, migrations: EmbeddedMigrations) -> Result<(), OpenError>
where
    C: MigrationHarness<DB>,
    DB: Backend,
    EmbeddedMigrations: MigrationSource<DB>,
{
    let known: Vec<Box<dyn Migration<DB>>> = migrations.migrations().map_err(OpenError::Migrate)?;
    let applied = conn.applied_migrations().map_err(OpenError::Migrate)?;
    let is_known = |version: &_| known.iter().any(|m| m.name().version() == *version);
    if let Some(newer) = applied.iter().find(|version| !is_known(version)) {
        return Err(OpenError::Newer(newer.to_string()));
    }
    for version in conn.run_pending_migrations(migrations).map_err(OpenError::Migrate)? {
        log::info!(version:% = version; "database migrated");
    }
    Ok(())
}

/// An error of the transaction around the migrations.
struct Failure(BoxError);

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        Self(error.into())
    }
}

/// The version that a PostgreSQL database is at, `None` where it was never migrated.
pub(crate) fn is_current_postgres(conn: &mut PgConnection) -> Result<bool, BoxError> {
    Ok(!MigrationHarness::<Pg>::has_pending_migration(conn, POSTGRES)?)
}
