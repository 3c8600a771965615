//! Brings a database to the schema of this version.

use std::error::Error;

use diesel::backend::Backend;
use diesel::connection::SimpleConnection;
use diesel::migration::{MigrationSource, MigrationVersion};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::result::Error as QueryError;
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::error::OpenError;
use crate::postgres::ddl;
use crate::{DatabaseUrl, indexes, postgres, sqlite};

const SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

type BoxError = Box<dyn Error + Send + Sync>;

diesel::table! {
    /// diesel's own note of what was applied.
    __diesel_schema_migrations (version) {
        version -> Text,
    }
}

pub(crate) fn migrate_sqlite(conn: &mut SqliteConnection) -> Result<(), OpenError> {
    // Nothing is locked where all is there: a long import of another process holds the lock.
    let applied = __diesel_schema_migrations::table.select(__diesel_schema_migrations::version);
    if let Ok(applied) = applied.load(conn)
        && !is_pending::<Sqlite>(&SQLITE, &applied)?
    {
        return Ok(());
    }
    // The lock is taken before anything is read again, so that of several processes that start at once
    // one migrates and the others find it done.
    conn.immediate_transaction(|conn| Ok::<_, Failure>(run_pending(conn, SQLITE)))
        .map_err(|Failure(error)| OpenError::Migrate(error))?
}

/// The lock is a row and not an advisory lock, which not every server that speaks PostgreSQL's
/// protocol has. It is held by one connection while the other migrates.
pub(crate) fn migrate_postgres(
    conn: &mut PgConnection,
    connect: impl FnOnce() -> Result<PgConnection, OpenError>,
) -> Result<(), OpenError> {
    // Nothing is written where all is there, so that a role that may not create tables can start
    // the service. Where nothing can be read yet, the migrations will say so.
    if let Ok(applied) = applied_postgres(conn)
        && !is_pending::<Pg>(&POSTGRES, &applied)?
    {
        return Ok(());
    }
    let lock = &mut connect()?;
    ddl::lift_limits(lock)?;
    ddl::lift_limits(conn)?;
    create_lock(lock).map_err(|error| OpenError::Migrate(error.into()))?;
    lock.transaction(|lock| {
        indexes::lock(&mut postgres::import::target(lock))?;
        Ok::<_, Failure>(ddl::patiently(conn, |conn| run_pending(conn, POSTGRES)))
    })
    .map_err(|Failure(error)| OpenError::Migrate(error))?
}

/// `IF NOT EXISTS` does not keep two servers from creating a table at once: one of them is told, in
/// several ways, of a duplicate in the catalogue, and finds the table when it looks again.
fn create_lock(conn: &mut PgConnection) -> QueryResult<()> {
    const CREATE: &str = "
        CREATE TABLE IF NOT EXISTS customers_migration_lock (id INTEGER PRIMARY KEY);
        INSERT INTO customers_migration_lock (id) VALUES (1) ON CONFLICT (id) DO NOTHING;";
    conn.batch_execute(CREATE).or_else(|_| conn.batch_execute(CREATE))
}

fn run_pending<C, DB>(conn: &mut C, migrations: EmbeddedMigrations) -> Result<(), OpenError>
where
    C: MigrationHarness<DB>,
    DB: Backend,
    EmbeddedMigrations: MigrationSource<DB>,
{
    let applied = conn.applied_migrations().map_err(OpenError::Migrate)?;
    is_pending::<DB>(&migrations, &applied)?;
    for version in conn.run_pending_migrations(migrations).map_err(OpenError::Migrate)? {
        log::info!(version:% = version; "database migrated");
    }
    Ok(())
}

/// Whether some are not applied yet. Refused where others are.
fn is_pending<DB: Backend>(
    migrations: &impl MigrationSource<DB>,
    applied: &[MigrationVersion<'_>],
) -> Result<bool, OpenError> {
    let known = migrations.migrations().map_err(OpenError::Migrate)?;
    let is_known = |version: &_| known.iter().any(|m| m.name().version() == *version);
    if let Some(newer) = applied.iter().find(|version| !is_known(version)) {
        return Err(OpenError::Newer(newer.to_string()));
    }
    Ok(applied.len() < known.len())
}

/// How far a database has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// There is nothing of it yet.
    Missing,
    /// It is that of an earlier version.
    Earlier,
    /// It is that of this version.
    Current,
}

