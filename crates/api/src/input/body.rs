//! The parameters of a body, whichever of the accepted media types it has.

use std::io::ErrorKind;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::value::RawValue;

use super::{Parameters, Raw, insert, not_utf8, parse_pairs};
use crate::error::ApiError;
use crate::problem::Code;

/// The largest body, in bytes: 1 MiB.
const MAX_BODY: usize = 1 << 20;

/// How deep arrays and objects may lie within each other.
const MAX_DEPTH: usize = 100;

/// The parameters of the request's body; none where it is empty, under whatever media type.
pub(crate) async fn read(request: &HttpRequest, payload: Payload) -> Result<Parameters, ApiError> {
    let body = collect(request, payload).await?;
    if body.is_empty() {
        return Ok(Parameters::new());
    }
    if is_encoded(request.headers()) {
        return Err(unsupported("Send the body without Content-Encoding."));
    }
    let (media_type, essence) = media_type(request.headers());
    if essence == "application/json" || essence.ends_with("+json") {
        parse_json(&body)
    } else if essence == "application/x-www-form-urlencoded" {
        if body.trim_ascii_start().starts_with(b"{") {
            return Err(unsupported("Send Content-Type: application/json."));
        }
        parse_pairs(&body)
    } else if essence == "multipart/form-data" {
        parse_multipart(&media_type, body).await
    } else {
        Err(unsupported(ACCEPTED))
    }
}

/// The media type without the white space that may stand around its parameters (RFC 9110 §5.6.6),
/// and its essence, in lower case. Both empty where there is none.
fn media_type(headers: &HeaderMap) -> (String, String) {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let parts: Vec<&str> = value.unwrap_or_default().split(';').map(str::trim).collect();
    (parts.join("; "), parts[0].to_ascii_lowercase())
}

const ACCEPTED: &str = "Send the body as application/json, application/x-www-form-urlencoded or \
                        multipart/form-data, and say so in Content-Type.";

fn unsupported(message: &str) -> ApiError {
    ApiError::new(Code::UnsupportedMediaType, message)
}

