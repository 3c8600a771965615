//! Customers are changed: by PATCH and PUT, and by account.

use serde_json::{Value, json};

use crate::creation::{encoded, full_customer, typed};
use crate::support::{Client, TestServer, encode};

cases! {
    both: [
        every_attribute_is_changed_whatever_way_it_is_sent,
        only_what_is_given_changes,
        null_and_empty_text_clear_what_may_be_without_a_value,
        what_always_has_a_value_is_not_cleared,
        a_change_that_makes_no_difference_leaves_everything_as_it_is,
        an_answer_can_be_sent_back,
        another_id_in_the_body_is_refused,
        an_account_is_changed_unless_it_is_taken,
        what_an_update_leaves_alone_is_not_held_against_the_rules,
        updates_are_refused_like_creations,
        a_customer_that_is_not_there_is_not_changed,
        an_upsert_creates_and_then_changes,
        an_upsert_is_refused_where_its_account_or_its_values_cannot_be,
        unknown_parameters_are_refused_where_the_client_prefers_that,
    ]
}

const CUSTOMERS: &str = "/api/v1/customers";

fn path(customer: &Value) -> String {
    format!("{CUSTOMERS}/{}", customer["id"])
}

/// The customer with other values, changed when the other one was.
fn with(customer: &Value, values: Value, changed: &Value) -> Value {
    let mut customer = customer.clone();
    for (name, value) in values.as_object().expect("an object") {
        customer[name] = value.clone();
    }
    customer["updated_at"] = changed["updated_at"].clone();
    customer
}

async fn only_the_creation_is_told(client: &Client, customer: &Value) -> bool {
    let history = client.get(&format!("{}/history", path(customer))).await.expect(200);
    history["data"].as_array().map(Vec::len) == Some(1)
}

async fn every_attribute_is_changed_whatever_way_it_is_sent(server: TestServer) {
    let mut sent = full_customer();
    for way in ["query", "JSON", "merge-patch", "form", "multipart"] {
        sent["customerAccount"] = json!(way);
        let members = sent.as_object().expect("an object");
        let typed: Vec<_> = members.iter().map(|(name, value)| (name, typed(value))).collect();
        let parts: Vec<_> = typed.iter().map(|(name, value)| (name.as_str(), &**value)).collect();
        let before = server.create(&json!({ "name": "A" })).await;
        let patch = server.patch(&path(&before));
        let answer = match way {
            "query" => server.patch(&format!("{}?{}", path(&before), encoded(members))),
            "JSON" => patch.json(&sent),
            "merge-patch" => patch.body("application/merge-patch+json", sent.to_string()),
            "form" => patch.form(encoded(members)),
            _ => patch.multipart(&parts),
        };
        let after = answer.await.expect(200);
        assert!(after["updated_at"].as_str() > before["updated_at"].as_str());
        assert_eq!(after, with(&before, sent.clone(), &after), "{way}");
        assert_eq!(server.get(&path(&before)).await.expect(200), after);
    }
}

async fn only_what_is_given_changes(server: TestServer) {
    let before = server.create(&full_customer()).await;
    for method in ["PATCH", "PUT"] {
        let target = path(&before);
        let brand = format!("by {method}");
        let after = server.call(method, &target).json(&json!({ "brand": brand })).await;
        let after = after.expect(200);
        assert_eq!(after, with(&before, json!({ "brand": brand }), &after));
        // The body wins.
        let target = format!("{target}?vip=0&brand=query");
        let after =
            server.call(method, &target).json(&json!({ "brand": "body" })).await.expect(200);
        assert_eq!(after, with(&before, json!({ "brand": "body", "vip": false }), &after));
        server.patch(&format!("{}?vip=1", path(&before))).await.expect(200);
    }
}

