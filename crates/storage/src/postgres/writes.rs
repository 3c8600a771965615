//! The writes to PostgreSQL: each is one statement, whose parts depend on the first one's having found
//! what it was made for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use customers_domain::history::Action;
use customers_domain::{
    AccountNumbering, Customer, CustomerAccount, CustomerChanges, CustomerId, Idempotency,
    NewCustomer, Outcome, Timestamp, Write, WriteError,
};
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};
use diesel::sql_types::{BigInt, Bool};

use super::horizon;
use super::ids::Ids;
use super::reads::Asked;
use crate::change::{Change, Creation, Difference, check};
use crate::error::{Abort, unavailable};
use crate::mending::{self, Mended, Mending};
use crate::row::{CustomerRow, Keyed, KeysRow, NewHistoryRow, record};
use crate::schema::customer_history;
use crate::sql::{Bind, Sql, assignments};
use crate::{erasing, indexes, queries};

/// A request waits so long for another that is under way with the same idempotency key.
const TWIN_PATIENCE: Duration = Duration::from_secs(3);

/// The totals are spread over so many rows.
pub(super) const SLOTS: i64 = 64;

/// After so many changes of others that came between reading a customer and writing it, it is locked.
const OPTIMISTIC_ATTEMPTS: u32 = 3;

/// What keeps accounts unique.
const UNIQUE_ACCOUNT: &str = "customers_account_key_key";

type WriteResult<T> = Result<T, Abort<WriteError>>;

/// One write, which may have to be done again on another connection.
pub(super) struct Writing {
    pub write: Write,
    pub ids: Ids,
    pub numbering: AccountNumbering,
    /// The id for the customer to be, once one is drawn. It stays the same when the work is done again:
    /// of two attempts with one id, one inserts at most.
    id: Option<CustomerId>,
    /// What was sent to the server, and may be done without being heard of.
    attempts: Vec<Attempt>,
    mending: Arc<Mending>,
    /// How much this machine's clock is behind the server's, once a statement has arrived too late.
    clock_behind: Duration,
}

/// A change that was sent to the server.
struct Attempt {
    /// The customer as the change leaves it.
    customer: Customer,
    /// What the history says of the change if it is done.
    entry: NewHistoryRow,
    since: Instant,
}

impl Attempt {
    /// To be noted before the change is sent.
    fn of(customer: &Customer, entry: &NewHistoryRow) -> Self {
        Self { customer: customer.clone(), entry: entry.clone(), since: Instant::now() }
    }

    /// Whether the change is done.
    ///
    /// The time, to the microsecond, tells it from others, together with what was done by whom. A
    /// request id alone would not: callers choose it. It is gone where the customer was erased since,
    /// as are the values.
    fn is_done(&self, conn: &mut PgConnection) -> QueryResult<bool> {
        let NewHistoryRow { customer_id, at, actor, action, request_id, changes } = &self.entry;
        let is_whole =
            customer_history::request_id.eq(request_id).and(customer_history::changes.eq(changes));
        let entry = customer_history::table
            .filter(customer_history::customer_id.eq(customer_id))
            .filter(customer_history::at.eq(at))
            .filter(customer_history::action.eq(action))
            .filter(customer_history::actor.eq(actor))
            .filter(is_whole.or(customer_history::request_id.eq("")))
            .select(customer_history::id);
        Ok(entry.first::<i64>(conn).optional()?.is_some())
    }

    fn has_created(&self) -> bool {
        self.entry.action == Action::Created.as_str()
    }
}

impl Writing {
    pub fn new(write: Write, ids: Ids, numbering: AccountNumbering, mending: Arc<Mending>) -> Self {
        Self {
            write,
            ids,
            numbering,
            id: None,
            attempts: Vec::new(),
            mending,
            clock_behind: Duration::ZERO,
        }
    }

    pub fn create(&mut self, conn: &mut PgConnection, new: &NewCustomer) -> WriteResult<Outcome> {
        self.once(conn, Keyed::Create, |this, conn| {
            check(&this.write.precondition, None)?;
            match this.insert(conn, new)? {
                Inserted::Yes(customer) => Ok(customer),
                Inserted::Taken(account) => Err(account_taken(conn, &account)),
            }
        })
    }

