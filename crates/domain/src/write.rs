//! What comes with every change of a customer: who makes it, and under which conditions.

use std::fmt;
use std::sync::Arc;

use crate::customer::{Customer, CustomerId};
use crate::repository::RepositoryError;
use crate::rule::Violations;

/// A change that is to be made.
#[derive(Debug, Clone)]
pub struct Write {
    /// Who makes it, for the history: the name of a token or a user, or `command line`.
    pub actor: String,
    /// The request that asks for it, for the history.
    pub request_id: String,
    /// What must hold of the customer for it to be made.
    pub precondition: Option<Precondition>,
    /// Under which key it is made once only.
    pub idempotency: Option<Idempotency>,
}

type Test = dyn Fn(Option<&Customer>) -> bool + Send + Sync;

/// What must hold of the customer, as it is when the change is made; `None` where there is none yet.
/// It may be asked several times.
#[derive(Clone)]
pub struct Precondition(Arc<Test>);

impl Precondition {
    /// That the test is true.
    pub fn new(test: impl Fn(Option<&Customer>) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(test))
    }

    /// Whether it holds.
    pub fn holds(&self, customer: Option<&Customer>) -> bool {
        (self.0)(customer)
    }
}

impl fmt::Debug for Precondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Precondition(…)")
    }
}

type Answer = dyn Fn(&Customer) -> Vec<u8> + Send + Sync;

/// A key under which a change is made once only: whoever asks again is told what was answered.
#[derive(Clone)]
pub struct Idempotency {
    /// SHA-256 of the key and of all that it is used for: caller, method, path.
    pub key: [u8; 32],
    /// SHA-256 of what is asked for, which must be the same each time.
    pub fingerprint: [u8; 32],
    /// The answer to keep, made of the customer as it is after the change.
    pub answer: Arc<Answer>,
}

impl Idempotency {
    /// How long an answer is kept.
    pub const KEPT_FOR: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);
}

impl fmt::Debug for Idempotency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Idempotency(…)")
    }
}

/// What became of a change that has an [`Idempotency`] key or might have one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// It is made, and this is the customer since.
    Now(Customer),
    /// It was made before, and this was kept as the answer.
    Before(Vec<u8>),
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
