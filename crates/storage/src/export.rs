//! All customers of a selection, read on one state of the database while others write.

use customers_domain::history::HistoryEntry;
use customers_domain::selection::{Order, Selection};
use customers_domain::{Customer, CustomerId, RepositoryError};
use diesel::connection::AnsiTransactionManager;
use diesel::prelude::*;

use crate::error::{OpenError, from_postgres, from_sqlite};
use crate::reading::{Ask, Walk};
use crate::row::HistoryRow;
use crate::{DatabaseUrl, Options, postgres, queries, sqlite};

/// So many customers are read at once, and held in memory.
const BATCH: u32 = 250;

/// A walk along all customers of a selection, by id, on a connection of its own. All that it finds is of
/// the moment at which it began, whatever is written meanwhile. Its calls block until they are done.
///
/// The state that it reads is kept for as long as it lives: SQLite cannot begin its write-ahead log anew,
/// and PostgreSQL removes no old row. So nobody must be waited for in between who may not come.
pub struct Export {
    conn: Conn,
    walk: Walk,
    total: u64,
}

enum Conn {
    Sqlite(SqliteConnection),
    Postgres { conn: PgConnection, has_search_index: bool },
}

impl Conn {
    fn ask<T>(&mut self, query: impl Query<T>) -> Result<T, RepositoryError> {
        match self {
            Self::Sqlite(conn) => query.run(conn).map_err(from_sqlite),
            Self::Postgres { conn, has_search_index } => {
                let asked = &mut postgres::asked(conn, *has_search_index);
                query.run(asked).map_err(from_postgres)
            }
        }
    }
}

/// What either connection can be asked.
trait Query<T> {
    fn run(self, conn: &mut impl Ask) -> QueryResult<T>;
}

struct Begin(Selection);

impl Query<(Walk, u64)> for Begin {
    fn run(self, conn: &mut impl Ask) -> QueryResult<(Walk, u64)> {
        Walk::begin(conn, self.0, Order::default(), BATCH)
    }
}

struct Next<'a>(&'a mut Walk);

impl Query<Vec<Customer>> for Next<'_> {
    fn run(self, conn: &mut impl Ask) -> QueryResult<Vec<Customer>> {
        self.0.next(conn)
    }
}

impl Export {
    /// Opens the database as [`open`](crate::open) does, and begins on its state at this moment.
    ///
    /// # Errors
    ///
    /// Those of [`open`](crate::open), and [`OpenError::Connect`] where what there is cannot be counted.
    pub fn begin(
        url: &DatabaseUrl,
        options: Options,
        selection: Selection,
    ) -> Result<Self, OpenError> {
        drop(crate::open(url, options)?);
        let failed = |error: diesel::result::Error| OpenError::Connect(error.into());
        let mut conn = match url {
            DatabaseUrl::Sqlite(path) => {
                let mut conn = sqlite::connect_for_reading(path)?;
                AnsiTransactionManager::begin_transaction_sql(&mut conn, "BEGIN")
                    .map_err(failed)?;
                Conn::Sqlite(conn)
            }
            DatabaseUrl::Postgres(url) => {
                let (mut conn, has_search_index) = postgres::connect_for_reading(url.expose())?;
                let begin = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY";
                AnsiTransactionManager::begin_transaction_sql(&mut conn, begin).map_err(failed)?;
                Conn::Postgres { conn, has_search_index }
            }
        };
        // The first question is what fixes the state.
        let (walk, total) =
            conn.ask(Begin(selection)).map_err(|error| OpenError::Connect(error.into()))?;
        Ok(Self { conn, walk, total })
    }

    /// How many customers it passes in all.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The next customers, 250 at most; none at the end.
    ///
    /// # Errors
    ///
    /// Where the database fails: the walk is over then.
    pub fn read(&mut self) -> Result<Vec<Customer>, RepositoryError> {
        self.conn.ask(Next(&mut self.walk))
    }

    /// At most so many entries of a customer's history before this one, the newest first.
    ///
    /// # Errors
    ///
    /// Where the database fails.
    pub fn history(
        &mut self,
        id: CustomerId,
        before: Option<i64>,
        take: u32,
    ) -> Result<Vec<HistoryEntry>, RepositoryError> {
        let before = before.unwrap_or(i64::MAX);
        let query = || queries::history(id.get(), before, take.into());
        let entries = |rows: Vec<HistoryRow>| -> QueryResult<Vec<_>> {
            rows.into_iter().map(HistoryEntry::try_from).collect()
        };
        match &mut self.conn {
            Conn::Sqlite(conn) => {
                let rows = query().select(HistoryRow::as_select()).load(conn);
                rows.and_then(entries).map_err(from_sqlite)
            }
            Conn::Postgres { conn, .. } => {
                let rows = query().select(HistoryRow::as_select()).load(conn);
                rows.and_then(entries).map_err(from_postgres)
            }
        }
    }
}
