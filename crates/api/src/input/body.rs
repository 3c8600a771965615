//! The parameters of a body, whichever of the accepted media types it has.

use std::fmt;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::{self, HeaderMap};
use actix_web::rt::time::timeout;
use actix_web::web::Bytes;
use futures_util::{StreamExt, stream};
use indexmap::IndexMap;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{MAX_PARAMETERS, Parameters, Raw, insert, not_utf8, parse_pairs, too_many_parameters};
use crate::error::ApiError;
use crate::problem::Code;

/// A body of more bytes is large: 16 KiB.
const LARGE: usize = 16 << 10;

/// The most memory for large bodies, in KiB: 8 MiB. A body takes its announced length, or the largest
/// length where none is announced.
const LARGE_KIB: usize = 8 << 10;

/// The longest that a large body waits for others to be done.
const MAX_WAIT: Duration = Duration::from_secs(20);

/// How deep arrays and objects may lie within each other.
const MAX_DEPTH: usize = 100;

/// The memory for large bodies, which is bounded, or a crowd of clients could fill all of it.
#[derive(Clone)]
pub(crate) struct LargeBodies(Arc<Semaphore>);

impl LargeBodies {
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(LARGE_KIB)))
    }

    /// Waits until there is memory for another body of this length, for as long as the turn is kept.
    async fn turn(request: &HttpRequest, length: usize) -> Result<Turn, ApiError> {
        let bodies = request.app_data::<Self>().cloned();
        let bodies = bodies.ok_or_else(|| ApiError::internal("no room for large bodies"))?;
        let kib = u32::try_from(length.div_ceil(1 << 10)).map_err(ApiError::internal)?;
        match timeout(MAX_WAIT, bodies.0.acquire_many_owned(kib)).await {
            Ok(turn) => turn.map_err(ApiError::internal),
            Err(_) => Err(ApiError::unavailable("too many large bodies at once")),
        }
    }
}

/// The memory that a large body may take.
pub(super) type Turn = OwnedSemaphorePermit;

/// The bytes of a body.
#[derive(Default)]
pub(super) struct Body {
    bytes: Vec<u8>,
    turn: Option<Turn>,
}

/// The parameters of the request's body, which has at most so many bytes; none where it is empty, under
/// whatever media type. Beside them the turn of a large body, to be kept as long as they are.
pub(super) async fn read(
    request: &HttpRequest,
    payload: Payload,
    max_body: usize,
) -> Result<(Parameters, Option<Turn>), ApiError> {
    let Body { bytes, turn } = collect(request, payload, max_body).await?;
    Ok((parameters(request, bytes).await?, turn))
}

async fn parameters(request: &HttpRequest, body: Vec<u8>) -> Result<Parameters, ApiError> {
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
        parse_pairs(&body, MAX_PARAMETERS)
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

/// That a body has more than so many bytes.
pub(crate) fn too_large(max_body: usize) -> ApiError {
    let kib = max_body >> 10;
    let size = if kib < 1024 { format!("{kib} KiB") } else { format!("{} MiB", kib >> 10) };
    ApiError::new(Code::PayloadTooLarge, format!("The body must not be larger than {size}."))
}

/// Reads the whole body.
///
/// The server bounds how long the body takes, and how much its chunks add to it: it ends the payload
/// with `TimedOut` or `Overflow`.
pub(super) async fn collect(
    request: &HttpRequest,
    mut payload: Payload,
    max_body: usize,
) -> Result<Body, ApiError> {
    let mut body = Body::default();
    let has = |name| request.headers().contains_key(name);
    // Without either there is no body (RFC 9112 §6.3), whatever an `Upgrade` promises.
    if !has(header::CONTENT_LENGTH) && !has(header::TRANSFER_ENCODING) {
        return Ok(body);
    }
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > max_body as u64) {
        return Err(too_large(max_body));
    }
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| match error {
            PayloadError::Overflow => too_large(max_body),
            PayloadError::Io(error) if error.kind() == ErrorKind::TimedOut => ApiError::malformed(
                "The body took longer than 30 seconds, and 1 second for each 16 KiB, to arrive.",
            ),
            _ => ApiError::malformed("The body ended too early."),
        })?;
        let length = body.bytes.len() + chunk.len();
        if length > max_body {
            return Err(too_large(max_body));
        }
        if length > LARGE && body.turn.is_none() {
            let whole = announced.map_or(max_body, |announced| announced as usize);
            body.turn = Some(LargeBodies::turn(request, whole).await?);
            // All at once: a vector that grows takes up to twice as much.
            body.bytes.reserve_exact(whole.saturating_sub(body.bytes.len()));
        }
        body.bytes.extend_from_slice(&chunk);
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
    let Members { by_name, are_too_many } = serde_json::from_str(whole.get()).map_err(malformed)?;
    if are_too_many {
        return Err(too_many_parameters());
    }
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
    by_name.into_iter().map(member).collect()
}

/// The members of an object, of each name the last.
#[derive(Default)]
struct Members<'a> {
    by_name: IndexMap<String, &'a RawValue>,
    /// Whether there are more than a request may have; the rest of them is left out.
    are_too_many: bool,
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Members::default();
                for _ in 0..MAX_PARAMETERS {
                    match map.next_entry()? {
                        Some((name, value)) => drop(members.by_name.insert(name, value)),
                        None => return Ok(members),
                    }
                }
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
                    members.are_too_many = true;
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
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
    let mut count = 0;
    while let Some(part) = parts.next_field().await.map_err(malformed)? {
        count += 1;
        if count > MAX_PARAMETERS {
            return Err(too_many_parameters());
        }
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
