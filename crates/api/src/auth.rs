//! Who is calling: bearer tokens (RFC 6750), how they are made and how they are checked.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use customers_domain::token::{Scope, Token, TokenDigest, TokenRepository};
use customers_domain::{RepositoryError, Timestamp};
use futures_util::future::{Ready, ready};
use moka::Expiry;
use moka::future::Cache;
use sha2::{Digest, Sha256};

use crate::Shared;
use crate::error::ApiError;
use crate::problem::Code;

const PREFIX: &str = "cus_";

/// Characters behind the prefix: 256 bits in base64url without padding (RFC 4648 §5).
const LENGTH: usize = 43;

/// How long a token is accepted after the beginning of the look-up that found it, so that a revocation by
/// another process takes effect within 5 seconds.
const ACCEPTED_FOR: Duration = Duration::from_millis(4_500);

/// The age from which a token is looked up again in the background. What is left of [`ACCEPTED_FOR`] is
/// for a slow database: a request waits for a look-up only where the token was not shown for a while.
const LOOKED_UP_AFTER: Duration = Duration::from_secs(2);

/// How long this process remembers what it has revoked itself: longer than any look-up that began before.
const REVOKED_FOR: Duration = Duration::from_secs(60);

/// The most tokens that are remembered as checked.
const REMEMBERED: u64 = 10_000;

/// The time of last use is right to a minute: it is noted when the one on record is older.
const USE_NOTED_EVERY: Duration = Duration::from_secs(55);

/// A new token, the only moment at which it is known.
pub struct MintedToken {
    /// What callers show: `cus_` and 43 characters.
    pub text: String,
    /// What is kept of it.
    pub digest: TokenDigest,
}

impl MintedToken {
    /// A token of 256 random bits from the operating system.
    ///
    /// # Errors
    ///
    /// Where the operating system has none to give.
    pub fn mint() -> Result<Self, getrandom::Error> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        let text = format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(secret));
        Ok(Self { digest: digest(&text), text })
    }
}

fn digest(token: &str) -> TokenDigest {
    TokenDigest(Sha256::digest(token).into())
}

/// Who is calling. Cheap to clone: it is made once for as long as the token is remembered.
///
/// In the arguments of a handler under the token requirement: every token may read.
#[derive(Clone)]
pub(crate) struct Caller(Arc<Checked>);

/// A token that was looked up.
pub(crate) struct Checked {
    /// What the token permits.
    pub scope: Scope,
    /// Who counts as the same caller: `user:` and the id of the user whose login made the token, or
    /// else `token:` and half of the token's digest in hex.
    pub principal: Arc<str>,
    /// Who it was, for people: the name of the user or of the token.
    pub actor: String,
    /// Of the token that was shown.
    digest: TokenDigest,
    expires_at: Option<Timestamp>,
}

impl Caller {
    fn of(token: &Token, digest: TokenDigest) -> Self {
        let principal = match token.user {
            Some(id) => format!("user:{id}"),
            None => {
                let half = digest.0[..16].iter().map(|byte| format!("{byte:02x}"));
                format!("token:{}", half.collect::<String>())
            }
        };
        Self(Arc::new(Checked {
            scope: token.scope,
            principal: principal.into(),
            actor: token.name.as_str().to_owned(),
            digest,
            expires_at: token.expires_at,
        }))
    }
}

impl Deref for Caller {
    type Target = Checked;

    fn deref(&self) -> &Checked {
        &self.0
    }
}

/// A token that a look-up has found.
struct Found {
    caller: Caller,
    /// The moment before the look-up began: the token was not revoked then.
    confirmed_at: Instant,
    /// How many tokens this process had revoked before the look-up began.
    revocations: u64,
    /// Whether the token is looked up again in the background.
    is_looked_up: AtomicBool,
}

/// Forgets a token where no look-up has confirmed it for [`ACCEPTED_FOR`].
struct UntilUnconfirmed;

impl UntilUnconfirmed {
    fn left(found: &Found) -> Option<Duration> {
        Some(ACCEPTED_FOR.saturating_sub(found.confirmed_at.elapsed()))
    }
}

