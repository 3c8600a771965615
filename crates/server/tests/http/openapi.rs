//! The document: the same wherever it is had, and true.

use serde_json::Value;

use crate::support::{Home, TestServer, validator};

cases! {
    both: [the_document_is_the_same_wherever_it_is_had]
    sqlite: [
        every_endpoint_is_in_the_document_and_nothing_else,
        every_example_is_valid_against_its_schema,
        schemas_say_exactly_what_may_be_null,
        bodies_and_parameters_are_as_they_are_read,
        client_generators_are_given_each_call_in_one_way_only,
    ]
}

const COMMITTED: &str = include_str!("../../../../openapi/openapi.json");

/// What client generators are given.
const CLIENT: &str = include_str!("../../../../openapi/client.json");

fn document() -> Value {
    serde_json::from_str(COMMITTED).expect("JSON")
}

async fn the_document_is_the_same_wherever_it_is_had(server: TestServer) {
    let printed = server.home.run_well(&["openapi"]);
    assert!(printed == COMMITTED, "openapi/openapi.json is not up to date: run `make openapi`");
    assert_eq!(server.get("/openapi.json").anonymous().await.text(), printed);
    let printed = server.home.run_well(&["openapi", "--client"]);
    assert!(printed == CLIENT, "openapi/client.json is not up to date: run `make openapi`");
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
            "get /api/v1/customers",
            "post /api/v1/customers",
            "get /api/v1/customers/search",
            "get /api/v1/customers/{customer}",
            "put /api/v1/customers/{customer}",
            "delete /api/v1/customers/{customer}",
            "patch /api/v1/customers/{customer}",
            "get /api/v1/customerAccounts/{customerAccount}",
            "put /api/v1/customerAccounts/{customerAccount}",
            "post /api/v1/customers/{customer}/restore",
            "get /api/v1/customers/{customer}/history",
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
    // The id, sixty-one attributes and three times.
    assert_eq!(properties.len(), 65);
    let never_null = |schema: &Value| -> Vec<String> {
        let properties = schema["properties"].as_object().expect("properties");
        let kept = properties.iter().filter(|(_, it)| !may_be_null(it));
        kept.map(|(name, _)| name.clone()).collect()
    };
    let expected = [
        "id",
        "brand_id",
        "customerAccount",
        "name",
        "prospection_code_id",
        "zone",
        "language_id",
        "abroad",
        "active",
        "isReseller",
        "resellerLevel",
        "chargeVAT",
        "applyVATAutoReverseOperators",
        "onCallDuty",
        "vip",
        "acceptEmails",
        "acceptCalls",
        "canSendSms",
        "mergeInvoices",
        "isGroupingAccount",
        "isPayer",
        "supplier",
        "suppliers",
        "quickSearchIndex",
        "created_at",
        "updated_at",
    ];
    assert_eq!(never_null(customer), expected);
    // What may be cleared may be null in an update, though it is answered as empty text.
    let of_updates = ["id", "suppliers", "created_at", "updated_at"];
    let expected: Vec<_> = expected.into_iter().filter(|name| !of_updates.contains(name)).collect();
    assert_eq!(never_null(&schemas["CustomerChanges"]), expected);
    assert_eq!(schemas["CustomerInput"]["required"], serde_json::json!(["name"]));
    assert_eq!(schemas["CustomerChanges"]["required"], Value::Null);
    for (schema, beside) in [("FoundCustomer", "customer"), ("CreatedCustomer", "response")] {
        let beside = &schemas[schema]["allOf"][1]["properties"][beside];
        assert_eq!(beside["deprecated"], true, "{schema}");
    }
}

async fn bodies_and_parameters_are_as_they_are_read(_: Home) {
    let document = document();
    let forms = ["application/x-www-form-urlencoded", "multipart/form-data"];
    let customer = &document["paths"]["/api/v1/customers/{customer}"];
    let account = &document["paths"]["/api/v1/customerAccounts/{customerAccount}"];
    for (operation, media_types) in [
        (&document["paths"]["/api/v1/customers"]["post"], vec!["application/json"]),
        (&customer["patch"], vec!["application/json", "application/merge-patch+json"]),
        (&customer["put"], vec!["application/json"]),
        (&account["put"], vec!["application/json"]),
    ] {
        assert_eq!(operation["requestBody"]["required"], false);
        let content = operation["requestBody"]["content"].as_object().expect("content");
        let expected = [&media_types[..], &forms].concat();
        assert_eq!(content.keys().collect::<Vec<_>>(), expected);
        let parameters = operation["parameters"].as_array().expect("parameters");
        let in_query: Vec<_> = parameters.iter().filter(|it| it["in"] == "query").collect();
        assert_eq!(in_query.len(), 61);
        assert!(in_query.iter().all(|it| it["required"] == false));
    }
    let kind = |operation: &Value| operation["parameters"][0]["schema"]["type"].clone();
    assert_eq!(kind(&customer["get"]), "string");
    for method in ["put", "patch", "delete"] {
        assert_eq!(kind(&customer[method]), "integer");
        assert_eq!(customer[method]["parameters"][0]["schema"]["format"], "int64");
    }
    let list = &document["paths"]["/api/v1/customers"]["get"]["parameters"];
    let names = list.as_array().expect("parameters").iter().map(|it| it["name"].as_str());
    assert!(names.flatten().any(|name| name == "filter[mainAddressPostalCode]"));
}

async fn client_generators_are_given_each_call_in_one_way_only(_: Home) {
    let (document, client) = (document(), serde_json::from_str::<Value>(CLIENT).expect("JSON"));
    assert_eq!(client["openapi"], "3.0.3");
    let ids = |document| -> Vec<String> {
        operations(document).map(|operation| operation["operationId"].to_string()).collect()
    };
    assert_eq!(ids(&client), ids(&document));
    for operation in operations(&client) {
        let mut contents: Vec<_> =
            operation["responses"].as_object().expect("responses").values().collect();
        let parameters = operation["parameters"].as_array();
        if operation["requestBody"].is_object() {
            contents.push(&operation["requestBody"]);
            let mut parameters = parameters.into_iter().flatten();
            assert!(parameters.all(|parameter| parameter["in"] != "query"), "{operation}");
        }
        for content in contents.iter().filter_map(|it| it["content"].as_object()) {
            assert_eq!(content.keys().collect::<Vec<_>>(), ["application/json"]);
        }
    }
    let schemas = client["components"]["schemas"].as_object().expect("schemas");
    let names: Vec<_> = schemas.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "Conflict",
            "Credentials",
            "Customer",
            "CustomerChanges",
            "CustomerCursorPage",
            "CustomerInput",
            "CustomerPage",
            "Health",
            "HistoryEntry",
            "HistoryPage",
            "LoggedIn",
            "PageLink",
            "Problem",
            "User",
            "Version",
        ]
    );
    let brand = &schemas["Customer"]["properties"]["brand"];
    assert_eq!((&brand["type"], &brand["nullable"]), (&"string".into(), &true.into()));
    assert_eq!(
        schemas["Customer"]["required"],
        document["components"]["schemas"]["Customer"]["required"]
    );
    assert_eq!(schemas["CustomerInput"]["required"], serde_json::json!(["name"]));
}

fn operations(document: &Value) -> impl Iterator<Item = &Value> {
    let paths = document["paths"].as_object().expect("paths").values();
    paths.flat_map(|path| path.as_object().expect("operations").values())
}