/// Reads the whole body.
///
/// The server bounds how long the body takes, and how much its chunks add to it: it ends the payload
/// with `TimedOut` or `Overflow`.
pub(crate) async fn collect(
    request: &HttpRequest,
    mut payload: Payload,
) -> Result<Vec<u8>, ApiError> {
    let too_large =
        || ApiError::new(Code::PayloadTooLarge, "The body must not be larger than 1 MiB.");
    let has = |name| request.headers().contains_key(name);
    // Without either there is no body (RFC 9112 §6.3), whatever an `Upgrade` promises.
    if !has(header::CONTENT_LENGTH) && !has(header::TRANSFER_ENCODING) {
        return Ok(Vec::new());
    }
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > MAX_BODY as u64) {
        return Err(too_large());
    }
    let mut body = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| match error {
            PayloadError::Overflow => too_large(),
            PayloadError::Io(error) if error.kind() == ErrorKind::TimedOut => ApiError::malformed(
                "The body took longer than 30 seconds, and 1 second for each 16 KiB, to arrive.",
            ),
            _ => ApiError::malformed("The body ended too early."),
        })?;
        if body.len() + chunk.len() > MAX_BODY {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn is_encoded(headers: &HeaderMap) -> bool {
    let coding = headers.get(header::CONTENT_ENCODING);
    coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// Reads a JSON object (RFC 8259); `null` and `[]` are as good as an empty one.
pub(super) fn parse_json(body: &[u8]) -> Result<Parameters, ApiError> {
    let text = std::str::from_utf8(body).map_err(|_| not_utf8())?;
    // RFC 8259 §8.1 allows to ignore a byte order mark.
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    if is_deeper_than(text, MAX_DEPTH) {
        return Err(ApiError::malformed("The JSON is nested deeper than 100 levels."));
    }
    let malformed = |error: serde_json::Error| {
        ApiError::malformed(format!(
            "The body is not valid JSON, at line {} column {}.",
            error.line(),
            error.column()
        ))
    };
    let whole: &RawValue = serde_json::from_str(text).map_err(malformed)?;
    let is_empty_array = || {
        let inner = whole.get().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        inner.is_some_and(|inner| inner.trim().is_empty())
    };
    if whole.get() == "null" || is_empty_array() {
        return Ok(Parameters::new());
    }
    if !whole.get().starts_with('{') {
        return Err(ApiError::malformed("The body must be a JSON object."));
    }
    let members: indexmap::IndexMap<String, &RawValue> =
        serde_json::from_str(whole.get()).map_err(malformed)?;
    let member = |(name, value): (String, &RawValue)| {
        let raw = match value.get().as_bytes()[0] {
            b'n' => Raw::Null,
            b't' => Raw::Boolean(true),
            b'f' => Raw::Boolean(false),
            b'"' => Raw::Text(serde_json::from_str(value.get()).map_err(malformed)?),
            b'{' | b'[' => Raw::Composite,
            _ => Raw::Number(value.get().to_owned()),
        };
        Ok((name, raw))
    };
    members.into_iter().map(member).collect()
}

/// Counts brackets outside of strings, so that a parser is only given what it can take.
fn is_deeper_than(json: &str, limit: usize) -> bool {
    let mut depth = 0usize;
    let mut bytes = json.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'\\' => drop(bytes.next()),
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    false
}

/// Reads `multipart/form-data` (RFC 7578). The body is bounded already, and so are its parts.
pub(super) async fn parse_multipart(
    media_type: &str,
    body: Vec<u8>,
) -> Result<Parameters, ApiError> {
    let malformed = |_| ApiError::malformed("The body is not valid multipart/form-data.");
    let boundary = multer::parse_boundary(media_type).map_err(malformed)?;
    let whole = stream::iter([Ok::<_, std::convert::Infallible>(Bytes::from(body))]);
    let mut parts = multer::Multipart::new(whole, boundary);
    let mut parameters = Parameters::new();
    while let Some(part) = parts.next_field().await.map_err(malformed)? {
        let name = part.name().unwrap_or_default().to_owned();
        let is_file = part.file_name().is_some();
        let value = part.bytes().await.map_err(malformed)?;
        let value = if is_file {
            Raw::File
        } else {
            Raw::Text(String::from_utf8(value.into()).map_err(|_| not_utf8())?)
        };
        insert(&mut parameters, name, value);
    }
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Result<Vec<(String, Raw)>, u16> {
        let parameters = parse_json(text.as_bytes()).map_err(|error| error.code.status())?;
        Ok(parameters.into_iter().collect())
    }

    #[test]
    fn json_members_are_kept_as_they_were_written() {
        let members =
            json(r#" {"a": 1.50, "b": "x\u00e9", "c": null, "d": [1], "e": true, "a": 2} "#);
        let expected = [
            ("a", Raw::Number("2".into())),
            ("b", Raw::Text("xé".into())),
            ("c", Raw::Null),
            ("d", Raw::Composite),
            ("e", Raw::Boolean(true)),
        ];
        assert_eq!(members.unwrap(), expected.map(|(name, raw)| (name.to_owned(), raw)));
    }

    #[test]
    fn null_and_an_empty_array_are_empty() {
        for text in ["null", "[]", " [ ] ", "{}", "\u{FEFF}{}"] {
            assert_eq!(json(text), Ok(vec![]), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_object_is_malformed() {
        for text in [
            "[1]",
            "1",
            "\"a\"",
            "true",
            "{",
            "{\"a\":}",
            "{} {}",
            "{\"a\":\"\\ud800\"}",
            "nul",
            "{\"a\":01}",
        ] {
            assert_eq!(json(text), Err(400), "{text}");
        }
    }

    #[test]
    fn nesting_is_counted_outside_of_strings() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(json(&nested(99)).is_ok());
        assert_eq!(json(&nested(100)), Err(400));
        assert_eq!(json(&nested(500_000)), Err(400));
        assert!(json(&format!(r#"{{"a":"{}\"["}}"#, "[{".repeat(200))).is_ok());
    }
}
