//! Conditional requests: no lost update.

use serde_json::json;
use tokio::task::JoinSet;

use crate::creation::full_customer;
use crate::support::{Answer, TestServer};

cases! {
    both: [
        the_tag_is_the_same_wherever_the_customer_is_and_another_after_every_change,
        what_the_client_has_is_not_sent_again,
        a_write_with_a_stale_tag_is_refused,
        a_tag_of_another_release_names_the_same_customer,
        a_tag_of_version_0_1_is_compared_with_the_body,
        an_upsert_can_be_made_to_create_only,
        a_malformed_condition_never_makes_a_write_unconditional,
        conditions_come_behind_what_is_wrong_with_the_request_and_before_conflicts,
        of_many_writers_with_the_same_tag_one_wins,
        of_many_upserts_of_one_account_one_creates,
    ]
}

fn tag(answer: &Answer) -> String {
    answer.header("etag").unwrap_or_else(|| panic!("no tag: {answer:?}")).to_owned()
}

async fn the_tag_is_the_same_wherever_the_customer_is_and_another_after_every_change(
    server: TestServer,
) {
    let created = server.post("/api/v1/customers").json(&full_customer()).await;
    let target = format!("/api/v1/customers/{}", created.expect(201)["id"]);
    let mut tags = vec![tag(&created)];
    assert!(tags[0].starts_with('"') && tags[0].ends_with('"') && tags[0].len() > 20);
    for value in ["zone=1", "comment=x", "zone=2", "vip=0", "vip=1", "customerAccount=acme-1"] {
        let patched = server.patch(&format!("{target}?{value}")).await;
        patched.expect(200);
        for same in [&*target, "/api/v1/customerAccounts/ACME-1", "/api/v1/customers/acme-1"] {
            assert_eq!(tag(&server.get(same).await), tag(&patched));
            assert_eq!(server.call("HEAD", same).await.header("etag"), Some(&*tag(&patched)));
        }
        tags.push(tag(&patched));
    }
    let count = tags.len();
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), count);
    // PUT does not answer what it was sent, and so has none.
    assert_eq!(server.put(&format!("{target}?zone=9")).await.header("etag"), None);
    let upserted = server.put("/api/v1/customerAccounts/acme-1?zone=10").await;
    assert_eq!(upserted.header("etag"), None);
    // Nor is it of a coding, which would be of another.
    let coded = server.get(&target).header("accept-encoding", "gzip, br").await;
    assert_eq!(coded.header("content-encoding"), None);
}

async fn what_the_client_has_is_not_sent_again(server: TestServer) {
    let created = server.post("/api/v1/customers?name=A&customerAccount=a").await;
    let target = format!("/api/v1/customers/{}", created.expect(201)["id"]);
    let known = tag(&created);
    for (header, status) in [
        (known.clone(), 304),
        (format!("W/{known}"), 304),
        (format!("\"other\", {known}"), 304),
        ("*".into(), 304),
        ("\"other\"".into(), 200),
        ("".into(), 200),
        (known.trim_matches('"').into(), 200),
        ("\"other\", x".into(), 200),
    ] {
        for target in [&*target, "/api/v1/customerAccounts/a"] {
            for method in ["GET", "HEAD"] {
                let answer = server.call(method, target).header("if-none-match", &header).await;
                assert_eq!(answer.status, status, "{method} {header}");
                assert_eq!(tag(&answer), known);
                if status == 304 {
                    assert!(answer.body.is_empty());
                    assert_eq!(answer.header("content-type"), None);
                }
            }
        }
    }
    server.patch(&format!("{target}?vip=1")).await.expect(200);
    server.get(&target).header("if-none-match", &known).await.expect(200);
    server.get("/api/v1/customers/nobody").header("if-none-match", "*").await.expect(404);
}

