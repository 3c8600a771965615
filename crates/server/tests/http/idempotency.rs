//! The same request sent again is made once.

use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{Answer, Call, TestServer};

cases! {
    both: [
        a_retry_is_answered_as_the_first_was,
        the_same_is_the_same_however_it_is_sent,
        another_request_under_the_same_key_is_refused,
        a_refused_request_releases_its_key,
        keys_are_of_one_caller_and_one_path,
        keys_may_be_quoted_and_must_be_keys,
        a_restore_is_made_once,
        what_version_0_1_has_kept_is_answered,
        of_twins_at_once_one_creates_and_the_others_are_told_so,
        a_key_outlives_a_crash,
        keys_without_meaning_are_ignored,
    ]
}

const CUSTOMERS: &str = "/api/v1/customers";

fn same(first: &Answer, again: &Answer) {
    assert_eq!(first.header("idempotent-replayed"), None);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!((first.status, first.text()), (again.status, again.text()));
    for name in ["location", "etag", "content-type", "cache-control", "vary"] {
        assert_eq!(first.header(name), again.header(name), "{name}");
    }
}

async fn a_retry_is_answered_as_the_first_was(server: TestServer) {
    let sent = json!({ "name": "Société", "customerAccount": "ACME", "comment": "\"é\"\n" });
    let create = || server.post(CUSTOMERS).header("idempotency-key", "k-1").json(&sent);
    let first = create().await;
    let customer = first.expect(201);
    same(&first, &create().await);
    // Whatever became of it since.
    let target = format!("{CUSTOMERS}/{}", customer["id"]);
    server.patch(&format!("{target}?name=Other")).await.expect(200);
    same(&first, &create().await);
    server.delete(&target).await;
    same(&first, &create().await);
    assert_eq!(server.home.database.count("customers"), 1);
    // Without a key it is another request.
    server.post(CUSTOMERS).json(&sent).await.expect(409);
}

async fn the_same_is_the_same_however_it_is_sent(server: TestServer) {
    let post = |target: &str| server.post(target).header("idempotency-key", "k");
    let first = post("/api/v1/customers?name=A&vip=1&brand_id=3").await;
    first.expect(201);
    for call in [
        post("/api/v1/customers?brand_id=3&vip=on&name=+A+"),
        post(CUSTOMERS).json(&json!({ "vip": true, "name": "A", "brand_id": 3.0, "brand": null })),
        post("/api/v1/customers?name=B&vip=0").form("name=A&vip=yes&brand_id=3"),
        // The default, and what is ignored.
        post("/api/v1/customers?name=A&vip=1&brand_id=3&active=1&ftpLogin=x&id=9"),
    ] {
        same(&first, &call.await);
    }
}

async fn another_request_under_the_same_key_is_refused(server: TestServer) {
    let post =
        |query: &str| server.post(&format!("{CUSTOMERS}?{query}")).header("idempotency-key", "k");
    let first = post("name=A").await;
    first.expect(201);
    for other in ["name=B", "name=A&vip=1", "name=A&customerAccount=x"] {
        let problem = post(other).await.expect(422);
        assert_eq!(problem["code"], "idempotency_key_reused", "{other}");
        assert!(problem.get("errors").is_none());
    }
    // What is wrong with the request comes first.
    assert_eq!(post("name=").await.expect(422)["code"], "validation_failed");
    same(&first, &post("name=A").await);
    assert_eq!(server.home.database.count("customers"), 1);
}

async fn a_refused_request_releases_its_key(server: TestServer) {
    let taken = server.create(&json!({ "name": "A", "customerAccount": "taken" })).await;
    let post =
        |query: &str| server.post(&format!("{CUSTOMERS}?{query}")).header("idempotency-key", "k");
    post("name=").await.expect(422);
    post("name=A&customerAccount=taken").await.expect(409);
    let target = format!("{CUSTOMERS}/{}", taken["id"]);
    server.patch(&format!("{target}?customerAccount=free")).await.expect(200);
    // The same request can be made now, and then is made once.
    let first = post("name=A&customerAccount=taken").await;
    first.expect(201);
    same(&first, &post("name=A&customerAccount=taken").await);
}

async fn keys_are_of_one_caller_and_one_path(server: TestServer) {
    let other = server.with_token(&server.home.token(&["--name", "other"]));
    let key = |call: Call| call.header("idempotency-key", "k");
    let one = key(server.post("/api/v1/customers?name=A")).await.expect(201);
    let two = key(other.post("/api/v1/customers?name=A")).await.expect(201);
    assert_ne!(one["id"], two["id"]);
    for customer in [&one, &two] {
        let target = format!("{CUSTOMERS}/{}", customer["id"]);
        server.delete(&target).await;
        let restored = key(server.post(&format!("{target}/restore"))).await;
        assert_eq!(restored.expect(200)["id"], customer["id"]);
        assert_eq!(restored.header("idempotent-replayed"), None);
    }
    // Slashes that are ignored make no other path.
    let again = key(server.post("//api/v1//customers/?name=A")).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
}