async fn null_and_empty_text_clear_what_may_be_without_a_value(server: TestServer) {
    let empty = server.create(&json!({ "name": "A" })).await;
    let members = full_customer();
    let members = members.as_object().expect("an object");
    let nullable = members.keys().filter(|name| empty[*name].is_null()).collect::<Vec<_>>();
    assert_eq!(nullable.len(), 38);
    for (way, nothing) in [("JSON", json!(null)), ("JSON", json!(" ")), ("query", json!(""))] {
        let mut full = full_customer();
        full["customerAccount"] = json!(format!("{way} {nothing}"));
        let before = server.create(&full).await;
        let mut cleared: Vec<(&str, Value)> =
            nullable.iter().map(|name| (name.as_str(), nothing.clone())).collect();
        cleared.push(("suppliers", nothing.clone()));
        let sent: Value = cleared.into_iter().collect();
        let after = match way {
            "JSON" => server.patch(&path(&before)).json(&sent).await.expect(200),
            _ => {
                let query = encoded(sent.as_object().expect("an object"));
                server.put(&format!("{}?{query}", path(&before))).await.expect(200)
            }
        };
        let nulls = nullable.iter().map(|name| (name.as_str(), Value::Null));
        let nulls: Value = nulls.chain([("suppliers", json!(""))]).collect();
        assert_eq!(after, with(&before, nulls, &after));
    }
}

async fn what_always_has_a_value_is_not_cleared(server: TestServer) {
    let customer = server.create(&full_customer()).await;
    let always = [
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
        "quickSearchIndex",
    ];
    for nothing in [json!(null), json!(""), json!("\u{a0}")] {
        let sent: Value = always.iter().map(|name| (*name, nothing.clone())).collect();
        for target in [
            path(&customer),
            "/api/v1/customerAccounts/ACME-1".into(),
            "/api/v1/customerAccounts/new".into(),
        ] {
            let problem = server.put(&target).json(&sent).await.expect(422);
            let errors = problem["errors"].as_object().expect("errors");
            assert_eq!(errors.keys().collect::<Vec<_>>().len(), always.len(), "{problem}");
            for name in always {
                let sentence = errors[name][0].as_str().expect("a sentence");
                assert!(sentence.ends_with(" field is required."), "{name}: {sentence}");
            }
        }
    }
    assert_eq!(server.get(&path(&customer)).await.expect(200), customer);
    assert_eq!(server.home.database.count("customers"), 1);
}

async fn a_change_that_makes_no_difference_leaves_everything_as_it_is(server: TestServer) {
    let created = server.post(CUSTOMERS).json(&full_customer()).await;
    let customer = created.json();
    for sent in [
        json!({}),
        full_customer(),
        json!({ "name": " Société Générale de Téléphonie " }),
        json!({ "brand_id": "7", "vip": "yes" }),
    ] {
        let answer = server.patch(&path(&customer)).json(&sent).await;
        assert_eq!(answer.expect(200), customer);
        assert_eq!(answer.header("etag"), created.header("etag"));
        let put = server.put("/api/v1/customerAccounts/acme-1").json(&sent).await;
        assert_eq!(put.expect(200), customer);
    }
    for call in [server.patch(&path(&customer)), server.put(&path(&customer)).json_text("[]")] {
        assert_eq!(call.await.expect(200), customer);
    }
    assert!(only_the_creation_is_told(&server, &customer).await);
}

async fn an_answer_can_be_sent_back(server: TestServer) {
    let full = server.create(&full_customer()).await;
    let sparse = server.create(&json!({ "name": "A" })).await;
    for customer in [full, sparse] {
        for preference in ["handling=lenient", "handling=strict"] {
            let account = encode(customer["customerAccount"].as_str().expect("text"));
            for target in [path(&customer), format!("/api/v1/customerAccounts/{account}")] {
                let put = server.put(&target).header("prefer", preference).json(&customer);
                assert_eq!(put.await.expect(200), customer, "{target}");
            }
        }
        assert!(only_the_creation_is_told(&server, &customer).await);
    }
}

