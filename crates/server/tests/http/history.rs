//! What happened to a customer.

use serde_json::{Value, json};

use crate::creation::full_customer;
use crate::support::TestServer;

cases! {
    both: [
        every_write_is_told_with_who_and_what,
        a_creation_is_told_by_what_differs_from_the_defaults,
        what_was_refused_or_made_no_difference_is_not_told,
        the_history_comes_in_pages,
        a_customer_that_never_was_has_no_history,
    ]
}

fn without_ids_and_times(history: &Value) -> Vec<Value> {
    let entries = history["data"].as_array().expect("data").iter().cloned();
    let stripped = entries.map(|mut entry| {
        let members = entry.as_object_mut().expect("an entry");
        let names: Vec<&String> = members.keys().collect();
        assert_eq!(names, ["id", "at", "actor", "action", "request_id", "changes"]);
        members.retain(|name, _| !["id", "at"].contains(&name.as_str()));
        entry
    });
    stripped.collect()
}

async fn every_write_is_told_with_who_and_what(server: TestServer) {
    let billing = server.with_token(&server.home.token(&["--name", "Bílling 📞"]));
    let customer = server
        .post("/api/v1/customers?name=A&customerAccount=ACME")
        .header("x-request-id", "one")
        .await
        .expect(201);
    let target = format!("/api/v1/customers/{}", customer["id"]);
    let calls = [
        billing.patch(&format!("{target}?brand=B&vip=1&name=A")),
        server.put(&target).json(&json!({ "brand": null, "comment": "x\ny", "balance": -5 })),
        billing.put("/api/v1/customerAccounts/acme?customerAccount=Acme&zone=3"),
        server.patch(&format!("{target}?customerAccount=Other")),
        billing.delete(&target),
        server.post(&format!("{target}/restore")),
    ];
    let mut times = vec![customer["updated_at"].clone()];
    for (number, call) in calls.into_iter().enumerate() {
        let answer = call.header("x-request-id", format!("call-{number}")).await;
        assert!(answer.status < 300, "{}", answer.text());
        times.push(match answer.status {
            204 => {
                let page = server.get("/api/v1/customers?filter[trashed]=only").await.expect(200);
                page["data"][0]["deleted_at"].clone()
            }
            _ => answer.json()["updated_at"].clone(),
        });
    }
    let history = server.get(&format!("{target}/history")).await.expect(200);
    let told: Vec<_> = history["data"].as_array().expect("data").iter().rev().collect();
    assert_eq!(told.iter().map(|entry| entry["at"].clone()).collect::<Vec<_>>(), times);
    assert!(told.is_sorted_by_key(|entry| entry["id"].as_i64()));
    let deleted_at = &times[5];
    let entry = |actor: &str, action: &str, request: &str, changes: Value| json!({ "actor": actor, "action": action, "request_id": request, "changes": changes });
    let expected = [
        entry(
            "first",
            "restored",
            "call-5",
            json!({ "deleted_at": { "from": deleted_at, "to": null } }),
        ),
        entry(
            "Bílling 📞",
            "deleted",
            "call-4",
            json!({ "deleted_at": { "from": null, "to": deleted_at } }),
        ),
        entry(
            "first",
            "updated",
            "call-3",
            json!({ "customerAccount": { "from": "ACME", "to": "Other" } }),
        ),
        entry("Bílling 📞", "updated", "call-2", json!({ "zone": { "from": 0, "to": 3 } })),
        entry(
            "first",
            "updated",
            "call-1",
            json!({ "brand": { "from": "B", "to": null }, "balance": { "from": null, "to": -5 }, "comment": { "from": null, "to": "x\ny" } }),
        ),
        entry(
            "Bílling 📞",
            "updated",
            "call-0",
            json!({ "brand": { "from": null, "to": "B" }, "vip": { "from": false, "to": true } }),
        ),
        entry(
            "first",
            "created",
            "one",
            json!({ "customerAccount": { "from": null, "to": "ACME" }, "name": { "from": null, "to": "A" } }),
        ),
    ];
    assert_eq!(without_ids_and_times(&history), expected);

    let reader = server.with_token(&server.home.token(&["--name", "reader", "--scope", "read"]));
    let refused = reader.get(&format!("{target}/history")).await;
    assert_eq!(refused.expect(403)["code"], "insufficient_scope");
}

