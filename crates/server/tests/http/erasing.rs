//! `customers erase`, while a server runs.

use serde_json::json;

use crate::creation::full_customer;
use crate::support::{Home, TestServer};

cases! {
    both: [
        what_is_erased_is_gone_from_every_answer,
        nothing_is_erased_without_confirmation,
        whom_nobody_knows_cannot_be_erased,
    ]
}

async fn what_is_erased_is_gone_from_every_answer(server: TestServer) {
    let create = || {
        let call = server.post("/api/v1/customers").json(&full_customer());
        call.header("idempotency-key", "once")
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
    assert!(ran.stderr.contains("--yes"), "{}", ran.stderr);
    let target = format!("/api/v1/customers/{}", customer["id"]);
    assert_eq!(server.get(&target).await.expect(200), customer);
}

async fn whom_nobody_knows_cannot_be_erased(home: Home) {
    for arguments in [&["erase", "7"][..], &["erase", "7", "--yes"]] {
        let ran = home.run(arguments);
        assert_eq!((ran.code, &*ran.stdout), (1, ""), "{ran:?}");
        assert!(ran.stderr.contains("there is no customer 7"), "{}", ran.stderr);
    }
    for nonsense in ["0", "x", "9007199254740992"] {
        assert_eq!(home.run(&["erase", nonsense, "--yes"]).code, 2, "{nonsense}");
    }
}