impl Expiry<TokenDigest, Arc<Found>> for UntilUnconfirmed {
    fn expire_after_create(
        &self,
        _: &TokenDigest,
        found: &Arc<Found>,
        _: Instant,
    ) -> Option<Duration> {
        Self::left(found)
    }

    fn expire_after_update(
        &self,
        _: &TokenDigest,
        found: &Arc<Found>,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Self::left(found)
    }
}

/// Checks tokens, and remembers for a moment which ones it has found. A clone shares what it remembers.
#[derive(Clone)]
pub(crate) struct Authenticator {
    tokens: Arc<dyn TokenRepository>,
    found: Cache<TokenDigest, Arc<Found>>,
    /// The tokens that this process has revoked, and how many it has ever revoked. A token that was found
    /// before the last revocation may be one of them.
    revoked: moka::sync::Cache<TokenDigest, ()>,
    revocations: Arc<AtomicU64>,
}

impl Authenticator {
    pub fn new(tokens: Arc<dyn TokenRepository>) -> Self {
        let found =
            Cache::builder().max_capacity(REMEMBERED).expire_after(UntilUnconfirmed).build();
        // Not limited in number: each was made by a login, which takes a password, or by hand.
        let revoked = moka::sync::Cache::builder().time_to_live(REVOKED_FOR).build();
        Self { tokens, found, revoked, revocations: Arc::default() }
    }

    async fn authenticate(&self, authorization: Option<&HeaderValue>) -> Result<Caller, ApiError> {
        let token = authorization.and_then(bearer).ok_or_else(unauthenticated)?;
        let secret = token.strip_prefix(PREFIX).filter(|secret| secret.len() == LENGTH);
        if secret.is_none() {
            return Err(invalid_token());
        }
        let caller = self.checked_token(digest(token)).await?;
        if caller.expires_at.is_some_and(|expires_at| expires_at <= Timestamp::now()) {
            return Err(invalid_token());
        }
        Ok(caller)
    }

    /// Revokes the token that the caller shows. This process refuses it from then on, others as soon
    /// as they look it up again.
    pub async fn revoke(&self, caller: &Caller) -> Result<(), ApiError> {
        self.tokens.revoke_by_digest(&caller.digest).await?;
        // In this order: a look-up that is under way may have found the token before, and counts as older.
        // One that begins later finds nothing.
        self.revoked.insert(caller.digest, ());
        self.revocations.fetch_add(1, Ordering::SeqCst);
        self.found.invalidate(&caller.digest).await;
        Ok(())
    }

    async fn checked_token(&self, digest: TokenDigest) -> Result<Caller, ApiError> {
        let found = match self.found.get(&digest).await {
            Some(found) => {
                self.look_up_again(digest, &found);
                found
            }
            // Of many requests that show a token at once, one looks it up.
            None => {
                let found = self.found.try_get_with(digest, self.look_up(digest)).await;
                found.map_err(|error| match &*error {
                    LookUpError::Unknown => invalid_token(),
                    LookUpError::Repository(RepositoryError::Unavailable(cause)) => {
                        ApiError::from(RepositoryError::Unavailable(cause.to_string().into()))
                    }
                    LookUpError::Repository(error) => ApiError::internal(describe(error)),
                })?
            }
        };
        let is_older = found.revocations != self.revocations.load(Ordering::SeqCst);
        if is_older && self.revoked.contains_key(&digest) {
            return Err(invalid_token());
        }
        Ok(found.caller.clone())
    }

    /// Looks a token of some age up in the background, once at a time.
    fn look_up_again(&self, digest: TokenDigest, found: &Arc<Found>) {
        if found.confirmed_at.elapsed() < LOOKED_UP_AFTER
            || found.is_looked_up.swap(true, Ordering::Relaxed)
        {
            return;
        }
        let (this, found) = (self.clone(), found.clone());
        actix_web::rt::spawn(async move {
            match this.look_up(digest).await {
                Ok(confirmed) => this.found.insert(digest, confirmed).await,
                Err(LookUpError::Unknown) => this.found.invalidate(&digest).await,
                // The token is accepted for as long as before, and the next request tries again.
                Err(LookUpError::Repository(error)) => {
                    log::warn!("a token cannot be looked up again: {}", describe(&error));
                    found.is_looked_up.store(false, Ordering::Relaxed);
                }
            }
        });
    }