async fn another_id_in_the_body_is_refused(server: TestServer) {
    let customer = server.create(&json!({ "name": "A" })).await;
    let id = customer["id"].as_i64().expect("a number");
    let target = path(&customer);
    for same in [json!(id), json!(id as f64), json!(id.to_string()), json!(null), json!("")] {
        let sent = json!({ "id": same, "name": "A" });
        assert_eq!(server.patch(&target).json(&sent).await.expect(200), customer, "{sent}");
    }
    let sentence = "The id field must be the id in the path.";
    for other in
        [json!(id + 1), json!("x"), json!([id]), json!({}), json!(true), json!(0.5), json!(1e300)]
    {
        let sent = json!({ "id": other, "name": null });
        let problem = server.put(&target).json(&sent).await.expect(422);
        let expected = json!({ "name": ["The name field is required."], "id": [sentence] });
        assert_eq!(problem["errors"], expected, "{sent}");
    }
    let problem = server.patch(&format!("{target}?id={}", id + 1)).await.expect(422);
    assert_eq!(problem["errors"], json!({ "id": [sentence] }));
    let problem = server.patch(&format!("{target}?id[]={id}")).await.expect(422);
    assert_eq!(problem["errors"], json!({ "id": [sentence] }));
    let file = format!(
        "--b\r\nContent-Disposition: form-data; name=\"id\"; filename=\"a\"\r\n\r\n{id}\r\n--b--\r\n"
    );
    let answer = server.patch(&target).body("multipart/form-data; boundary=b", file).await;
    assert!(answer.expect(422)["errors"]["id"].is_array());
}

async fn an_account_is_changed_unless_it_is_taken(server: TestServer) {
    let one = server.create(&json!({ "name": "A", "customerAccount": "ONE" })).await;
    let two = server.create(&json!({ "name": "B", "customerAccount": "TWO" })).await;
    let deleted = server.create(&json!({ "name": "C", "customerAccount": "GONE" })).await;
    server.delete(&path(&deleted)).await;
    let problem = server.patch(&format!("{}?customerAccount=one", path(&two))).await.expect(409);
    assert_eq!(
        (&problem["code"], &problem["conflict"]),
        (&json!("account_taken"), &json!({ "id": one["id"], "deleted": false }))
    );
    let problem = server.patch(&format!("{}?customerAccount=gone", path(&two))).await.expect(409);
    assert_eq!(
        (&problem["code"], &problem["conflict"]),
        (&json!("account_deleted"), &json!({ "id": deleted["id"], "deleted": true }))
    );
    let problem = server.put("/api/v1/customerAccounts/gone?name=D").await.expect(409);
    assert_eq!(problem["code"], "account_deleted");
    // What is wrong with the request comes first.
    server.patch(&format!("{}?customerAccount=one&vip=x", path(&two))).await.expect(422);
    assert_eq!(server.get(&path(&two)).await.expect(200), two);

    for account in ["Two", "three", "ＴＨＲＥＥ"] {
        let after =
            server.patch(&format!("{}?customerAccount={}", path(&two), encode(account))).await;
        assert_eq!(after.expect(200)["customerAccount"], account);
        let found = server.get(&format!("/api/v1/customerAccounts/{}", encode(account))).await;
        assert_eq!(found.expect(200)["id"], two["id"]);
    }
    server.get("/api/v1/customerAccounts/two").await.expect(404);
    server.post("/api/v1/customers?name=D&customerAccount=two").await.expect(201);
}

async fn what_an_update_leaves_alone_is_not_held_against_the_rules(server: TestServer) {
    let customer = server.create(&json!({ "name": "A", "emailAddress": "a@example.com" })).await;
    // As an import from elsewhere left it.
    server.home.database.execute("UPDATE customers SET email_address = 'nobody'");
    let after = server.patch(&format!("{}?vip=1", path(&customer))).await.expect(200);
    assert_eq!((&after["emailAddress"], &after["vip"]), (&json!("nobody"), &json!(true)));
    let problem =
        server.patch(&format!("{}?emailAddress=nobody", path(&customer))).await.expect(422);
    assert_eq!(problem["message"], "The email address field must be a valid email address.");
}

