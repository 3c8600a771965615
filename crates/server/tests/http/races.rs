//! Many callers at once.

use std::collections::HashSet;

use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{Answer, Call, TestServer};

cases! {
    both: [
        accounts_are_made_over_hand_made_ones_without_failing,
        of_many_creates_of_one_account_one_wins,
    ]
}

async fn all_at_once(calls: impl Iterator<Item = Call>) -> Vec<Answer> {
    let mut tasks = JoinSet::new();
    for call in calls {
        tasks.spawn(call.into_future());
    }
    tasks.join_all().await
}

async fn accounts_are_made_over_hand_made_ones_without_failing(server: TestServer) {
    // Every other is taken by hand, some before the ids get there and some after.
    let calls = (1..=400).map(|number| match number % 2 {
        0 => server.post(&format!("/api/v1/customers?name=A&customerAccount=cl{number:06}")),
        _ => server.post("/api/v1/customers?name=A"),
    });
    let answers = all_at_once(calls).await;
    let mut ids = HashSet::new();
    let mut accounts = HashSet::new();
    let mut taken = 0;
    for answer in &answers {
        if answer.status == 409 {
            taken += 1;
            continue;
        }
        let customer = answer.expect(201);
        assert!(ids.insert(customer["id"].as_i64().expect("a number")));
        let account = customer["customerAccount"].as_str().expect("text").to_lowercase();
        assert!(accounts.insert(account.clone()), "{account} twice");
        let found = server.get(&format!("/api/v1/customerAccounts/{account}")).await.expect(200);
        assert_eq!(found, customer);
    }
    // Only those that came by hand can come too late.
    assert!(taken <= 200, "{taken}");
    assert_eq!(server.home.database.count("customers"), answers.len() - taken);
}

async fn of_many_creates_of_one_account_one_wins(server: TestServer) {
    let calls = (0..100).map(|number| {
        let account = if number % 2 == 0 { "ACME-é" } else { "acme-É" };
        let body = json!({ "name": format!("A{number}"), "customerAccount": account });
        server.post("/api/v1/customers").json(&body)
    });
    let answers = all_at_once(calls).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert_eq!((won.len(), lost.len()), (1, 99));
    let winner = won[0].json();
    for answer in lost {
        assert_eq!(answer.expect(409)["conflict"], json!({ "id": winner["id"], "deleted": false }));
    }
    let found = server.get("/api/v1/customerAccounts/acme-%C3%A9").await.expect(200);
    assert_eq!(found, winner);
}