    pub fn change(
        &mut self,
        conn: &mut PgConnection,
        id: CustomerId,
        change: &Change,
    ) -> WriteResult<Customer> {
        // The record of a key is made of the customer as it is read. An erasure that runs meanwhile has to
        // find the record, and so must wait.
        let attempts = match self.write.idempotency {
            Some(_) => 0,
            None => OPTIMISTIC_ATTEMPTS,
        };
        for _ in 0..attempts {
            let stored = queries::customer(id.get())
                .select(CustomerRow::as_select())
                .get_result(conn)
                .optional()?;
            if let Some(customer) = self.change_stored(conn, stored, change)? {
                return Ok(customer);
            }
        }
        self.transaction(conn, |this, conn| {
            let stored = queries::customer(id.get())
                .select(CustomerRow::as_select())
                .for_update()
                .get_result(conn)
                .optional()?;
            // Once more, where a statement has arrived too late.
            let changed = match this.change_stored(conn, stored.clone(), change)? {
                Some(changed) => Some(changed),
                None => this.change_stored(conn, stored, change)?,
            };
            changed.ok_or(Abort::Failed(Error::NotFound))
        })
    }

    /// And whether there was anything to erase.
    pub fn erase(
        &mut self,
        conn: &mut PgConnection,
        id: CustomerId,
    ) -> WriteResult<(Customer, bool)> {
        self.transaction(conn, |this, conn| {
            let stored: CustomerRow = queries::customer(id.get())
                .select(CustomerRow::as_select())
                .for_update()
                .get_result(conn)
                .optional()?
                .ok_or(Abort::Refused(WriteError::NotFound))?;
            if let Some((customer, _)) = this.done_before(conn)? {
                return Ok((customer, true));
            }
            if erasing::is_erased(&mut Asked { conn, has_search_index: false }, id)? {
                return Ok((Customer::try_from(stored)?, false));
            }
            // This first, because a long history takes long, and a write must be committed soon after
            // its time.
            erasing::forget(&mut Asked { conn, has_search_index: false }, id)?;
            // Once more, where a statement has arrived too late.
            let erased = match this.change_stored(conn, Some(stored.clone()), &Change::Erase)? {
                Some(erased) => Some(erased),
                None => this.change_stored(conn, Some(stored), &Change::Erase)?,
            };
            let erased = erased.ok_or(Abort::Failed(Error::NotFound))?;
            Ok((erased, true))
        })
    }

    pub fn restore(&mut self, conn: &mut PgConnection, id: CustomerId) -> WriteResult<Outcome> {
        self.once(conn, Keyed::Restore, |this, conn| this.change(conn, id, &Change::Restore))
    }

    pub fn upsert(
        &mut self,
        conn: &mut PgConnection,
        account: &CustomerAccount,
        changes: &CustomerChanges,
    ) -> WriteResult<(Customer, bool)> {
        for _ in 0..OPTIMISTIC_ATTEMPTS {
            let stored = queries::customer_of(account.key().as_str())
                .select(CustomerRow::as_select())
                .get_result(conn)
                .optional()?;
            if let Some(done) = self.upsert_stored(conn, stored, account, changes)? {
                return Ok(done);
            }
        }
        self.transaction(conn, |this, conn| {
            let stored = queries::customer_of(account.key().as_str())
                .select(CustomerRow::as_select())
                .for_update()
                .get_result(conn)
                .optional()?;
            let done = this.upsert_stored(conn, stored, account, changes)?;
            done.ok_or_else(|| {
                Abort::Refused(unavailable("others keep taking and leaving the account").into())
            })
        })
    }

    /// Changes the customer that was read by its account, or creates it where there is none; `None`
    /// where somebody else was faster.
    fn upsert_stored(
        &mut self,
        conn: &mut PgConnection,
        stored: Option<CustomerRow>,
        account: &CustomerAccount,
        changes: &CustomerChanges,
    ) -> WriteResult<Option<(Customer, bool)>> {
        if let Some(done) = self.done_before(conn)? {
            return Ok(Some(done));
        }
        let was_there = stored.is_some();
        if stored.as_ref().is_some_and(CustomerRow::is_live) {
            let change = Change::Update(changes.clone());
            let changed = self.change_stored(conn, stored, &change)?;
            return Ok(changed.map(|customer| (customer, false)));
        }
        // A deleted customer is not there, but keeps its account.
        check(&self.write.precondition, None)?;
        let new = queries::new_under(account, changes)?;
        match self.insert(conn, &new)? {
            Inserted::Yes(customer) => Ok(Some((customer, true))),
            Inserted::Taken(account) if was_there => Err(account_taken(conn, &account)),
            Inserted::Taken(_) => Ok(None),
        }
    }

