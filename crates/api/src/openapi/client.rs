//! The document once more, for client generators: in OpenAPI 3.0, and each call in one way only.
//!
//! There are generators that know no OpenAPI 3.1, and these stumble over more than that: over several
//! media types of one body, over parameters that stand in a query as well. They are given what a
//! typed client needs. What is left out are other ways to make the same call, what is deprecated, and
//! limits and defaults, which the service knows best and which may change: a client that held an
//! answer against the limits of the day it was made would refuse what it could read.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::{Map, Value};

/// The members of a schema that are left out.
const LEFT_OUT: [&str; 9] = [
    "default",
    "maxItems",
    "maxLength",
    "maximum",
    "minLength",
    "minimum",
    "pattern",
    "propertyNames",
    // Of what is answered, new ones may be added.
    "enum",
];

/// The media type of every body.
const JSON: &str = "application/json";

/// What stands in front of the name of a schema where it is referred to.
const SCHEMAS: &str = "#/components/schemas/";

static CLIENT_DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    let mut document: Value = serde_json::from_str(super::document()).expect("JSON");
    render(&mut document);
    serde_json::to_string_pretty(&document).expect("JSON") + "\n"
});

/// The document for client generators, of OpenAPI 3.0.3, as indented JSON that ends with a line
/// break.
pub fn client_document() -> &'static str {
    &CLIENT_DOCUMENT
}

fn render(document: &mut Value) {
    document["openapi"] = "3.0.3".into();
    for item in members(document.get_mut("paths")) {
        members(Some(item)).for_each(render_operation);
    }
    members(document.pointer_mut("/components/schemas")).for_each(render_schema);
    replace_other_names(document);
    leave_out_unused(document);
}

fn render_operation(operation: &mut Value) {
    if let Some(body) = operation.get_mut("requestBody") {
        only_json(body);
        body["required"] = true.into();
        body["description"] = "What in the full document may also stand in the query.".into();
        if let Some(Value::Array(parameters)) = operation.get_mut("parameters") {
            parameters.retain(|parameter| parameter["in"] != "query");
        }
    }
    for parameter in elements(operation.get_mut("parameters")) {
        render_schema(&mut parameter["schema"]);
    }
    for response in members(operation.get_mut("responses")) {
        only_json(response);
        for header in members(response.get_mut("headers")) {
            render_schema(&mut header["schema"]);
        }
    }
}

/// Leaves of a body, or of an answer, what is said of it as JSON.
fn only_json(body: &mut Value) {
    if let Some(Value::Object(content)) = body.get_mut("content") {
        content.retain(|media_type, _| media_type == JSON);
        content.values_mut().for_each(|json| render_schema(&mut json["schema"]));
    }
}

fn render_schema(schema: &mut Value) {
    let Value::Object(parts) = schema else { return };
    // Beside a reference nothing else counts.
    if parts.contains_key("$ref") {
        parts.retain(|name, _| name == "$ref");
        return;
    }
    parts.retain(|name, _| !LEFT_OUT.contains(&name.as_str()));
    render_type(parts);
    if let Some(Value::Object(properties)) = parts.get_mut("properties") {
        properties.retain(|_, property| property["deprecated"] != true);
        properties.values_mut().for_each(render_schema);
    }
    for name in ["items", "additionalProperties"] {
        parts.get_mut(name).into_iter().for_each(render_schema);
    }
    for name in ["allOf", "oneOf"] {
        elements(parts.get_mut(name)).for_each(render_schema);
    }
    if let Some(Value::Array(all)) = parts.get_mut("allOf") {
        let is_empty = |part: &Value| part["properties"].as_object().is_some_and(Map::is_empty);
        all.retain(|part| !is_empty(part));
        if let [only] = &mut all[..] {
            *schema = only.take();
        }
    }
}

/// OpenAPI 3.0 knows one type or any, and says beside it that there may be null.
fn render_type(schema: &mut Map<String, Value>) {
    let Some(Value::Array(types)) = schema.get("type") else { return };
    let (null, kinds): (Vec<_>, Vec<_>) = types.clone().into_iter().partition(|it| it == "null");
    match <[Value; 1]>::try_from(kinds) {
        Ok([kind]) => {
            schema.insert("type".into(), kind);
            schema.insert("nullable".into(), (!null.is_empty()).into());
        }
        Err(_) => schema.retain(|name, _| name != "type"),
    }
}

/// Schemas that are nothing but another one give way to that.
fn replace_other_names(document: &mut Value) {
    let mut others = Vec::new();
    if let Some(Value::Object(schemas)) = document.pointer_mut("/components/schemas") {
        schemas.retain(|name, schema| match schema["$ref"].as_str() {
            Some(reference) => {
                others.push((format!("{SCHEMAS}{name}"), reference.to_owned()));
                false
            }
            None => true,
        });
    }
    each_reference(document, &mut |reference| {
        if let Some((_, real)) = others.iter().find(|(other, _)| *other == *reference) {
            reference.clone_from(real);
        }
    });
}

fn leave_out_unused(document: &mut Value) {
    let mut used = BTreeSet::new();
    let mut open = references(&mut document["paths"]);
    let Some(Value::Object(schemas)) = document.pointer_mut("/components/schemas") else { return };
    while let Some(name) = open.pop() {
        if let Some(schema) = schemas.get_mut(&name)
            && used.insert(name)
        {
            open.extend(references(schema));
        }
    }
    schemas.retain(|name, _| used.contains(name));
}

/// The names of the schemas that are referred to.
fn references(value: &mut Value) -> Vec<String> {
    let mut names = Vec::new();
    each_reference(value, &mut |reference| {
        names.extend(reference.strip_prefix(SCHEMAS).map(str::to_owned));
    });
    names
}

fn each_reference(value: &mut Value, of: &mut impl FnMut(&mut String)) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get_mut("$ref") {
                of(reference);
            }
            members.values_mut().for_each(|member| each_reference(member, of));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| each_reference(value, of)),
        _ => {}
    }
}

/// The values in an object.
fn members(object: Option<&mut Value>) -> impl Iterator<Item = &mut Value> {
    object.and_then(Value::as_object_mut).into_iter().flat_map(|members| members.values_mut())
}

/// The values in an array.
fn elements(array: Option<&mut Value>) -> impl Iterator<Item = &mut Value> {
    array.and_then(Value::as_array_mut).into_iter().flatten()
}
