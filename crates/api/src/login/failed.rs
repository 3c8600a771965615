//! The throttle on guessing passwords: who has failed too often waits.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;

use customers_domain::user::EmailKey;

use crate::error::ApiError;
use crate::window::Windows;

/// Failures in a minute from one address at one account.
const OF_ACCOUNT: u32 = 5;

/// Failures in a minute from one address, at whatever accounts.
const OF_ADDRESS: u32 = 30;

/// Counts failed logins by address. Nobody is kept out for what others fail at from elsewhere.
pub(crate) struct FailedLogins {
    failures: Arc<Windows<Who>>,
    /// Makes short numbers of accounts, which nobody can make collide.
    accounts: RandomState,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Who {
    Address(IpAddr),
    Account(IpAddr, u64),
}

/// A login from an address at an account.
pub(crate) struct Attempt {
    failures: Arc<Windows<Who>>,
    limits: [(Who, u32); 2],
}

impl FailedLogins {
    pub fn new() -> Self {
        Self { failures: Arc::new(Windows::new()), accounts: RandomState::new() }
    }

    /// An attempt that may go on.
    ///
    /// # Errors
    ///
    /// As [`Attempt::check`].
    pub fn attempt(&self, address: IpAddr, email: &EmailKey) -> Result<Attempt, ApiError> {
        let account = self.accounts.hash_one(email);
        let limits =
            [(Who::Account(address, account), OF_ACCOUNT), (Who::Address(address), OF_ADDRESS)];
        let attempt = Attempt { failures: self.failures.clone(), limits };
        attempt.check()?;
        Ok(attempt)
    }
}

impl Attempt {
    /// Whether it may go on.
    ///
    /// # Errors
    ///
    /// [`Code::TooManyRequests`](crate::problem::Code::TooManyRequests) where too many have failed.
    pub fn check(&self) -> Result<(), ApiError> {
        let reached = self.limits.iter().filter_map(|(who, limit)| {
            let tally = self.failures.tally(who)?;
            (tally.count >= *limit).then_some(tally.seconds_left)
        });
        reached.max().map_or(Ok(()), |seconds| Err(ApiError::too_many_requests(seconds)))
    }

    /// Counts it as failed.
    pub fn failed(&self) {
        for (who, _) in self.limits {
            self.failures.add(who);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email(text: &str) -> EmailKey {
        EmailKey::of(text).unwrap()
    }

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn five_failures_at_an_account_close_it_to_their_address_only() {
        let failed = FailedLogins::new();
        for _ in 0..5 {
            failed.attempt(address(1), &email("zoe@example.com")).ok().unwrap().failed();
        }
        let refused = failed.attempt(address(1), &email("ZOE@example.com")).err().unwrap();
        assert!((1..=60).contains(&refused.retry_after.unwrap()));
        assert!(failed.attempt(address(1), &email("bob@example.com")).is_ok());
        assert!(failed.attempt(address(2), &email("zoe@example.com")).is_ok());
    }

    #[test]
    fn thirty_failures_close_everything_to_their_address() {
        let failed = FailedLogins::new();
        for number in 0..30 {
            let email = email(&format!("user{number}@example.com"));
            failed.attempt(address(1), &email).ok().unwrap().failed();
        }
        assert!(failed.attempt(address(1), &email("zoe@example.com")).is_err());
        assert!(failed.attempt(address(2), &email("zoe@example.com")).is_ok());
    }

    #[test]
    fn only_failures_count() {
        let failed = FailedLogins::new();
        for _ in 0..100 {
            assert!(failed.attempt(address(1), &email("zoe@example.com")).is_ok());
        }
    }
}
