//! Brings in many customers at once, beside servers that use the database.

mod alike;
mod brought;
mod overlay;
mod plan;

use std::ops::AddAssign;
use std::time::{Duration, Instant};

use customers_domain::import::{Incoming, OnConflict, Refusal};
use customers_domain::{AccountNumbering, Customer, Precondition, Timestamp, Write};
use diesel::connection::{AnsiTransactionManager, TransactionManager};
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};
use roaring::RoaringTreemap;

use crate::error::{OpenError, is_conflict};
use crate::postgres::horizon::Running;
use crate::reading::Ask;
use crate::row::CustomerRow;
use crate::sql::Sql;
use crate::{DatabaseUrl, Options, indexes, postgres, sqlite};
pub use brought::Brought;
use plan::{Plan, Planning};

/// Who has done it, in the history.
const ACTOR: &str = "import";

/// Behind a batch of so many, many more are expected. A full one has fewer where customers are large.
const MANY: usize = 500;

/// How often a batch is done again that other transactions stood in the way of.
const ATTEMPTS: u32 = 10;

/// On SQLite, nobody else writes while a batch is written, and whoever waits for that asks again every
/// tenth of a second at the latest, and gives up after 5 seconds. So often and so long everybody else
/// is let in; after every batch as long as somebody else does write.
const PAUSE_EVERY: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(150);

/// How customers are brought in.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// What is done with those that are there already, and differ.
    pub on_conflict: OnConflict,
    /// What the history calls this import, in the place of a request.
    pub request_id: String,
    /// How it is kept.
    pub mode: ImportMode,
    /// Whether a customer that comes in a second time may change: what is read while it changes,
    /// page by page, may show it again. Else the second is [refused](Refusal::Repeated).
    pub may_repeat: bool,
}

/// How an import is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportMode {
    /// Batch by batch: each is on the disk when the next begins.
    Batches,
    /// All of it or, unless it is [finished](Import::finish), nothing. On SQLite nobody else writes
    /// meanwhile.
    AllOrNothing,
    /// Not at all: it is only told what would become of each customer.
    DryRun,
}

/// What has become of a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is new.
    Created,
    /// One that was there is changed.
    Updated,
    /// It was there already.
    Unchanged,
    /// One that was there differs, and is left as it is.
    Skipped,
    /// It is not taken in.
    Refused(Refusal),
}

/// An import under way, on a connection of its own. What it is given blocks until it is done.
pub struct Import {
    url: DatabaseUrl,
    conn: Conn,
    numbering: AccountNumbering,
    brought: Brought,
    options: ImportOptions,
    /// Whether nobody can be looking anything up yet.
    into_nothing: bool,
    are_indexes_set_aside: bool,
    /// SQLite's, while they are.
    under_way: Option<sqlite::import::UnderWay>,
    paused: Instant,
    /// SQLite's, after the last batch.
    data_version: Option<i64>,
    /// The ids of those that came in, unless they may repeat.
    came: RoaringTreemap,
    /// Whether others have changed customers of a batch while it was taken in. From then on, those that
    /// are there are locked first.
    is_disturbed: bool,
    /// What is to be added to the totals at the end of an import that is one transaction: until a
    /// transaction ends, others wait for the rows of the totals that it has changed.
    totals: Totals,
    /// Dropped after the connection: the import runs until its transaction has ended.
    _running: Option<Running>,
}

