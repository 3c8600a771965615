//! The people who log in, and the port that keeps them.

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use validator::ValidateEmail;

use crate::account::key;
use crate::attribute::broken_by_text;
use crate::name::Name;
use crate::password::PasswordHash;
use crate::repository::RepositoryError;
use crate::rule::Rule;
use crate::text::trim;
use crate::timestamp::Timestamp;
use crate::token::{Scope, TokenDigest};

/// The most characters of an e-mail address.
const MAX_CHARS: u64 = 255;

/// The id of a user, never given to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UserId(i64);

impl UserId {
    /// The id of this number.
    pub fn new(number: i64) -> Self {
        Self(number)
    }

    /// The number.
    pub fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The e-mail address that a user logs in with, as it was written, trimmed: up to 255 characters of
/// the form that HTML's forms take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it is looked up by.
    pub fn key(&self) -> EmailKey {
        EmailKey(key(&self.0))
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The text is no e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("give an e-mail address such as zoe@example.com, of up to 255 characters")]
pub struct InvalidEmailAddress;

impl FromStr for EmailAddress {
    type Err = InvalidEmailAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = trim(text);
        let is_address = broken_by_text(text, 1, MAX_CHARS).is_empty() && text.validate_email();
        if is_address { Ok(Self(text.to_owned())) } else { Err(InvalidEmailAddress) }
    }
}

/// What e-mail addresses are told apart by, and users are looked up by: folded as accounts are (see
/// [`AccountKey`](crate::AccountKey)).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EmailKey(String);

impl EmailKey {
    /// The key of what somebody gave as an address. It need not be one: nobody is found by it then.
    ///
    /// # Errors
    ///
    /// The first rule that the text breaks: it must not be empty, longer than 255 characters, or
    /// hold control characters.
    pub fn of(text: &str) -> Result<Self, Rule> {
        match broken_by_text(trim(text), 1, MAX_CHARS).first() {
            Some(rule) => Err(*rule),
            None => Ok(Self(key(text))),
        }
    }

    /// The key as it is stored and compared.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A user to be.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// What the user logs in with.
    pub email: EmailAddress,
    /// What the user is called.
    pub name: Name,
    /// What the tokens of the user's logins permit.
    pub scope: Scope,
    /// What the user's password is checked against.
    pub password: PasswordHash,
}

/// Somebody who logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The number that the registry gave the user.
    pub id: UserId,
    /// What the user logs in with.
    pub email: EmailAddress,
    /// What the user is called.
    pub name: Name,
    /// What the tokens of the user's logins permit.
    pub scope: Scope,
    /// When the user was made.
    pub created_at: Timestamp,
    /// Since when the user may not log in; `None`: the user may.
    pub disabled_at: Option<Timestamp>,
}

/// A token that somebody who has shown the right password shall have.
#[derive(Debug, Clone)]
pub struct NewLogin {
    /// Who it is.
    pub user: UserId,
    /// What the password was found right by.
    pub password: PasswordHash,
    /// The digest of what the user will show.
    pub digest: TokenDigest,
    /// From when on it is refused.
    pub expires_at: Timestamp,
}

/// Keeps users, under the same terms as [`CustomerRepository`](crate::CustomerRepository).
///
/// Whatever keeps a user from having a token MUST revoke those that there are in the same step, so
/// that no login that is under way can slip through between the two.
#[async_trait]
pub trait UserRepository: Send + Sync {
    /// Saves a new user.
    ///
    /// # Errors
    ///
    /// [`AddUserError::EmailTaken`] where another, disabled or not, has the address, by its key.
    async fn add(&self, new: NewUser) -> Result<(), AddUserError>;

    /// All users, disabled ones among them, by the keys of their addresses.
    async fn list(&self) -> Result<Vec<User>, RepositoryError>;

    /// The user of this address, who may be disabled, and what the password is checked against.
    async fn find_by_email(
        &self,
        email: &EmailKey,
    ) -> Result<Option<(User, PasswordHash)>, RepositoryError>;

    /// Saves a token of the user's scope; false, and nothing is saved, where the user is disabled or
    /// has another password by now.
    async fn log_in(&self, login: NewLogin) -> Result<bool, RepositoryError>;

    /// Gives the user of this address, disabled or not, another password and revokes the user's
    /// tokens; false where there is no such user.
    async fn set_password(
        &self,
        email: &EmailKey,
        password: PasswordHash,
    ) -> Result<bool, RepositoryError>;

    /// Disables the user of this address and revokes the user's tokens; false where there is no such
    /// user. One who is disabled already stays so.
    async fn disable(&self, email: &EmailKey) -> Result<bool, RepositoryError>;

    /// Lets the user of this address log in again; false where there is no such user.
    async fn enable(&self, email: &EmailKey) -> Result<bool, RepositoryError>;
}

/// What can go wrong when a user is added.
#[derive(Debug, thiserror::Error)]
pub enum AddUserError {
    /// Another user has the address.
    #[error("a user of this e-mail address exists")]
    EmailTaken,
    /// The store could not do it.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_as_it_was_written_and_found_in_any_case() {
        let address: EmailAddress = " Zoe.Martin@Example.COM\u{a0}".parse().unwrap();
        assert_eq!(address.as_str(), "Zoe.Martin@Example.COM");
        assert_eq!(address.key(), EmailKey::of("zoe.martin@example.com ").unwrap());
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "zoe", "@example.com", "zoe@", "a b@example.com", "a\u{0}@example.com"] {
            assert!(text.parse::<EmailAddress>().is_err(), "{text}");
        }
        let long = format!("z@{}.fr", "a.".repeat(130));
        assert!(long.parse::<EmailAddress>().is_err());
    }

    #[test]
    fn whatever_could_be_meant_for_an_address_has_a_key() {
        assert_eq!(EmailKey::of("nobody").unwrap().as_str(), "nobody");
        assert_eq!(EmailKey::of(" \u{feff}"), Err(Rule::Required));
        assert_eq!(EmailKey::of("a\u{0}"), Err(Rule::ControlCharacter));
        assert_eq!(EmailKey::of(&"a".repeat(256)), Err(Rule::MaxChars(255)));
    }
}
