//! The parts of queries about tokens.

use diesel::dsl::{auto_type, exists, select};
use diesel::prelude::*;

use crate::schema::{tokens, users};

/// The most tokens that are removed in one transaction.
pub(crate) const SWEPT_AT_ONCE: i64 = 1000;

/// Beside the user, if it is one of a login.
#[auto_type]
pub(crate) fn unrevoked<'a>(digest: &'a [u8]) -> _ {
    tokens::table
        .left_join(users::table)
        .filter(tokens::digest.eq(digest))
        .filter(tokens::revoked_at.is_null())
}

#[auto_type]
pub(crate) fn unrevoked_of_digest<'a>(digest: &'a [u8]) -> _ {
    tokens::table.filter(tokens::digest.eq(digest)).filter(tokens::revoked_at.is_null())
}

#[auto_type]
pub(crate) fn unrevoked_named<'a>(name: &'a str) -> _ {
    tokens::table.filter(tokens::name.eq(name)).filter(tokens::revoked_at.is_null())
}

#[auto_type]
pub(crate) fn unrevoked_of_user<'a>(email_key: &'a str) -> _ {
    let user: diesel::dsl::Nullable<users::id> = users::id.nullable();
    tokens::table
        .filter(
            tokens::user_id
                .eq_any(users::table.filter(users::email_key.eq(email_key)).select(user)),
        )
        .filter(tokens::revoked_at.is_null())
}

/// All that were added and are not revoked.
#[auto_type]
pub(crate) fn listed() -> _ {
    tokens::table
        .filter(tokens::name.is_not_null())
        .filter(tokens::revoked_at.is_null())
        .order(tokens::name)
}

/// Whether one was ever added.
#[auto_type]
pub(crate) fn any() -> _ {
    select(exists(tokens::table.filter(tokens::name.is_not_null())))
}

/// The tokens that `used` has still to be noted for.
#[auto_type]
pub(crate) fn last_used_before<'a>(digest: &'a [u8], at: i64) -> _ {
    tokens::table
        .filter(tokens::digest.eq(digest))
        .filter(tokens::last_used_at.is_null().or(tokens::last_used_at.lt(at)))
}

/// At most so many of the tokens of logins that are expired.
#[auto_type]
pub(crate) fn expired_logins(now: i64, take: i64) -> _ {
    tokens::table
        .filter(tokens::user_id.is_not_null())
        .filter(tokens::expires_at.le(now))
        .select(tokens::digest)
        .limit(take)
}
