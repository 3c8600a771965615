//! The only conversions between rows and what the domain knows.

mod customer;
mod history;
mod keys;
mod outcome;
mod user;

use std::fmt;

use customers_domain::token::{NewToken, Token};
use customers_domain::user::{NewLogin, UserId};
use customers_domain::{CustomerId, Name, Timestamp};
use diesel::prelude::*;
use diesel::result::Error;

use crate::schema::tokens;

pub(crate) use customer::CustomerRow;
pub(crate) use history::{HistoryRow, NewHistoryRow, without_values};
pub(crate) use keys::{KeysRow, phones, text_key};
pub(crate) use outcome::{Keyed, record, replayed};
pub(crate) use user::{NewUserRow, UserRow};

/// A row of `tokens`, to be written.
#[derive(Insertable)]
#[diesel(table_name = tokens)]
#[diesel(treat_none_as_default_value = false)]
pub(crate) struct NewTokenRow<'a> {
    digest: &'a [u8],
    name: Option<&'a str>,
    scope: &'a str,
    created_at: i64,
    expires_at: Option<i64>,
    user_id: Option<i64>,
}

impl<'a> NewTokenRow<'a> {
    pub fn new(token: &'a NewToken, now: Timestamp) -> Self {
        let NewToken { name, scope, digest, expires_at } = token;
        Self {
            digest: &digest.0,
            name: Some(name.as_str()),
            scope: scope.as_str(),
            created_at: now.as_micros(),
            expires_at: expires_at.map(Timestamp::as_micros),
            user_id: None,
        }
    }

    /// The token of a login, of the scope that stands in the row of its user.
    pub fn of_login(login: &'a NewLogin, scope: &'a str, now: Timestamp) -> Self {
        let NewLogin { user, password: _, digest, expires_at } = login;
        Self {
            digest: &digest.0,
            name: None,
            scope,
            created_at: now.as_micros(),
            expires_at: Some(expires_at.as_micros()),
            user_id: Some(user.get()),
        }
    }
}

/// A row of `tokens`, to be read.
#[derive(Queryable, Selectable)]
#[diesel(table_name = tokens)]
pub(crate) struct TokenRow {
    pub name: Option<String>,
    scope: String,
    created_at: i64,
    expires_at: Option<i64>,
    last_used_at: Option<i64>,
    user_id: Option<i64>,
}

/// A row of `tokens`, and the name of its user where it is of a login.
#[derive(Queryable)]
pub(crate) struct NamedTokenRow(pub TokenRow, pub Option<String>);

impl TryFrom<NamedTokenRow> for Token {
    type Error = Error;

    fn try_from(NamedTokenRow(row, user_name): NamedTokenRow) -> Result<Self, Self::Error> {
        let TokenRow { name, scope, created_at, expires_at, last_used_at, user_id } = row;
        let name = name.or(user_name).ok_or_else(|| corrupt("a token without a name"))?;
        let name: Name = name.parse().map_err(corrupt)?;
        let time = |micros| match user_id {
            Some(id) => readable(micros, format_args!("a token of user {id}")),
            None => readable(micros, format_args!("the token {:?}", name.as_str())),
        };
        Ok(Self {
            user: user_id.map(UserId::new),
            scope: scope.parse().map_err(corrupt)?,
            created_at: time(created_at),
            expires_at: expires_at.map(time),
            last_used_at: last_used_at.map(time),
            name,
        })
    }
}

/// What a row stands for, where there is one.
pub(crate) fn at_most_one<R, T: TryFrom<R, Error = Error>>(
    row: Result<R, Error>,
) -> Result<Option<T>, Error> {
    row.optional()?.map(T::try_from).transpose()
}

/// The id in a row.
pub(crate) fn customer_id(id: i64) -> Result<CustomerId, Error> {
    CustomerId::try_from(id).map_err(corrupt)
}

/// The error of a row that cannot be read, which the log has named.
pub(crate) fn unreadable() -> Error {
    corrupt("a row cannot be read")
}

/// Those of these values that could be read from their rows. The others are named in the log, and fail no
/// list.
pub(crate) fn those_readable<T>(
    kind: &str,
    named: impl Iterator<Item = (String, Result<T, Error>)>,
) -> Vec<T> {
    let read = |(name, read): (String, Result<T, Error>)| {
        let told = |error: &Error| log::error!("the {kind} {name:?} cannot be read: {error}");
        read.inspect_err(told).ok()
    };
    named.filter_map(read).collect()
}

/// The moment in a column of something; the nearest one that can be read, and an error in the log, where
/// the column is out of range. So one such row makes no answer fail.
fn readable(micros: i64, of: fmt::Arguments<'_>) -> Timestamp {
    Timestamp::from_micros(micros).unwrap_or_else(|| {
        let nearest = Timestamp::nearest_to_micros(micros);
        log::error!("{of} has a time out of range, {micros} microseconds: read as {nearest}");
        nearest
    })
}

/// The moment that a database has told.
pub(crate) fn timestamp(micros: i64) -> Result<Timestamp, Error> {
    Timestamp::from_micros(micros).ok_or_else(|| corrupt("a time beyond the year 9999"))
}

fn corrupt(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::DeserializationError(reason.into())
}