async fn a_write_with_a_stale_tag_is_refused(server: TestServer) {
    let created = server.post("/api/v1/customers?name=A&customerAccount=a").await;
    let target = format!("/api/v1/customers/{}", created.expect(201)["id"]);
    let restore = format!("{target}/restore");
    let stale = tag(&created);
    let mut current = tag(&server.patch(&format!("{target}?vip=1")).await);
    let weak = format!("W/{current}");
    for (method, target) in [
        ("PATCH", &*target),
        ("PUT", &target),
        ("DELETE", &target),
        ("POST", &restore),
        ("PUT", "/api/v1/customerAccounts/a"),
    ] {
        for refused in [&*stale, &weak, "\"\"", &format!("{stale}, \"x\"")] {
            let answer = server.call(method, target).header("if-match", refused);
            let problem = answer.json(&json!({ "zone": 5 })).await.expect(412);
            assert_eq!(problem["code"], "precondition_failed", "{method} {refused}");
        }
    }
    assert_eq!(tag(&server.get(&target).await), current);

    for (method, target) in
        [("PATCH", &*target), ("PUT", &target), ("PUT", "/api/v1/customerAccounts/a")]
    {
        for accepted in [current.clone(), format!("\"x\", {current}"), "*".into()] {
            let call = server.call(method, target).header("if-match", &accepted);
            assert_eq!(call.await.status, 200, "{method} {accepted}");
        }
    }
    server.patch(&format!("{target}?zone=1")).header("if-match", &current).await.expect(200);
    let answer = server.patch(&format!("{target}?zone=2")).header("if-match", &current).await;
    answer.expect(412);
    current = tag(&server.get(&target).await);
    let deleted = server.delete(&target).header("if-match", &current).await;
    assert_eq!(deleted.status, 204);
    // Deleting has made another of it.
    server.post(&restore).header("if-match", &current).await.expect(412);
    server.post(&restore).header("if-match", "*").await.expect(200);
    // What is not there cannot match.
    let target = "/api/v1/customerAccounts/new?name=A";
    server.put(target).header("if-match", "*").await.expect(412);
    server.patch("/api/v1/customers/777777").header("if-match", "*").await.expect(404);
}

async fn a_tag_of_another_release_names_the_same_customer(server: TestServer) {
    let created = server.post("/api/v1/customers?name=A&customerAccount=a").await;
    let target = format!("/api/v1/customers/{}", created.expect(201)["id"]);
    let current = tag(&created);
    let (revision, _) = current.rsplit_once('.').expect("a shape at the end");
    let other = format!("{revision}.0123456789abcdef\"");
    // The body may be another one, so it is sent; but the customer is the same.
    let answer = server.get(&target).header("if-none-match", &other).await;
    answer.expect(200);
    assert_eq!(tag(&answer), current);
    let put = "/api/v1/customerAccounts/a?zone=1";
    server.put(put).header("if-none-match", &other).header("if-match", &other).await.expect(200);
    server.patch(&format!("{target}?zone=2")).header("if-match", &other).await.expect(412);
    // Another customer, or another moment, is no match.
    let current = tag(&server.get(&target).await);
    let shape = current.rsplit_once('.').expect("a shape at the end").1;
    let id = created.json()["id"].to_string();
    for other in [format!("\"9{id}.1.{shape}"), format!("\"{id}.1.{shape}"), "\"1.2\"".into()] {
        server.patch(&format!("{target}?zone=3")).header("if-match", other).await.expect(412);
    }
    server.patch(&format!("{target}?zone=3")).header("if-match", &current).await.expect(200);
}

/// Version 0.1 answered this customer with this tag, a hash of the body.
async fn a_tag_of_version_0_1_is_compared_with_the_body(server: TestServer) {
    const CUSTOMER: &str = include_str!("../../../api/src/etag/golden.json");
    const OLDER: &str = "\"XL6ypL2UstcGHBV6iBAK-g\"";
    let import = ["import", "-", "--ids", "--format", "ndjson"];
    let ran = server.home.run_reading(&import, CUSTOMER.as_bytes());
    assert!(ran.stdout.contains("1 created"), "{ran:?}");
    let target = "/api/v1/customers/7";
    let by_account = "/api/v1/customerAccounts/%C3%A9%2F1?zone=0";
    let restore = format!("{target}/restore");
    let found = server.get(target).header("if-none-match", OLDER).await;
    found.expect(200);
    assert_eq!(found.text(), CUSTOMER);

    for (method, target) in
        [("PATCH", &*format!("{target}?zone=0")), ("PUT", by_account), ("POST", &restore)]
    {
        let call = || server.call(method, target);
        call().header("if-match", OLDER).await.expect(200);
        call().header("if-match", format!("W/{OLDER}")).await.expect(412);
        call().header("if-none-match", format!("W/{OLDER}")).await.expect(412);
    }
    let change = || server.patch(&format!("{target}?zone=1")).header("if-match", OLDER);
    change().await.expect(200);
    change().await.expect(412);
    server.put(by_account).header("if-match", OLDER).await.expect(412);
    server.put(by_account).header("if-none-match", OLDER).await.expect(200);
    assert_eq!(server.delete(target).header("if-match", OLDER).await.status, 412);
    server.patch("/api/v1/customers/777777?zone=1").header("if-match", OLDER).await.expect(404);
}

async fn an_upsert_can_be_made_to_create_only(server: TestServer) {
    let target = "/api/v1/customerAccounts/acme?name=A";
    let create = || server.put(target).header("if-none-match", "*");
    let customer = create().await.expect(201);
    let problem = create().await.expect(412);
    assert_eq!(problem["code"], "precondition_failed");
    let path = format!("/api/v1/customers/{}", customer["id"]);
    let found = server.get(&path).await;
    assert_eq!(found.expect(200), customer);
    // A tag that is the current one is as good as any.
    let known = format!("W/{}", tag(&found));
    server.put(target).header("if-none-match", known).await.expect(412);
    server.put(target).header("if-none-match", "\"other\"").await.expect(200);
}