/// How far the database of this URL has come; nothing is changed of it.
///
/// # Errors
///
/// [`OpenError`] where it cannot be reached, or belongs to a newer version.
pub fn schema(url: &DatabaseUrl) -> Result<Schema, OpenError> {
    let (pending, all) = match url {
        DatabaseUrl::Sqlite(path) if !path.exists() => return Ok(Schema::Missing),
        DatabaseUrl::Sqlite(path) => {
            (pending_sqlite(&mut sqlite::connect_for_reading(path)?)?, count::<Sqlite>(&SQLITE)?)
        }
        DatabaseUrl::Postgres(url) => {
            let mut conn = postgres::import::connect(url.expose())?;
            (pending_postgres(&mut conn)?, count::<Pg>(&POSTGRES)?)
        }
    };
    Ok(match pending {
        0 => Schema::Current,
        pending if pending == all => Schema::Missing,
        _ => Schema::Earlier,
    })
}

fn count<DB: Backend>(migrations: &impl MigrationSource<DB>) -> Result<usize, OpenError> {
    Ok(migrations.migrations().map_err(OpenError::Migrate)?.len())
}

/// How many migrations a PostgreSQL database lacks. Refused as by migrating.
pub(crate) fn pending_postgres(conn: &mut PgConnection) -> Result<usize, OpenError> {
    count_pending::<Pg>(&POSTGRES, applied_postgres(conn))
}

/// Whether an SQLite database is one of this service. Refused as by migrating.
pub(crate) fn is_ours_sqlite(conn: &mut SqliteConnection) -> Result<bool, OpenError> {
    let applied = __diesel_schema_migrations::table.select(__diesel_schema_migrations::version);
    // Where there is no note of any migration, none was made.
    let applied: Vec<_> = applied.load(conn).unwrap_or_default();
    is_pending::<Sqlite>(&SQLITE, &applied)?;
    Ok(!applied.is_empty())
}

/// The same of an SQLite database.
pub(crate) fn pending_sqlite(conn: &mut SqliteConnection) -> Result<usize, OpenError> {
    let applied = __diesel_schema_migrations::table.select(__diesel_schema_migrations::version);
    count_pending::<Sqlite>(&SQLITE, applied.load(conn))
}

fn count_pending<DB: Backend>(
    migrations: &impl MigrationSource<DB>,
    applied: QueryResult<Vec<MigrationVersion<'static>>>,
) -> Result<usize, OpenError> {
    // Where there is no note of any, none was.
    let applied = applied.unwrap_or_else(|_| Vec::new());
    is_pending::<DB>(migrations, &applied)?;
    let known = migrations.migrations().map_err(OpenError::Migrate)?;
    Ok(known.len() - applied.len())
}

/// An error of the transaction around the migrations.
struct Failure(BoxError);

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        Self(error.into())
    }
}

/// Whether a PostgreSQL database has all that this version needs. One that a newer version has
/// migrated under a running service still has.
pub(crate) fn is_current_postgres(conn: &mut PgConnection) -> QueryResult<bool> {
    is_current::<Pg>(&POSTGRES, &applied_postgres(conn)?)
}

/// The same of an SQLite database.
pub(crate) fn is_current_sqlite(conn: &mut SqliteConnection) -> QueryResult<bool> {
    let applied = __diesel_schema_migrations::table.select(__diesel_schema_migrations::version);
    is_current::<Sqlite>(&SQLITE, &applied.load(conn)?)
}

fn is_current<DB: Backend>(
    migrations: &impl MigrationSource<DB>,
    applied: &[MigrationVersion<'_>],
) -> QueryResult<bool> {
    let known = migrations.migrations().map_err(QueryError::DeserializationError)?;
    Ok(known.iter().all(|migration| applied.contains(&migration.name().version())))
}

/// What was applied to a PostgreSQL database. diesel's own way of asking creates its table first,
/// which takes the right to do so and a server that takes writes.
fn applied_postgres(conn: &mut PgConnection) -> QueryResult<Vec<MigrationVersion<'static>>> {
    __diesel_schema_migrations::table.select(__diesel_schema_migrations::version).load(conn)
}

#[cfg(test)]
#[path = "../tests/support/database.rs"]
mod database;

#[cfg(test)]
mod tests {
    use super::database::{Connection, TestDatabase};
    use super::*;

    fn names<DB: Backend>(migrations: &impl MigrationSource<DB>) -> Vec<String> {
        let migrations = migrations.migrations().unwrap();
        migrations.iter().map(|migration| migration.name().to_string()).collect()
    }

    #[test]
    fn both_databases_have_the_same_migrations() {
        let names = names::<Sqlite>(&SQLITE);
        assert_eq!(names, self::names::<Pg>(&POSTGRES));
        assert!(!names.is_empty());
    }

