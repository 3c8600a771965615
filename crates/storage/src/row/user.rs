//! The conversions of users.

use customers_domain::Timestamp;
use customers_domain::password::PasswordHash;
use customers_domain::user::{NewUser, User, UserId};
use diesel::prelude::*;
use diesel::result::Error;

use super::{corrupt, readable};
use crate::schema::users;

/// A row of `users`, to be written: the database draws the id.
#[derive(Insertable)]
#[diesel(table_name = users)]
pub(crate) struct NewUserRow<'a> {
    email: &'a str,
    email_key: String,
    name: &'a str,
    scope: &'a str,
    password_hash: &'a str,
    created_at: i64,
}

impl<'a> NewUserRow<'a> {
    pub fn new(user: &'a NewUser, now: Timestamp) -> Self {
        let NewUser { email, name, scope, password } = user;
        Self {
            email: email.as_str(),
            email_key: email.key().as_str().to_owned(),
            name: name.as_str(),
            scope: scope.as_str(),
            password_hash: password.expose(),
            created_at: now.as_micros(),
        }
    }
}

/// A row of `users`, to be read.
#[derive(Queryable, Selectable)]
#[diesel(table_name = users)]
pub(crate) struct UserRow {
    pub id: i64,
    email: String,
    name: String,
    scope: String,
    password_hash: String,
    created_at: i64,
    disabled_at: Option<i64>,
}

impl TryFrom<UserRow> for (User, PasswordHash) {
    type Error = Error;

    fn try_from(row: UserRow) -> Result<Self, Self::Error> {
        let UserRow { id, email, name, scope, password_hash, created_at, disabled_at } = row;
        let time = |micros| readable(micros, format_args!("user {id}"));
        let user = User {
            id: UserId::new(id),
            email: email.parse().map_err(corrupt)?,
            name: name.parse().map_err(corrupt)?,
            scope: scope.parse().map_err(corrupt)?,
            created_at: time(created_at),
            disabled_at: disabled_at.map(time),
        };
        Ok((user, PasswordHash::new(password_hash)))
    }
}
