//! The parts of queries about tokens.

use customers_domain::Timestamp;
use diesel::dsl::{auto_type, exists, select};
use diesel::prelude::*;

use crate::listing::Dialect;
use crate::schema::{tokens, users};
use crate::sql::Sql;

/// The most tokens that are removed in one transaction.
const SWEPT_AT_ONCE: i64 = 1000;

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

/// Whether there is a token that cannot be. It reads next to nothing, but fails where the table is not as
/// it should be.
#[auto_type]
pub(crate) fn probe() -> _ {
    // No digest is as short as this.
    let no_digest: &'static [u8] = &[];
    select(exists(tokens::table.filter(tokens::digest.eq(no_digest))))
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

/// Removes tokens of logins that are expired.
pub(crate) fn sweep(dialect: Dialect, now: Timestamp) -> Sql {
    let is_expired = Sql::new("user_id IS NOT NULL AND expires_at <= ").bind(now.as_micros());
    super::sweep(dialect, "tokens", "digest", is_expired, SWEPT_AT_ONCE)
}
