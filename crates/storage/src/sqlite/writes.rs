//! The writes to SQLite, each run by the writer under a savepoint of its own.

use customers_domain::{
    AccountKey, AccountNumbering, Customer, CustomerAccount, CustomerChanges, CustomerId,
    Idempotency, NewCustomer, Outcome, Timestamp, Write, WriteError,
};
use diesel::dsl::max;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::deferred::{Deferred, Totals};
use crate::change::{Change, Creation, Difference, check};
use crate::error::Abort;
use crate::mending::Mended;
use crate::row::{CustomerRow, Keyed, KeysRow, customer_id, record};
use crate::schema::{
    customer_history, customer_keys, customer_phones, customers, idempotency_keys,
};
use crate::sql::{Sql, assignments};
use crate::{erasing, queries};

diesel::table! {
    /// SQLite's own note of the last id of each AUTOINCREMENT table.
    sqlite_sequence (name) {
        name -> Text,
        seq -> BigInt,
    }
}

/// The last id that a customer was given; 0 where there was none. SQLite's note of it may be behind
/// where rows were brought by other means, such as a table that was copied without it.
pub(super) fn last_id(conn: &mut SqliteConnection) -> QueryResult<i64> {
    let noted = sqlite_sequence::table
        .filter(sqlite_sequence::name.eq("customers"))
        .select(sqlite_sequence::seq)
        .get_result(conn)
        .optional()?;
    let highest = customers::table.select(max(customers::id)).get_result::<Option<i64>>(conn)?;
    Ok(noted.max(highest).unwrap_or(0))
}

/// One write, and what it leaves to be done for all of its group.
pub(super) struct Writing<'a> {
    pub conn: &'a mut SqliteConnection,
    pub deferred: &'a mut Deferred,
    pub write: &'a Write,
}

type WriteResult<T> = Result<T, Abort<WriteError>>;

