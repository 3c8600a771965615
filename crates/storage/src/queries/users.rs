//! The parts of queries about users.

use diesel::dsl::auto_type;
use diesel::prelude::*;

use crate::schema::users;

#[auto_type]
pub(crate) fn of_email<'a>(email_key: &'a str) -> _ {
    users::table.filter(users::email_key.eq(email_key))
}

/// The scope of the user, who may log in and still has this password.
#[auto_type]
pub(crate) fn scope_of_login<'a>(id: i64, password_hash: &'a str) -> _ {
    users::table
        .filter(users::id.eq(id))
        .filter(users::password_hash.eq(password_hash))
        .filter(users::disabled_at.is_null())
        .select(users::scope)
}
