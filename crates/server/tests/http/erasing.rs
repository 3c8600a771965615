//! `customers erase`, while a server runs.

use serde_json::json;

use crate::creation::full_customer;
use crate::support::load::{Load, assert_found, assert_sound};
use crate::support::{Home, TestServer};

cases! {
    both: [
        what_is_erased_is_gone_from_every_answer,
        nothing_is_erased_without_confirmation,
        a_deleted_customer_is_erased_and_stays_deleted,
        erasing_again_says_that_there_was_nothing_to_erase,
        whom_nobody_knows_cannot_be_erased,
        the_help_tells_what_erasing_leaves,
    ]
    sqlite: [
        a_customer_is_erased_from_the_file_while_others_write,
        what_a_long_read_keeps_is_told,
    ]
}

async fn what_is_erased_is_gone_from_every_answer(server: TestServer) {
    let create = || {
        let call = server.post("/api/v1/customers").json(&full_customer());
        call.header("idempotency-key", "once").header("x-request-id", "zoe-wants-it")
    };
    let before = create().await.expect(201);
    let (id, account) = (before["id"].to_string(), before["customerAccount"].clone());
    let target = format!("/api/v1/customers/{id}");
    let tag = server.get(&target).await.header("etag").map(str::to_owned);
    let told = server.home.run_well(&["erase", &id, "--yes"]);
    assert!(told.contains(&format!("Erased customer {id}")), "{told}");

    let answer = server.get(&target).await;
    assert_ne!(answer.header("etag").map(str::to_owned), tag);
    let after = answer.expect(200);
    let nobody = server.create(&json!({ "name": "(erased)" })).await;
    for (name, value) in after.as_object().expect("a customer") {
        let expected = match name.as_str() {
            "id" => &before["id"],
            "customerAccount" => &account,
            "created_at" => &before["created_at"],
            "updated_at" => continue,
            _ => &nobody[name],
        };
        assert_eq!(value, expected, "{name}");
    }
    let history = server.get(&format!("{target}/history")).await.expect(200);
    let entries = history["data"].as_array().expect("data");
    let told: Vec<_> = entries.iter().map(|it| (&it["action"], &it["actor"])).collect();
    assert_eq!(
        told,
        [(&json!("erased"), &json!("command line")), (&json!("created"), &json!("first"))]
    );
    // A caller's is a value of its own; that of the erasure is not.
    assert_eq!(entries[1]["request_id"], "");
    assert_ne!(entries[0]["request_id"], "");
    for changes in entries.iter().map(|entry| entry["changes"].as_object().expect("changes")) {
        assert!(changes.len() > 50, "{changes:?}");
        assert!(changes.values().all(|it| *it == json!({ "from": null, "to": null })));
    }
    // The answer that was kept for the key is gone, and so the account is only taken.
    assert_eq!(create().await.expect(409)["code"], "account_taken");
}

async fn nothing_is_erased_without_confirmation(server: TestServer) {
    let customer = server.create(&json!({ "name": "A\u{200B}\"B", "vip": true })).await;
    let ran = server.home.run(&["erase", &customer["id"].to_string()]);
    assert_eq!(ran.code, 2, "{ran:?}");
    for shown in
        ["name: \"A", "vip: true", "history", customer["customerAccount"].as_str().unwrap()]
    {
        assert!(ran.stdout.contains(shown), "{shown} is missing in {}", ran.stdout);
    }
    assert!(!ran.stdout.contains("active"), "{}", ran.stdout);
    assert!(ran.stderr.contains("nothing was erased"), "{}", ran.stderr);
    assert!(ran.stderr.contains("--yes"), "{}", ran.stderr);
    let target = format!("/api/v1/customers/{}", customer["id"]);
    assert_eq!(server.get(&target).await.expect(200), customer);
}

async fn a_deleted_customer_is_erased_and_stays_deleted(server: TestServer) {
    let customer = server.create(&json!({ "name": "Quaxolotl" })).await;
    let (id, target) =
        (customer["id"].to_string(), format!("/api/v1/customers/{}", customer["id"]));
    assert_eq!(server.delete(&target).await.status, 204);
    let shown = server.home.run(&["erase", &id]);
    assert!(shown.stdout.contains("name: \"Quaxolotl\""), "{shown:?}");
    server.home.run_well(&["erase", &id, "--yes"]);
    server.get(&target).await.expect(404);
    let deleted = server.get("/api/v1/customers?filter[trashed]=only").await.expect(200);
    assert_eq!(deleted["data"][0]["name"], "(erased)");
    let restored = server.post(&format!("{target}/restore")).await.expect(200);
    assert_eq!(restored["name"], "(erased)");
}