    /// Makes a change, unless it was made before under its idempotency key. A
    /// twin waits for this one at the row of the key.
    fn once(
        &mut self,
        conn: &mut PgConnection,
        keyed: Keyed,
        make: impl FnOnce(&mut Self, &mut PgConnection) -> WriteResult<Customer>,
    ) -> WriteResult<Outcome> {
        // Its key, if it has one, is there as well, unless the customer was erased since: then nothing
        // of the customer may be kept.
        if let Some((customer, _)) = self.done_before(conn)? {
            return Ok(Outcome::Applied(customer));
        }
        let Some(idempotency) = self.write.idempotency.clone() else {
            return Ok(Outcome::Applied(make(self, conn)?));
        };
        self.transaction(conn, |this, conn| {
            if let Some(kept) = claim(conn, &idempotency)? {
                return Ok(kept);
            }
            let customer = make(this, conn)?;
            Sql::new("UPDATE idempotency_keys SET answer = ")
                .bind(record(keyed, &customer)?)
                .push(", customer_id = ")
                .bind(customer.id.get())
                .push(" WHERE key = ")
                .bind(idempotency.key.to_vec())
                .execute(conn)?;
            Ok(Outcome::Applied(customer))
        })
    }

    /// Does some work in a transaction, and undoes it where it took too long to be committed: what lists
    /// are [complete](super::horizon) for would not hold.
    fn transaction<T>(
        &mut self,
        conn: &mut PgConnection,
        work: impl FnOnce(&mut Self, &mut PgConnection) -> WriteResult<T>,
    ) -> WriteResult<T> {
        conn.transaction(|conn| {
            let done = work(self, conn)?;
            match self.attempts.last() {
                Some(attempt) if attempt.since.elapsed() > horizon::TRANSACTION => {
                    Err(Abort::Refused(unavailable("the write took too long").into()))
                }
                _ => Ok(done),
            }
        })
    }

    /// This moment, by this machine's clock unless that turned out to be behind the server's.
    fn now(&self) -> Timestamp {
        Timestamp::now().saturating_add(self.clock_behind)
    }

    /// Looks at the server's clock, because a statement has arrived too late: this machine's may be behind.
    fn compare_clocks(&mut self, conn: &mut PgConnection) -> WriteResult<()> {
        self.attempts.pop();
        if !self.clock_behind.is_zero() {
            return Err(Abort::Refused(unavailable("a statement takes too long to arrive").into()));
        }
        let servers = horizon::now(conn)?.as_micros();
        let behind = servers.saturating_sub(Timestamp::now().as_micros());
        self.clock_behind = Duration::from_micros(behind.max(1) as u64);
        if self.clock_behind >= horizon::ARRIVAL {
            log::warn!(
                seconds = self.clock_behind.as_secs();
                "the clock of this machine is behind that of PostgreSQL: every write takes longer"
            );
        }
        Ok(())
    }

    /// Inserts a customer under the account it asks for, or the first free one that is made.
    fn insert(&mut self, conn: &mut PgConnection, new: &NewCustomer) -> WriteResult<Inserted> {
        loop {
            let mut is_late = false;
            let id = match self.id {
                Some(id) => id,
                None => *self.id.insert(self.ids.next(conn)?),
            };
            for account in queries::accounts_to_try(new, id, &self.numbering) {
                let customer = new.clone().into_customer(id, account, self.now());
                let creation = Creation::new(&customer, &self.write);
                self.attempts.push(Attempt::of(&customer, &creation.history));
                match create(conn, creation, id, &self.mending)? {
                    Made::Yes => return Ok(Inserted::Yes(customer)),
                    Made::No => {}
                    Made::Late => {
                        is_late = true;
                        break;
                    }
                }
                self.attempts.pop();
                if queries::customer_exists(id.get()).get_result::<bool>(conn)? {
                    break;
                }
                if new.account.is_some() {
                    // An earlier attempt may be on its way still.
                    if self.attempts.is_empty() {
                        self.ids.give_back(id);
                        self.id = None;
                    }
                    return Ok(Inserted::Taken(customer.account));
                }
            }
            if is_late {
                self.compare_clocks(conn)?;
                continue;
            }
            // There is always another account to try, so the id is taken: by an earlier attempt, by a
            // customer that an import has brought, or because the sequence is behind its table.
            if let Some((customer, _)) = self.done_before(conn)? {
                return Ok(Inserted::Yes(customer));
            }
            self.id = None;
            self.ids.go_on_behind_all(conn)?;
        }
    }

