//! What comes with every change of a customer: who makes it, and under which conditions.

use crate::customer::{Customer, CustomerId};
use crate::repository::RepositoryError;
use crate::rule::Violations;
use crate::timestamp::Timestamp;

/// A change that is to be made.
#[derive(Debug, Clone)]
pub struct Write {
    /// Who makes it, for the history: the name of a token or a user, or `command line`.
    pub actor: String,
    /// The request that asks for it, for the history.
    pub request_id: String,
    /// What must hold of the customer for the change to be made.
    pub precondition: Precondition,
    /// Under which key it is made once only.
    pub idempotency: Option<Idempotency>,
}

/// A state of a customer: which customer, and when it was last changed.
///
/// No two states have the same revision, because `updated_at` rises with every change and no id is
/// used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Revision {
    /// The customer.
    pub id: CustomerId,
    /// When the customer was last changed.
    pub updated_at: Timestamp,
}

impl Customer {
    /// Returns the revision that the customer is at.
    pub fn revision(&self) -> Revision {
        Revision { id: self.id, updated_at: self.updated_at }
    }
}

/// The revisions that a precondition names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revisions {
    /// Any revision: there is a customer.
    Any,
    /// One of these.
    OneOf(Vec<Revision>),
}

impl Revisions {
    /// Whether the customer is at one of the revisions; false where there is no customer.
    pub fn contain(&self, customer: Option<&Customer>) -> bool {
        customer.is_some_and(|customer| match self {
            Self::Any => true,
            Self::OneOf(revisions) => revisions.contains(&customer.revision()),
        })
    }
}

/// What must hold of the customer as it is when a change is made. By default nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Precondition {
    /// The customer must be at one of these revisions.
    pub expected: Option<Revisions>,
    /// The customer must not be at one of these revisions.
    pub excluded: Option<Revisions>,
}

impl Precondition {
    /// Whether the precondition holds of a customer; `None` where there is none yet.
    pub fn holds(&self, customer: Option<&Customer>) -> bool {
        self.expected.as_ref().is_none_or(|revisions| revisions.contain(customer))
            && !self.excluded.as_ref().is_some_and(|revisions| revisions.contain(customer))
    }

    /// Whether the precondition holds of every customer.
    pub fn is_none(&self) -> bool {
        self.expected.is_none() && self.excluded.is_none()
    }
}

/// A key under which a change is made once only. A second change under the same key has the outcome of
/// the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// SHA-256 of the key and of all that it is used for: caller, method, path.
    pub key: [u8; 32],
    /// SHA-256 of what is asked for, which must be the same each time.
    pub fingerprint: [u8; 32],
}

impl Idempotency {
    /// How long an outcome is kept.
    pub const KEPT_FOR: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);
}

/// What became of a change that has an [`Idempotency`] key or might have one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The change is made, and this is the customer since.
    Applied(Customer),
    /// The change was made before under its key. The customer is as it was right after the change.
    Replayed(Customer),
    /// The change was made before under its key, by a version before 0.2, which kept its whole answer
    /// as bytes of its own.
    ReplayedAnswer(Vec<u8>),
}

/// Why a change is not made.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// There is no such customer, or none that is not deleted.
    #[error("there is no such customer")]
    NotFound,
    /// The precondition does not hold.
    #[error("the customer is not as it was expected to be")]
    PreconditionFailed,
    /// What is missing for a customer that would have to be created.
    #[error(transparent)]
    Incomplete(Violations),
    /// Another customer has the account.
    #[error("the account is taken by customer {id}")]
    AccountTaken {
        /// The customer that has it.
        id: CustomerId,
        /// Whether that customer is deleted.
        deleted: bool,
    },
    /// The idempotency key was used for something else.
    #[error("the idempotency key was used for another change")]
    KeyReused,
    /// The change of this idempotency key is still being made.
    #[error("the change of this idempotency key is under way")]
    KeyInProgress,
    /// The store could not do it.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}