enum Conn {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Conn {
    /// Does something in a transaction of its own, or in a part of the one that is open.
    fn transaction<T>(
        &mut self,
        mode: ImportMode,
        work: impl FnOnce(&mut dyn Load) -> QueryResult<T>,
    ) -> QueryResult<T> {
        match self {
            // Nobody else writes meanwhile, so it is not done in vain.
            Self::Sqlite(conn) if mode == ImportMode::Batches => {
                conn.immediate_transaction(|conn| work(conn))
            }
            Self::Sqlite(conn) => conn.transaction(|conn| work(conn)),
            Self::Postgres(conn) => {
                conn.transaction(|conn| work(&mut postgres::import::target(conn)))
            }
        }
    }
}

/// Makes what the import needs, and tells whether there is no customer yet.
fn begin(conn: &mut Conn, mode: ImportMode) -> QueryResult<bool> {
    match (&mut *conn, mode) {
        (_, ImportMode::Batches) => {}
        (Conn::Sqlite(conn), ImportMode::AllOrNothing) => {
            AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN IMMEDIATE")?;
        }
        (Conn::Postgres(conn), ImportMode::AllOrNothing) => {
            AnsiTransactionManager::begin_transaction(conn)?;
        }
        (conn, ImportMode::DryRun) => conn.transaction(mode, |it| overlay::create(it))?,
    }
    let any = Sql::new("SELECT count(*) FROM (SELECT 1 FROM customers LIMIT 1) AS any_one");
    Ok(conn.transaction(mode, |it| it.number(any))? == 0)
}

/// By how many there are more customers.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Totals {
    pub live: i64,
    pub deleted: i64,
}

impl AddAssign for Totals {
    fn add_assign(&mut self, more: Self) {
        self.live += more.live;
        self.deleted += more.deleted;
    }
}

/// What only a database can say of how customers are brought into it.
pub(crate) trait Load: Ask {
    /// This moment, within a transaction: no list that is complete up to it or later is without what the
    /// transaction writes.
    fn now(&mut self) -> QueryResult<Timestamp>;

    /// Locks the customers that have one of these ids or keys of accounts, in the order of their ids.
    fn lock(&mut self, ids: &[i64], keys: &[String]) -> QueryResult<()>;

    /// So many ids for new customers, all above this one.
    fn next_ids(&mut self, count: usize, above: i64) -> QueryResult<Vec<i64>>;

    /// Writes what is created and what is changed, and all that there is of it. Returns what is still to
    /// be [counted](Self::count).
    fn store(
        &mut self,
        created: &[Customer],
        changed: Vec<Changed>,
        write: &Write,
        now: Timestamp,
    ) -> QueryResult<Totals>;

    /// Adds to the totals. To be done last in a transaction.
    fn count(&mut self, totals: Totals) -> QueryResult<()>;
}

/// A customer that is changed.
pub(crate) struct Changed {
    pub stored: CustomerRow,
    pub before: Customer,
    pub after: Customer,
}

impl Import {
    /// Opens the database like [`open`](crate::open), for this import.
    ///
    /// # Errors
    ///
    /// Those of [`open`](crate::open).
    pub fn open(
        url: &DatabaseUrl,
        options: Options,
        import: ImportOptions,
    ) -> Result<Self, OpenError> {
        let numbering = options.numbering.clone();
        // Which creates, migrates and mends what is missing.
        drop(crate::open(url, options)?);
        let mut conn = match url {
            DatabaseUrl::Sqlite(path) => Conn::Sqlite(sqlite::import::connect(path)?),
            DatabaseUrl::Postgres(url) => Conn::Postgres(postgres::import::connect(url.expose())?),
        };
        let running = match (url, import.mode) {
            (DatabaseUrl::Sqlite(_), _) | (_, ImportMode::DryRun) => None,
            (DatabaseUrl::Postgres(url), _) => Some(Running::begin(url.expose())?),
        };
        let into_nothing =
            begin(&mut conn, import.mode).map_err(|error| OpenError::Connect(error.into()))?;
        Ok(Self {
            url: url.clone(),
            conn,
            brought: Brought::new(numbering.clone()),
            numbering,
            options: import,
            into_nothing,
            are_indexes_set_aside: false,
            under_way: None,
            paused: Instant::now(),
            data_version: None,
            came: RoaringTreemap::new(),
            is_disturbed: false,
            totals: Totals::default(),
            _running: running,
        })
    }

