//! The parameters in paths, queries and headers.

use customers_domain::selection::SortKey;
use customers_domain::{ATTRIBUTES, Attribute, CustomerId, Kind};
use serde_json::{Value, json};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::openapi::{KnownFormat, Required};

use super::schemas::{ONE_LINE, change_schema, input_schema, kind_type};
use crate::listing::filters::FilteredBy;
use crate::listing::{DEFAULT_PER_PAGE, MAX_PAGE, MAX_PER_PAGE};

/// `*`, or a list of entity tags (RFC 9110 §8.8.3).
const TAGS: &str = r#"^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$"#;

/// An idempotency key in quotes (RFC 8941 §3.3.3) or without.
const KEY: &str = r#"^("([ !#-\[\]-~]|\\["\\])+"|[!#-~]([ -~]*[!-~])?)$"#;

/// Sets of parameters.
macro_rules! parameters {
    ($( $(#[$doc:meta])* $name:ident = $parameters:expr; )+) => {
        $(
            $(#[$doc])*
            pub(crate) struct $name;

            impl IntoParams for $name {
                fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
                    Vec::from_iter($parameters)
                }
            }
        )+
    };
}

parameters! {
    /// `{customer}` where an account will do.
    NamedCustomerPath = [path("customer", "The id, or an account that does not look like one.",
        text(), json!("1"))];
    /// `{customer}` where only an id will do.
    CustomerPath = [path("customer", "The id.", ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(1))
        .maximum(Some(CustomerId::MAX.get())), json!(1))];
    /// `{customerAccount}`.
    AccountPath = [path("customerAccount", "The account, in any case.",
        text(), json!("CL000001"))];
    /// The documented parameter that names the customer a second time. Without an example: the page
    /// would send that along.
    AccountQuery =
        [query("customerAccount", "The account of the customer that is asked for.", text())];
    /// The attributes of a new customer.
    CustomerQuery = ATTRIBUTES.iter().map(|attribute| {
        let note = if attribute.required() { " Required, here or in the body." } else { "" };
        attribute_query(attribute, input_schema(attribute), note)
    });
    /// The attributes that change.
    ChangesQuery = ATTRIBUTES.iter().map(|attribute| {
        let note = if attribute.cleared().is_some() { " Empty: none." } else { "" };
        attribute_query(attribute, change_schema(attribute), note)
    });
    /// Filters, order and pages of a list.
    ListParameters = FilteredBy::all()
        .map(filter)
        .chain([sort(), page(), pagination(), cursor(), per_page()]);
    /// What is searched for.
    TermQuery = [query("term", "What to look for. Nothing finds nothing.",
        text().max_length(Some(255)))];
    /// The part of a list that has numbered pages.
    NumberedParameters = [page(), per_page()];
    /// The part of a list that has cursors.
    CursorParameters = [cursor(), per_page()];
    /// How unknown parameters are handled.
    PreferHeader = [header("Prefer", text(),
        "`handling=strict` (RFC 7240) refuses parameters that are not listed here.")];
    /// What the client has.
    IfNoneMatch = [header("If-None-Match", tags(),
        "Entity tags, or `*`: only if the customer has none of these (RFC 9110 §13.1.2).")];
    /// What the client expects.
    IfMatch = [header("If-Match", tags(),
        "Entity tags, or `*`: only if the customer has one of these (RFC 9110 §13.1.1).")];
    /// Under which key the request is made once.
    IdempotencyHeader = [header("Idempotency-Key", string().pattern(Some(KEY)).max_length(Some(255)),
        "A key of 1 to 255 characters, in quotes or without, such as a UUID. For 24 hours the same \
         request with the same key is answered as the first one was, and not made again.")];
}

fn path(name: &str, description: &str, schema: ObjectBuilder, example: Value) -> Parameter {
    parameter(ParameterIn::Path, name, description)
        .required(Required::True)
        .schema(Some(schema))
        .example(Some(example))
        .build()
}

fn query(name: &str, description: &str, schema: impl Into<Schema>) -> Parameter {
    parameter(ParameterIn::Query, name, description).schema(Some(schema.into())).build()
}

fn header(name: &str, schema: ObjectBuilder, description: &str) -> Parameter {
    parameter(ParameterIn::Header, name, description).schema(Some(schema)).build()
}

fn parameter(place: ParameterIn, name: &str, description: &str) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(Required::False)
        .description(Some(description))
}

