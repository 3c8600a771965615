//! The OpenAPI document: the descriptions above the handlers, put together with what is common to
//! them.

mod answers;
mod client;
mod examples;
mod failures;
mod forms;
mod links;
mod parameters;
mod schemas;

use std::sync::LazyLock;

use actix_web::App;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{RefOr, Required};
use utoipa::{Modify, OpenApi};
use utoipa_actix_web::AppExt;

pub(crate) use answers::*;
pub use client::client_document;
pub(crate) use examples::{changes_example, customer_input_example};
pub(crate) use failures::*;
pub(crate) use parameters::*;
pub(crate) use schemas::{CustomerChanges, CustomerInput};

use crate::problem::Problem;
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
    components(schemas(
        Problem,
        schemas::Customer,
        schemas::FoundCustomer,
        schemas::CreatedCustomer,
        schemas::CustomerPage,
        schemas::PageLink,
        schemas::CustomerCursorPage,
        schemas::HistoryPage,
        schemas::HistoryEntry,
    )),
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

/// What is to be said of every body.
const BODY: &str = "The same parameters as in the query. Text is trimmed, and empty text is null. Text \
                    may be sent as a number, numbers and booleans as text (`\"1\"`, `\"true\"`, \
                    `\"on\"`, `\"yes\"`).";

static DOCUMENT: LazyLock<utoipa::openapi::OpenApi> = LazyLock::new(|| {
    let app = App::new().into_utoipa_app().openapi(Base::openapi()).configure(routes);
    let (_, mut document) = app.split_for_parts();
    // The macro makes one of nothing where the package names none.
    document.info.license = None;
    for item in document.paths.paths.values_mut() {
        let all = [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
        for operation in all.into_iter().flatten() {
            // The macro says of what needs no token that it needs nothing of one kind, which client
            // generators take for a token.
            if operation.security == Some(vec![SecurityRequirement::default()]) {
                operation.security = Some(Vec::new());
            }
        }
        let writes = [&mut item.post, &mut item.put, &mut item.patch].into_iter().flatten();
        for body in writes.filter_map(|operation| operation.request_body.as_mut()) {
            if let RefOr::T(body) = body {
                // Everything may stand in the query, which the annotations have no word for.
                body.required = Some(Required::False);
                body.description = Some(BODY.into());
            }
        }
    }
    forms::separate(&mut document);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_the_document_names_its_methods() {
        let allowed = |path| allowed_methods(path);
        assert_eq!(allowed("/api/v1/customers").as_deref(), Some("GET, HEAD, POST"));
        assert_eq!(allowed("/api/v1/customers/search").as_deref(), Some("GET, HEAD"));
        let customer = allowed("/api/v1/customers/a%2Fb");
        assert_eq!(customer.as_deref(), Some("GET, HEAD, PUT, PATCH, DELETE"));
        assert_eq!(allowed("/health/live").as_deref(), Some("GET, HEAD"));
        assert_eq!(allowed("/api/v1/customers/1/2"), None);
        assert_eq!(allowed("/api/v1/customers/"), None);
        assert_eq!(allowed("/api/v1"), None);
    }

    #[test]
    fn every_link_leads_to_an_operation_with_parameters_of_these_names() {
        let document: serde_json::Value = serde_json::from_str(document()).unwrap();
        let paths = document["paths"].as_object().unwrap().values();
        let operations: Vec<_> =
            paths.flat_map(|item| item.as_object().unwrap().values()).collect();
        let responses = operations.iter().flat_map(|it| it["responses"].as_object().unwrap());
        let links = responses.filter_map(|(_, response)| response["links"].as_object()).flatten();
        let mut count = 0;
        for (_, link) in links {
            let to = operations.iter().find(|it| it["operationId"] == link["operationId"]);
            let known = to.expect("an operation")["parameters"].as_array().unwrap();
            for name in link["parameters"].as_object().unwrap().keys() {
                assert!(known.iter().any(|it| it["name"] == name.as_str()), "{link}");
            }
            count += 1;
        }
        assert_ne!(count, 0);
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
