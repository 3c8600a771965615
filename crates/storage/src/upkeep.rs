//! What a running server does for its database beside answering requests.

use async_trait::async_trait;
use customers_domain::RepositoryError;

/// Keeps a database as it should be, while it is served.
#[async_trait]
pub trait Upkeep: Send + Sync {
    /// Puts back one index that is missing, unless an import is under way that has set it aside, and
    /// returns whether it did: another may be missing then. Any number of servers may call this at once.
    async fn restore_index(&self) -> Result<bool, RepositoryError>;
}
