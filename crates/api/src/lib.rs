//! How customers are spoken about over HTTP: routes, input, errors and the OpenAPI document.

mod auth;
mod customers;
mod docs;
mod envelope;
mod error;
mod health;
mod input;
mod openapi;
mod problem;
mod routes;

use std::sync::Arc;

use customers_domain::CustomerRepository;
use customers_domain::token::TokenRepository;

pub use auth::MintedToken;
pub use openapi::document;
pub use routes::app;

/// What the API needs of the rest of the process.
#[derive(Clone)]
pub struct Api {
    customers: Arc<dyn CustomerRepository>,
    authenticator: Arc<auth::Authenticator>,
}

impl Api {
    /// The API on top of these ports.
    pub fn new(customers: Arc<dyn CustomerRepository>, tokens: Arc<dyn TokenRepository>) -> Self {
        Self { customers, authenticator: Arc::new(auth::Authenticator::new(tokens)) }
    }
}
