//! How many requests a caller may make in a minute, where that is limited.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest};

use crate::Shared;
use crate::auth::Caller;
use crate::client_address::{TrustedProxies, network};
use crate::error::ApiError;
use crate::window::{Tally, Windows};

/// Counts requests.
pub(crate) struct RateLimiter {
    /// Requests in a minute; `None`: any number.
    limit: Option<NonZeroU32>,
    requests: Windows<Who>,
    proxies: Arc<TrustedProxies>,
}

/// Who a request is counted for.
#[derive(PartialEq, Eq, Hash)]
enum Who {
    Principal(Arc<str>),
    Address(IpAddr),
}

/// In the extensions of a request that was counted.
#[derive(Clone, Copy)]
struct Counted {
    limit: u32,
    tally: Tally,
}

impl RateLimiter {
    pub fn new(limit: Option<NonZeroU32>, proxies: Arc<TrustedProxies>) -> Self {
        Self { limit, requests: Windows::new(), proxies }
    }

    /// Counts the request, once, for its caller, or for its address where the caller is not known;
    /// `None` where requests are not limited.
    fn count(&self, request: &HttpRequest) -> Option<Counted> {
        let limit = self.limit?.get();
        let mut extensions = request.extensions_mut();
        if let Some(counted) = extensions.get() {
            return Some(*counted);
        }
        let who = match extensions.get::<Caller>() {
            Some(caller) => Who::Principal(caller.principal.clone()),
            None => Who::Address(network(self.proxies.client_of(request))),
        };
        let counted = Counted { limit, tally: self.requests.add(who) };
        extensions.insert(counted);
        Some(counted)
    }
}

/// Lets nobody pass who has made too many requests.
pub(crate) async fn rate_limit(
    limiter: Shared<RateLimiter>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match limiter.count(request.request()) {
        Some(Counted { limit, tally }) if tally.count > limit => {
            Ok(request.error_response(ApiError::too_many_requests(tally.seconds_left)))
        }
        _ => Ok(next.call(request).await?.map_into_boxed_body()),
    }
}

/// Tells how much is left. What was refused before it was counted is counted here.
pub(crate) fn add_headers(response: &mut ServiceResponse) {
    const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
    const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
    const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

    let limiter = response.request().app_data::<Shared<RateLimiter>>();
    let Some(Counted { limit, tally }) = limiter.and_then(|it| it.count(response.request())) else {
        return;
    };
    let is_refused = tally.count > limit && response.status() == StatusCode::TOO_MANY_REQUESTS;
    let headers = response.headers_mut();
    headers.insert(LIMIT, HeaderValue::from(limit));
    headers.insert(REMAINING, HeaderValue::from(limit.saturating_sub(tally.count)));
    if is_refused {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        headers.insert(RESET, HeaderValue::from(now + tally.seconds_left));
    }
}