    async fn look_up(&self, digest: TokenDigest) -> Result<Arc<Found>, LookUpError> {
        let confirmed_at = Instant::now();
        let revocations = self.revocations.load(Ordering::SeqCst);
        let token = self.tokens.find_by_digest(&digest).await.map_err(LookUpError::Repository)?;
        let token = token.ok_or(LookUpError::Unknown)?;
        let now = Timestamp::now();
        let is_noted =
            token.last_used_at.is_some_and(|at| at.saturating_add(USE_NOTED_EVERY) > now);
        if !is_noted && !token.is_expired(now) {
            let tokens = self.tokens.clone();
            // Nobody waits for it: a read must not become a write.
            actix_web::rt::spawn(async move {
                if let Err(error) = tokens.used(&digest, now).await {
                    log::warn!("the use of a token is not noted: {}", describe(&error));
                }
            });
        }
        let caller = Caller::of(&token, digest);
        Ok(Arc::new(Found {
            caller,
            confirmed_at,
            revocations,
            is_looked_up: AtomicBool::new(false),
        }))
    }
}

enum LookUpError {
    Unknown,
    Repository(RepositoryError),
}

fn describe(error: &RepositoryError) -> String {
    match error {
        RepositoryError::Unavailable(cause) | RepositoryError::Internal(cause) => cause.to_string(),
    }
}

/// What stands behind `Bearer`, the scheme in any case (RFC 9110 §11.1); `None` where nothing does.
fn bearer(authorization: &HeaderValue) -> Option<&str> {
    let (scheme, token) = authorization.to_str().ok()?.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

pub(crate) fn unauthenticated() -> ApiError {
    ApiError::new(Code::Unauthenticated, "Unauthenticated.")
}

pub(crate) fn invalid_token() -> ApiError {
    ApiError::new(Code::InvalidToken, "Unauthenticated.")
}

pub(crate) fn insufficient_scope() -> ApiError {
    ApiError::new(Code::InsufficientScope, "This token may only read. Use one of scope write.")
}

/// Lets nobody pass without a token, unknown routes included.
pub(crate) async fn require_token(
    authenticator: Shared<Authenticator>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let authorization = request.headers().get(header::AUTHORIZATION);
    match authenticator.authenticate(authorization).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            Ok(next.call(request).await?.map_into_boxed_body())
        }
        Err(error) => Ok(request.error_response(error)),
    }
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = request.extensions().get::<Self>().cloned();
        ready(caller.ok_or_else(unauthenticated))
    }
}

/// In the arguments of a handler: the caller, who may change things.
pub(crate) struct MayWrite(pub Caller);

