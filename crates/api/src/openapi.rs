//! The OpenAPI document: what is common to the descriptions above the handlers, made of the domain's
//! attributes and of the table of codes.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use actix_web::App;
use customers_domain::{
    ATTRIBUTES, Attribute, CustomerAccount, CustomerId, Kind, NewCustomer, Timestamp, Value,
};
use serde_json::json;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaFormat, SchemaType, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, KnownFormat, RefOr, Required, Response, ResponseBuilder};
use utoipa::{IntoParams, IntoResponses, Modify, OpenApi, PartialSchema, ToSchema};
use utoipa_actix_web::AppExt;

use crate::auth::{invalid_token, unauthenticated};
use crate::envelope::uri_too_long;
use crate::error::{ApiError, field_errors};
use crate::login::invalid_credentials;
use crate::problem::{Code, Problem};
use crate::routes::routes;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Customers API",
        description = "Who the customers are: created, and looked up by id or by account.\n\n\
            Every call needs a token, `Authorization: Bearer cus_…`, made on the command line with \
            `customers token create --name NAME`, or by logging in.\n\n\
            Where the service limits requests, every answer under `/api` has `X-RateLimit-Limit` and \
            `X-RateLimit-Remaining`, and a 429 has `X-RateLimit-Reset`, in Unix seconds.\n\n\
            Every failure has the same body, `Problem`. With `Accept: application/problem+json` it \
            comes under the media type of RFC 9457.\n\n\
            Every answer has an `X-Request-Id`: the caller's, where it is 1 to 64 characters of \
            `A-Z a-z 0-9 . _ -`, else a new one.",
    ),
    servers((url = "/", description = "This server")),
    tags(
        (name = "customers", description = "The customers."),
        (name = "login", description = "Tokens for people."),
        (name = "service", description = "The service itself."),
        (name = "health", description = "Whether the service works."),
        (name = "documentation", description = "This document."),
    ),
    components(schemas(Problem)),
    modifiers(&Token),
)]
struct Base;

struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "A token of scope `read` or `write`. It is `cus_` and 43 characters.",
            ))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

static DOCUMENT: LazyLock<utoipa::openapi::OpenApi> = LazyLock::new(|| {
    let app = App::new().into_utoipa_app().openapi(Base::openapi()).configure(routes);
    let (_, mut document) = app.split_for_parts();
    // The macro makes one of nothing where the package names none.
    document.info.license = None;
    for item in document.paths.paths.values_mut() {
        // Everything may stand in the query, which the annotations have no word for.
        let body = item.post.as_mut().and_then(|operation| operation.request_body.as_mut());
        if let Some(RefOr::T(body)) = body {
            body.required = Some(Required::False);
        }
    }
    document
});

static JSON: LazyLock<String> = LazyLock::new(|| {
    let json = DOCUMENT.to_pretty_json();
    json.expect("a document of strings, numbers and maps") + "\n"
});

/// The OpenAPI 3.1 document of this API, as indented JSON that ends with a line break.
pub fn document() -> &'static str {
    &JSON
}

/// The methods of the `Allow` header for a path that is in the document.
pub(crate) fn allowed_methods(path: &str) -> Option<String> {
    let matches = |template: &str| {
        let (mut segments, mut patterns) = (path.split('/'), template.split('/'));
        loop {
            match (segments.next(), patterns.next()) {
                (None, None) => return true,
                (Some(segment), Some(pattern)) if pattern.starts_with('{') => {
                    if segment.is_empty() {
                        return false;
                    }
                }
                (Some(segment), Some(pattern)) if segment == pattern => {}
                _ => return false,
            }
        }
    };
    if path == "/docs" {
        return Some("GET, HEAD".into());
    }
    let (_, item) = DOCUMENT.paths.paths.iter().find(|(template, _)| matches(template))?;
    let methods = [
        ("GET, HEAD", &item.get),
        ("POST", &item.post),
        ("PUT", &item.put),
        ("PATCH", &item.patch),
        ("DELETE", &item.delete),
    ];
    let allowed: Vec<&str> =
        methods.iter().filter(|(_, op)| op.is_some()).map(|(m, _)| *m).collect();
    Some(allowed.join(", "))
}

/// A customer, as it is answered.
pub(crate) struct Customer;

/// A customer, as it is sent.
pub(crate) struct CustomerInput;

impl ToSchema for Customer {}

