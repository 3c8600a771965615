//! What older documentation shows, where the service is set up for it.

use serde_json::{Value, json};

use crate::creation::full_customer;
use crate::support::{Client, TestServer};

cases! {
    both: [older_clients_find_what_their_documentation_shows]
}

async fn older_clients_find_what_their_documentation_shows(mut server: TestServer) {
    let plain = server.post("/api/v1/customers").json(&full_customer()).await;
    let customer = plain.expect(201);
    let target = format!("/api/v1/customers/{}", customer["id"]);
    server.program.kill();
    server.program = server.home.serve(&["--legacy-answers"], &[]);
    let client = Client::new(server.program.address(), server.token());

    let mut beside = customer.clone();
    for value in beside.as_object_mut().expect("an object").values_mut() {
        if let Some(boolean) = value.as_bool() {
            *value = json!(i32::from(boolean));
        }
    }
    let mut expected = customer.clone();
    expected["customer"] = beside;
    for target in [&*target, "/api/v1/customerAccounts/acme-1"] {
        let found = client.get(target).await;
        assert_eq!(found.text(), expected.to_string());
        // Another body has another tag.
        assert_ne!(found.header("etag"), plain.header("etag"));
        let known =
            client.get(target).header("if-none-match", found.header("etag").expect("a tag"));
        assert_eq!(known.await.status, 304);
    }
    let tag = client.get(&target).await.header("etag").expect("a tag").to_owned();
    let patched = client.patch(&format!("{target}?zone=6")).header("if-match", &tag).await;
    assert_eq!(patched.expect(200).as_object().map(|it| it.len()), Some(65));
    let found = client.get(&target).await;
    assert_eq!(found.header("etag"), patched.header("etag"));

    let create = || client.post("/api/v1/customers?name=B").header("idempotency-key", "k");
    let created = create().await;
    let mut answered = created.expect(201);
    assert_eq!(answered["response"], answered["id"]);
    assert_eq!(create().await.text(), created.text());
    answered.as_object_mut().expect("an object").remove("response");
    let found = client.get(created.header("location").expect("a place")).await;
    assert_eq!(found.header("etag"), created.header("etag"));
    assert_eq!(found.json()["customer"]["active"], 1);
    // Lists are as they are.
    let list = client.get("/api/v1/customers?sort=-id").await.expect(200);
    assert_eq!(list["data"][0], answered);
    assert_eq!(list["data"][0].get("customer"), None::<&Value>);
}
