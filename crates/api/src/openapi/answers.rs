//! The answers of what went well, with their headers.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::IntoResponses;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::{Content, ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

use super::examples::{cursor_page_example, customer_example, history_example, page_example};
use super::links::{with_customer, with_deleted_customer, with_tagged_customer};

/// Sets of answers: status and answer.
macro_rules! answers {
    ($( $(#[$doc:meta])* $name:ident = [$( $status:literal: $answer:expr ),+ $(,)?]; )+) => {
        $(
            $(#[$doc])*
            pub(crate) struct $name;

            impl IntoResponses for $name {
                fn responses() -> BTreeMap<String, RefOr<Response>> {
                    [$( (stringify!($status).to_owned(), RefOr::T($answer.build())) ),+].into()
                }
            }
        )+
    };
}

answers! {
    /// A customer that is asked for, or that the client has.
    CustomerFound = [
        200: with_tagged_customer(tagged(customer("The customer.", "FoundCustomer"))),
        304: tagged(ResponseBuilder::new().description("The client has the customer as it is.")),
    ];
    /// A customer that is new.
    CustomerCreated = [201: with_tagged_customer(replayed(located(tagged(customer(
        "The customer.",
        "CreatedCustomer",
    )))))];
    /// A customer as it is since.
    CustomerChanged =
        [200: with_tagged_customer(tagged(customer("The customer as it is since.", "Customer")))];
    /// The same of PUT.
    CustomerPut = [200: with_customer(customer("The customer as it is since.", "Customer"))];
    /// The same where it may be new.
    CustomerUpserted = [
        200: with_customer(customer("The customer as it is since.", "Customer")),
        201: with_customer(located(customer("The customer, which is new.", "Customer"))),
    ];
    /// A customer that is hidden.
    CustomerDeleted = [204: with_deleted_customer(
        ResponseBuilder::new().description("The customer is deleted."),
    )];
    /// A customer that is there again.
    CustomerRestored =
        [200: with_tagged_customer(replayed(tagged(customer("The customer.", "Customer"))))];
    /// A page of a list.
    CustomersListed = [200: polled(linked(ResponseBuilder::new()
        .description("A page of the list.")
        .content("application/json", list())))];
    /// A page of hits.
    CustomersFound = [200: linked(json_answer(
        "A page of what was found, the best first.",
        Ref::from_schema_name("CustomerPage"),
        page_example("/api/v1/customers/search", "term=societe&"),
    ))];
    /// A page of a history.
    HistoryTold = [200: linked(json_answer(
        "A page of the history.",
        Ref::from_schema_name("HistoryPage"),
        cursor_page_example("/api/v1/customers/1/history", "", json!([history_example()])),
    ))];
}

fn json_answer(description: &str, schema: Ref, example: Value) -> ResponseBuilder {
    let content = ContentBuilder::new().schema(Some(schema)).example(Some(example)).build();
    ResponseBuilder::new().description(description).content("application/json", content)
}

fn customer(description: &str, schema: &str) -> ResponseBuilder {
    json_answer(description, Ref::from_schema_name(schema), json!(customer_example()))
}

/// Either kind of page.
fn list() -> Content {
    let path = "/api/v1/customers";
    let data = json!([customer_example()]);
    let example =
        |summary: &str, value| ExampleBuilder::new().summary(summary).value(Some(value)).build();
    let pages = OneOfBuilder::new()
        .item(Ref::from_schema_name("CustomerPage"))
        .item(Ref::from_schema_name("CustomerCursorPage"));
    ContentBuilder::new()
        .schema(Some(Schema::from(pages)))
        .examples_from_iter([
            ("numbered", example("A numbered page", page_example(path, "sort=name&"))),
            (
                "cursor",
                example(
                    "A page by cursor",
                    cursor_page_example(path, "per_page=1&pagination=cursor&", data),
                ),
            ),
        ])
        .build()
}

fn tagged(answer: ResponseBuilder) -> ResponseBuilder {
    with_header(answer, "ETag", "The tag of the customer as it is (RFC 9110 §8.8.3).")
}

fn located(answer: ResponseBuilder) -> ResponseBuilder {
    with_header(answer, "Location", "Where the customer is found by its id.")
}

fn replayed(answer: ResponseBuilder) -> ResponseBuilder {
    let description = "`true` where this is the answer to an earlier request of the same key, and \
                       else not there.";
    with_header(answer, "Idempotent-Replayed", description)
}

fn linked(answer: ResponseBuilder) -> ResponseBuilder {
    let description = "The other pages (RFC 8288); not there where it would be longer than 8,000 \
                       bytes, or where there are none.";
    with_header(answer, "Link", description)
}

fn polled(answer: ResponseBuilder) -> ResponseBuilder {
    let description = "With `filter[updated_after]`: up to this time nothing will be added to the \
                       list any more. Where it is followed page by page, the header of the first \
                       page counts. The next poll asks for `filter[updated_after]` this time.";
    with_header(answer, "X-Complete-Until", description)
}

fn with_header(answer: ResponseBuilder, name: &str, description: &str) -> ResponseBuilder {
    let text = ObjectBuilder::new().schema_type(Type::String);
    let header = HeaderBuilder::new().schema(Some(text)).description(Some(description));
    answer.header(name, header.build())
}