async fn erasing_again_says_that_there_was_nothing_to_erase(server: TestServer) {
    let customer = server.create(&json!({ "name": "Quaxolotl" })).await;
    let (id, target) =
        (customer["id"].to_string(), format!("/api/v1/customers/{}", customer["id"]));
    server.home.run_well(&["erase", &id, "--yes"]);
    let erased = server.get(&target).await.expect(200);
    let told = server.home.run_well(&["erase", &id, "--yes"]);
    assert!(told.contains("was erased already, and nothing was done to it since"), "{told}");
    let is_file = server.home.database.url().starts_with("sqlite:");
    assert_eq!(told.contains("The file holds nothing of it any more"), is_file, "{told}");
    let shown = server.home.run(&["erase", &id]);
    assert_eq!(shown.code, 2, "{shown:?}");
    assert!(shown.stdout.contains("nothing was done to it since"), "{}", shown.stdout);
    assert_eq!(server.get(&target).await.expect(200), erased);
    let history = server.get(&format!("{target}/history")).await.expect(200);
    assert_eq!(history["data"].as_array().expect("data").len(), 2);
}

async fn a_customer_is_erased_from_the_file_while_others_write(server: TestServer) {
    let customer = server.create(&json!({ "name": "Quaxolotl", "brand": "Wyvernski" })).await;
    let load = Load::start(&server.client, 8);
    load.until_created(50).await;
    let told = server.home.run_well(&["erase", &customer["id"].to_string(), "--yes"]);
    assert!(told.contains("Erased customer"), "{told}");
    load.until_created(10).await;
    let done = load.stop().await;
    assert_eq!(done.refused, 0);
    let path = server.home.database.path();
    for file in [path.clone(), format!("{}-wal", path.display()).into()] {
        let bytes = std::fs::read(&file).expect("a file");
        for secret in ["Quaxolotl", "quaxolotl", "Wyvernski", "wyvernski"] {
            let is_there = bytes.windows(secret.len()).any(|it| it == secret.as_bytes());
            assert!(!is_there, "{secret} is in {}", file.display());
        }
    }
    assert_sound(&server.home.database);
    assert_found(&server.client, &done.created).await;
}

async fn what_a_long_read_keeps_is_told(server: TestServer) {
    let customer = server.create(&json!({ "name": "Quaxolotl" })).await;
    let id = customer["id"].to_string();
    let mut reader = server.home.database.connect();
    reader.execute("BEGIN");
    assert_eq!(reader.values("SELECT name AS value FROM customers"), ["Quaxolotl"]);
    let ran = server.home.run(&["erase", &id, "--yes"]);
    assert_eq!((ran.code, &*ran.stdout), (1, ""), "{ran:?}");
    for told in [&*format!("error: customer {id} is erased"), "long read", "erase it again"] {
        assert!(ran.stderr.contains(told), "{told} is missing in {}", ran.stderr);
    }
    reader.execute("ROLLBACK");
    server.home.run_well(&["erase", &id, "--yes"]);
}

async fn the_help_tells_what_erasing_leaves(home: Home) {
    let help = home.run_well(&["erase", "--help"]);
    for told in ["cannot be undone", "(erased)", "history", "Backups", "VACUUM", "--yes"] {
        assert!(help.contains(told), "{told} is missing in {help}");
    }
}

async fn whom_nobody_knows_cannot_be_erased(home: Home) {
    home.run_well(&["migrate"]);
    for arguments in [&["erase", "7"][..], &["erase", "7", "--yes"]] {
        let ran = home.run(arguments);
        assert_eq!((ran.code, &*ran.stdout), (1, ""), "{ran:?}");
        assert!(ran.stderr.contains("there is no customer 7"), "{}", ran.stderr);
    }
    for nonsense in ["0", "x", "9007199254740992"] {
        assert_eq!(home.run(&["erase", nonsense, "--yes"]).code, 2, "{nonsense}");
    }
}
