#![doc = include_str!("../README.md")]

mod backup;
mod change;
mod check;
mod drift;
mod erasing;
mod error;
mod export;
mod import;
mod indexes;
mod listing;
mod mending;
mod migrations;
mod postgres;
mod queries;
mod reading;
mod rebuild;
mod refresh;
mod restore;
mod row;
mod schema;
mod searching;
mod sql;
mod sqlite;
mod statistics;
mod times;
mod upkeep;
mod url;

use std::num::NonZeroU32;
use std::sync::Arc;

use customers_domain::token::TokenRepository;
use customers_domain::user::UserRepository;
use customers_domain::{AccountNumbering, CustomerRepository};

pub use backup::{Backup, BackupError, Progress};
pub use check::{Finding, Verdict, check};
pub use error::OpenError;
pub use export::Export;
pub use import::{Brought, Import, ImportError, ImportMode, ImportOptions, Outcome};
pub use mending::MendedStatistics;
pub use migrations::{Schema, schema};
pub use rebuild::{Rebuild, RebuildError, Rebuilt};
pub use restore::{Prepared, Restore, RestoreError};
pub use statistics::{Instrumented, PoolStatistics, Statistics, WriterStatistics};
pub use upkeep::Upkeep;
pub use url::{DatabaseUrl, InvalidDatabaseUrl, Secret};

/// The ports of one database.
#[derive(Clone)]
pub struct Store {
    /// Keeps the customers.
    pub customers: Arc<dyn CustomerRepository>,
    /// Keeps the tokens.
    pub tokens: Arc<dyn TokenRepository>,
    /// Keeps the users.
    pub users: Arc<dyn UserRepository>,
    /// Tells what it is doing.
    pub instrumented: Arc<dyn Instrumented>,
    /// Keeps the database as it should be.
    pub upkeep: Arc<dyn Upkeep>,
}

impl Store {
    fn of<T>(adapter: T) -> Self
    where
        T: CustomerRepository + TokenRepository + UserRepository + Instrumented + Upkeep + 'static,
    {
        let adapter = Arc::new(adapter);
        Self {
            customers: adapter.clone(),
            tokens: adapter.clone(),
            users: adapter.clone(),
            instrumented: adapter.clone(),
            upkeep: adapter,
        }
    }
}

/// How a database is used.
#[derive(Debug, Clone)]
pub struct Options {
    /// How accounts are made for customers without one.
    pub numbering: AccountNumbering,
    /// The most connections that are open at once: to PostgreSQL, or for reading from SQLite, where
    /// there are no more than processors, and one more for writing.
    pub connections: NonZeroU32,
    /// A streaming replica of the PostgreSQL database, from which lists and searches are read whenever it
    /// has all that was answered before. SQLite has none.
    pub replica: Option<Secret>,
}

/// Opens a database: creates what is missing of it (on SQLite the file and its folder) and brings
/// its schema to this version. Blocks until that is done.
///
/// Any number of processes may do so at once.
///
/// # Errors
///
/// [`OpenError`] where it cannot be reached, created or migrated, or belongs to a newer version.
pub fn open(url: &DatabaseUrl, options: Options) -> Result<Store, OpenError> {
    match url {
        DatabaseUrl::Sqlite(path) => sqlite::SqliteStore::open(path, options).map(Store::of),
        DatabaseUrl::Postgres(url) => {
            postgres::PostgresStore::open(url.expose(), options).map(Store::of)
        }
    }
}
