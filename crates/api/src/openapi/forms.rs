//! Bodies that are forms, which have no null.

use utoipa::openapi::schema::{Object, Schema, SchemaType, Type};
use utoipa::openapi::{OpenApi, Ref, RefOr};

const FORMS: [&str; 2] = ["application/x-www-form-urlencoded", "multipart/form-data"];

/// Gives forms a schema beside the one of JSON, under its name and `Form`. Client generators make a
/// class of each, by which their clients tell how a body is to be written.
pub(super) fn separate(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    let items = document.paths.paths.values_mut();
    let operations = items.flat_map(|item| [&mut item.post, &mut item.put, &mut item.patch]);
    for operation in operations.flatten() {
        let Some(RefOr::T(body)) = &mut operation.request_body else { continue };
        for form in FORMS {
            let Some(RefOr::T(content)) = body.content.get_mut(form) else { continue };
            let Some(RefOr::Ref(schema)) = &mut content.schema else { continue };
            let name = schema.ref_location.rsplit('/').next().unwrap_or_default();
            if let Some(RefOr::T(Schema::Object(json))) = components.schemas.get(name) {
                let (name, form) = (format!("{name}Form"), without_null(json.clone()));
                *schema = Ref::from_schema_name(&name);
                components.schemas.insert(name, RefOr::T(form.into()));
            }
        }
    }
}

fn without_null(mut object: Object) -> Object {
    for property in object.properties.values_mut() {
        if let RefOr::T(Schema::Object(property)) = property
            && let SchemaType::Array(types) = &property.schema_type
            && let Some(kind) = types.iter().find(|kind| **kind != Type::Null)
        {
            property.schema_type = kind.clone().into();
        }
    }
    let description = object.description.unwrap_or_default();
    object.description = Some(format!("{description} In a form, empty text is null."));
    object
}
