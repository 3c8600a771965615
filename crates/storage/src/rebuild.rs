//! Mends what stands beside the customers, from the customers, beside servers that use the database.
//!
//! It compares some customers at a time, and writes only where something is wrong. What is mended stays
//! so when it is stopped, and it may be run again at any time.

use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::result::Error;

use crate::drift::{self, Beside, Compare, Compared, PhoneRow, Phones};
use crate::error::{OpenError, is_conflict};
use crate::sql::Sql;
use crate::times::Times;
use crate::{DatabaseUrl, indexes, mending, postgres, refresh, sqlite};

/// How often a step is taken again that other transactions stood in the way of.
const ATTEMPTS: u32 = 10;

/// On SQLite nobody else writes while something is mended. After that, the others have as long, up to
/// this: a process that waits for the write lock asks for it again every tenth of a second.
const PAUSE: Duration = Duration::from_millis(150);

/// What was mended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// The customers that were compared.
    pub customers: u64,
    /// The customers that had a time out of range.
    pub times: u64,
    /// The customers whose keys were missing or wrong.
    pub keys: u64,
    /// The customers of whom phone numbers were missing.
    pub phones: u64,
    /// The customers that were not in the search index.
    pub searched: u64,
    /// The rows that were removed, because they were of no customer, or not of theirs.
    pub removed: u64,
    /// By how much the counts of customers were off: of those that are not deleted, and those that are.
    pub totals: (i64, i64),
    /// The indexes that were missing.
    pub indexes: u64,
}

