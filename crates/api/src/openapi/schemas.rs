//! The schemas of what is sent and answered, made of the domain's attributes.

use customers_domain::history::Action;
use customers_domain::{ATTRIBUTES, Attribute, CustomerId, Kind, Value};
use serde_json::json;
use utoipa::openapi::schema::{
    AllOfBuilder, ArrayBuilder, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{Deprecated, KnownFormat, Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use crate::listing::{MAX_PAGE, MAX_PER_PAGE};

/// Text without control characters (general category Cc).
pub(super) const ONE_LINE: &str = r"^[^\u0000-\u001F\u007F-\u009F]*$";

/// The same with tabs and line breaks.
const LINES: &str = r"^[^\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F]*$";

/// A customer, as it is answered.
pub(crate) struct Customer;

/// The same of GET, where more may stand beside it.
pub(crate) struct FoundCustomer;

/// The same of POST, where more may stand beside it.
pub(crate) struct CreatedCustomer;

/// A customer, as it is sent.
pub(crate) struct CustomerInput;

/// What is to change of a customer, as it is sent.
pub(crate) struct CustomerChanges;

/// A numbered page of customers.
pub(crate) struct CustomerPage;

/// A link of such a page.
pub(crate) struct PageLink;

/// A page of customers with cursors.
pub(crate) struct CustomerCursorPage;

/// Something that happened to a customer.
pub(crate) struct HistoryEntry;

/// A page of a customer's history.
pub(crate) struct HistoryPage;

/// Schemas under the names of these types.
macro_rules! schemas {
    ($( $name:ident = $schema:expr; )+) => {
        $(
            impl ToSchema for $name {}

            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    RefOr::T(Schema::from($schema))
                }
            }
        )+
    };
}

schemas! {
    Customer = customer(
        "A customer, as it is answered. Every property is always there.",
        |attribute| kind_schema(attribute, attribute.nullable),
    );
    FoundCustomer = with_legacy(
        "A customer that is asked for.",
        "customer",
        customer("The same with 0 and 1 for false and true, where the service is set up for it.", |it| {
            match it.kind {
                Kind::Boolean => integer(0, 1),
                _ => kind_schema(it, it.nullable),
            }
        }),
    );
    CreatedCustomer = with_legacy(
        "A customer that was created.",
        "response",
        id("The id again, where the service is set up for it."),
    );
    CustomerInput = sent(
        "A customer, as it is sent. What is not given takes its default. Properties that are not \
         listed are ignored, unless the request says `Prefer: handling=strict`.",
        input_schema,
        Attribute::required,
    );
    CustomerChanges = sent(
        "What is to change of a customer. What is not given stays as it is. Properties that are \
         not listed are ignored, unless the request says `Prefer: handling=strict`.",
        change_schema,
        |_| false,
    );
    CustomerPage = object("A numbered page of customers.", [
        ("current_page", integer(1, MAX_PAGE).description(Some("The number of this page.")).into()),
        ("data", list_of("Customer")),
        ("first_page_url", url(false)),
        ("from", nullable(count("The number of the first customer on this page in the list."))),
        ("last_page", integer(1, MAX_PAGE).description(Some(
            "The number of the last page, or of this one where that is beyond the end.",
        )).into()),
        ("last_page_url", url(false)),
        ("links", list_of("PageLink")),
        ("next_page_url", url(true)),
        ("path", url(false)),
        ("per_page", integer(1, MAX_PER_PAGE.into()).description(Some("How many customers a page shows.")).into()),
        ("prev_page_url", url(true)),
        ("to", nullable(count("The number of the last customer on this page in the list."))),
        ("total", count("How many customers there are on all pages.").into()),
    ]);
    PageLink = object("A link to a page, or a gap between such links.", [
        ("url", url(true)),
        ("label", text("What to show: a number, `...`, or a word as HTML.").into()),
        ("page", nullable(integer(1, MAX_PAGE).description(Some("The number of the page.")))),
        ("active", boolean("Whether it is this page.").into()),
    ]);
    CustomerCursorPage = cursor_page("A page of customers by cursor.", "Customer");
    HistoryPage = cursor_page(
        "What happened to a customer, the newest first. It is read onwards only: there never is a \
         cursor back.",
        "HistoryEntry",
    );
    HistoryEntry = object("Something that happened to a customer.", [
        ("id", integer(1, i64::MAX).description(Some("Its number, above those of earlier entries.")).into()),
        ("at", moment("When it happened, in UTC.").into()),
        ("actor", text("Who did it: the name of a token or a user, or `command line`.").into()),
        ("action", text("What was done.").enum_values(Some(Action::ALL.map(Action::as_str))).into()),
        ("request_id", text("The `X-Request-Id` of the request that did it; of a command, a number of its own. Empty where the customer was erased since.").into()),
        ("changes", ObjectBuilder::new()
            .description(Some("The attributes that are different since, by name; of a new customer, \
                               those that differ from the defaults."))
            .additional_properties(Some(RefOr::T(Schema::from(object("What it was and is.", [
                ("from", value()),
                ("to", value()),
            ])))))
            .into()),
    ]);
}

type Property = RefOr<Schema>;

