//! The port: what the registry asks of whatever keeps its customers.

use std::error::Error;

use async_trait::async_trait;

use crate::account::AccountKey;
use crate::customer::{Customer, CustomerId, NewCustomer};

/// Keeps customers.
///
/// An adapter MUST
///
/// - answer a write only when it is durable: what was answered survives a crash of the process and
///   of the machine;
/// - do a write whole or not at all, whoever stops waiting for its answer;
/// - keep both ids and accounts (by [`AccountKey`]) unique, under any number of concurrent writers
///   in any number of processes, and never use an id or an automatic account twice;
/// - do nothing that blocks on the caller's thread for longer than a point read takes, and bound
///   what it queues: what does not fit is [`RepositoryError::Unavailable`], not waiting without end;
/// - answer the same for the same history, whatever the database.
///
/// It may join the writes of several callers into one transaction, as long as a refusal of one
/// changes nothing for the others.
#[async_trait]
pub trait CustomerRepository: Send + Sync {
    /// Saves a new customer, which keeps the [rules](NewCustomer::check), and makes its account
    /// where it has none.
    ///
    /// # Errors
    ///
    /// [`CreateError::AccountTaken`] where another customer, deleted or not, has the account.
    async fn create(&self, new: NewCustomer) -> Result<Customer, CreateError>;

    /// The customer of this id, unless it is deleted.
    async fn find(&self, id: CustomerId) -> Result<Option<Customer>, RepositoryError>;

    /// The customer of this account, unless it is deleted.
    async fn find_by_account(&self, key: &AccountKey) -> Result<Option<Customer>, RepositoryError>;

    /// Whether the store can be reached and is the one that this adapter was built for.
    async fn ready(&self) -> Result<(), RepositoryError>;
}

/// What can go wrong with any call.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// The store is away, full or busy: the same call may work in a moment.
    #[error("the store is unavailable")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// Nothing that waiting or calling again would mend.
    #[error("the store failed")]
    Internal(#[source] Box<dyn Error + Send + Sync>),
}

/// What can go wrong when a customer is created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Another customer has the account.
    #[error("the account is taken by customer {id}")]
    AccountTaken {
        /// The customer that has it.
        id: CustomerId,
        /// Whether that customer is deleted.
        deleted: bool,
    },
    /// The store could not do it.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}
