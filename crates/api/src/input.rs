//! What a client sent, from query and body, and how leniently it is read.

mod body;
mod credentials;
mod lenient;

use std::borrow::Cow;

use actix_web::dev::Payload;
use actix_web::http::header::HeaderMap;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use customers_domain::{ATTRIBUTES, NewCustomer};
use futures_util::future::LocalBoxFuture;
use indexmap::IndexMap;
use percent_encoding::percent_decode;

use crate::error::{ApiError, field_errors, in_words};
use crate::problem::FieldErrors;

pub(crate) use credentials::Credentials;

/// A value as it was sent, before anybody knows what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Raw {
    Null,
    Boolean(bool),
    /// A JSON number exactly as it was written.
    Number(String),
    Text(String),
    /// An array or an object.
    Composite,
    /// A file of a multipart body.
    File,
}

/// The parameters of a request by name, each once: the last that was sent, of the body rather than
/// of the query.
pub(crate) type Parameters = IndexMap<String, Raw>;

/// The parameters of a write, query and body merged.
#[derive(Debug)]
pub(crate) struct Input {
    parameters: Parameters,
    is_strict: bool,
}

/// In the extensions of a request whose client asked for strict handling, and gets it.
pub(crate) struct StrictHandling;

/// What an answer holds that is not for clients to set. It is ignored, so that an answer can be
/// sent back.
const READ_ONLY: [&str; 4] = ["id", "created_at", "updated_at", "deleted_at"];

impl FromRequest for Input {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_strict = prefers_strict(request.headers());
        if is_strict {
            request.extensions_mut().insert(StrictHandling);
        }
        let request = request.clone();
        let payload = payload.take();
        Box::pin(async move {
            let body = body::read(&request, payload).await?;
            let mut parameters = parse_pairs(request.query_string().as_bytes())?;
            parameters.extend(body);
            Ok(Self { parameters, is_strict })
        })
    }
}

impl Input {
    /// The new customer that was sent.
    ///
    /// # Errors
    ///
    /// A validation failure that tells everything that is wrong.
    pub fn new_customer(&self) -> Result<NewCustomer, ApiError> {
        let mut values = Vec::new();
        let mut other_errors = FieldErrors::new();
        let mut unknown = Vec::new();
        for (name, raw) in &self.parameters {
            let attribute = ATTRIBUTES.iter().find(|attribute| attribute.name == name);
            match (attribute, raw) {
                (_, Raw::File) => {
                    let sentence = format!("The {} field must not be a file.", in_words(name));
                    other_errors.insert(name.clone(), vec![sentence]);
                }
                (Some(attribute), raw) => {
                    values.push((attribute, lenient::read(attribute.kind, raw)));
                }
                (None, _) if READ_ONLY.contains(&name.as_str()) => {}
                (None, _) => unknown.push(name),
            }
        }
        if self.is_strict {
            for name in unknown {
                let sentence = format!("The {} field is unknown.", in_words(name));
                other_errors.insert(name.clone(), vec![sentence]);
            }
        } else if !unknown.is_empty() {
            log::debug!("ignored unknown parameters: {unknown:?}");
        }

        let new = NewCustomer::from_values(values);
        let mut errors = new.as_ref().err().map(field_errors).unwrap_or_default();
        // A file where a required text belongs is one error and not two.
        errors.extend(other_errors);
        match new {
            Ok(new) if errors.is_empty() => Ok(new),
            _ => Err(ApiError::validation(errors)),
        }
    }
}

/// The parameters of a query string.
pub(crate) fn query(request: &HttpRequest) -> Result<Parameters, ApiError> {
    parse_pairs(request.query_string().as_bytes())
}

/// Reads `application/x-www-form-urlencoded` (WHATWG URL Standard, section 5.1), but refuses what is
/// not UTF-8 instead of replacing it.
fn parse_pairs(pairs: &[u8]) -> Result<Parameters, ApiError> {
    let mut parameters = Parameters::new();
    for pair in pairs.split(|&b| b == b'&').filter(|pair| !pair.is_empty()) {
        let mut halves = pair.splitn(2, |&b| b == b'=');
        let name = decode_pair(halves.next().unwrap_or_default())?;
        let value = decode_pair(halves.next().unwrap_or_default())?;
        insert(&mut parameters, name, Raw::Text(value));
    }
    Ok(parameters)
}