    #[test]
    fn both_databases_have_the_same_columns() {
        let sqlite = TestDatabase::sqlite();
        migrate(&sqlite);
        let sqlite = sqlite.values(
            "SELECT t.name || '.' || c.name || iif(c.\"notnull\" OR c.pk, '', '?') AS value
             FROM sqlite_master AS t, pragma_table_info(t.name) AS c
             WHERE t.type = 'table' AND t.name IN ('customers', 'tokens', 'users')
             ORDER BY t.name, c.cid",
        );
        let postgres = TestDatabase::postgres();
        migrate(&postgres);
        let postgres = postgres.values(
            "SELECT table_name || '.' || column_name
                 || CASE is_nullable WHEN 'YES' THEN '?' ELSE '' END AS value
             FROM information_schema.columns WHERE table_name IN ('customers', 'tokens', 'users')
             ORDER BY table_name, ordinal_position",
        );
        assert_eq!(sqlite, postgres);
        assert!(!sqlite.is_empty());
    }

    #[test]
    fn the_indexes_of_the_keys_are_known() {
        let sqlite = TestDatabase::sqlite();
        migrate(&sqlite);
        let sqlite = sqlite.values(
            "SELECT name AS value FROM sqlite_master
             WHERE type = 'index' AND tbl_name = 'customer_keys' ORDER BY name",
        );
        assert_eq!(sqlite, indexes::ALL);
        let postgres = TestDatabase::postgres();
        migrate(&postgres);
        let postgres = postgres.values(
            "SELECT indexname::text COLLATE \"C\" AS value FROM pg_indexes
             WHERE tablename = 'customer_keys' AND indexname <> 'customer_keys_pkey' ORDER BY value",
        );
        assert_eq!(postgres, indexes::ALL);
    }

    #[test]
    fn migrations_of_sqlite_can_be_undone_and_done_again() {
        let database = TestDatabase::sqlite();
        let schema = || {
            database.values(
                "SELECT type || ' ' || name || ' ' || coalesce(sql, '') AS value
                 FROM sqlite_master ORDER BY type, name",
            )
        };
        assert_round_trip(&database, schema, |left| {
            left.contains("__diesel_schema_migrations") || left.contains("sqlite_sequence")
        });
    }

    #[test]
    fn migrations_of_postgres_can_be_undone_and_done_again() {
        let database = TestDatabase::postgres();
        let schema = || {
            let queries = [
                "SELECT concat_ws(' ', table_name, ordinal_position, column_name, data_type,
                     character_maximum_length, collation_name, column_default, is_nullable) AS value
                 FROM information_schema.columns WHERE table_schema = 'public' ORDER BY value",
                "SELECT indexdef AS value FROM pg_indexes WHERE schemaname = 'public'
                 ORDER BY value",
                "SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid))
                     AS value
                 FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY value",
                "SELECT concat_ws(' ', seqrelid::regclass, seqtypid::regtype, seqstart,
                     seqincrement, seqmin, seqmax, seqcache, seqcycle) AS value
                 FROM pg_sequence ORDER BY value",
                // What none of these would show.
                "SELECT concat_ws(' ', relkind, relname) AS value
                 FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY value",
                "SELECT proname::text AS value
                 FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY value",
            ];
            queries.into_iter().flat_map(|query| database.values(query)).collect()
        };
        assert_round_trip(&database, schema, |left| {
            left.contains("__diesel_schema_migrations") || left.contains("customers_migration_lock")
        });
    }

    fn assert_round_trip(
        database: &TestDatabase,
        schema: impl Fn() -> Vec<String>,
        is_not_ours: impl Fn(&str) -> bool,
    ) {
        migrate(database);
        let up = schema();
        assert!(up.iter().any(|part| part.contains("tokens_name_unless_revoked")), "{up:#?}");
        revert(database);
        let left: Vec<_> = schema().into_iter().filter(|part| !is_not_ours(part)).collect();
        assert!(left.is_empty(), "{left:#?}");
        migrate(database);
        assert_eq!(schema(), up);
        // And once more, as at every start.
        migrate(database);
        assert_eq!(schema(), up);
    }

    fn migrate(database: &TestDatabase) {
        let migrated = match database.connect() {
            Connection::Sqlite(mut conn) => migrate_sqlite(&mut conn),
            Connection::Postgres(mut conn) => {
                migrate_postgres(&mut conn, || match database.connect() {
                    Connection::Postgres(lock) => Ok(lock),
                    Connection::Sqlite(_) => unreachable!("one database is not two"),
                })
            }
        };
        migrated.unwrap();
    }

    fn revert(database: &TestDatabase) {
        match database.connect() {
            Connection::Sqlite(mut conn) => drop(conn.revert_all_migrations(SQLITE).unwrap()),
            Connection::Postgres(mut conn) => drop(conn.revert_all_migrations(POSTGRES).unwrap()),
        }
    }
}
