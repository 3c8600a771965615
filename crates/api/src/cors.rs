//! Which web pages of other origins may call: CORS, as the Fetch standard has it.

use std::str::FromStr;

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::uri::Uri;

use crate::origin::is_host;

/// What a page may read of an answer beyond what every page may.
const EXPOSED: &str = "ETag, Location, Link, Retry-After, X-Request-Id, X-RateLimit-Limit, \
                       X-RateLimit-Remaining, X-RateLimit-Reset, Idempotent-Replayed, \
                       Preference-Applied, X-Complete-Until";

const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";

/// What a page may send beyond what every page may.
const HEADERS: &str = "Authorization, Content-Type, If-Match, If-None-Match, Idempotency-Key, \
                       Prefer, X-Request-Id";

/// A browser need not ask again for so many seconds: two hours, the most that any remembers.
const MAX_AGE: &str = "7200";

/// The origins whose pages may call, such as `https://crm.example`, exactly as browsers send them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CorsOrigins(Vec<HeaderValue>);

/// The text is no list of origins.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not what a browser sends as an origin: http:// or https://, a host in small letters, \
     and a port unless it is the usual one, such as https://crm.example; split several by commas"
)]
pub struct InvalidCorsOrigin(String);

impl FromStr for CorsOrigins {
    type Err = InvalidCorsOrigin;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(origin).collect::<Result<_, _>>().map(Self)
    }
}

fn origin(text: &str) -> Result<HeaderValue, InvalidCorsOrigin> {
    let invalid = || InvalidCorsOrigin(text.to_owned());
    let uri: Uri = text.parse().map_err(|_| invalid())?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(invalid());
    };
    let usual_port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return Err(invalid()),
    };
    let is_exact = text == format!("{scheme}://{authority}")
        && text == text.to_ascii_lowercase()
        && is_host(authority)
        && !text.contains('*')
        && authority.port_u16() != Some(usual_port);
    if is_exact { HeaderValue::from_str(text).map_err(|_| invalid()) } else { Err(invalid()) }
}

impl CorsOrigins {
    /// The origin of the page that sends the request, if pages of that origin may.
    pub(crate) fn allowed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        self.0.contains(origin).then(|| origin.clone())
    }

    /// Tells the browser that the page may read the answer, where it may.
    pub(crate) fn add_headers(&self, headers: &mut HeaderMap, allowed: Option<HeaderValue>) {
        if self.0.is_empty() {
            return;
        }
        // To those without an origin too: what is kept of an answer must not be taken for theirs.
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = allowed {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            let exposed = HeaderValue::from_static(EXPOSED);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
    }
}

/// Whether a browser asks for whether a page may send a request, instead of sending it.
pub(crate) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to that, for a page that may. It says the same to all requests: whether there is such
/// a route and whether the token is good, the request itself will find out.
pub(crate) fn preflight() -> HttpResponse {
    const ASKED: [HeaderName; 2] =
        [header::ACCESS_CONTROL_REQUEST_METHOD, header::ACCESS_CONTROL_REQUEST_HEADERS];
    let mut answer = HttpResponse::NoContent();
    answer
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, METHODS))
        .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, MAX_AGE));
    for name in ASKED {
        answer.append_header((header::VARY, name.as_str()));
    }
    answer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_a_browser_sends() {
        for text in ["", "https://crm.example", "http://localhost:3000, https://[::1]:8443"] {
            assert!(text.parse::<CorsOrigins>().is_ok(), "{text}");
        }
        for text in [
            "*",
            "null",
            "crm.example",
            "https://crm.example/",
            "https://crm.example/app",
            "https://CRM.example",
            "HTTPS://crm.example",
            "https://crm.example:443",
            "http://crm.example:80",
            "https://*.example",
            "https://me@crm.example",
            "ftp://crm.example",
            "https://a.example https://b.example",
        ] {
            assert!(text.parse::<CorsOrigins>().is_err(), "{text}");
        }
    }
}