async fn a_creation_is_told_by_what_differs_from_the_defaults(server: TestServer) {
    let defaults = server.create(&json!({ "name": "A" })).await;
    let full = server.create(&full_customer()).await;
    let upserted = server
        .put("/api/v1/customerAccounts/new")
        .json(&json!({ "name": "A", "chargeVAT": true }))
        .await
        .expect(201);
    for customer in [&defaults, &full, &upserted] {
        let history =
            server.get(&format!("/api/v1/customers/{}/history", customer["id"])).await.expect(200);
        let entry = &history["data"][0];
        assert_eq!((&entry["action"], &entry["at"]), (&json!("created"), &customer["created_at"]));
        for (name, change) in entry["changes"].as_object().expect("changes") {
            assert_eq!(change["to"], customer[name], "{name}");
            let given = ["name", "customerAccount"].contains(&name.as_str());
            assert_eq!(
                change["from"],
                if given { Value::Null } else { defaults[name].clone() },
                "{name}"
            );
        }
    }
    let count = async |customer: &Value| {
        let target = format!("/api/v1/customers/{}/history", customer["id"]);
        server.get(&target).await.expect(200)["data"][0]["changes"]
            .as_object()
            .expect("changes")
            .len()
    };
    assert_eq!((count(&defaults).await, count(&full).await, count(&upserted).await), (2, 61, 2));
}

async fn what_was_refused_or_made_no_difference_is_not_told(server: TestServer) {
    let customer = server.create(&json!({ "name": "A", "customerAccount": "ACME" })).await;
    server.create(&json!({ "name": "B", "customerAccount": "taken" })).await;
    let target = format!("/api/v1/customers/{}", customer["id"]);
    for (call, status) in [
        (server.patch(&format!("{target}?name=A")), 200),
        (server.put(&format!("{target}?vip=0")), 200),
        (server.put("/api/v1/customerAccounts/acme?name=A"), 200),
        (server.post(&format!("{target}/restore")), 200),
        (server.patch(&format!("{target}?name=B&vip=x")), 422),
        (server.patch(&format!("{target}?name=B&customerAccount=taken")), 409),
        (server.patch(&format!("{target}?name=B")).header("if-match", "\"other\""), 412),
        (server.delete(&target).header("if-match", "\"other\""), 412),
        (server.post("/api/v1/customers?name=B&customerAccount=acme"), 409),
    ] {
        assert_eq!(call.await.status, status);
    }
    let history = server.get(&format!("{target}/history")).await.expect(200);
    assert_eq!(history["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(server.home.database.count("customer_history"), 2);
}

async fn the_history_comes_in_pages(server: TestServer) {
    let customer = server.create(&json!({ "name": "A" })).await;
    let target = format!("/api/v1/customers/{}", customer["id"]);
    for number in 1..=6 {
        server.patch(&format!("{target}?balance={number}")).await.expect(200);
        // Another's, which must not be seen.
        server.create(&json!({ "name": "B" })).await;
    }
    let origin = format!("http://{}", server.address());
    let mut next = format!("{target}/history?per_page=3");
    let mut balances = Vec::new();
    let mut pages = 0;
    loop {
        let answer = server.get(&next).await;
        let page = answer.expect(200);
        let members: Vec<&String> = page.as_object().expect("an object").keys().collect();
        assert_eq!(
            members,
            [
                "data",
                "path",
                "per_page",
                "next_cursor",
                "next_page_url",
                "prev_cursor",
                "prev_page_url"
            ]
        );
        assert_eq!(page["path"], format!("{origin}{target}/history"));
        assert_eq!(page["prev_cursor"], Value::Null);
        let entries = page["data"].as_array().expect("data");
        balances.extend(entries.iter().map(|entry| entry["changes"]["balance"]["to"].as_i64()));
        pages += 1;
        // What happens meanwhile is not passed again.
        server.patch(&format!("{target}?zone={pages}")).await.expect(200);
        let Some(url) = page["next_page_url"].as_str() else { break };
        assert_eq!(answer.header("link"), Some(&*format!("<{url}>; rel=\"next\"")));
        next = url.strip_prefix(&origin).expect("this server").to_owned();
    }
    assert_eq!(balances, [Some(6), Some(5), Some(4), Some(3), Some(2), Some(1), None]);
    assert_eq!(pages, 3);
    for cursor in ["x", "W2ZhbHNlLFsxXV0", "7"] {
        let answer = server.get(&format!("{target}/history?cursor={cursor}")).await;
        assert_eq!(answer.expect(400)["code"], "invalid_cursor");
    }
    let page = server.get(&format!("{target}/history?per_page=1")).await.expect(200);
    let other =
        format!("/api/v1/customers/{}/history", customer["id"].as_i64().expect("a number") + 1);
    let cursor = page["next_cursor"].as_str().expect("a cursor");
    let answer = server.get(&format!("{other}?cursor={cursor}")).await;
    assert_eq!(answer.expect(400)["code"], "invalid_cursor");
}

async fn a_customer_that_never_was_has_no_history(server: TestServer) {
    let customer = server.create(&json!({ "name": "A" })).await;
    server.delete(&format!("/api/v1/customers/{}", customer["id"])).await;
    server.get(&format!("/api/v1/customers/{}/history", customer["id"])).await.expect(200);
    let problem = server.get("/api/v1/customers/777777/history").await.expect(404);
    assert!(
        problem["message"].as_str().expect("text").starts_with("No customer has the id 777777.")
    );
}
