//! Removes from the database what has had its time.

use std::sync::Arc;
use std::time::Duration;

use customers_domain::token::TokenRepository;
use customers_domain::{CustomerRepository, RepositoryError, Timestamp};

use crate::causes;

/// Any number of servers may sweep at once, so each does without asking the others.
const EVERY: Duration = Duration::from_secs(60);

/// Sweeps for as long as the process runs.
pub async fn sweep(customers: Arc<dyn CustomerRepository>, tokens: Arc<dyn TokenRepository>) {
    loop {
        note("answers to idempotency keys", customers.sweep().await);
        note("expired logins", tokens.sweep(Timestamp::now()).await);
        actix_web::rt::time::sleep(EVERY).await;
    }
}

fn note(what: &str, swept: Result<u64, RepositoryError>) {
    match swept {
        Ok(0) => {}
        Ok(count) => log::debug!(count = count; "swept {what}"),
        Err(error) => log::warn!("cannot sweep {what}: {}", causes(&error)),
    }
}
