//! The parts of queries that both adapters use.

pub(crate) mod tokens;
pub(crate) mod users;

use customers_domain::{
    AccountNumbering, CustomerAccount, CustomerChanges, CustomerId, Idempotency, NewCustomer,
    Outcome, Timestamp, WriteError,
};
use diesel::dsl::{auto_type, exists, select};
use diesel::prelude::*;

use crate::error::Abort;
use crate::listing::Dialect;
use crate::row::{customer_id, replayed};
use crate::schema::{customer_history, customer_keys, customers, idempotency_keys};
use crate::sql::Sql;

/// The accounts to try for a new customer: the one that it asks for, or else those that the numbering
/// makes, without end.
pub(crate) fn accounts_to_try<'a>(
    new: &'a NewCustomer,
    id: CustomerId,
    numbering: &'a AccountNumbering,
) -> impl Iterator<Item = CustomerAccount> + 'a {
    let made = numbering.candidates(id).take_while(|_| new.account.is_none());
    new.account.iter().cloned().chain(made)
}

/// The new customer that an upsert makes under this account.
pub(crate) fn new_under(
    account: &CustomerAccount,
    changes: &CustomerChanges,
) -> Result<NewCustomer, Abort<WriteError>> {
    let new = changes.new_customer();
    let new = new.map_err(|missing| Abort::Refused(WriteError::Incomplete(missing)))?;
    Ok(NewCustomer { account: Some(account.clone()), ..new })
}

/// Returns the outcome that is kept under an idempotency key, provided that the same was asked for.
pub(crate) fn replay(
    asked: &Idempotency,
    fingerprint: &[u8],
    record: Vec<u8>,
) -> Result<Outcome, Abort<WriteError>> {
    if asked.fingerprint == *fingerprint {
        Ok(replayed(record)?)
    } else {
        Err(Abort::Refused(WriteError::KeyReused))
    }
}

/// The fingerprint and the record under an idempotency key, unless they are too old.
#[auto_type]
pub(crate) fn kept_under<'a>(key: &'a [u8; 32], now: i64) -> _ {
    let key: &'a [u8] = key;
    idempotency_keys::table
        .filter(idempotency_keys::key.eq(key))
        .filter(idempotency_keys::expires_at.gt(now))
        .select((idempotency_keys::fingerprint, idempotency_keys::answer))
}

/// The most answers to idempotency keys that are removed in one transaction. An answer may be as long as
/// a customer, and writes wait for the transaction.
const ANSWERS_SWEPT_AT_ONCE: i64 = 200;

/// Removes answers to idempotency keys that are too old.
pub(crate) fn sweep_answers(dialect: Dialect, now: Timestamp) -> Sql {
    let is_expired = Sql::new("expires_at <= ").bind(now.as_micros());
    sweep(dialect, "idempotency_keys", "key", is_expired, ANSWERS_SWEPT_AT_ONCE)
}

/// Removes rows of a table, by their key, for which a condition holds: the oldest, so many at most.
fn sweep(
    dialect: Dialect,
    table: &'static str,
    key: &'static str,
    condition: Sql,
    at_most: i64,
) -> Sql {
    let delete = format!("DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} WHERE ");
    let statement =
        Sql::new(delete).append(condition).push(" ORDER BY expires_at LIMIT ").bind(at_most);
    match dialect {
        Dialect::Sqlite => statement.push(")"),
        // Several servers may sweep at once: each takes rows that no other one has.
        Dialect::Postgres => statement.push(" FOR UPDATE SKIP LOCKED)"),
    }
}

/// The history of a customer before an entry, the newest first.
#[auto_type]
pub(crate) fn history(customer_id: i64, before: i64, take: i64) -> _ {
    customer_history::table
        .filter(customer_history::customer_id.eq(customer_id))
        .filter(customer_history::id.lt(before))
        .order(customer_history::id.desc())
        .limit(take)
}

/// The customer of this id, deleted or not.
#[auto_type]
pub(crate) fn customer(id: i64) -> _ {
    customers::table.filter(customers::id.eq(id))
}

/// The customer of this account, deleted or not.
#[auto_type]
pub(crate) fn customer_of<'a>(account_key: &'a str) -> _ {
    customers::table.filter(customers::account_key.eq(account_key))
}

#[auto_type]
pub(crate) fn live_customer(id: i64) -> _ {
    customers::table.filter(customers::id.eq(id)).filter(customers::deleted_at.is_null())
}

#[auto_type]
pub(crate) fn live_customer_of<'a>(account_key: &'a str) -> _ {
    customers::table
        .filter(customers::account_key.eq(account_key))
        .filter(customers::deleted_at.is_null())
}

/// The customers of these ids who are not deleted.
#[auto_type]
pub(crate) fn live_customers(ids: Vec<i64>) -> _ {
    customers::table.filter(customers::id.eq_any(ids)).filter(customers::deleted_at.is_null())
}

/// The customers of these accounts who are not deleted.
#[auto_type]
pub(crate) fn live_customers_of<'a>(account_keys: Vec<&'a str>) -> _ {
    customers::table
        .filter(customers::account_key.eq_any(account_keys))
        .filter(customers::deleted_at.is_null())
}

#[auto_type]
pub(crate) fn owner_of<'a>(account_key: &'a str) -> _ {
    customers::table
        .filter(customers::account_key.eq(account_key))
        .select((customers::id, customers::deleted_at))
}

/// The refusal that the owner of an account means for others.
pub(crate) fn account_taken(owner: QueryResult<(i64, Option<i64>)>) -> Abort<WriteError> {
    let taken = owner.and_then(|(id, deleted_at)| {
        Ok(WriteError::AccountTaken { id: customer_id(id)?, deleted: deleted_at.is_some() })
    });
    taken.map_or_else(Abort::Failed, Abort::Refused)
}

/// Finds nobody, but fails where the table is not as it should be.
#[auto_type]
pub(crate) fn nobody() -> _ {
    customers::table.filter(customers::id.eq(0i64))
}

/// The same of what customers are listed by: none is left whose keys were never made.
#[auto_type]
pub(crate) fn nobodys_keys() -> _ {
    customer_keys::table.filter(customer_keys::fold_version.eq(0i32)).select(customer_keys::id)
}

/// The keys of the customers behind one id, up to another.
#[auto_type]
pub(crate) fn keys_of_customers(after: i64, last: i64) -> _ {
    customer_keys::table.filter(
        customer_keys::id.eq_any(
            customers::table
                .filter(customers::id.gt(after))
                .filter(customers::id.le(last))
                .select(customers::id),
        ),
    )
}

/// Whether there is or was such a customer.
#[auto_type]
pub(crate) fn customer_exists(id: i64) -> _ {
    select(exists(customers::table.filter(customers::id.eq(id))))
}