/// An object all of whose properties are always there.
fn object<const N: usize>(description: &str, properties: [(&str, Property); N]) -> ObjectBuilder {
    let object = ObjectBuilder::new().description(Some(description));
    properties
        .into_iter()
        .fold(object, |object, (name, property)| object.property(name, property).required(name))
}

/// A customer with its attributes like this.
fn customer(description: &str, attribute: impl Fn(&Attribute) -> ObjectBuilder) -> ObjectBuilder {
    let identity = object(
        description,
        [("id", id("The number that the registry gave it, never given to another.").into())],
    );
    let attributes = ATTRIBUTES.iter().fold(identity, |schema, it| {
        schema.property(it.name, attribute(it).description(Some(it.meaning))).required(it.name)
    });
    attributes
        .property("created_at", moment("When it was created, in UTC."))
        .required("created_at")
        .property("updated_at", moment("When it was last changed, in UTC."))
        .required("updated_at")
        .property("deleted_at", nullable(moment("When it was deleted; null unless it is.")))
        .required("deleted_at")
}

/// A customer beside which something from older documentation may stand.
fn with_legacy(description: &str, name: &str, legacy: ObjectBuilder) -> AllOfBuilder {
    let legacy = legacy.deprecated(Some(Deprecated::True));
    AllOfBuilder::new()
        .description(Some(description))
        .item(Ref::from_schema_name("Customer"))
        .item(ObjectBuilder::new().property(name, legacy))
}

/// The attributes as they are sent.
fn sent(
    description: &str,
    attribute: impl Fn(&Attribute) -> ObjectBuilder,
    is_required: impl Fn(&Attribute) -> bool,
) -> ObjectBuilder {
    let object = ObjectBuilder::new().description(Some(description));
    ATTRIBUTES.iter().fold(object, |schema, it| {
        let schema = schema.property(it.name, attribute(it));
        if is_required(it) { schema.required(it.name) } else { schema }
    })
}

fn cursor_page(description: &str, item: &str) -> ObjectBuilder {
    let cursor = |description: &str| nullable(text(description));
    object(
        description,
        [
            ("data", list_of(item)),
            ("path", url(false)),
            (
                "per_page",
                integer(1, MAX_PER_PAGE.into())
                    .description(Some("How many entries a page shows."))
                    .into(),
            ),
            ("next_cursor", cursor("The cursor of the next page; null at the end.")),
            ("next_page_url", url(true)),
            ("prev_cursor", cursor("The cursor of the previous page; null at the beginning.")),
            ("prev_page_url", url(true)),
        ],
    )
}

fn id(description: &str) -> ObjectBuilder {
    integer(1, CustomerId::MAX.get()).description(Some(description))
}

fn integer(min: i64, max: i64) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(min))
        .maximum(Some(max))
}

fn count(description: &str) -> ObjectBuilder {
    integer(0, i64::MAX).description(Some(description))
}

fn text(description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).description(Some(description))
}

fn boolean(description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Boolean).description(Some(description))
}

fn moment(description: &str) -> ObjectBuilder {
    text(description).format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
}

fn url(may_be_null: bool) -> Property {
    let url = ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::Custom("uri".into())));
    if may_be_null { nullable(url) } else { url.into() }
}

/// The value of any attribute.
fn value() -> Property {
    let types = [Type::String, Type::Integer, Type::Boolean, Type::Null];
    ObjectBuilder::new().schema_type(SchemaType::from_iter(types)).into()
}

fn list_of(schema: &str) -> Property {
    ArrayBuilder::new().items(Ref::from_schema_name(schema)).into()
}

fn nullable(schema: ObjectBuilder) -> Property {
    let mut schema = schema.build();
    if let SchemaType::Type(kind) = schema.schema_type.clone() {
        schema.schema_type = SchemaType::from_iter([kind, Type::Null]);
    }
    RefOr::T(schema.into())
}

pub(super) fn kind_type(kind: Kind) -> Type {
    match kind {
        Kind::Text { .. } | Kind::Lines { .. } | Kind::Emails | Kind::Account => Type::String,
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
    let max_chars = attribute.kind.max_chars().map(|max| max as usize);
    match attribute.kind {
        Kind::Text { min_chars, .. } => {
            let min = (min_chars > 0).then_some(min_chars as usize);
            schema.min_length(min).max_length(max_chars).pattern(Some(ONE_LINE))
        }
        Kind::Account => schema.min_length(Some(1)).max_length(max_chars).pattern(Some(ONE_LINE)),
        Kind::Emails => schema.max_length(max_chars).pattern(Some(ONE_LINE)),
        Kind::Lines { .. } => schema.max_length(max_chars).pattern(Some(LINES)),
        Kind::Integer { min } => {
            let format = SchemaFormat::KnownFormat(KnownFormat::Int32);
            schema.format(Some(format)).minimum(Some(min)).maximum(Some(i32::MAX))
        }
        Kind::Boolean => schema,
    }
}

/// An attribute of a customer that is created, with its default where there is one.
pub(super) fn input_schema(attribute: &Attribute) -> ObjectBuilder {
    let schema =
        kind_schema(attribute, attribute.nullable).description(Some(input_meaning(attribute)));
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

/// An attribute that is changed.
pub(super) fn change_schema(attribute: &Attribute) -> ObjectBuilder {
    kind_schema(attribute, attribute.cleared().is_some()).description(Some(attribute.meaning))
}
