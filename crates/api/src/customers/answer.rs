//! A single customer on its way to a client: its body and its tag.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, EntityTag, HeaderMap, HeaderName, HeaderValue};
use customers_domain::Customer;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::ApiError;
use crate::{etag, json};

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// How single customers are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Representation {
    /// Whether what older documentation shows stands beside the flat attributes.
    pub legacy: bool,
}

impl Representation {
    /// Returns the tag of a customer, which is that of the answer to GET.
    pub fn tag(self, customer: &Customer) -> EntityTag {
        etag::of(customer, self.legacy)
    }

    /// Returns the part of the tag that is the same for all customers.
    pub fn shape(self) -> &'static str {
        etag::shape(self.legacy)
    }

    /// The answer to whoever asks for the customer.
    pub fn found(self, customer: &Customer) -> Answer {
        let mut answer = self.changed(customer);
        if self.legacy {
            add_member(&mut answer.body, "customer", &with_numbers(customer));
        }
        answer
    }

    /// The answer to whoever has created it.
    pub fn created(self, customer: &Customer) -> Answer {
        let mut answer = self.changed(customer).at(customer);
        if self.legacy {
            add_member(&mut answer.body, "response", &serde_json::json!(customer.id));
        }
        answer
    }

    /// The answer to whoever has changed it.
    pub fn changed(self, customer: &Customer) -> Answer {
        let etag = Some(self.tag(customer));
        Answer { status: StatusCode::OK, location: None, etag, body: json::customer(customer) }
    }

    /// The answer to a PUT, which has no tag (RFC 9110 §9.3.4): what is kept is not what was sent.
    pub fn put(self, customer: &Customer, is_new: bool) -> Answer {
        let answer = Answer {
            status: StatusCode::OK,
            location: None,
            etag: None,
            body: json::customer(customer),
        };
        if is_new { answer.at(customer) } else { answer }
    }
}

fn add_member(object: &mut Vec<u8>, name: &str, value: &serde_json::Value) {
    object.pop();
    object.extend_from_slice(format!(",\"{name}\":{value}}}").as_bytes());
}

/// The customer with 0 and 1 for false and true.
fn with_numbers(customer: &Customer) -> serde_json::Value {
    let mut customer = serde_json::json!(customer);
    for value in customer.as_object_mut().into_iter().flat_map(|members| members.values_mut()) {
        if let Some(boolean) = value.as_bool() {
            *value = u8::from(boolean).into();
        }
    }
    customer
}

/// An answer with a customer.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    location: Option<String>,
    etag: Option<EntityTag>,
    pub body: Vec<u8>,
}

impl Answer {
    /// That of a customer that is new.
    fn at(self, customer: &Customer) -> Self {
        let location = format!("/api/v1/customers/{}", customer.id);
        Self { status: StatusCode::CREATED, location: Some(location), ..self }
    }

    /// Private to the caller, and to be asked for again each time.
    pub fn into_response(self) -> HttpResponse {
        let etag = self.etag.map(|etag| etag.to_string());
        respond(self.status, etag, self.location, self.body)
    }

    /// The answer to a request that was made before under its idempotency key.
    pub fn into_replay(self) -> HttpResponse {
        replay(self.into_response())
    }

    /// The answer that a version before 0.2 has kept.
    ///
    /// # Errors
    ///
    /// 500 where the bytes are no such answer.
    pub fn replay_kept(bytes: &[u8]) -> Result<HttpResponse, ApiError> {
        let kept: Kept<'_> = serde_json::from_slice(bytes).map_err(ApiError::internal)?;
        let status = StatusCode::from_u16(kept.status).map_err(ApiError::internal)?;
        let body = kept.body.get().to_owned().into_bytes();
        Ok(replay(respond(status, kept.etag, kept.location, body)))
    }
}

fn replay(mut response: HttpResponse) -> HttpResponse {
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

/// The answer to a client that has the customer of this tag already.
pub(crate) fn not_modified(etag: &EntityTag) -> HttpResponse {
    let mut response = HttpResponse::NotModified().finish();
    add_headers(response.headers_mut(), Some(etag.to_string()));
    response
}

fn respond(
    status: StatusCode,
    etag: Option<String>,
    location: Option<String>,
    body: Vec<u8>,
) -> HttpResponse {
    let mut response = HttpResponse::with_body(status, body).map_into_boxed_body();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    add_headers(headers, etag);
    if let Some(location) = location.and_then(|it| HeaderValue::try_from(it).ok()) {
        headers.insert(header::LOCATION, location);
    }
    response
}

fn add_headers(headers: &mut HeaderMap, etag: Option<String>) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(header::VARY, HeaderValue::from_static("Authorization, Accept"));
    if let Some(etag) = etag.and_then(|it| HeaderValue::try_from(it).ok()) {
        headers.insert(header::ETAG, etag);
    }
}

/// An answer as versions before 0.2 kept it. The body byte by byte, because its tag is a hash of them.
#[derive(Deserialize)]
struct Kept<'a> {
    status: u16,
    location: Option<String>,
    etag: Option<String>,
    #[serde(borrow)]
    body: &'a RawValue,
}
