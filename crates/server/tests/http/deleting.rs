//! Customers are deleted and brought back.

use serde_json::json;

use crate::support::TestServer;

cases! {
    both: [
        a_deleted_customer_is_hidden_and_keeps_its_account,
        a_body_of_any_kind_does_not_matter,
        only_an_id_names_who_is_deleted,
        a_restored_customer_is_as_it_was,
        a_live_customer_is_restored_as_it_is,
    ]
}

async fn a_deleted_customer_is_hidden_and_keeps_its_account(server: TestServer) {
    let customer = server.create(&json!({ "name": "A", "customerAccount": "ACME" })).await;
    let id = &customer["id"];
    let target = format!("/api/v1/customers/{id}");
    let answer = server.delete(&target).await;
    assert_eq!((answer.status, answer.text()), (204, ""));
    let message =
        format!("No customer has the id {id}. For an account, call /api/v1/customerAccounts/{id}.");
    for method in ["GET", "DELETE", "PATCH", "PUT"] {
        assert_eq!(server.call(method, &target).await.expect(404)["message"], message, "{method}");
    }
    for account in ["/api/v1/customerAccounts/acme", "/api/v1/customers/ACME"] {
        server.get(account).await.expect(404);
    }
    for call in [
        server.post("/api/v1/customers?name=B&customerAccount=acme"),
        server.put("/api/v1/customerAccounts/acme?name=B"),
    ] {
        let problem = call.await.expect(409);
        assert_eq!(problem["code"], "account_deleted");
        assert_eq!(problem["conflict"], json!({ "id": id, "deleted": true }));
    }
    assert_eq!(server.home.database.count("customers"), 1);
}

async fn a_body_of_any_kind_does_not_matter(server: TestServer) {
    for (media_type, body) in [
        ("application/json", ""),
        ("application/json", "[]"),
        ("application/json", "{}"),
        ("application/json", "{\"id\": 7, \"name\": null}"),
        ("application/json", "not JSON"),
        ("application/x-www-form-urlencoded", "_method=DELETE"),
        ("application/x-www-form-urlencoded", "{"),
        ("multipart/form-data", "x"),
        ("text/plain", "\u{0}"),
        ("application/octet-stream", "x"),
    ] {
        let customer = server.create(&json!({ "name": "A" })).await;
        let target = format!("/api/v1/customers/{}", customer["id"]);
        let answer = server.delete(&target).body(media_type, body).await;
        assert_eq!(answer.status, 204, "{media_type} {body}: {}", answer.text());
        server.post(&format!("{target}/restore")).body(media_type, body).await.expect(200);
    }
    let customer = server.create(&json!({ "name": "A" })).await;
    let target = format!("/api/v1/customers/{}", customer["id"]);
    assert_eq!(server.delete(&format!("{target}?name=%ff")).bytes("x").await.status, 204);
    server.delete(&target).bytes("x".repeat((1 << 20) + 1)).await.expect(413);
}

async fn only_an_id_names_who_is_deleted(server: TestServer) {
    server.create(&json!({ "name": "A", "customerAccount": "ACME" })).await;
    for segment in ["ACME", "777777", "0", "01", "-1", "%ff", "%00", "9007199254740992"] {
        let target = format!("/api/v1/customers/{segment}");
        server.delete(&target).await.expect(404);
        server.post(&format!("{target}/restore")).await.expect(404);
        server.get(&format!("{target}/history")).await.expect(404);
    }
    assert_eq!(server.get("/api/v1/customerAccounts/ACME").await.status, 200);
}

async fn a_restored_customer_is_as_it_was(server: TestServer) {
    let created = server.post("/api/v1/customers?name=A&customerAccount=ACME&vip=1").await;
    let customer = created.expect(201);
    let target = format!("/api/v1/customers/{}", customer["id"]);
    let mut tags = vec![created.header("etag").expect("a tag").to_owned()];
    let mut last = customer["updated_at"].clone();
    for _ in 0..3 {
        assert_eq!(server.delete(&target).await.status, 204);
        let answer = server.post(&format!("{target}/restore")).await;
        let restored = answer.expect(200);
        assert!(restored["updated_at"].as_str() > last.as_str());
        last = restored["updated_at"].clone();
        let mut expected = customer.clone();
        expected["updated_at"] = last.clone();
        assert_eq!(restored, expected);
        tags.push(answer.header("etag").expect("a tag").to_owned());
        assert_eq!(server.get("/api/v1/customerAccounts/acme").await.expect(200), restored);
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 4);
}

async fn a_live_customer_is_restored_as_it_is(server: TestServer) {
    let created = server.post("/api/v1/customers?name=A").await;
    let customer = created.expect(201);
    let target = format!("/api/v1/customers/{}", customer["id"]);
    let answer = server.post(&format!("{target}/restore")).await;
    assert_eq!(answer.expect(200), customer);
    assert_eq!(answer.header("etag"), created.header("etag"));
    let history = server.get(&format!("{target}/history")).await.expect(200);
    assert_eq!(history["data"].as_array().map(Vec::len), Some(1));
}