async fn updates_are_refused_like_creations(server: TestServer) {
    let customer = server.create(&json!({ "name": "A" })).await;
    let target = path(&customer);
    let patch = || server.patch(&target);
    let problem = patch()
        .json(&json!({ "name": "x".repeat(256), "brand_id": 0, "vip": "maybe", "comment": "a\u{0}b", "emailAddress": "a@", "balance": 2147483648i64 }))
        .await
        .expect(422);
    assert_eq!(
        problem["errors"],
        json!({
            "brand_id": ["The brand id field must be at least 1."],
            "name": ["The name field must not be greater than 255 characters."],
            "emailAddress": ["The email address field must be a valid email address."],
            "vip": ["The vip field must be true or false."],
            "balance": ["The balance field must not be greater than 2147483647."],
            "comment": ["The comment field must not contain control characters."],
        })
    );
    assert_eq!(problem["message"], "The brand id field must be at least 1. (and 5 more errors)");
    let longest = json!({ "comment": "é\n".repeat(32_767) });
    assert_eq!(
        patch().json(&longest).await.expect(200)["comment"],
        longest["comment"].as_str().expect("text").trim()
    );
    let too_long = json!({ "comment": "é".repeat(65_536) });
    patch().json(&too_long).await.expect(422);
    for (call, status) in [
        (patch().json_text("{"), 400),
        (patch().json_text("[1]"), 400),
        (patch().body("application/json-patch+json", r#"[{"op":"remove","path":"/brand"}]"#), 400),
        (patch().form("{\"name\":\"B\"}"), 415),
        (patch().body("text/plain", "name=B"), 415),
        (patch().json_text(" ".repeat((1 << 20) + 1)), 413),
        (patch().json_text("null"), 200),
        (patch().body("text/plain", ""), 200),
        (server.patch(&format!("{target}?name=%ff")), 400),
    ] {
        let answer = call.await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    let reader = server.with_token(&server.home.token(&["--name", "reader", "--scope", "read"]));
    for (method, target) in [
        ("PATCH", &*target),
        ("PUT", &target),
        ("DELETE", &target),
        ("POST", &format!("{target}/restore")),
        ("GET", &format!("{target}/history")),
        ("PUT", "/api/v1/customerAccounts/new"),
    ] {
        let problem = reader.call(method, target).json_text("{").await.expect(403);
        assert_eq!(problem["code"], "insufficient_scope", "{method} {target}");
        server.call(method, target).anonymous().await.expect(401);
    }
}

async fn a_customer_that_is_not_there_is_not_changed(server: TestServer) {
    let customer = server.create(&json!({ "name": "A", "customerAccount": "ACME" })).await;
    let deleted = server.create(&json!({ "name": "A" })).await;
    server.delete(&path(&deleted)).await;
    let gone = deleted["id"].to_string();
    for (segment, message) in [
        (&*gone, format!("No customer has the id {gone}. For an account, call /api/v1/customerAccounts/{gone}.")),
        ("99999999999999999999", "No customer has the id 99999999999999999999. For an account, call /api/v1/customerAccounts/99999999999999999999.".into()),
        ("ACME", "Here a customer is named by its id.".into()),
        ("0", "Here a customer is named by its id.".into()),
        ("01", "Here a customer is named by its id.".into()),
        ("%00", "Here a customer is named by its id.".into()),
        ("%ff", "Here a customer is named by its id.".into()),
    ] {
        for method in ["PATCH", "PUT"] {
            let target = format!("{CUSTOMERS}/{segment}");
            let problem = server.call(method, &target).json(&json!({ "name": "B" })).await;
            assert_eq!(problem.expect(404)["message"], message, "{method}");
            // What is wrong with the request comes first.
            server.call(method, &target).json(&json!({ "name": null })).await.expect(422);
        }
    }
    assert_eq!(server.get(&path(&customer)).await.expect(200), customer);
}

async fn an_upsert_creates_and_then_changes(server: TestServer) {
    let target = "/api/v1/customerAccounts/ACME%2F%C3%89";
    let answer = server.put(target).json(&json!({ "name": "A", "vip": true })).await;
    let created = answer.expect(201);
    assert_eq!(answer.header("location"), Some(&*path(&created)));
    let shown = ["customerAccount", "name", "vip", "active", "brand_id"].map(|it| &created[it]);
    assert_eq!(shown, [&json!("ACME/É"), &json!("A"), &json!(true), &json!(true), &json!(1)]);
    assert_eq!(server.get(&path(&created)).await.expect(200), created);

    let other = "/api/v1/customerAccounts/acme%2F%C3%A9";
    let answer =
        server.put(other).json(&json!({ "brand": "B", "customerAccount": "acme/É" })).await;
    let changed = answer.expect(200);
    assert_eq!(answer.header("location"), None);
    assert_eq!(changed, with(&created, json!({ "brand": "B" }), &changed));
    let cleared = server.put(&format!("{other}?brand=&vip=0")).await.expect(200);
    assert_eq!(cleared, with(&created, json!({ "vip": false }), &cleared));

    // The name is needed only where it creates.
    let problem = server.put("/api/v1/customerAccounts/new?vip=1").await.expect(422);
    assert_eq!(problem["errors"], json!({ "name": ["The name field is required."] }));
    let full =
        server.put("/api/v1/customerAccounts/acme-1").json(&full_customer()).await.expect(201);
    // Spelled as the path has it.
    assert_eq!(full["customerAccount"], "acme-1");
    // Digits are an account here.
    let digits = server.put("/api/v1/customerAccounts/777777?name=A").await.expect(201);
    assert_eq!(digits["customerAccount"], "777777");
}

async fn an_upsert_is_refused_where_its_account_or_its_values_cannot_be(server: TestServer) {
    let target = "/api/v1/customerAccounts/ACME";
    let sentence = "The customer account field must be the account in the path.";
    let problem = server.put(&format!("{target}?customerAccount=other&name=")).await.expect(422);
    let expected =
        json!({ "name": ["The name field is required."], "customerAccount": [sentence] });
    assert_eq!(problem["errors"], expected);
    for (account, sentence) in [
        (json!(null), "The customer account field is required."),
        (json!(""), "The customer account field is required."),
        (json!(["ACME"]), "The customer account field must be a string."),
        (json!("a\u{0}b"), "The customer account field must not contain control characters."),
    ] {
        let sent = json!({ "name": "A", "customerAccount": account });
        let problem = server.put(target).json(&sent).await.expect(422);
        assert_eq!(problem["errors"], json!({ "customerAccount": [sentence] }), "{sent}");
    }
    let long = "a".repeat(256);
    for account in ["%00", "%ff", "%zz", "%E2%80%8B", "a%E2%80%8Bb", "%2E", &long] {
        let answer = server.put(&format!("/api/v1/customerAccounts/{account}?name=A"));
        // A client resolves dots away before it sends them.
        if account != "%2E" {
            assert_eq!(answer.await.expect(404)["message"], "No customer has this account.");
        }
    }
    assert_eq!(server.home.database.count("customers"), 0);
}

async fn unknown_parameters_are_refused_where_the_client_prefers_that(server: TestServer) {
    let customer = server.create(&json!({ "name": "A" })).await;
    for target in [path(&customer), "/api/v1/customerAccounts/new".into()] {
        let sent = json!({ "name": "A", "ftpPassword": "x", "telco_login": "y", "response": 1, "lastInvoiceDate": null });
        let call = server.put(&target).json(&sent);
        let answer = call.clone().header("prefer", "handling=strict").await;
        let problem = answer.expect(422);
        let fields: Vec<&String> = problem["errors"].as_object().expect("errors").keys().collect();
        assert_eq!(fields, ["ftpPassword", "telco_login", "response", "lastInvoiceDate"]);
        assert_eq!(answer.header("preference-applied"), Some("handling=strict"));
        let answered = call.await.json();
        assert!(answered.as_object().expect("a customer").len() == 65, "{answered}");
    }
}
