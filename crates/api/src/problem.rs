//! The one body of every failure, and the table of its codes.

use customers_domain::CustomerId;
use indexmap::IndexMap;
use serde::Serialize;
use utoipa::ToSchema;

/// One line per code: variant, status, code, title (the name of the status in RFC 9110 §15 or, for
/// 429, RFC 6585). Codes are only ever added to.
macro_rules! codes {
    ($( $variant:ident $status:literal $code:literal $title:literal; )+) => {
        /// What went wrong, for programs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Code { $( $variant, )+ }

        impl Code {
            pub const ALL: &[Self] = &[$( Self::$variant, )+];

            pub fn status(self) -> u16 {
                match self { $( Self::$variant => $status, )+ }
            }

            pub fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $code, )+ }
            }

            pub fn title(self) -> &'static str {
                match self { $( Self::$variant => $title, )+ }
            }
        }
    };
}

codes! {
    MalformedRequest      400 "malformed_request"       "Bad Request";
    InvalidCursor         400 "invalid_cursor"          "Bad Request";
    InvalidFilter         400 "invalid_filter"          "Bad Request";
    InvalidSort           400 "invalid_sort"            "Bad Request";
    Unauthenticated       401 "unauthenticated"         "Unauthorized";
    InvalidToken          401 "invalid_token"           "Unauthorized";
    InvalidCredentials    401 "invalid_credentials"     "Unauthorized";
    InsufficientScope     403 "insufficient_scope"      "Forbidden";
    NotFound              404 "not_found"               "Not Found";
    MethodNotAllowed      405 "method_not_allowed"      "Method Not Allowed";
    AccountTaken          409 "account_taken"           "Conflict";
    AccountDeleted        409 "account_deleted"         "Conflict";
    IdempotencyInProgress 409 "idempotency_in_progress" "Conflict";
    PreconditionFailed    412 "precondition_failed"     "Precondition Failed";
    PayloadTooLarge       413 "payload_too_large"       "Content Too Large";
    UriTooLong            414 "uri_too_long"            "URI Too Long";
    UnsupportedMediaType  415 "unsupported_media_type"  "Unsupported Media Type";
    ValidationFailed      422 "validation_failed"       "Unprocessable Content";
    IdempotencyKeyReused  422 "idempotency_key_reused"  "Unprocessable Content";
    TooManyRequests       429 "too_many_requests"       "Too Many Requests";
    ServerError           500 "server_error"            "Internal Server Error";
    Unavailable           503 "unavailable"             "Service Unavailable";
}

impl Code {
    /// The code of a failure that the framework found and of which only the status is known.
    pub fn of_status(status: u16) -> Self {
        Self::ALL.iter().copied().find(|code| code.status() == status).unwrap_or(if status < 500 {
            Self::MalformedRequest
        } else {
            Self::ServerError
        })
    }
}

/// What is wrong with each field, by the name that clients use.
pub(crate) type FieldErrors = IndexMap<String, Vec<String>>;

/// Every failure: `message` and `errors` are what older clients read, the rest is RFC 9457.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem<'a> {
    /// Always `about:blank`: the status says what kind of problem it is, and `code` which one.
    #[schema(example = "about:blank")]
    pub r#type: &'static str,
    /// The name of the status.
    pub title: &'static str,
    /// The HTTP status.
    #[schema(value_type = u16, minimum = 400, maximum = 599)]
    pub status: u16,
    /// What went wrong, for programs. New codes may be added.
    pub code: &'static str,
    /// What went wrong, for people.
    pub message: &'a str,
    /// The same as `message`, under its name in RFC 9457.
    pub detail: &'a str,
    /// What is wrong with each field, where fields are at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = std::collections::BTreeMap<String, Vec<String>>, nullable = false)]
    pub errors: Option<&'a FieldErrors>,
    /// The customer that stands in the way, where one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub conflict: Option<Conflict>,
    /// The id under which the log tells of this request, also in the header `X-Request-Id`.
    pub request_id: &'a str,
}

/// The customer that stands in the way of a request.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(crate) struct Conflict {
    /// Its id.
    #[schema(value_type = i64, minimum = 1, maximum = 9007199254740991i64)]
    pub id: CustomerId,
    /// Whether it is deleted.
    pub deleted: bool,
}