impl Writing<'_> {
    pub fn create(
        &mut self,
        new: &NewCustomer,
        numbering: &AccountNumbering,
    ) -> WriteResult<Outcome> {
        self.once(Keyed::Create, |this| {
            check(&this.write.precondition, None)?;
            this.insert(new, numbering)
        })
    }

    pub fn change(&mut self, id: CustomerId, change: &Change) -> WriteResult<Customer> {
        let stored = queries::customer(id.get())
            .select(CustomerRow::as_select())
            .get_result(self.conn)
            .optional()?;
        let stored = stored.ok_or(Abort::Refused(WriteError::NotFound))?;
        self.change_stored(stored, change)
    }

    pub fn restore(&mut self, id: CustomerId) -> WriteResult<Outcome> {
        self.once(Keyed::Restore, |this| this.change(id, &Change::Restore))
    }

    /// And whether there was anything to erase.
    pub fn erase(&mut self, id: CustomerId) -> WriteResult<(Customer, bool)> {
        if erasing::is_erased(self.conn, id)? {
            let stored: CustomerRow = queries::customer(id.get())
                .select(CustomerRow::as_select())
                .get_result(self.conn)?;
            return Ok((Customer::try_from(stored)?, false));
        }
        let erased = self.change(id, &Change::Erase)?;
        erasing::forget(self.conn, id)?;
        Ok((erased, true))
    }

    pub fn upsert(
        &mut self,
        account: &CustomerAccount,
        changes: &CustomerChanges,
        numbering: &AccountNumbering,
    ) -> WriteResult<(Customer, bool)> {
        let stored = queries::customer_of(account.key().as_str())
            .select(CustomerRow::as_select())
            .get_result(self.conn)
            .optional()?;
        match stored {
            Some(stored) if stored.is_live() => {
                let changed = self.change_stored(stored, &Change::Update(changes.clone()))?;
                Ok((changed, false))
            }
            // A deleted customer is not there, but keeps its account.
            _ => {
                check(&self.write.precondition, None)?;
                let new = queries::new_under(account, changes)?;
                Ok((self.insert(&new, numbering)?, true))
            }
        }
    }

    /// Makes a change, unless it was made before under its idempotency key.
    fn once(
        &mut self,
        keyed: Keyed,
        make: impl FnOnce(&mut Self) -> WriteResult<Customer>,
    ) -> WriteResult<Outcome> {
        let Some(idempotency) = &self.write.idempotency else {
            return Ok(Outcome::Applied(make(self)?));
        };
        let now = Timestamp::now();
        let kept = queries::kept_under(&idempotency.key, now.as_micros());
        if let Some((fingerprint, record)) =
            kept.get_result::<(Vec<u8>, Vec<u8>)>(self.conn).optional()?
        {
            return queries::replay(idempotency, &fingerprint, record);
        }
        let customer = make(self)?;
        self.keep(idempotency, keyed, &customer, now)?;
        Ok(Outcome::Applied(customer))
    }

    fn keep(
        &mut self,
        Idempotency { key, fingerprint }: &Idempotency,
        keyed: Keyed,
        customer: &Customer,
        now: Timestamp,
    ) -> QueryResult<()> {
        // One that is there is too old to be replayed.
        diesel::replace_into(idempotency_keys::table)
            .values((
                idempotency_keys::key.eq(key.as_slice()),
                idempotency_keys::fingerprint.eq(fingerprint.as_slice()),
                idempotency_keys::answer.eq(record(keyed, customer)?),
                idempotency_keys::customer_id.eq(customer.id.get()),
                idempotency_keys::expires_at
                    .eq(now.saturating_add(Idempotency::KEPT_FOR).as_micros()),
            ))
            .execute(self.conn)
            .map(drop)
    }

    fn insert(&mut self, new: &NewCustomer, numbering: &AccountNumbering) -> WriteResult<Customer> {
        let id = customer_id(last_id(self.conn)? + 1)?;
        let now = Timestamp::now();
        for account in queries::accounts_to_try(new, id, numbering) {
            let customer = new.clone().into_customer(id, account, now);
            let creation = Creation::new(&customer, self.write);
            let inserted = diesel::insert_into(customers::table)
                .values(&creation.row)
                .on_conflict(customers::account_key)
                .do_nothing()
                .execute(self.conn)?;
            if inserted == 1 {
                self.insert_around(creation, id.get())?;
                return Ok(customer);
            }
            if new.account.is_some() {
                return Err(self.account_taken(&customer.account.key()));
            }
        }
        unreachable!("there is always another account to try")
    }

    /// Inserts all that there is of a customer beside its row.
    pub fn insert_around(&mut self, creation: Creation, id: i64) -> QueryResult<()> {
        let Creation { row: _, keys, phones, history, is_live } = creation;
        diesel::insert_into(customer_keys::table).values(&keys).execute(self.conn)?;
        self.insert_phones(phones, id)?;
        diesel::insert_into(customer_history::table).values(history).execute(self.conn)?;
        self.deferred.searched(id, keys.searched_text);
        let live = i64::from(is_live);
        self.deferred.count(Totals { live, deleted: 1 - live });
        Ok(())
    }

    /// Inserts the phone numbers that are not there, and returns how many these were.
    fn insert_phones(&mut self, phones: Vec<String>, id: i64) -> QueryResult<usize> {
        let mut inserted = 0;
        for digits in phones {
            inserted += diesel::insert_into(customer_phones::table)
                .values((customer_phones::digits.eq(digits), customer_phones::customer_id.eq(id)))
                .on_conflict_do_nothing()
                .execute(self.conn)?;
        }
        Ok(inserted)
    }

    fn change_stored(&mut self, stored: CustomerRow, change: &Change) -> WriteResult<Customer> {
        let (stored, before) = stored.into_both()?;
        let after = change.of(&before, self.write, Timestamp::now())?;
        if after == before {
            return Ok(after);
        }
        let difference = Difference::new(change, &stored, &before, &after, self.write)?;
        if difference.has_other_account {
            let key = after.account.key();
            let owner = queries::owner_of(key.as_str())
                .get_result::<(i64, Option<i64>)>(self.conn)
                .optional()?;
            if owner.is_some() {
                return Err(self.account_taken(&key));
            }
        }
        self.write_difference(&after, difference)?;
        Ok(after)
    }

    /// Writes all that is different of a customer, which has become this one.
    pub fn write_difference(
        &mut self,
        after: &Customer,
        difference: Difference,
    ) -> QueryResult<()> {
        let id = after.id.get();
        Sql::new("UPDATE customers SET ")
            .append(assignments(difference.row.binds()))
            .push(" WHERE id = ")
            .bind(id)
            .execute(self.conn)?;
        if difference.has_other_text {
            self.deferred.searched_anew(id, difference.keys.searched_text.clone());
        }
        let keys = Sql::new("UPDATE customer_keys SET ");
        let keys = match difference.has_other_keys {
            true => keys.append(assignments(difference.keys.binds())),
            false => keys.push("updated_at = ").bind(difference.keys.updated_at),
        };
        if keys.push(" WHERE id = ").bind(id).execute(self.conn)? == 0 {
            let keys = KeysRow::from(after);
            diesel::insert_into(customer_keys::table).values(&keys).execute(self.conn)?;
            self.deferred.searched_anew(id, keys.searched_text);
            self.deferred.mended(Mended::Keys(after.id));
        }
        for digits in difference.removed_phones {
            let removed = customer_phones::table
                .filter(customer_phones::digits.eq(digits))
                .filter(customer_phones::customer_id.eq(id));
            diesel::delete(removed).execute(self.conn)?;
        }
        if self.insert_phones(difference.phones, id)? > difference.added_phones {
            self.deferred.mended(Mended::Phones(after.id));
        }
        diesel::insert_into(customer_history::table)
            .values(difference.history)
            .execute(self.conn)?;
        self.deferred.count(Totals { live: difference.live, deleted: -difference.live });
        Ok(())
    }

    fn account_taken(&mut self, key: &AccountKey) -> Abort<WriteError> {
        queries::account_taken(queries::owner_of(key.as_str()).get_result(self.conn))
    }
}