impl PartialSchema for Customer {
    fn schema() -> RefOr<Schema> {
        let moment = |description: &str, types: SchemaType| {
            ObjectBuilder::new()
                .schema_type(types)
                .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
                .description(Some(description))
        };
        let id = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .minimum(Some(1))
            .maximum(Some(CustomerId::MAX.get()))
            .description(Some("The number that the registry gave it, never given to another."));
        let mut schema = ObjectBuilder::new()
            .description(Some("A customer, as it is answered. Every property is always there."))
            .property("id", id)
            .required("id");
        for attribute in ATTRIBUTES {
            let property =
                kind_schema(attribute, attribute.nullable).description(Some(attribute.meaning));
            schema = schema.property(attribute.name, property).required(attribute.name);
        }
        schema
            .property("created_at", moment("When it was created, in UTC.", Type::String.into()))
            .required("created_at")
            .property(
                "updated_at",
                moment("When it was last changed, in UTC.", Type::String.into()),
            )
            .required("updated_at")
            .property(
                "deleted_at",
                moment(
                    "When it was deleted; null unless it is.",
                    SchemaType::from_iter([Type::String, Type::Null]),
                ),
            )
            .required("deleted_at")
            .into()
    }
}

impl ToSchema for CustomerInput {}

impl PartialSchema for CustomerInput {
    fn schema() -> RefOr<Schema> {
        let mut schema = ObjectBuilder::new().description(Some(
            "A customer, as it is sent. What is not given takes its default. Properties that are \
             not listed are ignored, unless the request says `Prefer: handling=strict`.",
        ));
        for attribute in ATTRIBUTES {
            let property = input_schema(attribute).description(Some(input_meaning(attribute)));
            schema = schema.property(attribute.name, property);
            if attribute.required() {
                schema = schema.required(attribute.name);
            }
        }
        schema.into()
    }
}

fn kind_type(kind: Kind) -> Type {
    match kind {
        Kind::Text { .. } | Kind::Account => Type::String,
        Kind::Integer { .. } => Type::Integer,
        Kind::Boolean => Type::Boolean,
    }
}

/// Kind and limits of an attribute.
fn kind_schema(attribute: &Attribute, nullable: bool) -> ObjectBuilder {
    let kind = kind_type(attribute.kind);
    let schema = ObjectBuilder::new().schema_type(if nullable {
        SchemaType::from_iter([kind, Type::Null])
    } else {
        kind.into()
    });
    match attribute.kind {
        Kind::Text { min_chars, max_chars } => {
            let min = (min_chars > 0).then_some(min_chars as usize);
            schema.min_length(min).max_length(Some(max_chars as usize))
        }
        Kind::Account => schema.min_length(Some(1)).max_length(Some(255)),
        Kind::Integer { min } => {
            let format = SchemaFormat::KnownFormat(KnownFormat::Int32);
            schema.format(Some(format)).minimum(Some(min)).maximum(Some(i32::MAX))
        }
        Kind::Boolean => schema,
    }
}

/// The same with the default, where there is one.
fn input_schema(attribute: &Attribute) -> ObjectBuilder {
    let schema = kind_schema(attribute, attribute.nullable);
    match attribute.default() {
        Value::Null => schema,
        _ if attribute.required() => schema,
        default => schema.default(Some(json!(default))),
    }
}

/// What it is for, and what happens where it is not given.
fn input_meaning(attribute: &Attribute) -> String {
    match attribute.kind {
        Kind::Account => format!("{} Made where it is not given.", attribute.meaning),
        _ => attribute.meaning.to_owned(),
    }
}

/// The attributes as parameters of the query.
pub(crate) struct CustomerQuery;

impl IntoParams for CustomerQuery {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let parameter = |attribute: &'static Attribute| {
            let schema = input_schema(attribute).schema_type(kind_type(attribute.kind));
            let note = if attribute.required() { " Required, here or in the body." } else { "" };
            ParameterBuilder::new()
                .name(attribute.name)
                .parameter_in(ParameterIn::Query)
                .required(Required::False)
                .description(Some(input_meaning(attribute) + note))
                .schema(Some(schema))
                .build()
        };
        let prefer = ParameterBuilder::new()
            .name("Prefer")
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(
                "`handling=strict` (RFC 7240) refuses parameters that are not listed here.",
            ))
            .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
            .build();
        ATTRIBUTES.iter().map(parameter).chain([prefer]).collect()
    }
}

/// `{customer}` on a read.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct CustomerPath {
    /// The id, or an account that does not look like one.
    #[param(example = "1")]
    #[allow(dead_code)]
    customer: String,
}

/// `{customerAccount}`.
#[derive(IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
pub(crate) struct AccountPath {
    /// The account, in any case.
    #[param(example = "CL000001")]
    #[allow(dead_code)]
    customer_account: String,
}

