//! The tokens that callers show, as the registry keeps them: never the token, only its digest.

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use subtle::ConstantTimeEq;

use crate::name::Name;
use crate::repository::RepositoryError;
use crate::timestamp::Timestamp;
use crate::user::UserId;

/// What a token permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// To read live customers.
    Read,
    /// To read and change everything.
    Write,
}

impl Scope {
    /// Whether this scope includes the other.
    pub fn includes(self, needed: Self) -> bool {
        self >= needed
    }

    /// `read` or `write`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// There is no such scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a scope is read or write")]
pub struct UnknownScope;

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Read, Self::Write]
            .into_iter()
            .find(|scope| scope.as_str() == text)
            .ok_or(UnknownScope)
    }
}

/// The SHA-256 digest of a token. Compared in constant time.
#[derive(Clone, Copy, Eq)]
pub struct TokenDigest(pub [u8; 32]);

impl PartialEq for TokenDigest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl std::hash::Hash for TokenDigest {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// Says nothing of the digest.
impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest(…)")
    }
}

/// A token to be, for whoever needs no user: another system.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// What it is called, so that it can be revoked.
    pub name: Name,
    /// What it permits.
    pub scope: Scope,
    /// The digest of what callers show.
    pub digest: TokenDigest,
    /// From when on it is refused; `None`: never.
    pub expires_at: Option<Timestamp>,
}

/// A token that is not revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What it is called; where a login made it, what its user is called.
    pub name: Name,
    /// The user whose login made it.
    pub user: Option<UserId>,
    /// What it permits.
    pub scope: Scope,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// When it was last shown, right to a minute; `None`: never.
    pub last_used_at: Option<Timestamp>,
}

impl Token {
    /// Whether it is refused at this moment because of its age.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= now)
    }
}

/// Keeps tokens, under the same terms as [`CustomerRepository`](crate::CustomerRepository).
#[async_trait]
pub trait TokenRepository: Send + Sync {
    /// Saves a new token.
    ///
    /// # Errors
    ///
    /// [`AddTokenError::NameTaken`] where a live token has the name: one that is neither revoked
    /// nor expired. What users are called does not count.
    async fn add(&self, new: NewToken) -> Result<(), AddTokenError>;

    /// The tokens that were added and are not revoked, expired ones among them, by name. Those of
    /// logins are not listed.
    async fn list(&self) -> Result<Vec<Token>, RepositoryError>;

    /// Revokes the added token of this name; false where there is none that is not revoked already.
    async fn revoke(&self, name: &Name) -> Result<bool, RepositoryError>;

    /// Revokes the token of this digest, whoever made it. Nothing happens where there is none.
    async fn revoke_by_digest(&self, digest: &TokenDigest) -> Result<(), RepositoryError>;

    /// The token of this digest, unless it is revoked. It may be expired.
    async fn find_by_digest(&self, digest: &TokenDigest) -> Result<Option<Token>, RepositoryError>;

    /// Notes that the token of this digest was shown at this moment, unless a later one is noted.
    async fn used(&self, digest: &TokenDigest, at: Timestamp) -> Result<(), RepositoryError>;

    /// Whether a token was ever added, revoked ones included.
    async fn any(&self) -> Result<bool, RepositoryError>;

    /// Removes tokens of logins that are expired at this moment, the oldest first: as many as make other
    /// writes wait for a moment only. How many; 0 where none is left.
    async fn sweep(&self, now: Timestamp) -> Result<u64, RepositoryError>;
}

/// What can go wrong when a token is added.
#[derive(Debug, thiserror::Error)]
pub enum AddTokenError {
    /// A live token has the name.
    #[error("a token of this name exists; revoke it first, or choose another name")]
    NameTaken,
    /// The store could not do it.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}
