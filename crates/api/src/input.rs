//! What a client sent, from query and body, and how leniently it is read.

mod body;
mod credentials;
#[cfg(test)]
mod properties;

use std::borrow::Cow;

use actix_web::dev::Payload;
use actix_web::http::header::HeaderMap;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use customers_domain::lenient::{self, Sent};
use customers_domain::{
    Attribute, CustomerAccount, CustomerChanges, CustomerId, Kind, NewCustomer, Rule, Value,
    Violations,
};
use futures_util::future::LocalBoxFuture;
use indexmap::IndexMap;
use percent_encoding::percent_decode;

use crate::error::{ApiError, MAX_NAMES, clipped, field_errors, sentence};
use crate::problem::FieldErrors;

pub(crate) use body::{LargeBodies, too_large};
pub(crate) use credentials::{Credentials, MAX_LOGIN_BODY};

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

impl Raw {
    /// The same for whoever reads it.
    pub fn as_sent(&self) -> Sent<'_> {
        match self {
            Self::Null => Sent::Null,
            Self::Boolean(boolean) => Sent::Boolean(*boolean),
            Self::Number(number) => Sent::Number(number),
            Self::Text(text) => Sent::Text(text),
            Self::Composite | Self::File => Sent::Other,
        }
    }
}

/// The parameters of a request by name, each once: the last that was sent, of the body rather than
/// of the query.
pub(crate) type Parameters = IndexMap<String, Raw>;

/// The parameters of a write, query and body merged.
#[derive(Debug)]
pub(crate) struct Input {
    parameters: Parameters,
    is_strict: bool,
    /// Of a large body.
    _turn: Option<body::Turn>,
}

/// In the extensions of a request whose client asked for strict handling, and gets it.
pub(crate) struct StrictHandling;

/// The most parameters of a request, those of query and body together.
const MAX_PARAMETERS: usize = 1_000;

/// The largest body, in bytes: 1 MiB.
pub(crate) const MAX_BODY: usize = 1 << 20;

/// What an answer holds that is not for clients to set. It is ignored, so that an answer can be
/// sent back.
const READ_ONLY: [&str; 4] = ["id", "created_at", "updated_at", "deleted_at"];

impl FromRequest for Input {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        Box::pin(Self::of(request.clone(), payload.take(), MAX_BODY))
    }
}

impl Input {
    /// Reads the parameters of a request whose body has at most so many bytes.
    async fn of(request: HttpRequest, payload: Payload, max_body: usize) -> Result<Self, ApiError> {
        let is_strict = prefers_strict(request.headers());
        if is_strict {
            request.extensions_mut().insert(StrictHandling);
        }
        let (body, turn) = body::read(&request, payload, max_body).await?;
        let mut parameters = parse_pairs(request.query_string().as_bytes(), MAX_PARAMETERS)?;
        parameters.extend(body);
        if parameters.len() > MAX_PARAMETERS {
            return Err(too_many_parameters());
        }
        Ok(Self { parameters, is_strict, _turn: turn })
    }

    /// The new customer that was sent.
    ///
    /// # Errors
    ///
    /// A validation failure that tells everything that is wrong.
    pub fn new_customer(&self) -> Result<NewCustomer, ApiError> {
        self.read().into(NewCustomer::from_values)
    }

    /// The changes that were sent for the customer of this id, which they may repeat.
    ///
    /// # Errors
    ///
    /// A validation failure that tells everything that is wrong.
    pub fn changes_of(&self, id: Option<CustomerId>) -> Result<CustomerChanges, ApiError> {
        let mut given = self.read();
        if let (Some(id), Some(raw)) = (id, self.parameters.get("id"))
            && !matches!(lenient::id(raw.as_sent()), Ok(sent) if sent.is_none_or(|it| it == id))
        {
            given.refuse("id", "must be the id in the path");
        }
        given.into(CustomerChanges::from_values)
    }

    /// The changes that were sent for the customer of this account, which they may repeat, in
    /// whatever spelling.
    ///
    /// # Errors
    ///
    /// A validation failure that tells everything that is wrong.
    pub fn changes_of_account(
        &self,
        account: Option<&CustomerAccount>,
    ) -> Result<CustomerChanges, ApiError> {
        let mut given = self.read();
        let is_account = |(attribute, _): &mut (&Attribute, _)| attribute.kind == Kind::Account;
        for (_, repeated) in given.values.extract_if(.., is_account).collect::<Vec<_>>() {
            match repeated.and_then(|value| match value {
                Value::Text(text) => CustomerAccount::new(&text),
                _ => Err(Rule::Required),
            }) {
                Err(rule) => given.refuse("customerAccount", &rule.to_string()),
                Ok(repeated) if account.is_some_and(|it| it.key() != repeated.key()) => {
                    given.refuse("customerAccount", "must be the account in the path");
                }
                Ok(_) => {}
            }
        }
        given.into(CustomerChanges::from_values)
    }

