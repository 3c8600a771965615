//! Who is calling: bearer tokens (RFC 6750), how they are made and how they are checked.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

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
use moka::future::Cache;
use sha2::{Digest, Sha256};

use crate::Shared;
use crate::error::ApiError;
use crate::problem::Code;

const PREFIX: &str = "cus_";

/// Characters behind the prefix: 256 bits in base64url without padding (RFC 4648 §5).
const LENGTH: usize = 43;

/// A token is looked up again after so long, so that a revocation made by another process is
/// noticed within 5 seconds.
const CHECKED_FOR: Duration = Duration::from_secs(3);

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

/// Checks tokens, and remembers for a moment which ones it has checked.
pub(crate) struct Authenticator {
    tokens: Arc<dyn TokenRepository>,
    checked: Cache<TokenDigest, Caller>,
}

impl Authenticator {
    pub fn new(tokens: Arc<dyn TokenRepository>) -> Self {
        let checked = Cache::builder().max_capacity(REMEMBERED).time_to_live(CHECKED_FOR).build();
        Self { tokens, checked }
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
        // A look-up that is under way may have found it before: it is waited for, and what it has
        // found is forgotten. One that begins later finds nothing.
        let _ = self.checked_token(caller.digest).await;
        self.checked.invalidate(&caller.digest).await;
        Ok(())
    }

    async fn checked_token(&self, digest: TokenDigest) -> Result<Caller, ApiError> {
        if let Some(caller) = self.checked.get(&digest).await {
            return Ok(caller);
        }
        // Of many requests that show a token at once, one looks it up.
        let found = self.checked.try_get_with(digest, self.look_up(digest)).await;
        found.map_err(|error| match &*error {
            LookUpError::Unknown => invalid_token(),
            LookUpError::Repository(RepositoryError::Unavailable(cause)) => {
                RepositoryError::Unavailable(cause.to_string().into()).into()
            }
            LookUpError::Repository(error) => ApiError::internal(describe(error)),
        })
    }

    async fn look_up(&self, digest: TokenDigest) -> Result<Caller, LookUpError> {
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
        Ok(Caller::of(&token, digest))
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
