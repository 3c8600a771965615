//! Times at the end of what can be read, and beyond.

use serde_json::{Value, json};

use crate::support::{Home, TestServer};

/// 9999-12-30T22:00:00Z in microseconds, the latest time there is.
const LATEST: i64 = 253_402_207_200_000_000;
const LATEST_TEXT: &str = "9999-12-30T22:00:00.000000Z";

cases! {
    both: [
        a_customer_changed_at_the_latest_time_can_still_be_read_changed_and_erased,
        times_out_of_range_fail_no_answer_and_are_told_and_mended,
        a_token_of_more_than_a_century_is_refused,
    ]
}

async fn a_customer_changed_at_the_latest_time_can_still_be_read_changed_and_erased(
    server: TestServer,
) {
    let customer = server.create(&json!({ "name": "Aurora", "brand": "A" })).await;
    let other = server.create(&json!({ "name": "Borealis" })).await;
    let id = customer["id"].as_u64().expect("an id");
    for table in ["customers", "customer_keys"] {
        let late = format!("UPDATE {table} SET updated_at = {LATEST} WHERE id = {id}");
        server.home.database.execute(&late);
    }
    let target = format!("/api/v1/customers/{id}");
    for brand in ["B", "C"] {
        let changed = server.patch(&format!("{target}?brand={brand}")).await.expect(200);
        assert_eq!(
            (&changed["brand"], &changed["updated_at"]),
            (&brand.into(), &LATEST_TEXT.into())
        );
    }
    assert_eq!(server.get(&target).await.expect(200)["brand"], "C");
    assert_is_everywhere(&server, id, 2).await;
    assert_eq!(
        server.get(&format!("{target}/history")).await.expect(200)["data"][0]["at"],
        LATEST_TEXT
    );

    assert_eq!(server.delete(&target).await.status, 204);
    server.post(&format!("{target}/restore")).await.expect(200);
    server.home.run_well(&["erase", &id.to_string(), "--yes"]);
    assert_eq!(server.get(&target).await.expect(200)["brand"], Value::Null);
    assert_eq!(server.get("/api/v1/customers").await.expect(200)["total"], 2);
    let check = server.home.run(&["check", "--bind", "127.0.0.1:0"]);
    assert!(check.stdout.contains("ok       times: "), "{check:?}");
    server.get(&format!("/api/v1/customers/{}", other["id"])).await.expect(200);
}

async fn times_out_of_range_fail_no_answer_and_are_told_and_mended(server: TestServer) {
    let customer = server.create(&json!({ "name": "Aurora" })).await;
    server.create(&json!({ "name": "Borealis" })).await;
    let id = customer["id"].as_u64().expect("an id");
    server.home.token(&["--name", "late", "--expires-in", "90d"]);
    server.home.user("a@example.com", "correct horse battery");
    let beyond = LATEST + 999_999;
    server.home.database.execute(&format!(
        "UPDATE customers SET created_at = {}, updated_at = {beyond} WHERE id = {id};
         UPDATE customer_keys SET created_at = {}, updated_at = {beyond} WHERE id = {id};
         UPDATE customer_history SET at = {beyond} WHERE customer_id = {id};
         UPDATE users SET created_at = {beyond};
         UPDATE tokens SET expires_at = {beyond} WHERE name = 'late'",
        i64::MIN,
        i64::MIN,
    ));
    let target = format!("/api/v1/customers/{id}");
    let shown = server.get(&target).await.expect(200);
    assert_eq!(shown["updated_at"], LATEST_TEXT);
    assert_eq!(shown["created_at"], "0001-01-01T00:00:00.000000Z");
    let line = server.program.wait_for_log(|line| line.contains("a time out of range"));
    assert!(line.contains(&format!("customer {id} ")), "{line}");
    assert_is_everywhere(&server, id, 2).await;
    assert!(server.home.run_well(&["token", "list"]).contains(LATEST_TEXT));
    assert!(server.home.run_well(&["user", "list"]).contains("a@example.com"));

    let check = server.home.run(&["check", "--bind", "127.0.0.1:0"]);
    let told = format!("customers with a time out of range: 1 (id {id})");
    assert!(check.stdout.contains(&told), "{check:?}");
    assert!(check.stdout.contains("tokens and users with a time out of range: 2"), "{check:?}");
    assert!(server.home.run_well(&["rebuild"]).contains("times of 1"));
    let check = server.home.run(&["check", "--bind", "127.0.0.1:0"]);
    assert!(check.stdout.contains("ok       times: "), "{check:?}");
    for rows in
        ["customers WHERE updated_at", "customer_history WHERE at", "tokens WHERE expires_at"]
    {
        assert_eq!(server.home.database.count(&format!("{rows} > {LATEST}")), 0, "{rows}");
    }

    // Before it is mended, a change mends it too.
    server.home.database.execute(&format!("UPDATE customers SET updated_at = {beyond}"));
    assert_eq!(server.patch(&format!("{target}?brand=B")).await.expect(200)["brand"], "B");
    server.home.run_well(&["erase", &id.to_string(), "--yes"]);
    assert_eq!(server.home.database.count(&format!("customers WHERE updated_at = {LATEST}")), 1);
}

/// Looks for the customer in lists, searches, walks, its history and exports.
async fn assert_is_everywhere(server: &TestServer, id: u64, customers: usize) {
    let list = "/api/v1/customers?sort=-updated_at";
    let search = "/api/v1/customers/search?term=aurora";
    for (url, count) in
        [(list, customers), (search, 1), ("/api/v1/customers?cursor=&sort=-updated_at", customers)]
    {
        let page = server.get(url).await.expect(200);
        let found = page["data"].as_array().expect("data");
        assert_eq!(found.len(), count, "{url}");
        assert_eq!(found[0]["id"], id, "{url}");
    }
    server.get(&format!("/api/v1/customers/{id}/history")).await.expect(200);
    assert_eq!(server.home.run_well(&["export"]).lines().count(), customers);
    server.home.run_well(&["export", "--id", &id.to_string()]);
}

async fn a_token_of_more_than_a_century_is_refused(home: Home) {
    let create = |age: &str| home.run(&["token", "create", "--name", "x", "--expires-in", age]);
    for age in ["3000000d", "36501d"] {
        let ran = create(age);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.stderr.contains("give no more than 36500d"), "{ran:?}");
    }
    let ran = home.run(&["serve", "--login-token-ttl", "3000000d"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("give no more than 36500d"), "{ran:?}");
    assert_eq!(create("36500d").code, 0);
    home.run_well(&["token", "list"]);
}
