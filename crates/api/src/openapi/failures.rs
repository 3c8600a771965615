//! The failures of each operation, made of the table of codes.

use std::collections::BTreeMap;

use customers_domain::search::MAX_TERM_CHARS;
use customers_domain::{
    CustomerDetails, CustomerId, NewCustomer, RepositoryError, Rule, WriteError,
};
use serde_json::json;
use utoipa::IntoResponses;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

use crate::auth::{insufficient_scope, invalid_token, unauthenticated};
use crate::envelope::uri_too_long;
use crate::error::{ApiError, field_errors};
use crate::input::{MAX_BODY, MAX_LOGIN_BODY, too_large};
use crate::listing::filters::{too_many_words, unknown_filters, unknown_sorts};
use crate::listing::invalid_cursor;
use crate::login::invalid_credentials;
use crate::problem::Code;

/// A set of failures, by what each is an example of.
macro_rules! failures {
    ($( $(#[$doc:meta])* $name:ident = $examples:expr; )+) => {
        $(
            $(#[$doc])*
            pub(crate) struct $name;

            impl IntoResponses for $name {
                fn responses() -> BTreeMap<String, RefOr<Response>> {
                    responses(&$examples)
                }
            }
        )+
    };
}

failures! {
    /// Of asking for one customer.
    ReadFailures = together([common(), vec![not_found()]]);
    /// Of asking for a list.
    ListFailures = together([
        common(),
        vec![insufficient_scope(), invalid_cursor(), unknown_filters(&["foo"])],
        vec![unknown_sorts(&["foo"])],
    ]);
    /// Of a search.
    SearchFailures = together([
        common(),
        vec![too_many_words("term"), ApiError::of_field("term", Rule::MaxChars(MAX_TERM_CHARS))],
    ]);
    /// Of asking for what happened to a customer.
    HistoryFailures =
        together([common(), vec![insufficient_scope(), invalid_cursor(), not_found()]]);
    /// Of creating a customer.
    CreateFailures = together([common(), parameters(), account_taken(), idempotency()]);
    /// Of changing a customer by its id or its account.
    UpdateFailures = together([common(), parameters(), account_taken(), existing()]);
    /// Of deleting a customer.
    DeleteFailures = together([common(), body(), existing()]);
    /// Of bringing a customer back.
    RestoreFailures = together([common(), body(), existing(), idempotency()]);
    /// Of logging in.
    LoginFailures = [
        ApiError::malformed("The request is not valid UTF-8."),
        invalid_credentials(),
        too_large(MAX_LOGIN_BODY),
        uri_too_long(),
        unsupported_media_type(),
        ApiError::of_field("password", Rule::Required),
        ApiError::too_many_requests(60),
        ApiError::internal(""),
        unavailable(),
    ];
    /// Of logging out.
    LogoutFailures = [
        unauthenticated(),
        invalid_token(),
        uri_too_long(),
        ApiError::too_many_requests(60),
        ApiError::internal(""),
        unavailable(),
    ];
    /// Where nothing but too many requests is wrong.
    RateLimitFailure = [ApiError::too_many_requests(60)];
    /// Of what needs no token and no database.
    OpenFailures = [uri_too_long(), ApiError::internal("")];
    /// Where the database is needed and nothing else can fail.
    UnavailableFailure = [unavailable()];
}

fn common() -> Vec<ApiError> {
    vec![
        ApiError::malformed("The request is not valid UTF-8."),
        unauthenticated(),
        invalid_token(),
        uri_too_long(),
        ApiError::too_many_requests(60),
        ApiError::new(Code::ServerError, "Server Error"),
        unavailable(),
    ]
}

fn unavailable() -> ApiError {
    RepositoryError::Unavailable("".into()).into()
}

fn not_found() -> ApiError {
    ApiError::not_found("No customer has the account CL000001.")
}

fn unsupported_media_type() -> ApiError {
    ApiError::new(Code::UnsupportedMediaType, "Send Content-Type: application/json.")
}

/// Of every write.
fn body() -> Vec<ApiError> {
    vec![insufficient_scope(), too_large(MAX_BODY)]
}

/// Of every write that takes parameters.
fn parameters() -> Vec<ApiError> {
    let nameless = NewCustomer::from(CustomerDetails { brand_id: 0, ..CustomerDetails::default() });
    let errors = nameless.check().err().map(|violations| field_errors(&violations));
    let mut examples = body();
    examples.push(unsupported_media_type());
    examples.push(ApiError::validation(errors.unwrap_or_default()));
    examples
}

/// Of every write of a customer that there is.
fn existing() -> Vec<ApiError> {
    vec![not_found(), WriteError::PreconditionFailed.into()]
}

/// Where an account is given to a customer.
fn account_taken() -> Vec<ApiError> {
    let taken = |deleted| WriteError::AccountTaken { id: CustomerId::MIN, deleted }.into();
    [false, true].map(taken).into()
}

/// Where a key may be used twice.
fn idempotency() -> Vec<ApiError> {
    vec![WriteError::KeyReused.into(), WriteError::KeyInProgress.into()]
}

fn together<const N: usize>(examples: [Vec<ApiError>; N]) -> Vec<ApiError> {
    examples.into_iter().flatten().collect()
}

/// One response for each status, with an example for each of its codes.
fn responses(examples: &[ApiError]) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status = BTreeMap::<u16, Vec<&ApiError>>::new();
    for example in examples {
        by_status.entry(example.code.status()).or_default().push(example);
    }
    let response = |(status, examples): (u16, Vec<&ApiError>)| {
        (status.to_string(), RefOr::T(failure(status, &examples)))
    };
    by_status.into_iter().map(response).collect()
}

fn failure(status: u16, examples: &[&ApiError]) -> Response {
    let example = |error: &&ApiError| {
        let body = json!(error.problem("0198d5a9c0de7c1f8b1d2a3e4f506172"));
        let example = ExampleBuilder::new().summary(error.message.as_str()).value(Some(body));
        (error.code.as_str(), example.build())
    };
    let content = || {
        ContentBuilder::new()
            .schema(Some(Ref::from_schema_name("Problem")))
            .examples_from_iter(examples.iter().map(example))
            .build()
    };
    let title = examples.first().map_or("", |error| error.code.title());
    let text = ObjectBuilder::new().schema_type(Type::String);
    let mut response = ResponseBuilder::new()
        .description(format!("{title}."))
        .content("application/json", content())
        .content("application/problem+json", content());
    let header = match status {
        401 | 403 => {
            Some(("WWW-Authenticate", "What is wrong with the token (RFC 6750 §3).", text))
        }
        409 | 429 | 503 if examples.iter().any(|example| example.retry_after.is_some()) => {
            let seconds = ObjectBuilder::new().schema_type(Type::Integer);
            Some(("Retry-After", "Seconds to wait before the next try.", seconds))
        }
        _ => None,
    };
    if let Some((name, description, schema)) = header {
        let header = HeaderBuilder::new().schema(Some(schema)).description(Some(description));
        response = response.header(name, header.build());
    }
    response.build()
}