    /// Changes the customer that was read; `None` where it is another one by now.
    fn change_stored(
        &mut self,
        conn: &mut PgConnection,
        stored: Option<CustomerRow>,
        change: &Change,
    ) -> WriteResult<Option<Customer>> {
        let stored = stored.ok_or(Abort::Refused(WriteError::NotFound))?;
        // After it was read: an attempt that shows in what was read is found.
        if let Some((customer, _)) = self.done_before(conn)? {
            return Ok(Some(customer));
        }
        let (stored, before) = stored.into_both()?;
        let after = change.of(&before, &self.write, self.now())?;
        if after == before {
            return Ok(Some(after));
        }
        let difference = Difference::new(change, &stored, &before, &after, &self.write)?;
        self.attempts.push(Attempt::of(&after, &difference.history));
        let arrival = Arrival::Within(after.updated_at.as_micros());
        match modify(conn, difference, &before, arrival, &self.mending) {
            Ok(Made::Yes) => Ok(Some(after)),
            Ok(Made::No) => {
                self.attempts.pop();
                Ok(None)
            }
            Ok(Made::Late) => {
                self.compare_clocks(conn)?;
                Ok(None)
            }
            Err(Error::DatabaseError(DatabaseErrorKind::UniqueViolation, of))
                if of.constraint_name() == Some(UNIQUE_ACCOUNT) =>
            {
                self.attempts.pop();
                Err(account_taken(conn, &after.account))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The customer as an earlier attempt has left it, if one was done and not heard of, and whether the
    /// attempt has created it.
    fn done_before(&self, conn: &mut PgConnection) -> QueryResult<Option<(Customer, bool)>> {
        for attempt in &self.attempts {
            if attempt.is_done(conn)? {
                return Ok(Some((attempt.customer.clone(), attempt.has_created())));
            }
        }
        Ok(None)
    }
}

enum Inserted {
    Yes(Customer),
    /// Another customer has the account.
    Taken(CustomerAccount),
}

fn account_taken(conn: &mut PgConnection, account: &CustomerAccount) -> Abort<WriteError> {
    queries::account_taken(queries::owner_of(account.key().as_str()).get_result(conn))
}

/// Takes an idempotency key, or returns the outcome that is kept under it.
fn claim(conn: &mut PgConnection, idempotency: &Idempotency) -> WriteResult<Option<Outcome>> {
    let now = Timestamp::now();
    let key = || idempotency.key.to_vec();
    Sql::new(format!("SET LOCAL lock_timeout = {}", TWIN_PATIENCE.as_millis())).execute(conn)?;
    let asked = Instant::now();
    // One that is there and too old is taken over.
    let claimed = Sql::new(
        "INSERT INTO idempotency_keys (key, fingerprint, answer, customer_id, expires_at) VALUES (",
    )
    .bind(key())
    .push(", ")
    .bind(idempotency.fingerprint.to_vec())
    .push(", '', 0, ")
    .bind(now.saturating_add(Idempotency::KEPT_FOR).as_micros())
    .push(
        ") ON CONFLICT (key) DO UPDATE SET fingerprint = excluded.fingerprint, \
         expires_at = excluded.expires_at WHERE idempotency_keys.expires_at <= ",
    )
    .bind(now.as_micros())
    .execute(conn);
    match claimed {
        Ok(1) => return Ok(None),
        Ok(_) => {}
        // By the clock, because the server says it in its own language.
        Err(Error::DatabaseError(DatabaseErrorKind::Unknown, _))
            if asked.elapsed() >= TWIN_PATIENCE =>
        {
            return Err(Abort::Refused(WriteError::KeyInProgress));
        }
        Err(error) => return Err(error.into()),
    }
    let kept = queries::kept_under(&idempotency.key, now.as_micros());
    match kept.get_result::<(Vec<u8>, Vec<u8>)>(conn).optional()? {
        Some((fingerprint, record)) => queries::replay(idempotency, &fingerprint, record).map(Some),
        // Swept away between the two.
        None => Err(Abort::Refused(WriteError::Repository(unavailable("the key has expired")))),
    }
}

/// What a statement has found of its customer: the customer itself, the row of its keys, the row of its
/// slot of the totals, all before the statement; and the phone numbers that it has inserted.
type Found = (i64, i64, i64, i64, bool);

type FoundColumns = (BigInt, BigInt, BigInt, BigInt, Bool);

/// What became of a statement that writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    /// It has written.
    Yes,
    /// It has not found what it was made for.
    No,
    /// It arrived too late after the time that it was to write.
    Late,
}

/// Inserts a customer and all that there is of it, and counts it. Does not where the account or the id is
/// taken.
fn create(
    conn: &mut PgConnection,
    creation: Creation,
    id: CustomerId,
    mending: &Mending,
) -> QueryResult<Made> {
    let statement = insertion(creation, id).typed::<FoundColumns>();
    let (made, _, totals, _, in_time): Found = statement.get_result(conn)?;
    if made == 1 && totals == 0 {
        correct_totals(conn, mending);
    }
    Ok(Made::of(made, in_time))
}

impl Made {
    fn of(made: i64, in_time: bool) -> Self {
        match (made, in_time) {
            (1, _) => Self::Yes,
            (_, true) => Self::No,
            (_, false) => Self::Late,
        }
    }
}

/// Changes a customer and all that there is of it, and counts it. Puts back what is missing of its keys,
/// its phone numbers and the totals. Does not where the customer is no longer as it was.
pub(super) fn modify(
    conn: &mut PgConnection,
    difference: Difference,
    before: &Customer,
    arrival: Arrival,
    mending: &Mending,
) -> QueryResult<Made> {
    let added = difference.added_phones as i64;
    let statement = modification(difference, before, arrival).typed::<FoundColumns>();
    let (made, keys, totals, phones, in_time): Found = statement.get_result(conn)?;
    if made != 1 {
        return Ok(Made::of(made, in_time));
    }
    if keys == 0 {
        mending.add(Mended::Keys(before.id));
    }
    if phones > added {
        mending.add(Mended::Phones(before.id));
    }
    if totals == 0 {
        correct_totals(conn, mending);
    }
    Ok(Made::Yes)
}

/// Counts all customers, because a part of the count was missing. The write is done whatever comes of it.
fn correct_totals(conn: &mut PgConnection, mending: &Mending) {
    let corrected = conn.transaction(|conn| {
        let conn = &mut Asked { conn, has_search_index: false };
        let is_ours = indexes::try_lock(conn)?;
        if is_ours {
            mending::correct_totals(conn)?;
        }
        Ok::<_, Error>(is_ours)
    });
    match corrected {
        Ok(true) => mending.add(Mended::Totals),
        Ok(false) => log::warn!("the count of all customers is wrong: run customers rebuild"),
        Err(error) => {
            log::warn!("the count of all customers is wrong: run customers rebuild; {error}");
        }
    }
}

/// The columns in parentheses, and the values behind `VALUES` or `SELECT`.
fn columns_and_values(columns: Vec<(&'static str, Bind)>) -> (Sql, Sql) {
    let (names, values): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    (Sql::new("(").push(names.join(", ")).push(")"), Sql::default().list(values))
}

/// The statement of [`create`].
fn insertion(creation: Creation, id: CustomerId) -> Sql {
    let Creation { row, keys, phones, history, is_live } = creation;
    let (row_columns, row) = columns_and_values(row.binds());
    let live = i64::from(is_live);
    Arrival::Within(history.at)
        .sql()
        .push("made AS (INSERT INTO customers ")
        .append(row_columns)
        .push(" SELECT ")
        .append(row)
        .push(" WHERE (SELECT yes FROM in_time) ON CONFLICT DO NOTHING RETURNING id), ")
        .append(keys_put(keys, true))
        .append(phones_put(phones))
        .append(history_added(history))
        .append(counted(id.get(), live, 1 - live))
        .append(found(id.get()))
}

/// The statement of [`modify`].
fn modification(difference: Difference, before: &Customer, arrival: Arrival) -> Sql {
    let id = before.id.get();
    let live = difference.live;
    let removed = difference.removed_phones;
    let mut changed = arrival
        .sql()
        .push("made AS (UPDATE customers SET ")
        .append(assignments(difference.row.binds()))
        .push(" WHERE (SELECT yes FROM in_time) AND id = ")
        .bind(id)
        .push(" AND updated_at = ")
        .bind(difference.stored_at)
        .push(" RETURNING id), ")
        .append(keys_put(difference.keys, difference.has_other_keys));
    if !removed.is_empty() {
        changed = changed
            .push(
                "removed_phones AS (DELETE FROM customer_phones USING made \
                 WHERE customer_id = made.id AND digits IN (",
            )
            .list(removed)
            .push(")), ");
    }
    changed
        .append(phones_put(difference.phones))
        .append(history_added(difference.history))
        .append(counted(id, live, -live))
        .append(found(id))
}

/// By when a statement must have arrived at the server to write anything.
#[derive(Debug, Clone, Copy)]
pub(super) enum Arrival {
    /// Soon after the time that it writes, in microseconds.
    Within(i64),
    /// At any time: that of the transaction is by the server's clock, and was taken within.
    Any,
}

impl Arrival {
    /// The beginning of a statement that asks by the server's clock whether it has arrived in time.
    fn sql(self) -> Sql {
        let begin = Sql::new("WITH in_time AS MATERIALIZED (SELECT ");
        let asked = match self {
            Self::Within(at) => {
                let limit = at.saturating_add(horizon::ARRIVAL.as_micros() as i64);
                begin.push(horizon::CLOCK).push(" <= ").bind(limit)
            }
            Self::Any => begin.push("TRUE"),
        };
        asked.push(" AS yes), ")
    }
}

/// Writes the keys of a customer: all of them, or the time of the last change only, unless they are
/// missing.
fn keys_put(keys: KeysRow, all: bool) -> Sql {
    let keys = keys.binds();
    let changed = keys.iter().map(|(name, _)| *name);
    let changed = changed.filter(|name| if all { *name != "id" } else { *name == "updated_at" });
    let changed: Vec<_> = changed.map(|name| format!("{name} = excluded.{name}")).collect();
    let (columns, values) = columns_and_values(keys);
    Sql::new("keys AS (INSERT INTO customer_keys ")
        .append(columns)
        .push(" SELECT ")
        .append(values)
        .push(" FROM made ON CONFLICT (id) DO UPDATE SET ")
        .push(changed.join(", "))
        .push("), ")
}

/// Inserts the phone numbers that are not there.
fn phones_put(phones: Vec<String>) -> Sql {
    if phones.is_empty() {
        return Sql::new("phones AS (SELECT 1 WHERE false), ");
    }
    let phones = phones.into_iter().map(|digits| Sql::new("(").bind(digits).push(")"));
    Sql::new(
        "phones AS (INSERT INTO customer_phones (digits, customer_id) \
         SELECT added.digits, made.id FROM made CROSS JOIN (VALUES ",
    )
    .join(phones, ", ")
    .push(") AS added (digits) ON CONFLICT DO NOTHING RETURNING 1), ")
}

fn history_added(history: NewHistoryRow) -> Sql {
    let NewHistoryRow { customer_id, at, actor, action, request_id, changes } = history;
    let (columns, values) = columns_and_values(vec![
        ("customer_id", customer_id.into()),
        ("at", at.into()),
        ("actor", actor.into()),
        ("action", action.into()),
        ("request_id", request_id.into()),
        ("changes", changes.into()),
    ]);
    Sql::new("history AS (INSERT INTO customer_history ")
        .append(columns)
        .push(" SELECT ")
        .append(values)
        .push(" FROM made)")
}

fn slot(id: i64) -> i32 {
    (id % SLOTS) as i32
}

fn counted(id: i64, live: i64, deleted: i64) -> Sql {
    if (live, deleted) == (0, 0) {
        return Sql::default();
    }
    let values = [Bind::from(slot(id)), live.into(), deleted.into()];
    let values = Sql::new("SELECT ").list(values).push(" FROM made");
    Sql::new(", totals AS (").append(mending::counted(values)).push(")")
}

/// [`Found`]. What stands in the tables is read as it was before the statement.
fn found(id: i64) -> Sql {
    Sql::new(" SELECT (SELECT count(*) FROM made), (SELECT count(*) FROM customer_keys WHERE id = ")
        .bind(id)
        .push("), (SELECT count(*) FROM customer_totals WHERE slot = ")
        .bind(slot(id))
        .push("), (SELECT count(*) FROM phones), (SELECT yes FROM in_time)")
}