impl FromRequest for MayWrite {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let caller = Caller::from_request(request, payload).into_inner();
        ready(caller.and_then(|caller| match caller.scope.includes(Scope::Write) {
            true => Ok(Self(caller)),
            false => Err(insufficient_scope()),
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use customers_domain::Name;
    use customers_domain::token::{AddTokenError, NewToken};
    use tokio::sync::Semaphore;

    use super::*;

    #[test]
    fn minted_tokens_have_the_documented_form_and_differ() {
        let [one, other] = [MintedToken::mint().unwrap(), MintedToken::mint().unwrap()];
        let secret = one.text.strip_prefix("cus_").unwrap();
        assert_eq!(secret.len(), LENGTH);
        assert!(secret.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
        assert_ne!(one.text, other.text);
        assert!(one.digest == digest(&one.text));
    }

    /// A repository of one token. A look-up that has read the token answers when it may.
    struct Slow {
        token: Mutex<Option<Token>>,
        reads: Semaphore,
        answers: Semaphore,
    }

    #[async_trait]
    impl TokenRepository for Slow {
        async fn add(&self, _: NewToken) -> Result<(), AddTokenError> {
            Ok(())
        }

        async fn list(&self) -> Result<Vec<Token>, RepositoryError> {
            Ok(Vec::new())
        }

        async fn revoke(&self, _: &Name) -> Result<bool, RepositoryError> {
            Ok(false)
        }

        async fn revoke_by_digest(&self, _: &TokenDigest) -> Result<(), RepositoryError> {
            *self.token.lock().unwrap() = None;
            Ok(())
        }

        async fn find_by_digest(&self, _: &TokenDigest) -> Result<Option<Token>, RepositoryError> {
            let token = self.token.lock().unwrap().clone();
            self.reads.add_permits(1);
            self.answers.acquire().await.unwrap().forget();
            Ok(token)
        }

        async fn used(&self, _: &TokenDigest, _: Timestamp) -> Result<(), RepositoryError> {
            Ok(())
        }

        async fn any(&self) -> Result<bool, RepositoryError> {
            Ok(true)
        }

        async fn sweep(&self, _: Timestamp) -> Result<u64, RepositoryError> {
            Ok(0)
        }
    }

    impl Slow {
        fn new() -> Arc<Self> {
            let token = Token {
                name: "crm".parse().unwrap(),
                user: None,
                scope: Scope::Write,
                created_at: Timestamp::UNIX_EPOCH,
                expires_at: None,
                last_used_at: None,
            };
            let [reads, answers] = [0, 0].map(Semaphore::new);
            Arc::new(Self { token: Mutex::new(Some(token)), reads, answers })
        }

        /// Waits until a look-up has read the token.
        async fn until_read(&self) {
            self.reads.acquire().await.unwrap().forget();
        }
    }

    const DIGEST: TokenDigest = TokenDigest([7; 32]);

    #[actix_web::test]
    async fn a_logout_wins_over_a_look_up_that_began_before() {
        let tokens = Slow::new();
        let authenticator = Authenticator::new(tokens.clone());
        tokens.answers.add_permits(1);
        let caller = authenticator.checked_token(DIGEST).await.ok().unwrap();
        tokens.until_read().await;
        authenticator.found.invalidate(&DIGEST).await;

        let late = authenticator.clone();
        let late = actix_web::rt::spawn(async move { late.checked_token(DIGEST).await.is_ok() });
        tokens.until_read().await;
        authenticator.revoke(&caller).await.ok().unwrap();
        tokens.answers.add_permits(1);
        assert!(!late.await.unwrap());
        // What the look-up has left behind is refused too.
        assert!(authenticator.checked_token(DIGEST).await.is_err());
    }

    #[actix_web::test]
    async fn a_token_is_accepted_while_it_is_looked_up_again() {
        let tokens = Slow::new();
        let authenticator = Authenticator::new(tokens.clone());
        tokens.answers.add_permits(1);
        assert!(authenticator.checked_token(DIGEST).await.is_ok());
        tokens.until_read().await;

        tokio::time::sleep(LOOKED_UP_AFTER).await;
        // Two requests, one look-up, and nobody waits for it.
        for _ in 0..2 {
            assert!(authenticator.checked_token(DIGEST).await.is_ok());
        }
        tokens.until_read().await;
        assert_eq!(tokens.reads.available_permits(), 0);
        // Revoked by another process: the next look-up finds out.
        *tokens.token.lock().unwrap() = None;
        tokens.answers.add_permits(10);
        let revoked_at = Instant::now();
        while authenticator.checked_token(DIGEST).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(revoked_at.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn the_scheme_may_be_written_in_any_case() {
        let token =
            |header: &'static str| bearer(&HeaderValue::from_static(header)).map(str::to_owned);
        assert_eq!(token("Bearer x").as_deref(), Some("x"));
        assert_eq!(token("bEaReR   x ").as_deref(), Some("x"));
        for other in ["Bearer", "Bearer ", "Basic x", "x", ""] {
            assert_eq!(token(other), None, "{other}");
        }
        assert_eq!(bearer(&HeaderValue::from_bytes(b"Bearer \xff").unwrap()), None);
    }
}
