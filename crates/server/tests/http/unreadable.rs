//! Rows that cannot be read, because something else has written to the database.

use serde_json::{Value, json};

use crate::support::TestServer;

cases! {
    both: [a_row_that_cannot_be_read_fails_no_list_and_is_told]
}

async fn a_row_that_cannot_be_read_fails_no_list_and_is_told(server: TestServer) {
    let mut ids = Vec::new();
    for number in 0..6 {
        let customer = server.create(&json!({ "name": format!("Aurora {number}") })).await;
        ids.push(customer["id"].as_u64().expect("an id"));
    }
    server.home.token(&["--name", "broken"]);
    let [broken, next] = [ids.remove(2), ids.remove(2)];
    server.home.database.execute(&format!(
        "UPDATE customers SET more = 'no JSON' WHERE id IN ({broken}, {next});
         UPDATE customer_history SET changes = 'no JSON' WHERE customer_id = {};
         UPDATE tokens SET name = '' WHERE name = 'broken'",
        ids[0],
    ));

    let list = server.get("/api/v1/customers?sort=id").await.expect(200);
    assert_eq!((ids_of(&list), &list["total"]), (ids.clone(), &json!(6)));
    let behind = server.get("/api/v1/customers?sort=id&per_page=2&page=2").await.expect(200);
    assert_eq!((ids_of(&behind), &behind["total"]), (vec![], &json!(6)));
    let mut found = server.get("/api/v1/customers/search?term=aurora").await.expect(200);
    let hits = found["data"].as_array_mut().expect("data");
    assert_eq!(hits.len(), 4);

    // A walk goes on behind them, in both directions.
    let (mut walked, mut url) =
        (Vec::new(), "/api/v1/customers?sort=id&per_page=1&cursor=".to_owned());
    let mut last = Value::Null;
    while !url.is_empty() {
        let page = server.get(&url).await.expect(200);
        walked.extend(ids_of(&page));
        url = target(&page["next_page_url"]);
        last = page;
    }
    assert_eq!(walked, ids);
    let mut back = Vec::new();
    let mut url = target(&last["prev_page_url"]);
    while !url.is_empty() {
        let page = server.get(&url).await.expect(200);
        back.extend(ids_of(&page));
        url = target(&page["prev_page_url"]);
    }
    assert_eq!(back, [ids[2], ids[1], ids[0]]);

    assert_eq!(server.home.run_well(&["export"]).lines().count(), 4);
    let history = server.get(&format!("/api/v1/customers/{}/history", ids[0])).await.expect(200);
    assert_eq!(history["data"][0]["action"], "created");
    server.home.run_well(&["erase", &ids[0].to_string(), "--yes"]);
    assert!(server.home.run_well(&["token", "list"]).contains("first"));

    // One by itself is an error of the server, which the log names.
    assert_eq!(server.get(&format!("/api/v1/customers/{broken}")).await.status, 500);
    let named = format!("customer {broken} cannot be read");
    server.program.wait_for_log(|line| line.contains(&named));
    let check = server.home.run(&["check", "--bind", "127.0.0.1:0"]);
    let told = format!("customers that cannot be read: 2 (id {broken}, {next})");
    assert!(check.stdout.contains(&told), "{check:?}");
}

fn ids_of(page: &Value) -> Vec<u64> {
    let data = page["data"].as_array().expect("data").iter();
    data.map(|customer| customer["id"].as_u64().expect("an id")).collect()
}

/// The path and the query of a URL; nothing where there is none.
fn target(url: &Value) -> String {
    let url = url.as_str().unwrap_or_default();
    url.find("/api/").map_or(String::new(), |at| url[at..].to_owned())
}
