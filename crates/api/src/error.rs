//! The one mapping of failures to HTTP.

use std::borrow::Cow;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use customers_domain::{RepositoryError, Rule, Violations, WriteError};

use crate::problem::{Code, Conflict, FieldErrors, Problem};

/// The most names of the client's that an answer repeats.
pub(crate) const MAX_NAMES: usize = 50;

/// The most characters of such a name.
const MAX_NAME_CHARS: usize = 64;

/// The largest body of a failure, in bytes: 64 KiB. A client that does not read its answer keeps it in
/// memory.
const MAX_BODY: usize = 64 << 10;

/// The most characters of the message where the body would be larger.
const MAX_MESSAGE_CHARS: usize = 1_000;

/// What lies behind a failure.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A failure on its way to the client. The envelope renders it.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub code: Code,
    pub message: String,
    pub errors: Option<Box<FieldErrors>>,
    conflict: Option<Conflict>,
    /// The methods that a 405 names.
    allow: Option<String>,
    /// When a further try may help, in seconds.
    pub retry_after: Option<u64>,
    /// For the log, never for the client.
    pub cause: Option<Cause>,
}

impl ApiError {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            errors: None,
            conflict: None,
            allow: None,
            retry_after: None,
            cause: None,
        }
    }

    pub fn malformed(message: impl Into<String>) -> Self {
        Self::new(Code::MalformedRequest, message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Code::NotFound, message)
    }

    pub fn method_not_allowed(allow: String) -> Self {
        let message = format!("This method is not allowed here. Allowed: {allow}.");
        Self { allow: Some(allow), ..Self::new(Code::MethodNotAllowed, message) }
    }

    /// Too many attempts: the next after so many seconds.
    pub fn too_many_requests(seconds: u64) -> Self {
        let error = Self::new(Code::TooManyRequests, "Too Many Attempts.");
        Self { retry_after: Some(seconds), ..error }
    }

    /// What cannot be done at the moment.
    pub fn unavailable(cause: impl Into<Cause>) -> Self {
        Self {
            retry_after: Some(1),
            cause: Some(cause.into()),
            ..Self::new(
                Code::Unavailable,
                "The service cannot answer at the moment. Try again in a second.",
            )
        }
    }

    /// What a server does not do that is about to stop. That is no fault, so it has no cause.
    pub fn leaving() -> Self {
        let message = "This server is about to stop. Try again in a second.";
        Self { retry_after: Some(1), ..Self::new(Code::Unavailable, message) }
    }

    /// The failure that these fields are at fault for: at least one.
    pub fn validation(errors: FieldErrors) -> Self {
        Self::validation_beside(errors, 0)
    }

    /// The same, where so many more errors are not listed.
    pub fn validation_beside(errors: FieldErrors, unlisted: usize) -> Self {
        let error =
            Self { errors: Some(Box::new(errors)), ..Self::new(Code::ValidationFailed, "") };
        error.summed_up(unlisted)
    }

    /// The failure that a field is at fault for by breaking this rule.
    pub fn of_field(name: &str, rule: Rule) -> Self {
        Self::validation([(name.to_owned(), vec![sentence(name, &rule.to_string())])].into())
    }

    /// Says the first of the field errors, and how many more there are.
    fn summed_up(mut self, unlisted: usize) -> Self {
        let mut sentences = self.errors.iter().flat_map(|errors| errors.values()).flatten();
        let first = sentences.next().cloned().unwrap_or_default();
        self.message = match sentences.count() + unlisted {
            0 => first,
            1 => format!("{first} (and 1 more error)"),
            more => format!("{first} (and {more} more errors)"),
        };
        self
    }

    pub fn internal(cause: impl Into<Cause>) -> Self {
        Self { cause: Some(cause.into()), ..Self::new(Code::ServerError, "Server Error") }
    }

    /// What only the status is known of.
    pub fn of_status(status: StatusCode) -> Self {
        match Code::of_status(status.as_u16()) {
            Code::ServerError => Self::internal(format!("the framework answered {status}")),
            code => Self::new(code, format!("{}.", code.title())),
        }
    }

    /// The answer, complete but for the headers that every answer has.
    pub fn render(&self, request_id: &str, as_problem_json: bool) -> HttpResponse {
        let mut response = HttpResponseBuilder::new(self.status_code());
        let challenge = match self.code {
            // A 401 has a challenge (RFC 9110 §15.5.2), and there is no scheme of its own for this.
            Code::Unauthenticated | Code::InvalidCredentials => Some(r#"Bearer realm="customers""#),
            Code::InvalidToken => Some(r#"Bearer realm="customers", error="invalid_token""#),
            Code::InsufficientScope => {
                Some(r#"Bearer realm="customers", error="insufficient_scope", scope="write""#)
            }
            _ => None,
        };
        if let Some(challenge) = challenge {
            response.insert_header((header::WWW_AUTHENTICATE, challenge));
        }
        if let Some(allow) = &self.allow {
            response.insert_header((header::ALLOW, allow.as_str()));
        }
        if let Some(seconds) = self.retry_after {
            response.insert_header((header::RETRY_AFTER, HeaderValue::from(seconds)));
        }
        let content_type =
            if as_problem_json { "application/problem+json" } else { "application/json" };
        response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(content_type)));
        response.body(self.body(request_id))
    }

    /// The body of the answer as JSON, which is bounded whatever went into it.
    fn body(&self, request_id: &str) -> String {
        let json = |problem: &Problem<'_>| serde_json::to_string(problem).unwrap_or_default();
        let problem = self.problem(request_id);
        let body = json(&problem);
        if body.len() <= MAX_BODY {
            return body;
        }
        let message: String = self.message.chars().take(MAX_MESSAGE_CHARS).collect();
        json(&Problem { message: &message, detail: &message, errors: None, ..problem })
    }

    /// The body of the answer.
    pub fn problem<'a>(&'a self, request_id: &'a str) -> Problem<'a> {
        Problem {
            r#type: "about:blank",
            title: self.code.title(),
            status: self.code.status(),
            code: self.code.as_str(),
            message: &self.message,
            detail: &self.message,
            errors: self.errors.as_deref(),
            conflict: self.conflict,
            request_id,
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Nothing but the status: the envelope has the rest to say.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}

impl From<RepositoryError> for ApiError {
    fn from(error: RepositoryError) -> Self {
        match error {
            RepositoryError::Unavailable(cause) => Self::unavailable(cause),
            RepositoryError::Internal(cause) => Self::internal(cause),
        }
    }
}

impl From<WriteError> for ApiError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::NotFound => Self::not_found("There is no such customer."),
            WriteError::PreconditionFailed => Self::new(
                Code::PreconditionFailed,
                "The customer is not as the request expects it to be. Get it again, and decide anew.",
            ),
            WriteError::Incomplete(violations) => Self::validation(field_errors(&violations)),
            WriteError::AccountTaken { id, deleted } => {
                let sentence = "The customer account has already been taken.";
                let code = if deleted { Code::AccountDeleted } else { Code::AccountTaken };
                let errors = [("customerAccount".into(), vec![sentence.into()])];
                Self {
                    errors: Some(Box::new(errors.into())),
                    conflict: Some(Conflict { id, deleted }),
                    ..Self::new(code, sentence)
                }
            }
            WriteError::KeyReused => Self::new(
                Code::IdempotencyKeyReused,
                "This Idempotency-Key was used for another request. Use a new one.",
            ),
            WriteError::KeyInProgress => Self {
                retry_after: Some(1),
                ..Self::new(
                    Code::IdempotencyInProgress,
                    "The request of this Idempotency-Key is still being answered. Try again in a \
                     second.",
                )
            },
            WriteError::Repository(error) => error.into(),
        }
    }
}

