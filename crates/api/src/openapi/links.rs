//! Where an answer leads: what can be asked for next, and with which of its values.

use serde_json::Value;
use utoipa::openapi::ResponseBuilder;
use utoipa::openapi::link::LinkBuilder;

/// What can be done with a customer that is named by its id.
const BY_ID: [&str; 6] = [
    "getCustomer",
    "updateCustomer",
    "putCustomer",
    "deleteCustomer",
    "restoreCustomer",
    "getCustomerHistory",
];

/// What can be done with one that is named by its account.
const BY_ACCOUNT: [&str; 2] = ["getCustomerByAccount", "putCustomerByAccount"];

/// What is done only to the customer as it is, where the answer has its tag.
const CONDITIONAL: [&str; 3] = ["updateCustomer", "putCustomer", "deleteCustomer"];

/// To what can be done with the customer that is answered.
pub(super) fn with_customer(answer: ResponseBuilder) -> ResponseBuilder {
    let answer = BY_ID
        .iter()
        .fold(answer, |answer, to| link(answer, to, &[("customer", "$response.body#/id")]));
    BY_ACCOUNT.iter().fold(answer, |answer, to| {
        link(answer, to, &[("customerAccount", "$response.body#/customerAccount")])
    })
}

/// The same where the answer has a tag, of which `If-Match` is made.
pub(super) fn with_tagged_customer(answer: ResponseBuilder) -> ResponseBuilder {
    CONDITIONAL.iter().fold(with_customer(answer), |answer, to| {
        let parameters =
            [("customer", "$response.body#/id"), ("If-Match", "$response.header.ETag")];
        link(answer, to, &parameters)
    })
}

/// To what can be done with the customer that is deleted.
pub(super) fn with_deleted_customer(answer: ResponseBuilder) -> ResponseBuilder {
    ["getCustomer", "restoreCustomer", "getCustomerHistory"]
        .iter()
        .fold(answer, |answer, to| link(answer, to, &[("customer", "$request.path.customer")]))
}

/// A link under the name of the operation that it leads to.
fn link(answer: ResponseBuilder, to: &str, parameters: &[(&str, &str)]) -> ResponseBuilder {
    let link =
        parameters.iter().fold(LinkBuilder::new().operation_id(to), |link, (name, value)| {
            link.parameter(*name, Value::from(*value))
        });
    answer.link(to, link.build())
}