/// Why it cannot go on.
#[derive(Debug, thiserror::Error)]
#[error("the database failed: {0}")]
pub struct RebuildError(#[from] Error);

/// A rebuilding under way, on a connection of its own.
pub struct Rebuild {
    conn: Conn,
    next: Step,
    total: u64,
    rebuilt: Rebuilt,
}

enum Conn {
    Sqlite(SqliteConnection),
    Postgres(Box<postgres::Ddl>),
}

/// What is done next.
enum Step {
    /// The customers behind this id.
    Customers(i64),
    /// The rows of no customer behind this id.
    Strays(Beside, i64),
    /// The phone numbers behind this one.
    Phones(PhoneRow),
    Totals,
    Indexes,
    End,
}

impl Rebuild {
    /// Opens the database, and brings its schema to this version.
    ///
    /// # Errors
    ///
    /// Those of [`open`](crate::open), but not [`OpenError::NewerKeys`], which this mends.
    pub fn open(url: &DatabaseUrl) -> Result<Self, OpenError> {
        let mut conn = match url {
            DatabaseUrl::Sqlite(path) => Conn::Sqlite(sqlite::open_for_rebuilding(path)?),
            DatabaseUrl::Postgres(url) => {
                Conn::Postgres(Box::new(postgres::Ddl::migrated(url.expose())?))
            }
        };
        let total = conn
            .read(|conn| conn.number(Sql::new("SELECT count(*) FROM customers")))
            .map_err(|error| OpenError::Connect(error.into()))?;
        let total = u64::try_from(total).unwrap_or(0);
        Ok(Self { conn, next: Step::Customers(0), total, rebuilt: Rebuilt::default() })
    }

    /// How many customers there were at the beginning.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// What was mended by now.
    pub fn rebuilt(&self) -> Rebuilt {
        self.rebuilt
    }

    /// Takes the next step, and returns whether there was one. Blocks for as long as some customers take,
    /// or an index.
    ///
    /// # Errors
    ///
    /// Where the database fails. What was mended before stays mended.
    pub fn step(&mut self) -> Result<bool, RebuildError> {
        let Self { conn, next, rebuilt, .. } = self;
        *next = match next {
            Step::Customers(after) => {
                let after = *after;
                match conn.read(|conn| drift::compare(conn, after))? {
                    Some(compared) => {
                        mend(conn, &compared)?;
                        rebuilt.customers += compared.customers as u64;
                        rebuilt.times += compared.times.len() as u64;
                        rebuilt.keys += compared.keys.len() as u64;
                        rebuilt.phones += compared.phones.len() as u64;
                        rebuilt.searched += compared.searched.len() as u64;
                        Step::Customers(compared.last)
                    }
                    None => Step::Strays(Beside::Keys, i64::MIN),
                }
            }
            Step::Strays(beside, after) => {
                let (beside, after) = (*beside, *after);
                let strays = conn.read(|conn| beside.strays(conn, after))?;
                match strays.last() {
                    Some(last) => {
                        conn.write(|conn| beside.remove(conn, &strays))?;
                        rebuilt.removed += strays.len() as u64;
                        Step::Strays(beside, *last)
                    }
                    None => match (beside, &conn) {
                        (Beside::Keys, Conn::Sqlite(_)) => {
                            Step::Strays(Beside::SearchIndex, i64::MIN)
                        }
                        _ => Step::Phones(PhoneRow::default()),
                    },
                }
            }
            Step::Phones(after) => match conn.read(|conn| drift::stray_phones(conn, after))? {
                Some(Phones { last, strays }) => {
                    if !strays.is_empty() {
                        rebuilt.removed += conn.write(|conn| remove(conn, &strays))?;
                    }
                    Step::Phones(last)
                }
                None => Step::Totals,
            },
            Step::Totals => {
                conn.write(|conn| {
                    Times::Tokens.mend(conn, None)?;
                    Times::Users.mend(conn, None)
                })?;
                rebuilt.totals = conn.write(|conn| {
                    indexes::lock(conn)?;
                    mending::correct_totals(conn)
                })?;
                Step::Indexes
            }
            Step::Indexes => {
                let restored = match conn {
                    Conn::Sqlite(_) => conn.write(|conn| indexes::restore(conn))?,
                    Conn::Postgres(conn) => conn.restore_index()?,
                };
                rebuilt.indexes += u64::from(restored);
                if restored { Step::Indexes } else { Step::End }
            }
            Step::End => return Ok(false),
        };
        Ok(true)
    }
}

/// Mends the customers that lack something.
fn mend(conn: &mut Conn, compared: &Compared) -> QueryResult<()> {
    let times = &compared.times;
    if !times.is_empty() {
        conn.write(|conn| {
            Times::Customers.mend(conn, Some(("id", times)))?;
            Times::History.mend(conn, Some(("customer_id", times)))
        })?;
    }
    let lacking = compared.lacking();
    if lacking.is_empty() {
        return Ok(());
    }
    conn.write(|conn| {
        let customers = drift::locked(conn, lacking.iter().copied())?;
        refresh::rebuild(conn, &customers)
    })
}

/// Removes those of these phone numbers that are still not of their customers, and returns how many.
fn remove(conn: &mut dyn Compare, strays: &[PhoneRow]) -> QueryResult<u64> {
    let for_update = drift::for_update(conn);
    let strays = drift::strays_of(conn, strays.to_vec(), for_update)?;
    let removed = strays.len() as u64;
    drift::remove_phones(conn, strays)?;
    Ok(removed)
}

impl Conn {
    /// Reads one state of the database.
    fn read<T>(&mut self, read: impl FnOnce(&mut dyn Compare) -> QueryResult<T>) -> QueryResult<T> {
        match self {
            Self::Sqlite(conn) => conn.transaction(|conn| read(conn)),
            Self::Postgres(ddl) => ddl
                .conn()
                .build_transaction()
                .repeatable_read()
                .read_only()
                .run(|conn| read(&mut postgres::import::target(conn))),
        }
    }

    /// Writes in a transaction, again where another one stood in its way, and lets others write after it.
    fn write<T>(&mut self, write: impl Fn(&mut dyn Compare) -> QueryResult<T>) -> QueryResult<T> {
        let mut attempts = 0;
        loop {
            let started = Instant::now();
            let written = match self {
                Self::Sqlite(conn) => {
                    let written = conn.immediate_transaction(|conn| write(conn));
                    std::thread::sleep(started.elapsed().min(PAUSE));
                    written
                }
                Self::Postgres(ddl) => {
                    ddl.conn().transaction(|conn| write(&mut postgres::import::target(conn)))
                }
            };
            match written {
                Err(error) if is_conflict(&error) && attempts < ATTEMPTS => attempts += 1,
                written => return written,
            }
        }
    }
}
