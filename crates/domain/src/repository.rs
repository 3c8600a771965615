//! The port: what the registry asks of whatever keeps its customers.

use std::error::Error;

use async_trait::async_trait;

use crate::account::{AccountKey, CustomerAccount};
use crate::changes::CustomerChanges;
use crate::customer::{Customer, CustomerId, NewCustomer};
use crate::history::HistoryEntry;
use crate::search::SearchTerm;
use crate::selection::{Listing, Order, Page, Selection, Stretch};
use crate::timestamp::Timestamp;
use crate::write::{Outcome, Write, WriteError};

/// Keeps customers.
///
/// An adapter MUST
///
/// - answer a write only when it is durable: what was answered survives a crash of the process and
///   of the machine;
/// - do a write whole or not at all, its entry in the history, its idempotency key and all that
///   lists and searches look at included, whoever stops waiting for its answer;
/// - keep both ids and accounts (by [`AccountKey`]) unique, under any number of concurrent writers
///   in any number of processes, and never use an id or an automatic account twice;
/// - test a precondition and make the change that depends on it in one step;
/// - set `updated_at` to a later moment with every change, so that each state of a customer has a
///   [`Revision`](crate::Revision) of its own, and change nothing, history included, where a write
///   makes no difference;
/// - keep an [`Outcome`] under an idempotency key for [`Idempotency::KEPT_FOR`](crate::Idempotency), and
///   nothing of a customer who was erased;
/// - do nothing that blocks on the caller's thread for longer than a point read takes, and bound
///   what it queues: what does not fit is [`RepositoryError::Unavailable`], not waiting without end;
///   nor is a list that takes more than 5 seconds;
/// - answer the same for the same history, in the same order, whatever the database.
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
    /// [`WriteError::AccountTaken`] where another customer, deleted or not, has the account, and
    /// those of an idempotency key.
    async fn create(&self, new: NewCustomer, write: Write) -> Result<Outcome, WriteError>;

    /// The customer of this id, unless it is deleted.
    async fn find(&self, id: CustomerId) -> Result<Option<Customer>, RepositoryError>;

    /// The customer of this account, unless it is deleted.
    async fn find_by_account(&self, key: &AccountKey) -> Result<Option<Customer>, RepositoryError>;

    /// Changes a customer that is not deleted, which is returned as it is since.
    ///
    /// # Errors
    ///
    /// [`WriteError::NotFound`], [`WriteError::PreconditionFailed`] and, where the account is
    /// changed, [`WriteError::AccountTaken`].
    async fn update(
        &self,
        id: CustomerId,
        changes: CustomerChanges,
        write: Write,
    ) -> Result<Customer, WriteError>;

    /// Changes the customer of this account, which keeps its spelling, or creates it; and whether it
    /// was created. The changes must not give an account.
    ///
    /// # Errors
    ///
    /// [`WriteError::PreconditionFailed`]; [`WriteError::Incomplete`] where it would have to be
    /// created and something is missing; [`WriteError::AccountTaken`] where a deleted customer has
    /// the account.
    async fn upsert(
        &self,
        account: CustomerAccount,
        changes: CustomerChanges,
        write: Write,
    ) -> Result<(Customer, bool), WriteError>;

    /// Deletes a customer: hides it until it is restored. Its account stays its own.
    ///
    /// # Errors
    ///
    /// [`WriteError::NotFound`], also where it is deleted already, and
    /// [`WriteError::PreconditionFailed`].
    async fn delete(&self, id: CustomerId, write: Write) -> Result<(), WriteError>;

    /// Brings a deleted customer back. One that is not deleted stays as it is.
    ///
    /// # Errors
    ///
    /// [`WriteError::NotFound`] where there never was one, [`WriteError::PreconditionFailed`], and
    /// those of an idempotency key.
    async fn restore(&self, id: CustomerId, write: Write) -> Result<Outcome, WriteError>;

    /// [Erases](Customer::erased) a customer, deleted or not, for good: its values leave the customer,
    /// its history (of which who, when and which attributes stay, but not the ids of requests, which
    /// their callers choose), the answers to idempotency keys and all that lists and searches look at.
    /// And whether there was anything to erase: where nothing was done to it since it was erased,
    /// nothing of it changes.
    ///
    /// What the store keeps of former values in places of its own, such as free parts of a file, goes
    /// as well, as far as its operators cannot see to that themselves.
    ///
    /// # Errors
    ///
    /// [`WriteError::NotFound`] where there never was one, [`WriteError::PreconditionFailed`], and
    /// [`RepositoryError::Unavailable`] also where the customer is erased, but something is left in
    /// such a place: erasing it again goes on from there.
    async fn erase(&self, id: CustomerId, write: Write) -> Result<(Customer, bool), WriteError>;

    /// The customers on a page, and how many there are on all.
    async fn list(
        &self,
        selection: Selection,
        order: Order,
        page: Page,
    ) -> Result<Listing, RepositoryError>;

    /// The customers from a place on, in the list's order.
    async fn walk(
        &self,
        selection: Selection,
        order: Order,
        stretch: Stretch,
    ) -> Result<Vec<Customer>, RepositoryError>;

    /// The customers that are not deleted in which the term occurs, the best
    /// [`MAX_HITS`](crate::search::MAX_HITS): first the one whose folded account is the folded term,
    /// then those whose account begins with it, then those whose name does, then the rest; within
    /// each by id. A change is found by the next search.
    async fn search(&self, term: SearchTerm, page: Page) -> Result<Listing, RepositoryError>;

    /// At most so many entries of a customer's history before this one, the newest first; `None`
    /// where there never was such a customer.
    async fn history(
        &self,
        id: CustomerId,
        before: Option<i64>,
        take: u32,
    ) -> Result<Option<Vec<HistoryEntry>>, RepositoryError>;

    /// The moment up to which there is nothing to come: every write whose `updated_at` is before it is
    /// seen by the next list, as long as clocks do not go back. Customers that an import brings with a
    /// time of their own are seen when they are there. It lags behind, by as much as a write under way
    /// may take, and does not move past the beginning of an import that is under way.
    async fn complete_until(&self) -> Result<Timestamp, RepositoryError>;

    /// Removes answers to idempotency keys whose time is over at this moment, the oldest first: as many as
    /// make other writes wait for a moment only. How many; 0 where none is left.
    async fn sweep(&self, now: Timestamp) -> Result<u64, RepositoryError>;

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
