//! A single customer on its way to a client: its body, its tag, and what is kept of an answer that
//! may be asked for again.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, EntityTag, HeaderMap, HeaderName, HeaderValue};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use customers_domain::Customer;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use twox_hash::XxHash3_128;

use crate::error::ApiError;
use crate::json;

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// How single customers are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Representation {
    /// Whether what older documentation shows stands beside the flat attributes.
    pub legacy: bool,
}

impl Representation {
    /// The tag of a customer: a hash of what GET answers, and so another one after any change.
    pub fn tag(self, customer: &Customer) -> EntityTag {
        self.tag_of(&json::customer(customer))
    }

    /// Nobody has to be kept from making two customers of one tag: who could do so may change both.
    /// So a hash that is quick and good against chance will do, of 128 bits.
    fn tag_of(self, flat: &[u8]) -> EntityTag {
        // What the setting adds is made of the rest.
        let hash = XxHash3_128::oneshot_with_seed(self.legacy.into(), flat);
        EntityTag::new_strong(BASE64_URL_SAFE_NO_PAD.encode(hash.to_be_bytes()))
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
        let body = json::customer(customer);
        let etag = Some(self.tag_of(&body));
        Answer { status: StatusCode::OK, location: None, etag, body }
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
    pub etag: Option<EntityTag>,
    body: Vec<u8>,
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

    /// The answer to whoever has the customer already.
    pub fn into_not_modified(self) -> HttpResponse {
        let mut response = HttpResponse::NotModified().finish();
        add_headers(response.headers_mut(), self.etag.map(|etag| etag.to_string()));
        response
    }

    /// What is kept of it for whoever asks again.
    pub fn to_bytes(&self) -> Vec<u8> {
        let body =
            std::str::from_utf8(&self.body).ok().and_then(|body| serde_json::from_str(body).ok());
        let kept = Kept {
            status: self.status.as_u16(),
            location: self.location.clone(),
            etag: self.etag.as_ref().map(EntityTag::to_string),
            body: body.expect("the JSON that was just written"),
        };
        serde_json::to_vec(&kept).expect("texts, numbers and JSON")
    }

    /// The answer that was kept.
    pub fn replay(bytes: &[u8]) -> Result<HttpResponse, ApiError> {
        let kept: Kept<'_> = serde_json::from_slice(bytes).map_err(ApiError::internal)?;
        let status = StatusCode::from_u16(kept.status).map_err(ApiError::internal)?;
        let body = kept.body.get().to_owned().into_bytes();
        let mut response = respond(status, kept.etag, kept.location, body);
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        Ok(response)
    }
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

/// An answer as it is kept. The body byte by byte, as its tag is of these.
#[derive(Serialize, Deserialize)]
struct Kept<'a> {
    status: u16,
    location: Option<String>,
    etag: Option<String>,
    #[serde(borrow)]
    body: &'a RawValue,
}
