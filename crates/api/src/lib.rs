#![doc = include_str!("../README.md")]

mod auth;
mod client_address;
mod conditional;
mod cors;
mod customers;
mod docs;
mod envelope;
mod error;
mod etag;
pub mod export;
mod health;
mod idempotency;
mod input;
mod json;
mod large_answers;
mod leaving;
mod listing;
mod login;
mod observer;
mod openapi;
mod origin;
mod password;
mod problem;
mod rate_limit;
mod routes;
mod slashes;
mod version;
mod window;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use customers_domain::CustomerRepository;
use customers_domain::token::TokenRepository;
use customers_domain::user::UserRepository;

pub use auth::MintedToken;
pub use client_address::{InvalidTrustedProxies, TrustedProxies};
pub use cors::{CorsOrigins, InvalidCorsOrigin};
pub use envelope::REQUEST_LOG;
pub use observer::{Answered, Observer};
pub use openapi::{client_document, document};
pub use origin::{InvalidPublicUrl, Location, PublicUrl};
pub use password::hash as hash_password;
pub use routes::{app, is_administrative};

use customers::answer::Representation;

/// How the API behaves where that is a matter of taste or of where it runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long the token of a login is good for.
    pub login_token_ttl: Duration,
    /// How many requests a caller may make in a minute; `None`: any number.
    pub rate_limit: Option<NonZeroU32>,
    /// Whose word is taken for where a request comes from.
    pub trusted_proxies: TrustedProxies,
    /// The origins whose web pages may call.
    pub cors_origins: CorsOrigins,
    /// Where clients find the service.
    pub location: Location,
    /// Whether answers show, beside the flat attributes, what older documentation shows.
    pub legacy_answers: bool,
}

impl Settings {
    fn representation(&self) -> Representation {
        Representation { legacy: self.legacy_answers }
    }
}

/// What all threads that serve requests have in common, as the application data of one of them. Whoever
/// takes it out is counted, and a count of all threads would go from processor to processor with each
/// request; so each thread counts its own.
type Shared<T> = web::Data<Arc<T>>;

/// What the API needs of the rest of the process.
#[derive(Clone)]
pub struct Api {
    customers: Arc<dyn CustomerRepository>,
    authenticator: Arc<auth::Authenticator>,
    logins: Arc<login::Logins>,
    rate_limiter: Arc<rate_limit::RateLimiter>,
    observer: Arc<dyn Observer>,
    settings: Arc<Settings>,
    leaving: leaving::Leaving,
    large_bodies: input::LargeBodies,
    large_answers: Arc<large_answers::LargeAnswers>,
}

impl Api {
    /// The API on top of these ports, watched by the observer.
    pub fn new(
        customers: Arc<dyn CustomerRepository>,
        tokens: Arc<dyn TokenRepository>,
        users: Arc<dyn UserRepository>,
        observer: Arc<dyn Observer>,
        settings: Settings,
    ) -> Self {
        let Settings { login_token_ttl, rate_limit, .. } = settings;
        let proxies = Arc::new(settings.trusted_proxies.clone());
        Self {
            customers,
            authenticator: Arc::new(auth::Authenticator::new(tokens)),
            logins: Arc::new(login::Logins::new(
                users,
                login_token_ttl,
                proxies.clone(),
                observer.clone(),
            )),
            rate_limiter: Arc::new(rate_limit::RateLimiter::new(rate_limit, proxies)),
            observer,
            settings: Arc::new(settings),
            leaving: leaving::Leaving::default(),
            large_bodies: input::LargeBodies::new(),
            large_answers: Arc::default(),
        }
    }

    /// Prepares the end of the process: from now on `/health/ready` answers 503, so that a balancer
    /// sends no more requests, and connections are closed with their next answer. Requests that
    /// arrive nevertheless are answered as before.
    pub fn leave(&self) {
        self.leaving.begin();
    }
}
