//! Requests that are made once however often they are sent (draft-ietf-httpapi-idempotency-key-header).

use actix_web::HttpRequest;
use actix_web::http::header::HeaderName;
use customers_domain::{Idempotency, NewCustomer};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::error::ApiError;

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// The most characters of a key.
const MAX_CHARS: usize = 255;

/// The key of a request, and all that it is used for.
pub(crate) struct IdempotencyKey([u8; 32]);

impl IdempotencyKey {
    /// The key of a request of this caller for this path, if it has one.
    ///
    /// # Errors
    ///
    /// 400 where it is malformed: a request must not be made twice for that.
    pub fn of(
        request: &HttpRequest,
        principal: &str,
        path: &str,
    ) -> Result<Option<Self>, ApiError> {
        let mut values = request.headers().get_all(HEADER);
        let Some(value) = values.next() else { return Ok(None) };
        let key = value.to_str().ok().and_then(key).filter(|_| values.next().is_none());
        let key = key.ok_or_else(|| {
            ApiError::malformed(format!(
                "The header Idempotency-Key must be one key of 1 to {MAX_CHARS} characters, in \
                 quotes or without."
            ))
        })?;
        let mut digest = Sha256::new();
        for part in [principal, request.method().as_str(), path, &key] {
            // With the lengths, so that nothing can pass for something else.
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        Ok(Some(Self(digest.finalize().into())))
    }

    /// The key for a change of this fingerprint.
    pub fn with(self, fingerprint: [u8; 32]) -> Idempotency {
        Idempotency { key: self.0, fingerprint }
    }
}

/// What is asked for when this customer is to be created: all that differs from the defaults, however
/// it was sent. A release that knows further attributes has the same fingerprint for it.
pub(crate) fn fingerprint(new: &NewCustomer) -> [u8; 32] {
    let defaults = json!(NewCustomer::default());
    let mut given = json!(new);
    if let Some(members) = given.as_object_mut() {
        members.retain(|name, value| defaults[name] != *value);
        members.sort_keys();
    }
    Sha256::digest(given.to_string()).into()
}

/// The fingerprint of a request that takes no parameters.
pub(crate) fn empty_fingerprint() -> [u8; 32] {
    Sha256::digest("").into()
}

/// Reads a key: a string of RFC 8941 §3.3.3, or the same without quotes.
fn key(value: &str) -> Option<String> {
    let value = value.trim();
    let key = match value.strip_prefix('"') {
        Some(rest) => unescape(rest.strip_suffix('"')?)?,
        None => value.to_owned(),
    };
    let is_printable = key.bytes().all(|b| (b' '..=b'~').contains(&b));
    (is_printable && (1..=MAX_CHARS).contains(&key.len())).then_some(key)
}

/// What stands between quotes, where a backslash stands in front of quotes and backslashes.
fn unescape(quoted: &str) -> Option<String> {
    let mut chars = quoted.chars();
    let mut text = String::with_capacity(quoted.len());
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.push(chars.next().filter(|c| matches!(c, '"' | '\\'))?),
            '"' => return None,
            c => text.push(c),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use customers_domain::{CustomerAccount, CustomerDetails};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_is_the_same_with_and_without_quotes() {
        assert_eq!(
            key("8e03978e-40d5-43dd-bc93-6894a57f9324"),
            key("\"8e03978e-40d5-43dd-bc93-6894a57f9324\"")
        );
        assert_eq!(key(r#" "a\"b\\c d" "#).as_deref(), Some(r#"a"b\c d"#));
        assert_eq!(key("\" a\"").as_deref(), Some(" a"));
        assert_eq!(key(&"x".repeat(255)).map(|key| key.len()), Some(255));
        let long = "x".repeat(256);
        for other in ["", " ", "\"\"", "\"a", "\"a\"b\"", r#""a\b""#, r#""a\""#, "a\tb", &long] {
            assert_eq!(key(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn a_key_is_what_stands_between_quotes(text in "[ -~]{1,255}") {
            let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
            prop_assert_eq!(key(&format!("\"{quoted}\"")), Some(text));
        }

        #[test]
        fn what_is_read_is_a_key(value in "\\PC*|[ \"\\\\a]{0,9}") {
            if let Some(key) = key(&value) {
                prop_assert!((1..=MAX_CHARS).contains(&key.len()));
                prop_assert!(key.bytes().all(|b| (b' '..=b'~').contains(&b)));
            }
        }
    }

    #[test]
    fn a_key_is_of_one_caller_one_method_and_one_path() {
        let digest = |principal: &str, path: &str, text: &str, method: &str| {
            let request = TestRequest::default()
                .method(method.parse().unwrap())
                .insert_header((HEADER, text))
                .to_http_request();
            IdempotencyKey::of(&request, principal, path).unwrap().unwrap().0
        };
        let one = digest("token:1", "/a", "key", "POST");
        assert_eq!(one, digest("token:1", "/a", "\"key\"", "POST"));
        for other in [
            digest("token:2", "/a", "key", "POST"),
            digest("token:1", "/ak", "ey", "POST"),
            digest("token:1", "/a", "other", "POST"),
            digest("token:1", "/a", "key", "PUT"),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn a_key_that_is_sent_twice_is_malformed() {
        let request =
            TestRequest::default().append_header((HEADER, "a")).append_header((HEADER, "a"));
        assert!(IdempotencyKey::of(&request.to_http_request(), "p", "/").is_err());
        let none = TestRequest::default().to_http_request();
        assert!(IdempotencyKey::of(&none, "p", "/").unwrap().is_none());
    }

    #[test]
    fn what_is_asked_for_is_what_differs_from_the_defaults() {
        let details = |name: &str| CustomerDetails { name: name.into(), ..Default::default() };
        let new = |name| NewCustomer::from(details(name));
        let one = fingerprint(&new("A"));
        assert_eq!(one, <[u8; 32]>::from(Sha256::digest(r#"{"name":"A"}"#)));
        let account = CustomerAccount::new("a").ok();
        for other in [
            new("B"),
            CustomerDetails { vip: true, ..details("A") }.into(),
            NewCustomer { account, ..new("A") },
        ] {
            assert_ne!(one, fingerprint(&other));
        }
    }
}
