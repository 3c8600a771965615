#![doc = include_str!("../README.md")]

mod account;
mod attribute;
mod customer;
mod name;
pub mod password;
mod repository;
mod rule;
pub mod text;
mod timestamp;
pub mod token;
pub mod user;

pub use account::{AccountKey, AccountNumbering, CustomerAccount, InvalidNumbering};
pub use attribute::{Attribute, Kind, Value};
pub use customer::{ATTRIBUTES, Customer, CustomerId, NewCustomer};
pub use name::{InvalidName, Name};
pub use repository::{CreateError, CustomerRepository, RepositoryError};
pub use rule::{Rule, Violation, Violations};
pub use timestamp::Timestamp;