fn decode_pair(half: &[u8]) -> Result<String, ApiError> {
    let spaced: Cow<'_, [u8]> = if half.contains(&b'+') {
        half.iter().map(|&b| if b == b'+' { b' ' } else { b }).collect::<Vec<_>>().into()
    } else {
        half.into()
    };
    let decoded = percent_decode(&spaced).decode_utf8();
    decoded.map(Cow::into_owned).map_err(|_| not_utf8())
}

/// Adds a parameter of a query or a form, where `name[…]` is an array called `name`.
fn insert(parameters: &mut Parameters, name: String, value: Raw) {
    match name.split_once('[') {
        Some((array, index)) if !array.is_empty() && index.contains(']') => {
            parameters.insert(array.to_owned(), Raw::Composite)
        }
        _ => parameters.insert(name, value),
    };
}

fn not_utf8() -> ApiError {
    ApiError::malformed("The request is not valid UTF-8.")
}

/// Whether the client prefers that unknown parameters are refused (RFC 7240 §4.4).
fn prefers_strict(headers: &HeaderMap) -> bool {
    let preferences = headers.get_all("prefer").filter_map(|value| value.to_str().ok());
    // Of a preference that is named twice, the first counts (RFC 7240 §2).
    let handling = preferences.flat_map(|value| value.split(',')).find_map(|preference| {
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        name.trim().eq_ignore_ascii_case("handling").then(|| value.trim().trim_matches('"'))
    });
    handling.is_some_and(|handling| handling.eq_ignore_ascii_case("strict"))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn pairs(text: &[u8]) -> Vec<(String, Raw)> {
        parse_pairs(text).unwrap().into_iter().collect()
    }

    fn text(name: &str, value: &str) -> (String, Raw) {
        (name.into(), Raw::Text(value.into()))
    }

    #[test]
    fn pairs_are_decoded_like_a_browser_encodes_them() {
        assert_eq!(
            pairs(b"name=Soci%C3%A9t%C3%A9+%2B+Co&&b=%zz%4&c&=d&e==f%3D"),
            [
                text("name", "Société + Co"),
                text("b", "%zz%4"),
                text("c", ""),
                text("", "d"),
                text("e", "=f="),
            ]
        );
        assert_eq!(pairs("é=ü".as_bytes()), [text("é", "ü")]);
    }

    #[test]
    fn the_last_of_a_repeated_name_wins() {
        assert_eq!(pairs(b"a=1&a=2"), [text("a", "2")]);
        assert_eq!(pairs(b"a=1&a[]=2"), [("a".into(), Raw::Composite)]);
        assert_eq!(pairs(b"a[x]=1&a[y]=2&a%5B%5D=3"), [("a".into(), Raw::Composite)]);
        assert_eq!(pairs(b"a[=1&[b]=2"), [text("a[", "1"), text("[b]", "2")]);
    }

    #[test]
    fn what_is_not_utf8_is_refused_and_not_replaced() {
        for pair in [&b"a=%ff"[..], b"%C3=1", b"a=\xff"] {
            assert!(parse_pairs(pair).is_err());
        }
    }

    #[test]
    fn strict_handling_is_a_preference_among_others() {
        let strict = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(
                    HeaderName::from_static("prefer"),
                    HeaderValue::from_str(value).unwrap(),
                );
            }
            prefers_strict(&headers)
        };
        assert!(strict(&["handling=strict"]));
        assert!(strict(&["respond-async, Handling = \"Strict\"; x=y"]));
        assert!(strict(&["wait=10", "handling=strict"]));
        assert!(!strict(&["handling=lenient, handling=strict"]));
        assert!(!strict(&["strict"]) && !strict(&[]) && !strict(&["xhandling=strict"]));
    }
}