/// The documented parameter that names the customer a second time.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(crate) struct AccountQuery {
    /// The account of the customer that is asked for.
    // Without an example: the page would send that along.
    #[param(required = false)]
    #[allow(dead_code)]
    customer_account: String,
}

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
    /// Of every read.
    ReadFailures = common();
    /// Of every write.
    WriteFailures = {
        let mut examples = common();
        examples.extend([
            ApiError::new(
                Code::InsufficientScope,
                "This token may only read. Use one of scope write.",
            ),
            payload_too_large(),
            unsupported_media_type(),
            invalid_customer(),
        ]);
        examples
    };
    /// Where no such customer may be there.
    NotFoundFailure = [ApiError::not_found("No customer has the account CL000001.")];
    /// Where an account is given to a customer.
    AccountTakenFailures = [false, true].map(|deleted| {
        let id = CustomerId::MIN;
        ApiError::from(customers_domain::CreateError::AccountTaken { id, deleted })
    });
    /// Of logging in.
    LoginFailures = [
        ApiError::malformed("The request is not valid UTF-8."),
        invalid_credentials(),
        payload_too_large(),
        uri_too_long(),
        unsupported_media_type(),
        missing_credentials(),
        too_many_requests(),
        ApiError::internal(""),
        unavailable(),
    ];
    /// Of logging out.
    LogoutFailures = [
        unauthenticated(),
        invalid_token(),
        uri_too_long(),
        too_many_requests(),
        ApiError::internal(""),
        unavailable(),
    ];
    /// Where nothing but too many requests is wrong.
    RateLimitFailure = [too_many_requests()];
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
        too_many_requests(),
        ApiError::new(Code::ServerError, "Server Error"),
        unavailable(),
    ]
}

fn unavailable() -> ApiError {
    customers_domain::RepositoryError::Unavailable("".into()).into()
}

fn payload_too_large() -> ApiError {
    ApiError::new(Code::PayloadTooLarge, "The body must not be larger than 1 MiB.")
}

fn unsupported_media_type() -> ApiError {
    ApiError::new(Code::UnsupportedMediaType, "Send Content-Type: application/json.")
}

fn too_many_requests() -> ApiError {
    ApiError::too_many_requests(60)
}

fn missing_credentials() -> ApiError {
    let sentence = "The password field is required.";
    ApiError::validation([("password".to_owned(), vec![sentence.to_owned()])].into())
}

fn invalid_customer() -> ApiError {
    let nameless = NewCustomer { brand_id: 0, ..NewCustomer::default() };
    let errors = nameless.check().err().map(|violations| field_errors(&violations));
    ApiError::validation(errors.unwrap_or_default())
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
            .schema(Some(utoipa::openapi::Ref::from_schema_name("Problem")))
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
        429 | 503 => {
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

fn example() -> NewCustomer {
    NewCustomer {
        customer_account: CustomerAccount::new("CL000001").ok(),
        name: "Société Générale de Téléphonie".into(),
        registration_number: Some("83210417500012".into()),
        company_type: Some("SAS".into()),
        main_address_line1: Some("12 rue de la Paix".into()),
        main_address_city: Some("Paris".into()),
        main_address_country: Some("FR".into()),
        ..NewCustomer::default()
    }
}

/// What the document shows as an answer.
pub(crate) fn customer_example() -> Option<customers_domain::Customer> {
    let new = example();
    let account = new.customer_account.clone()?;
    let created_at = Timestamp::from_micros(1_785_840_147_000_000)?;
    Some(new.into_customer(CustomerId::MIN, account, created_at))
}

/// What the document shows as a body. Without an account: the page sends it, and may do so twice.
pub(crate) fn customer_input_example() -> serde_json::Value {
    let defaults = json!(NewCustomer::default());
    let mut example = json!(NewCustomer { customer_account: None, ..example() });
    if let Some(members) = example.as_object_mut() {
        members.retain(|name, value| defaults[name] != *value);
    }
    example
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_the_document_names_its_methods() {
        let allowed = |path| allowed_methods(path);
        assert_eq!(allowed("/api/v1/customers").as_deref(), Some("POST"));
        assert_eq!(allowed("/api/v1/customers/a%2Fb").as_deref(), Some("GET, HEAD"));
        assert_eq!(allowed("/health/live").as_deref(), Some("GET, HEAD"));
        assert_eq!(allowed("/api/v1/customers/1/2"), None);
        assert_eq!(allowed("/api/v1/customers/"), None);
        assert_eq!(allowed("/api/v1"), None);
    }

    #[test]
    fn every_operation_has_an_id_of_its_own_and_a_summary() {
        let document: serde_json::Value = serde_json::from_str(document()).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        let mut ids = Vec::new();
        for operations in document["paths"].as_object().unwrap().values() {
            for operation in operations.as_object().unwrap().values() {
                ids.push(operation["operationId"].as_str().unwrap().to_owned());
                assert!(operation["summary"].is_string(), "{operation}");
            }
        }
        let count = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }
}
