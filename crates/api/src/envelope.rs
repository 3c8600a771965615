//! What every request and every answer has in common: request id, log line, headers, the body of
//! failures, and that a panic is one.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Method};
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, HttpResponse};
use futures_util::FutureExt;
use futures_util::future::{Ready, ready};
use uuid::Uuid;

use crate::Api;
use crate::cors::{self, CorsOrigins};
use crate::error::ApiError;
use crate::input::StrictHandling;
use crate::leaving::Leaving;
use crate::observer::{Answered, Observer};
use crate::problem::Code;
use crate::rate_limit;
use crate::slashes;

/// The longest URL, in bytes, path and query. The framework holds none that is longer than 65,534 and
/// answers those itself.
const MAX_URL: usize = 64_000;

/// The target of the line that each request has in the log.
pub const REQUEST_LOG: &str = "request";

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What the envelope needs, as the requests of one worker share it: what all threads counted the
/// users of would go from processor to processor with each of them.
#[derive(Clone)]
pub(crate) struct Surroundings(Rc<(Arc<dyn Observer>, CorsOrigins, Leaving)>);

impl Surroundings {
    pub fn of(api: &Api) -> Self {
        let origins = api.settings.cors_origins.clone();
        Self(Rc::new((api.observer.clone(), origins, api.leaving.clone())))
    }
}

/// The outermost middleware.
pub(crate) async fn envelope(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Instant::now();
    let request_id = request_id(request.headers());
    let as_problem_json = accepts_problem_json(request.headers());
    slashes::ignore_meaningless(&mut request);
    // Decoded, as routing takes it.
    let path = request.match_info().as_str();
    let is_api = path == "/api" || path.starts_with("/api/");
    let surroundings = request.app_data::<Surroundings>().cloned();
    let surroundings = surroundings.ok_or_else(|| ApiError::internal("no surroundings"))?;
    let (observer, origins, leaving) = &*surroundings.0;
    let origin = origins.allowed(request.headers());
    let is_preflight = origin.is_some() && cors::is_preflight(request.method(), request.headers());
    let method = request.method().clone();
    if method == Method::HEAD {
        // Answered like GET; the connection knows better and leaves the body out.
        request.head_mut().method = Method::GET;
    }

    request.extensions_mut().insert(RequestId(request_id.clone()));
    let answer = if request.uri().path_and_query().is_some_and(|url| url.as_str().len() > MAX_URL) {
        Ok(request.error_response(uri_too_long()))
    } else if is_preflight {
        Ok(request.into_response(cors::preflight()))
    } else {
        match AssertUnwindSafe(next.call(request)).catch_unwind().await {
            Ok(answer) => answer.map(ServiceResponse::map_into_boxed_body),
            Err(panic) => Err(ApiError::internal(panic_message(&*panic)).into()),
        }
    };

    let (answer, status, route) = match answer {
        Ok(mut response) => {
            if response.status().is_client_error() || response.status().is_server_error() {
                let failure = render(response.response(), &request_id, as_problem_json);
                response = response.into_response(failure);
            }
            add_headers(response.headers_mut(), &request_id, is_api);
            origins.add_headers(response.headers_mut(), origin);
            if is_api && !is_preflight {
                rate_limit::add_headers(&mut response);
            }
            if leaving.has_begun() {
                response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
            }
            if response.request().extensions().contains::<StrictHandling>() {
                add_strict_headers(response.headers_mut());
            }
            let (status, route) = (response.status(), response.request().match_pattern());
            (Ok(response), status, route)
        }
        Err(error) => {
            let mut failure =
                render(&HttpResponse::from_error(error), &request_id, as_problem_json);
            add_headers(failure.headers_mut(), &request_id, is_api);
            origins.add_headers(failure.headers_mut(), origin);
            let status = failure.status();
            let error = actix_web::error::InternalError::from_response("", failure);
            (Err(error.into()), status, None)
        }
    };
    let took = started.elapsed();
    observer.answered(Answered {
        method: method.as_str(),
        route: route.as_deref(),
        status: status.as_u16(),
        took,
    });
    log::info!(
        target: REQUEST_LOG,
        method = method.as_str(),
        route = route.as_deref().unwrap_or("-"),
        status = status.as_u16(),
        ms = took.as_micros() as f64 / 1000.0,
        request_id = request_id.to_str().unwrap_or_default();
        ""
    );
    answer
}

