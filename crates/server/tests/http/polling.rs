//! What was changed is polled for: `X-Complete-Until` says up to when nothing is missing.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::listing::CUSTOMERS;
use crate::support::load::Load;
use crate::support::{Client, Home, TestServer, encode};

cases! {
    both: [
        a_poller_misses_none_of_six_writers_on_two_servers,
        only_a_list_of_changes_is_complete_until,
    ]
}

/// The time in the header, and all pages of the list, which are written in one form and can be compared
/// as text.
async fn poll(client: &Client, after: &str) -> (String, Vec<Value>) {
    let filters = format!("filter[updated_after]={}&sort=updated_at", encode(after));
    let mut next = format!("{CUSTOMERS}?pagination=cursor&per_page=500&{filters}");
    let (mut until, mut found) = (None, Vec::new());
    loop {
        let answer = client.get(&next).await;
        until.get_or_insert(answer.header("x-complete-until").expect("a time").to_owned());
        let mut page = answer.expect(200);
        found.append(page["data"].as_array_mut().expect("customers"));
        let Some(url) = page["next_page_url"].as_str() else { break };
        next = url[url.find(CUSTOMERS).expect("the path")..].to_owned();
    }
    (until.expect("a page"), found)
}

async fn a_poller_misses_none_of_six_writers_on_two_servers(home: Home) {
    let token = home.token(&["--name", "poller"]);
    let programs = [home.serve(&[], &[]), home.serve(&[], &[])];
    let clients = programs.each_ref().map(|program| Client::new(program.address(), &token));
    let loads = clients.each_ref().map(|client| Load::start(client, 3));

    // When a customer was seen first, and up to when each poll was complete.
    let (mut seen, mut polls) = (HashMap::new(), Vec::new());
    let mut after = "1970-01-01T00:00:00.000000Z".to_owned();
    loop {
        let (until, found) = poll(&clients[polls.len() % 2], &after).await;
        for customer in found {
            let id = customer["id"].as_i64().expect("an id");
            seen.entry(id).or_insert((polls.len(), customer["updated_at"].clone()));
        }
        let complete = seen.values().filter(|(_, at)| at.as_str().expect("a time") < &*until);
        let is_enough = complete.count() >= 300;
        // Another server may know less.
        after = after.max(until.clone());
        polls.push(until);
        if is_enough {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let mut created = Vec::new();
    for load in loads {
        created.extend(load.stop().await.created);
    }

    let mut promised = 0;
    for customer in &created {
        let at = customer["updated_at"].as_str().expect("a time");
        if let Some(first) = polls.iter().position(|until| at < &**until) {
            promised += 1;
            let id = customer["id"].as_i64().expect("an id");
            let seen = seen.get(&id).map(|(poll, _)| *poll);
            assert!(seen.is_some_and(|poll| poll <= first), "{customer} was missed: {seen:?}");
        }
    }
    assert!(promised >= 300, "{promised} of {}", created.len());
}

async fn only_a_list_of_changes_is_complete_until(server: TestServer) {
    server.create(&json!({ "name": "Aurora" })).await;
    for query in
        ["", "?pagination=cursor", "?filter[updated_after]=", "?filter[updated_before]=2026-01-01"]
    {
        let answer = server.get(&format!("{CUSTOMERS}{query}")).await;
        answer.expect(200);
        assert_eq!(answer.header("x-complete-until"), None, "{query}");
    }
    for query in ["", "&pagination=cursor", "&page=7", "&filter[trashed]=with"] {
        let answer =
            server.get(&format!("{CUSTOMERS}?filter[updated_after]=2026-01-01{query}")).await;
        answer.expect(200);
        assert!(answer.header("x-complete-until").is_some(), "{query}");
    }
}
