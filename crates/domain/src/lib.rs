#![doc = include_str!("../README.md")]

mod account;
mod attribute;
mod changes;
mod customer;
mod erasure;
mod fold;
pub mod history;
pub mod import;
pub mod lenient;
mod name;
pub mod password;
mod phone;
mod repository;
mod rule;
pub mod search;
pub mod selection;
pub mod text;
mod timestamp;
pub mod token;
pub mod user;
#[cfg(feature = "serde")]
mod wire;
mod write;

pub use account::{AccountKey, AccountNumbering, CustomerAccount, InvalidNumbering};
pub use attribute::{Attribute, Kind, Value};
pub use changes::CustomerChanges;
pub use customer::{ATTRIBUTES, Customer, CustomerDetails, CustomerId, InvalidId, NewCustomer};
pub use erasure::ERASED_NAME;
pub use fold::{FOLD_VERSION, fold};
pub use name::{InvalidName, Name};
pub use phone::PhoneDigits;
pub use repository::{CustomerRepository, RepositoryError};
pub use rule::{Rule, Violation, Violations};
pub use timestamp::{InvalidTimestamp, Timestamp};
pub use write::{Idempotency, Outcome, Precondition, Revision, Revisions, Write, WriteError};