/// In the arguments of a handler: the id of the request.
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

impl FromRequest for RequestId {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = request.extensions().get::<Self>().map(|id| Self(id.0.clone()));
        ready(id.ok_or_else(|| ApiError::internal("a request without the envelope")))
    }
}

/// The caller's id where it is one (`[A-Za-z0-9._-]{1,64}`), else a new one that sorts by time.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let given = headers.get(REQUEST_ID).filter(|id| {
        (1..=64).contains(&id.len())
            && id.as_bytes().iter().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(b))
    });
    given.cloned().unwrap_or_else(|| {
        let mut buffer = Uuid::encode_buffer();
        let id = Uuid::now_v7().simple().encode_lower(&mut buffer);
        HeaderValue::from_str(id).unwrap_or(HeaderValue::from_static("-"))
    })
}

/// Whether the client asks for RFC 9457's own media type.
fn accepts_problem_json(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|range| {
        let range = range.split(';').next().unwrap_or_default();
        range.trim().eq_ignore_ascii_case("application/problem+json")
    })
}

fn add_headers(headers: &mut HeaderMap, request_id: &HeaderValue, is_api: bool) {
    headers.insert(REQUEST_ID, request_id.clone());
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if is_api && !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

/// Says that unknown parameters were not ignored (RFC 7240 §3).
fn add_strict_headers(headers: &mut HeaderMap) {
    const APPLIED: HeaderName = HeaderName::from_static("preference-applied");
    headers.insert(APPLIED, HeaderValue::from_static("handling=strict"));
    headers.append(header::VARY, HeaderValue::from_static("Prefer"));
}

/// The body of a failure, ours or the framework's. Its cause is logged here and nowhere else.
fn render(
    response: &HttpResponse<impl MessageBody>,
    request_id: &HeaderValue,
    as_problem_json: bool,
) -> HttpResponse {
    let of_framework;
    let error = match response.error().and_then(|error| error.as_error::<ApiError>()) {
        Some(error) => error,
        None => {
            of_framework = ApiError::of_status(response.status());
            &of_framework
        }
    };
    let request_id = request_id.to_str().unwrap_or_default();
    if let Some(cause) = &error.cause {
        let causes: Vec<String> =
            std::iter::successors(Some(&**cause as &dyn std::error::Error), |cause| cause.source())
                .map(|c| c.to_string())
                .collect();
        let level =
            if error.code == Code::Unavailable { log::Level::Warn } else { log::Level::Error };
        log::log!(level, request_id = request_id; "{}", causes.join(": "));
    }
    error.render(request_id, as_problem_json)
}

pub(crate) fn uri_too_long() -> ApiError {
    ApiError::new(Code::UriTooLong, "The URL is too long. Send the parameters in the body.")
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let message = panic.downcast_ref::<&str>().copied();
    let message = message.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panic: {}", message.unwrap_or("of unknown cause"))
}

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;

    use super::*;

    #[test]
    fn the_callers_request_id_is_kept_where_it_is_one() {
        let id = |given: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_str(given).unwrap());
            request_id(&headers).to_str().unwrap().to_owned()
        };
        assert_eq!(id("call-7.b_9"), "call-7.b_9");
        assert_eq!(id(&"x".repeat(64)), "x".repeat(64));
        for other in ["", "a b", "a/b", &"x".repeat(65)] {
            assert_eq!(id(other).len(), 32, "{other}");
        }
        assert_ne!(id(""), id(""));
    }

    #[test]
    fn a_status_that_only_the_framework_knows_still_has_a_code() {
        let code = |status| ApiError::of_status(StatusCode::from_u16(status).unwrap()).code;
        assert_eq!(code(404), Code::NotFound);
        assert_eq!(code(418), Code::MalformedRequest);
        assert_eq!(code(502), Code::ServerError);
    }
}
