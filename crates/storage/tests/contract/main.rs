//! What every adapter must do: each case is run on SQLite and on PostgreSQL.

use customers_domain::token::{NewToken, Scope, TokenDigest};
use customers_domain::{
    AccountKey, Customer, CustomerAccount, CustomerDetails, NewCustomer, Outcome, Precondition,
    RepositoryError, Revision, Revisions, Write, WriteError,
};
use customers_storage::{OpenError, Options, Store};

#[path = "../support/database.rs"]
mod database;

use database::TestDatabase;

/// Makes tests of cases, which are functions that are given a fresh database. One that is not listed
/// is dead code, of which the compiler warns.
macro_rules! cases {
    ($database:ident: $($case:ident)*) => {
        mod $database {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $case() {
                    super::$case(crate::TestDatabase::$database()).await;
                }
            )*
        }
    };
    (
        both: [$($both:ident),* $(,)?]
        $(sqlite: [$($sqlite:ident),* $(,)?])?
        $(postgres: [$($postgres:ident),* $(,)?])?
    ) => {
        cases!(sqlite: $($both)* $($($sqlite)*)?);
        cases!(postgres: $($both)* $($($postgres)*)?);
    };
}

mod accounts;
mod complete;
mod customers;
mod drift;
mod erasing;
mod failures;
mod indexes;
mod lanes;
mod listing;
mod living;
mod lost_answers;
mod opening;
mod races;
mod reading;
mod searching;
mod sequences;
mod tokens;
mod users;
mod write_ahead_log;

fn try_open(url: &str) -> Result<Store, OpenError> {
    let options = Options {
        numbering: Default::default(),
        connections: 4.try_into().expect("not zero"),
        replica: None,
    };
    customers_storage::open(&url.parse().expect("a database URL"), options)
}

fn open(database: &TestDatabase) -> Store {
    try_open(&database.url()).expect("a store")
}

/// A write of somebody who asks for nothing beside.
fn write() -> Write {
    Write {
        actor: "tests".into(),
        request_id: "request-1".into(),
        precondition: Precondition::default(),
        idempotency: None,
    }
}

/// Creating a customer as nobody in particular.
trait Create {
    async fn create(&self, new: NewCustomer) -> Result<Customer, WriteError>;
}

impl Create for Store {
    async fn create(&self, new: NewCustomer) -> Result<Customer, WriteError> {
        match self.customers.create(new, write()).await? {
            Outcome::Applied(customer) => Ok(customer),
            other => panic!("a replay of what has no key: {other:?}"),
        }
    }
}

fn named(name: &str) -> NewCustomer {
    details_of(name).into()
}

fn details_of(name: &str) -> CustomerDetails {
    CustomerDetails { name: name.to_owned(), ..CustomerDetails::default() }
}

fn with_account(account: &str) -> NewCustomer {
    under(account, details_of(account))
}

fn under(account: &str, details: CustomerDetails) -> NewCustomer {
    let account = Some(CustomerAccount::new(account).expect("an account"));
    NewCustomer { account, details: Box::new(details) }
}

fn key(account: &str) -> AccountKey {
    CustomerAccount::new(account).expect("an account").key()
}

fn token(name: &str, digest: u8) -> NewToken {
    NewToken {
        name: name.parse().expect("a name"),
        scope: Scope::Write,
        digest: TokenDigest([digest; 32]),
        expires_at: None,
    }
}

/// The precondition that the customer is at this revision.
fn at(revision: Revision) -> Precondition {
    Precondition { expected: Some(Revisions::OneOf(vec![revision])), ..Precondition::default() }
}

/// Unwraps what must be [`RepositoryError::Unavailable`].
#[track_caller]
fn assert_unavailable<T: std::fmt::Debug>(result: Result<T, impl Into<WriteError>>) {
    let error = result.map_err(Into::into).expect_err("unavailable");
    assert!(
        matches!(error, WriteError::Repository(RepositoryError::Unavailable(_))),
        "{error:?} instead of unavailable"
    );
}

/// Unwraps what must be [`RepositoryError::Internal`].
#[track_caller]
fn assert_internal<T: std::fmt::Debug>(result: Result<T, impl Into<WriteError>>) {
    let error = result.map_err(Into::into).expect_err("an internal error");
    assert!(
        matches!(error, WriteError::Repository(RepositoryError::Internal(_))),
        "{error:?} instead of an internal error"
    );
}
