//! How passwords are hashed (Argon2id, RFC 9106), and that only a few are at once.

use std::sync::{Arc, Mutex};
use std::thread::available_parallelism;
use std::time::Duration;

use actix_web::rt::task::spawn_blocking;
use actix_web::rt::time::timeout;
use argon2::password_hash::{self, phc};
use argon2::{Algorithm, Argon2, Block, Params, PasswordHasher, Version};
use customers_domain::password::{Password, PasswordHash};
use tokio::sync::Semaphore;

use crate::error::ApiError;

/// Memory that each hash takes, in KiB: 19 MiB.
const MEMORY: u32 = 19 * 1024;

/// How often that memory is gone over.
const PASSES: u32 = 2;

/// How many threads do so.
const LANES: u32 = 1;

/// Whoever waits for longer than this to have a password checked is turned away.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most who wait; one more is turned away at once.
const WAITING: usize = 1024;

/// What the password of somebody unknown is checked against, at the same cost as any other: random
/// bytes, of which nobody knows a password.
const OF_NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$Mjg3NnV0dWtqbmRhc2tsag$\
                         ZGZrajM5OGRmaztqc2QwOTIzNGpsa3NkZmw0MzI5MDg";

/// A hash of the password, to be kept in its stead.
///
/// # Errors
///
/// Where the operating system has no random bits to give for the salt.
pub fn hash(password: &Password) -> Result<PasswordHash, password_hash::Error> {
    let params = Params::new(MEMORY, PASSES, LANES, None)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash: phc::PasswordHash = argon2.hash_password(password.expose().as_bytes())?;
    Ok(PasswordHash::new(hash.to_string()))
}

/// What passwords are hashed in, one after the other.
///
/// Allocated anew for each, it would be taken and given back by many threads, for each of which the
/// allocator keeps a lot of it.
#[derive(Default)]
pub(crate) struct Memory(Vec<Block>);

/// Whether the password is the one that was hashed. False as well where there is no hash, which takes
/// as long to find out.
pub(crate) fn is_right(
    password: &Password,
    hash: Option<&PasswordHash>,
    Memory(blocks): &mut Memory,
) -> Result<bool, password_hash::Error> {
    let kept = phc::PasswordHash::new(hash.map_or(OF_NOBODY, PasswordHash::expose))?;
    let (Some(version), Some(salt), Some(expected)) = (kept.version, kept.salt, kept.hash) else {
        return Err(password_hash::Error::Internal);
    };
    let algorithm = Algorithm::try_from(kept.algorithm.as_str())?;
    let params = Params::try_from(&kept)?;
    blocks.resize(params.block_count(), Block::new());
    let argon2 = Argon2::new(algorithm, version.try_into()?, params);
    let mut output = [0; phc::Output::MAX_LENGTH];
    let output = &mut output[..expected.len()];
    argon2.hash_password_into_with_memory(password.expose().as_bytes(), &salt, output, blocks)?;
    // Compared in constant time.
    Ok(phc::Output::new(output)? == expected && hash.is_some())
}

/// Where those wait whose passwords are to be checked: all processors but one check one each.
pub(crate) struct Turns {
    free: Arc<Semaphore>,
    /// One permit for each who has a turn or waits.
    admitted: Semaphore,
    /// As much as was ever needed at once, but for what is in use.
    memory: Arc<Mutex<Vec<Memory>>>,
}

impl Turns {
    pub fn new() -> Self {
        let processors = available_parallelism().map_or(1, |processors| processors.get());
        let turns = processors.saturating_sub(1).max(1);
        Self {
            free: Arc::new(Semaphore::new(turns)),
            admitted: Semaphore::new(turns + WAITING),
            memory: Arc::default(),
        }
    }

    /// Does the work on a thread when it is its turn.
    ///
    /// Once begun it goes on, and keeps its turn, whether or not anybody waits for the answer.
    pub async fn take<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let Ok(_admitted) = self.admitted.try_acquire() else {
            return Err(ApiError::unavailable("too many passwords wait to be checked"));
        };
        let turn = timeout(PATIENCE, self.free.clone().acquire_owned())
            .await
            .map_err(|_| ApiError::unavailable("a password was not checked in time"))?
            .map_err(ApiError::internal)?;
        let memory = self.memory.clone();
        let done = spawn_blocking(move || {
            let spare = || memory.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let mut taken = spare().pop().unwrap_or_default();
            let done = work(&mut taken);
            spare().push(taken);
            drop(turn);
            done
        });
        done.await.map_err(ApiError::internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::shown(text).unwrap()
    }

    fn is_right(text: &str, hash: Option<&PasswordHash>) -> Result<bool, password_hash::Error> {
        super::is_right(&password(text), hash, &mut Memory::default())
    }

    #[test]
    fn a_password_is_right_for_its_own_hash_only() {
        let [one, again] = [(); 2].map(|()| hash(&password("s3cret ☎️ ")).unwrap());
        assert!(one.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", one.expose());
        assert_ne!(one, again);
        assert!(is_right("s3cret ☎️ ", Some(&one)).unwrap());
        assert!(is_right("s3cret ☎️ ", Some(&again)).unwrap());
        for wrong in ["s3cret ☎️", "S3cret ☎️ ", "x"] {
            assert!(!is_right(wrong, Some(&one)).unwrap(), "{wrong}");
        }
    }

    #[test]
    fn what_was_hashed_otherwise_is_known_too() {
        // By the reference implementation: echo -n password | argon2 somesalt -i -t 2 -m 16 -p 4 -l 24
        let hash = "$argon2i$v=19$m=65536,t=2,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b+dWRWJTmaaJObG";
        let hash = PasswordHash::new(hash.into());
        let mut memory = Memory::default();
        assert!(super::is_right(&password("password"), Some(&hash), &mut memory).unwrap());
        let own = super::hash(&password("password")).unwrap();
        assert!(super::is_right(&password("password"), Some(&own), &mut memory).unwrap());
        assert!(!super::is_right(&password("Password"), Some(&hash), &mut memory).unwrap());
    }

    #[test]
    fn nobody_has_a_password_that_costs_as_much_to_check() {
        assert!(!is_right("x", None).unwrap());
        let kept = hash(&password("x")).unwrap();
        let shape = |phc: &str| {
            let hash = phc::PasswordHash::new(phc).unwrap();
            let lengths = (hash.salt.unwrap().len(), hash.hash.unwrap().len());
            (hash.algorithm, hash.version, hash.params.to_string(), lengths)
        };
        assert_eq!(shape(OF_NOBODY), shape(kept.expose()));
    }

    #[test]
    fn what_is_no_hash_is_an_error() {
        for nonsense in [
            "",
            "x",
            "$argon2id$v=19$m=19456,t=2,p=1",
            "$scrypt$v=1$n=1$c29tZXNhbHQ$RdescudvJCsgt3ub",
        ] {
            assert!(
                is_right("x", Some(&PasswordHash::new(nonsense.into()))).is_err(),
                "{nonsense}"
            );
        }
    }
}
