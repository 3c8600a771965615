//! How customers are spoken about over HTTP: routes, input, errors and the OpenAPI document.

mod auth;
mod conditional;
mod customers;
mod docs;
mod envelope;
mod error;
mod health;
mod idempotency;
mod input;
mod listing;
mod openapi;
mod origin;
mod problem;
mod routes;

use std::sync::Arc;

use customers_domain::CustomerRepository;
use customers_domain::token::TokenRepository;

pub use auth::MintedToken;
pub use openapi::document;
pub use origin::{InvalidPublicUrl, PublicUrl};
pub use routes::app;

use customers::answer::Representation;

/// What the API needs of the rest of the process.
#[derive(Clone)]
pub struct Api {
    customers: Arc<dyn CustomerRepository>,
    authenticator: Arc<auth::Authenticator>,
    settings: Arc<Settings>,
}

/// What can be chosen.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Under which URL clients reach the service; unless it is said, the host that they name.
    pub public_url: Option<PublicUrl>,
    /// Whether answers show, beside the flat attributes, what older documentation shows.
    pub legacy_answers: bool,
}

impl Settings {
    fn representation(&self) -> Representation {
        Representation { legacy: self.legacy_answers }
    }
}

impl Api {
    /// The API on top of these ports.
    pub fn new(
        customers: Arc<dyn CustomerRepository>,
        tokens: Arc<dyn TokenRepository>,
        settings: Settings,
    ) -> Self {
        let authenticator = Arc::new(auth::Authenticator::new(tokens));
        Self { customers, authenticator, settings: Arc::new(settings) }
    }
}