/// The most characters that are promised for a parameter of the query: URLs are bounded.
const MAX_CHARS: usize = 4_000;

/// An attribute of an input schema. There is no null in a query.
fn attribute_query(attribute: &Attribute, schema: ObjectBuilder, note: &str) -> Parameter {
    let mut schema = schema.schema_type(kind_type(attribute.kind)).build();
    let mut description = schema.description.take().unwrap_or_default() + note;
    if schema.max_length.is_some_and(|max| max > MAX_CHARS) {
        schema.max_length = Some(MAX_CHARS);
        description += " In the query only where the URL does not become too long.";
    }
    query(attribute.name, &description, schema)
}

/// A value, or several with commas between them. As text, because not every client generator heeds
/// how an array is to be written, and because of the commas in values, which an array would not
/// escape.
fn several(name: &str, description: &str, values: ObjectBuilder) -> Parameter {
    query(name, &format!("{description} Several have commas between them."), values)
}

fn filter(by: FilteredBy) -> Parameter {
    let name = format!("filter[{}]", by.name());
    match by {
        FilteredBy::Id => several(&name, "The id.", whole_numbers()),
        FilteredBy::Attribute(attribute) => {
            let meaning = attribute.meaning;
            match attribute.kind {
                Kind::Integer { .. } => several(&name, meaning, whole_numbers()),
                Kind::Boolean => {
                    query(&name, meaning, ObjectBuilder::new().schema_type(Type::Boolean))
                }
                _ => several(&name, meaning, text()),
            }
        }
        FilteredBy::Name => several(&name, "A part of the name.", text()),
        FilteredBy::Phone => several(
            &name,
            "A phone, mobile phone or fax number, compared by digits without a leading `00`, `+` or \
             `0`: equal, or the shorter, of at least 8 digits, ending the longer.",
            text(),
        ),
        FilteredBy::CreatedAfter => {
            query(&name, "Created then or later. A date begins at midnight UTC.", moment())
        }
        FilteredBy::CreatedBefore => query(&name, "Created before.", moment()),
        FilteredBy::UpdatedAfter => query(&name, "Last changed then or later.", moment()),
        FilteredBy::UpdatedBefore => query(&name, "Last changed before.", moment()),
        FilteredBy::TermMatch => {
            query(&name, "One of the 1,000 best hits of a search.", text().max_length(Some(255)))
        }
        FilteredBy::Trashed => query(
            &name,
            "Deleted customers, too, or only these. Needs a token of scope `write`.",
            string().enum_values(Some(["with", "only"])),
        ),
    }
}

fn sort() -> Parameter {
    let keys = SortKey::ALL.map(SortKey::name).join("|");
    several(
        "sort",
        "By what the list is sorted; `-` is descending. The id, unless said, and in the end.",
        string().pattern(Some(format!("^-?({keys})(,-?({keys}))*$"))),
    )
}

fn page() -> Parameter {
    let schema = whole_number().minimum(Some(1)).maximum(Some(MAX_PAGE)).default(Some(1.into()));
    query("page", "The number of the page. Nonsense counts as 1.", schema)
}

fn per_page() -> Parameter {
    let schema = whole_number()
        .minimum(Some(1))
        .maximum(Some(MAX_PER_PAGE))
        .default(Some(DEFAULT_PER_PAGE.into()));
    query(
        "per_page",
        "How many entries a page shows. Nonsense counts as 20, more than 500 as 500.",
        schema,
    )
}

fn pagination() -> Parameter {
    query(
        "pagination",
        "`cursor` for pages by cursor instead of number.",
        string().enum_values(Some(["cursor"])),
    )
}

fn cursor() -> Parameter {
    query("cursor", "The cursor of the page, from the answer with the one before it.", text())
}

fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn text() -> ObjectBuilder {
    string().pattern(Some(ONE_LINE))
}

fn tags() -> ObjectBuilder {
    string().pattern(Some(TAGS))
}

/// Whole numbers with commas between them.
fn whole_numbers() -> ObjectBuilder {
    string().pattern(Some("^(0|-?[1-9][0-9]{0,8})(,(0|-?[1-9][0-9]{0,8}))*$"))
}

fn moment() -> ObjectBuilder {
    string().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
}

fn whole_number() -> ObjectBuilder {
    let format = SchemaFormat::KnownFormat(KnownFormat::Int64);
    ObjectBuilder::new().schema_type(Type::Integer).format(Some(format))
}
