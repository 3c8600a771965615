//! The parts of queries that both adapters use.

pub(crate) mod tokens;
pub(crate) mod users;

use customers_domain::{
    AccountNumbering, CreateError, Customer, CustomerId, NewCustomer, Timestamp,
};
use diesel::dsl::auto_type;
use diesel::prelude::*;

use crate::error::Abort;
use crate::row::{CustomerRow, customer_id};
use crate::schema::customers;

/// Inserts the customer under the account it asks for, or else under the first free one that the
/// numbering makes. Refused, with the account's key, where the one it asks for is taken.
///
/// `insert` tells whether it could insert the row, which it cannot where the account is taken.
pub(crate) fn insert_under_free_account(
    new: &NewCustomer,
    id: CustomerId,
    numbering: &AccountNumbering,
    mut insert: impl FnMut(&CustomerRow) -> QueryResult<bool>,
) -> Result<Customer, Abort<String>> {
    let now = Timestamp::now();
    let asked_for = new.customer_account.iter().cloned();
    let made = numbering.candidates(id).take_while(|_| new.customer_account.is_none());
    let mut taken = String::new();
    for account in asked_for.chain(made) {
        let row = CustomerRow::from(new.clone().into_customer(id, account, now));
        if insert(&row)? {
            return Ok(Customer::try_from(row)?);
        }
        taken = row.account_key;
    }
    Err(Abort::Refused(taken))
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

#[auto_type]
pub(crate) fn owner_of<'a>(account_key: &'a str) -> _ {
    customers::table
        .filter(customers::account_key.eq(account_key))
        .select((customers::id, customers::deleted_at))
}

/// The refusal that the owner of an account means for others.
pub(crate) fn account_taken(owner: QueryResult<(i64, Option<i64>)>) -> Abort<CreateError> {
    let taken = owner.and_then(|(id, deleted_at)| {
        Ok(CreateError::AccountTaken { id: customer_id(id)?, deleted: deleted_at.is_some() })
    });
    taken.map_or_else(Abort::Failed, Abort::Refused)
}

/// Finds nobody, but fails where the table is not as it should be.
#[auto_type]
pub(crate) fn nobody() -> _ {
    customers::table.filter(customers::id.eq(0i64))
}