async fn keys_may_be_quoted_and_must_be_keys(server: TestServer) {
    let create = |key: &str| server.post("/api/v1/customers?name=A").header("idempotency-key", key);
    let first = create("\"8e03978e-40d5\"").await;
    first.expect(201);
    same(&first, &create("8e03978e-40d5").await);
    let longest = "x".repeat(255);
    create(&longest).await.expect(201);
    same(&first, &create("  8e03978e-40d5 ").await);
    for malformed in ["", "\"\"", "\"a", "\"a\"b", "é", &format!("x{longest}")] {
        let problem = create(malformed).await.expect(400);
        assert_eq!(problem["code"], "malformed_request", "{malformed}");
    }
    let twice = create("a").header("idempotency-key", "b").await;
    twice.expect(400);
    assert_eq!(server.home.database.count("customers"), 2);
}

async fn a_restore_is_made_once(server: TestServer) {
    let customer = server.create(&json!({ "name": "A" })).await;
    let target = format!("{CUSTOMERS}/{}", customer["id"]);
    server.delete(&target).await;
    let restore = || server.post(&format!("{target}/restore")).header("idempotency-key", "k");
    let first = restore().await;
    first.expect(200);
    server.delete(&target).await;
    // It was made, and is not made again.
    same(&first, &restore().await);
    server.get(&target).await.expect(404);
    let unknown = server.post("/api/v1/customers/777777/restore").header("idempotency-key", "k");
    unknown.await.expect(404);
}

async fn what_version_0_1_has_kept_is_answered(server: TestServer) {
    let create = || server.post("/api/v1/customers?name=A").header("idempotency-key", "k");
    let first = create().await;
    let id = first.expect(201)["id"].to_string();
    let customer = first.text().strip_suffix('}').expect("an object");
    let body = format!("{customer},\"response\":{id}}}");
    let kept = format!(
        r#"{{"status":201,"location":"/api/v1/customers/{id}","etag":"\"x-1\"","body":{body}}}"#
    );
    let bytes = match server.home.database.url().starts_with("sqlite:") {
        true => format!("CAST('{kept}' AS BLOB)"),
        false => format!("convert_to('{kept}', 'UTF8')"),
    };
    server.home.database.execute(&format!("UPDATE idempotency_keys SET answer = {bytes}"));
    let again = create().await;
    assert_eq!((again.status, again.text()), (201, &*body));
    assert_eq!(again.header("etag"), Some("\"x-1\""));
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
}

async fn of_twins_at_once_one_creates_and_the_others_are_told_so(server: TestServer) {
    for round in 0..5 {
        let mut tasks = JoinSet::new();
        for _ in 0..40 {
            let call = server.post(&format!("/api/v1/customers?name=A{round}"));
            tasks.spawn(call.header("idempotency-key", format!("k{round}")).into_future());
        }
        let answers = tasks.join_all().await;
        let firsts: Vec<_> = answers
            .iter()
            .filter(|it| it.status == 201 && it.header("idempotent-replayed").is_none())
            .collect();
        assert_eq!(firsts.len(), 1);
        for again in &answers {
            match again.status {
                201 => assert_eq!(again.text(), firsts[0].text()),
                409 => assert_eq!(again.json()["code"], "idempotency_in_progress"),
                _ => panic!("{again:?}"),
            }
        }
        assert_eq!(server.home.database.count("customers"), round + 1);
    }
}

async fn a_key_outlives_a_crash(mut server: TestServer) {
    let first = server.post("/api/v1/customers?name=A").header("idempotency-key", "k").await;
    first.expect(201);
    server.crash_and_restart();
    same(&first, &server.post("/api/v1/customers?name=A").header("idempotency-key", "k").await);
}

async fn keys_without_meaning_are_ignored(server: TestServer) {
    let customer = server.create(&json!({ "name": "A" })).await;
    let target = format!("{CUSTOMERS}/{}", customer["id"]);
    for zone in 1..=2 {
        let call = server.patch(&format!("{target}?zone={zone}"));
        let answer = call.header("idempotency-key", "k").await;
        assert_eq!(answer.expect(200)["zone"], zone);
        assert_eq!(answer.header("idempotent-replayed"), None);
    }
}
