//! The document: the same wherever it is had, and true.

use serde_json::Value;

use crate::support::{Home, TestServer, validator};

cases! {
    both: [the_document_is_the_same_wherever_it_is_had]
    sqlite: [
        every_endpoint_is_in_the_document_and_nothing_else,
        every_example_is_valid_against_its_schema,
        schemas_say_exactly_what_may_be_null,
    ]
}

const COMMITTED: &str = include_str!("../../../../openapi/openapi.json");

fn document() -> Value {
    serde_json::from_str(COMMITTED).expect("JSON")
}

async fn the_document_is_the_same_wherever_it_is_had(server: TestServer) {
    let printed = server.home.run_well(&["openapi"]);
    assert!(printed == COMMITTED, "openapi/openapi.json is not up to date: run `make openapi`");
    assert_eq!(server.get("/openapi.json").anonymous().await.text(), printed);
}

async fn every_endpoint_is_in_the_document_and_nothing_else(_: Home) {
    let document = document();
    let paths = document["paths"].as_object().expect("paths").iter();
    let documented: Vec<String> = paths
        .flat_map(|(path, item)| {
            let methods = item.as_object().expect("operations").keys();
            methods.map(move |method| format!("{method} {path}"))
        })
        .collect();
    assert_eq!(
        documented,
        [
            "post /api/v1/customers",
            "get /api/v1/customers/{customer}",
            "get /api/v1/customerAccounts/{customerAccount}",
            "post /api/logout",
            "post /api/login",
            "get /api/version",
            "get /health/live",
            "get /health/ready",
            "get /openapi.json",
        ]
    );
}

async fn every_example_is_valid_against_its_schema(_: Home) {
    let document = document();
    let mut examples = 0;
    let mut check = |content: &Value| {
        for media_type in content.as_object().into_iter().flat_map(|content| content.values()) {
            let schema = validator(&document, &media_type["schema"]);
            let several = media_type["examples"].as_object();
            let several = several.into_iter().flat_map(|examples| examples.values());
            for example in several.map(|example| &example["value"]).chain(media_type.get("example"))
            {
                let fault = schema.validate(example).err();
                assert!(fault.is_none(), "{fault:?} in {example}");
                examples += 1;
            }
        }
    };
    for operation in operations(&document) {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            // Has the same two members as a media type.
            check(&serde_json::json!({ "parameter": parameter }));
        }
        check(&operation["requestBody"]["content"]);
        for response in operation["responses"].as_object().expect("responses").values() {
            check(&response["content"]);
        }
    }
    assert!(examples > 50, "only {examples} examples");
}

async fn schemas_say_exactly_what_may_be_null(_: Home) {
    let document = document();
    let schemas = &document["components"]["schemas"];
    let may_be_null = |schema: &Value| {
        schema["type"].as_array().is_some_and(|types| types.contains(&Value::from("null")))
    };
    let customer = &schemas["Customer"];
    let properties = customer["properties"].as_object().expect("properties");
    let required = customer["required"].as_array().expect("required");
    assert_eq!(properties.len(), required.len());
    assert_eq!(properties.len(), 26);
    let nullable: Vec<&str> = properties
        .iter()
        .filter(|(_, it)| may_be_null(it))
        .map(|(name, _)| name.as_str())
        .collect();
    let expected = [
        "representative_id",
        "accountsReference",
        "brand",
        "registrationNumber",
        "taxRegistrationNumber",
        "type",
        "capital",
        "mainAddressLine1",
        "mainAddressLine2",
        "mainAddressCity",
        "mainAddressCountry",
        "website",
        "deleted_at",
    ];
    assert_eq!(nullable, expected);
    assert_eq!(schemas["CustomerInput"]["required"], serde_json::json!(["name"]));

    let create = &document["paths"]["/api/v1/customers"]["post"];
    assert_eq!(create["requestBody"]["required"], false);
    let media_types: Vec<&String> =
        create["requestBody"]["content"].as_object().expect("content").keys().collect();
    assert_eq!(
        media_types,
        ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"]
    );
    let parameters = create["parameters"].as_array().expect("parameters");
    assert_eq!(parameters.iter().filter(|it| it["in"] == "query").count(), 22);
    assert!(parameters.iter().all(|it| it["required"] == false));
}

fn operations(document: &Value) -> impl Iterator<Item = &Value> {
    let paths = document["paths"].as_object().expect("paths").values();
    paths.flat_map(|path| path.as_object().expect("operations").values())
}