    /// Takes in a batch, and tells what has become of each customer of it, in their order.
    ///
    /// # Errors
    ///
    /// Where the database fails; nothing of the batch is kept then.
    pub fn load(&mut self, batch: &[Incoming]) -> Result<Vec<Outcome>, ImportError> {
        if batch.len() >= MANY && self.into_nothing && self.options.mode == ImportMode::Batches {
            self.set_indexes_aside();
        }
        let mut attempts = 1;
        let Taken { outcomes, came, totals } = loop {
            let planning = Planning {
                numbering: &self.numbering,
                brought: &self.brought,
                on_conflict: self.options.on_conflict,
                is_dry: self.options.mode == ImportMode::DryRun,
                locks: self.is_disturbed,
                // Taken within the transaction.
                now: Timestamp::UNIX_EPOCH,
                came_before: (!self.options.may_repeat).then_some(&self.came),
            };
            let request_id = &self.options.request_id;
            let counts = self.options.mode == ImportMode::Batches;
            let taking = |it: &mut dyn Load| take(it, batch, planning, request_id, counts);
            match self.conn.transaction(self.options.mode, taking) {
                Ok(taken) => break taken,
                Err(error) if !self.may_work_again(&error) => return Err(error.into()),
                Err(error) if attempts >= ATTEMPTS => {
                    return Err(ImportError::Disturbed { attempts, error });
                }
                Err(_) => {
                    attempts += 1;
                    self.is_disturbed = true;
                }
            }
        };
        self.came |= came;
        self.totals += totals;
        self.let_others_write()?;
        Ok(outcomes)
    }

    fn let_others_write(&mut self) -> QueryResult<()> {
        let Conn::Sqlite(conn) = &mut self.conn else { return Ok(()) };
        if self.options.mode != ImportMode::Batches {
            return Ok(());
        }
        // Which is another one when, and only when, another connection has written.
        let version = Sql::new("SELECT data_version FROM pragma_data_version");
        let version = conn.number(version)?;
        let others_write = self.data_version.replace(version).is_some_and(|it| it != version);
        if others_write || self.paused.elapsed() >= PAUSE_EVERY {
            std::thread::sleep(PAUSE);
            self.paused = Instant::now();
        }
        Ok(())
    }

    /// From now on, no id and no account is made that is among these.
    pub fn keep_free(&mut self, brought: Brought) {
        self.brought = brought;
    }

    /// Ends the import: what lists are read by is as it should be, and all that was taken in is kept.
    ///
    /// # Errors
    ///
    /// Where the database fails.
    pub fn finish(mut self) -> Result<(), ImportError> {
        self.settle()?;
        if self.options.mode == ImportMode::AllOrNothing {
            let totals = std::mem::take(&mut self.totals);
            self.conn.transaction(self.options.mode, |it| it.count(totals))?;
            match &mut self.conn {
                Conn::Sqlite(conn) => AnsiTransactionManager::commit_transaction(conn)?,
                Conn::Postgres(conn) => AnsiTransactionManager::commit_transaction(conn)?,
            }
        }
        Ok(())
    }

    /// Makes the indexes anew that were set aside. Customers without an account are looked for in one:
    /// they are to come after this.
    ///
    /// # Errors
    ///
    /// Where the database fails. The next who opens it goes on then.
    pub fn settle(&mut self) -> Result<(), ImportError> {
        self.into_nothing = false;
        if !std::mem::take(&mut self.are_indexes_set_aside) {
            return Ok(());
        }
        match &self.url {
            DatabaseUrl::Postgres(url) => {
                let ddl = postgres::Ddl::connect(url.expose());
                let mut ddl = ddl.map_err(|error| Error::QueryBuilderError(error.into()))?;
                while ddl.restore_index()? {}
            }
            DatabaseUrl::Sqlite(_) => {
                if let Conn::Sqlite(conn) = &mut self.conn {
                    sqlite::import::make_room(conn)?;
                }
                while self.conn.transaction(self.options.mode, |it| indexes::restore(it))? {
                    self.let_others_write()?;
                }
                if let Conn::Sqlite(conn) = &mut self.conn {
                    sqlite::import::take_room(conn)?;
                }
            }
        }
        self.under_way = None;
        Ok(())
    }