async fn a_malformed_condition_never_makes_a_write_unconditional(server: TestServer) {
    let customer = server.create(&json!({ "name": "A", "customerAccount": "a" })).await;
    let target = format!("/api/v1/customers/{}", customer["id"]);
    for header in ["if-match", "if-none-match"] {
        for malformed in
            ["", ",", "x", "\"x", "*, \"x\"", "\"x\" \"y\"", "**", "w/\"x\"", "\"x\", y"]
        {
            for (method, target) in [
                ("PATCH", format!("{target}?zone=1")),
                ("PUT", format!("{target}?zone=1")),
                ("DELETE", target.clone()),
                ("PUT", "/api/v1/customerAccounts/a?zone=1".into()),
                ("PUT", "/api/v1/customerAccounts/new?name=A".into()),
            ] {
                let problem = server.call(method, &target).header(header, malformed).await;
                assert_eq!(
                    problem.expect(400)["code"],
                    "malformed_request",
                    "{method} {malformed}"
                );
            }
        }
        // Another line is part of the list.
        let call = server.patch(&format!("{target}?zone=1")).header(header, "\"x\"");
        call.header(header, "y").await.expect(400);
    }
    assert_eq!(server.get(&target).await.expect(200), customer);
    assert_eq!(server.home.database.count("customers"), 1);
}

async fn conditions_come_behind_what_is_wrong_with_the_request_and_before_conflicts(
    server: TestServer,
) {
    let customer = server.create(&json!({ "name": "A" })).await;
    server.create(&json!({ "name": "B", "customerAccount": "taken" })).await;
    let target = format!("/api/v1/customers/{}", customer["id"]);
    let stale = |call: crate::support::Call| call.header("if-match", "\"stale\"");
    stale(server.patch(&format!("{target}?vip=x"))).await.expect(422);
    stale(server.patch("/api/v1/customers/777777?vip=1")).await.expect(404);
    stale(server.delete("/api/v1/customers/777777")).await.expect(404);
    stale(server.patch(&format!("{target}?customerAccount=taken"))).await.expect(412);
    server
        .patch(&format!("{target}?customerAccount=taken"))
        .header("if-match", "*")
        .await
        .expect(409);
}

async fn of_many_writers_with_the_same_tag_one_wins(server: TestServer) {
    let created = server.post("/api/v1/customers?name=A&customerAccount=a").await;
    let target = format!("/api/v1/customers/{}", created.expect(201)["id"]);
    let mut known = tag(&created);
    for (method, query) in [("PATCH", "?zone="), ("DELETE", "?"), ("PUT", "?supplier=")] {
        let mut tasks = JoinSet::new();
        for number in 1..=100 {
            let call = server.call(method, &format!("{target}{query}{number}"));
            tasks.spawn(call.header("if-match", &known).into_future());
        }
        let answers = tasks.join_all().await;
        let won: Vec<_> = answers.iter().filter(|answer| answer.status < 300).collect();
        assert_eq!(won.len(), 1, "{method}");
        // Who comes too late for a deleted one finds nothing.
        let lost = if method == "DELETE" { [404, 412] } else { [412, 412] };
        assert!(answers.iter().all(|it| it.status < 300 || lost.contains(&it.status)));
        if method == "DELETE" {
            server.post(&format!("{target}/restore")).await.expect(200);
        }
        known = tag(&server.get(&target).await);
    }
    let history = server.get(&format!("{target}/history")).await.expect(200);
    assert_eq!(history["data"].as_array().map(Vec::len), Some(5));
}

async fn of_many_upserts_of_one_account_one_creates(server: TestServer) {
    for condition in [None, Some("*")] {
        let account = format!("acme{}", condition.unwrap_or_default());
        let mut tasks = JoinSet::new();
        for number in 0..60 {
            let call =
                server.put(&format!("/api/v1/customerAccounts/{account}?name=A&zone={number}"));
            let call = match condition {
                Some(condition) => call.header("if-none-match", condition),
                None => call,
            };
            tasks.spawn(call.into_future());
        }
        let statuses: Vec<u16> = tasks.join_all().await.iter().map(|it| it.status).collect();
        let count = |status| statuses.iter().filter(|it| **it == status).count();
        assert_eq!(count(201), 1, "{statuses:?}");
        assert_eq!(count(if condition.is_some() { 412 } else { 200 }), 59, "{statuses:?}");
    }
    assert_eq!(server.home.database.count("customers"), 2);
}