/// The sentences for every broken rule.
pub(crate) fn field_errors(violations: &Violations) -> FieldErrors {
    let mut errors = FieldErrors::new();
    for violation in violations {
        let name = violation.attribute.name;
        let sentence = sentence(name, &violation.rule.to_string());
        errors.entry(name.into()).or_default().push(sentence);
    }
    errors
}

/// What is said of a field, such as that it "is required".
pub(crate) fn sentence(name: &str, what: &str) -> String {
    format!("The {} field {what}.", in_words(name))
}

/// The first characters of a name that a client has made up.
pub(crate) fn clipped(name: &str) -> Cow<'_, str> {
    match name.char_indices().nth(MAX_NAME_CHARS) {
        Some((end, _)) => format!("{}…", &name[..end]).into(),
        None => name.into(),
    }
}

/// The first names that a client has made up, split by commas.
pub(crate) fn listed(names: &[&str]) -> String {
    let mut listed: Vec<_> = names.iter().take(MAX_NAMES).map(|name| clipped(name)).collect();
    if names.len() > MAX_NAMES {
        listed.push("…".into());
    }
    listed.join(", ")
}

/// A wire name in words: `customerAccount` is "customer account", `chargeVAT` "charge vat".
pub(crate) fn in_words(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 4);
    let mut chars = name.chars().peekable();
    let mut before = None::<char>;
    while let Some(c) = chars.next() {
        let starts_word = c.is_uppercase()
            && before.is_some_and(|before| {
                before.is_lowercase()
                    || before.is_ascii_digit()
                    || (before.is_uppercase()
                        && chars.peek().is_some_and(|next| next.is_lowercase()))
            });
        if starts_word {
            words.push(' ');
        }
        match c {
            '_' => words.push(' '),
            c => words.extend(c.to_lowercase()),
        }
        before = Some(c);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_in_words() {
        for (name, words) in [
            ("name", "name"),
            ("brand_id", "brand id"),
            ("customerAccount", "customer account"),
            ("chargeVAT", "charge vat"),
            ("applyVATAutoReverseOperators", "apply vat auto reverse operators"),
            ("mainAddressLine1", "main address line1"),
            ("onCallDuty", "on call duty"),
        ] {
            assert_eq!(in_words(name), words);
        }
    }

    #[test]
    fn names_of_clients_are_repeated_within_limits() {
        assert_eq!(clipped(&"é".repeat(64)), "é".repeat(64));
        assert_eq!(clipped(&"é".repeat(65)), format!("{}…", "é".repeat(64)));
        assert_eq!(listed(&["a", "b"]), "a, b");
        assert_eq!(listed(&["", "b"]), ", b");
        let many = listed(&["a"; 51]);
        assert_eq!(many.matches('a').count(), 50);
        assert!(many.ends_with("a, …"), "{many}");
    }

    #[test]
    fn a_body_is_bounded_whatever_went_into_it() {
        let errors = (0..100).map(|n| (format!("{n}"), vec!["\0".repeat(1000)])).collect();
        for error in [ApiError::validation(errors), ApiError::not_found("\0é".repeat(100_000))] {
            let body = error.body("id");
            assert!(body.len() <= MAX_BODY, "{}", body.len());
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(body["code"], error.code.as_str());
        }
    }

    #[test]
    fn the_message_counts_the_errors_it_does_not_say() {
        let errors = |sentences: &[&str]| {
            let sentences = sentences.iter().map(|text| text.to_string()).collect();
            ApiError::validation([("a".to_owned(), sentences)].into()).message
        };
        assert_eq!(errors(&["One."]), "One.");
        assert_eq!(errors(&["One.", "Two."]), "One. (and 1 more error)");
        assert_eq!(errors(&["One.", "Two.", "Three."]), "One. (and 2 more errors)");
    }
}