    /// Nobody is looking up anything yet, and all is to be written: that is faster without indexes.
    fn set_indexes_aside(&mut self) {
        self.into_nothing = false;
        if let Err(error) = self.tell_under_way() {
            log::debug!("the indexes stay where they are: {error}");
            return;
        }
        let set_aside = self.conn.transaction(self.options.mode, |it| {
            indexes::lock(it)?;
            match indexes::are_set_aside(it)? {
                true => Ok(()),
                false => indexes::set_aside(it),
            }
        });
        match set_aside {
            Ok(()) => self.are_indexes_set_aside = true,
            // It takes the right to do so, and is only about time.
            Err(error) => log::debug!("the indexes stay where they are: {error}"),
        }
    }

    /// Tells servers to leave the indexes to this import, for as long as it is under way.
    fn tell_under_way(&mut self) -> Result<(), Box<dyn std::error::Error>> {
        match (&mut self.conn, &self.url) {
            (Conn::Postgres(conn), _) => postgres::ddl::tell_importing(conn)?,
            (Conn::Sqlite(_), DatabaseUrl::Sqlite(path)) => {
                self.under_way = Some(sqlite::import::UnderWay::tell(path)?);
            }
            (Conn::Sqlite(_), DatabaseUrl::Postgres(_)) => {}
        }
        Ok(())
    }

    /// Whether somebody else has only stood in the way.
    fn may_work_again(&self, error: &Error) -> bool {
        let is_race = matches!(error, Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _));
        // On SQLite, nobody else writes meanwhile.
        matches!((&self.conn, self.options.mode), (Conn::Postgres(_), _) | (_, ImportMode::Batches))
            && (is_race || is_conflict(error) || *error == Error::NotFound)
    }
}

/// What a transaction has taken in.
struct Taken {
    /// What has become of each customer.
    outcomes: Vec<Outcome>,
    /// Who came in.
    came: RoaringTreemap,
    /// What is still to be counted.
    totals: Totals,
}

/// Takes in a batch, in a transaction, and counts it where this is a transaction of its own.
fn take(
    target: &mut dyn Load,
    batch: &[Incoming],
    planning: Planning<'_>,
    request_id: &str,
    counts: bool,
) -> QueryResult<Taken> {
    let write = Write {
        actor: ACTOR.to_owned(),
        request_id: request_id.to_owned(),
        precondition: Precondition::default(),
        idempotency: None,
    };
    let planning = Planning { now: target.now()?, ..planning };
    let mut outcomes = Vec::with_capacity(batch.len());
    let mut came = RoaringTreemap::new();
    let mut totals = Totals::default();
    while outcomes.len() < batch.len() {
        let rest = &batch[outcomes.len()..];
        let plan: Plan = planning.plan(target, rest, &mut came)?;
        outcomes.extend(plan.outcomes);
        match planning.is_dry {
            true => overlay::store(target, &plan.created, &plan.changed)?,
            false => totals += target.store(&plan.created, plan.changed, &write, planning.now)?,
        }
    }
    if counts {
        target.count(std::mem::take(&mut totals))?;
    }
    Ok(Taken { outcomes, came, totals })
}

/// Why an import cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The database failed.
    #[error("the database failed: {0}")]
    Failed(#[from] Error),
    /// Others came in the way of a batch, each time that it was tried.
    #[error(
        "others changed customers of the same batch, or took their ids or accounts, in each of \
         {attempts} attempts; run the import again ({error})"
    )]
    Disturbed {
        /// How often it was tried.
        attempts: u32,
        /// What the database said the last time.
        error: Error,
    },
}