    fn read(&self) -> Given<'_> {
        let mut given = Given::default();
        let mut unknown = Vec::new();
        for (name, raw) in &self.parameters {
            match (Attribute::named(name), raw) {
                (Some(_), Raw::File) => given.refuse(name, "must not be a file"),
                (None, Raw::File) => given.foreign.refuse(name, "must not be a file"),
                (Some(attribute), raw) => {
                    given.values.push((attribute, lenient::read(attribute.kind, raw.as_sent())));
                }
                (None, _) if READ_ONLY.contains(&name.as_str()) => {}
                (None, _) => unknown.push(name),
            }
        }
        if self.is_strict {
            for name in unknown {
                given.foreign.refuse(name, "is unknown");
            }
        } else if !unknown.is_empty() {
            let shown: Vec<_> = unknown.iter().take(MAX_NAMES).map(|name| clipped(name)).collect();
            log::debug!(count = unknown.len(); "ignored unknown parameters: {shown:?}");
        }
        given
    }
}

/// What was sent: values, or the rules that they break by not being readable, and what else is wrong.
#[derive(Default)]
struct Given<'a> {
    values: Vec<(&'static Attribute, Result<Value<'a>, Rule>)>,
    errors: FieldErrors,
    foreign: ForeignErrors,
}

impl<'a> Given<'a> {
    /// Says of a field what is wrong with it.
    fn refuse(&mut self, name: &str, what: &str) {
        self.errors.insert(name.to_owned(), vec![sentence(name, what)]);
    }

    /// What is made of the values, unless anything is wrong.
    fn into<T>(
        self,
        of_values: impl FnOnce(
            Vec<(&'static Attribute, Result<Value<'a>, Rule>)>,
        ) -> Result<T, Violations>,
    ) -> Result<T, ApiError> {
        let made = of_values(self.values);
        let mut errors = made.as_ref().err().map(field_errors).unwrap_or_default();
        // A file where a required text belongs is one error and not two.
        errors.extend(self.errors);
        errors.extend(self.foreign.listed);
        match made {
            Ok(made) if errors.is_empty() => Ok(made),
            _ => Err(ApiError::validation_beside(errors, self.foreign.unlisted)),
        }
    }
}

/// What is wrong with parameters whose names the client has made up. They are repeated as far as helps
/// to find the mistake: an answer must not be larger than the request.
#[derive(Default)]
struct ForeignErrors {
    /// The first ones, under the beginnings of their names.
    listed: FieldErrors,
    /// How many more there are.
    unlisted: usize,
}

impl ForeignErrors {
    fn refuse(&mut self, name: &str, what: &str) {
        if self.listed.len() == MAX_NAMES {
            self.unlisted += 1;
            return;
        }
        let name = clipped(name);
        let sentence = sentence(&name, what);
        self.listed.insert(name.into_owned(), vec![sentence]);
    }
}

/// In the arguments of a handler that takes no parameters: a body that is sent all the same is let
/// in, within the limits, and not looked at.
pub(crate) struct IgnoredBody;

impl FromRequest for IgnoredBody {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let payload = payload.take();
        Box::pin(async move { body::collect(&request, payload, MAX_BODY).await.map(|_| Self) })
    }
}

/// The parameters of a query string.
pub(crate) fn query(request: &HttpRequest) -> Result<Parameters, ApiError> {
    // Bounded by the length of a URL.
    parse_pairs(request.query_string().as_bytes(), usize::MAX)
}

fn parse_pairs(pairs: &[u8], most: usize) -> Result<Parameters, ApiError> {
    let mut parameters = Parameters::new();
    for (before, pair) in split_pairs(pairs).enumerate() {
        if before == most {
            return Err(too_many_parameters());
        }
        let (name, value) = decode_pair(pair)?;
        insert(&mut parameters, name, Raw::Text(value));
    }
    Ok(parameters)
}

/// The pairs of `application/x-www-form-urlencoded` (WHATWG URL Standard, section 5.1), encoded.
pub(crate) fn split_pairs(pairs: &[u8]) -> impl Iterator<Item = &[u8]> {
    pairs.split(|&b| b == b'&').filter(|pair| !pair.is_empty())
}

/// The name and the value of a pair. What is not UTF-8 is refused instead of replaced.
pub(crate) fn decode_pair(pair: &[u8]) -> Result<(String, String), ApiError> {
    let mut halves = pair.splitn(2, |&b| b == b'=');
    let mut half = || decode_half(halves.next().unwrap_or_default());
    Ok((half()?, half()?))
}

fn decode_half(half: &[u8]) -> Result<String, ApiError> {
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

/// That a request has more parameters than are looked at.
pub(crate) fn too_many_parameters() -> ApiError {
    let sentence = "A request must not have more than 1,000 parameters.".to_owned();
    ApiError::validation([("parameters".to_owned(), vec![sentence])].into())
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
        parse_pairs(text, usize::MAX).unwrap().into_iter().collect()
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
            assert!(parse_pairs(pair, usize::MAX).is_err());
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
