//! Lists that are walked through by cursor.

use serde_json::{Value, json};

use crate::listing::{CUSTOMERS, fill, target, values};
use crate::support::TestServer;

cases! {
    both: [
        a_walk_by_cursor_passes_everybody_once_whatever_is_created_meanwhile,
        a_walk_goes_back_the_way_it_came,
        a_cursor_is_of_use_only_for_its_list,
    ]
}

async fn a_walk_by_cursor_passes_everybody_once_whatever_is_created_meanwhile(server: TestServer) {
    fill(&server, (1..=25).map(|number| format!("N{}", number % 3))).await;
    for sort in ["id", "-id", "name", "-created_at", "customerAccount"] {
        let before = server.get(&format!("{CUSTOMERS}?per_page=500")).await.expect(200);
        let mut passed = Vec::new();
        let mut next = format!("{CUSTOMERS}?pagination=cursor&per_page=7&sort={sort}");
        loop {
            let answer = server.get(&next).await;
            let page = answer.expect(200);
            let members: Vec<&String> = page.as_object().expect("an object").keys().collect();
            let expected = [
                "data",
                "path",
                "per_page",
                "next_cursor",
                "next_page_url",
                "prev_cursor",
                "prev_page_url",
            ];
            assert_eq!(members, expected);
            assert_eq!(page["per_page"], 7);
            passed.extend(values(&page, "id").into_iter().cloned());
            server.create(&json!({ "name": "N1" })).await;
            match page["next_page_url"] {
                Value::Null => break,
                ref url => {
                    assert!(
                        answer
                            .header("link")
                            .expect("links")
                            .contains(&format!("<{}>; rel=\"next\"", url.as_str().expect("text")))
                    );
                    next = target(&server, url).to_owned();
                }
            }
        }
        let count = passed.len();
        passed.sort_by_key(Value::as_i64);
        passed.dedup();
        assert_eq!(passed.len(), count, "somebody was passed twice by {sort}");
        assert!(
            values(&before, "id").iter().all(|id| passed.contains(id)),
            "somebody was missed by {sort}"
        );
    }
}

async fn a_walk_goes_back_the_way_it_came(server: TestServer) {
    fill(&server, (1..=7).map(|number| format!("N{}", number % 2))).await;
    let first = server
        .get(&format!("{CUSTOMERS}?pagination=cursor&per_page=3&sort=-name"))
        .await
        .expect(200);
    assert_eq!((&first["prev_cursor"], &first["prev_page_url"]), (&Value::Null, &Value::Null));
    let second = server.get(target(&server, &first["next_page_url"])).await.expect(200);
    let third = server.get(target(&server, &second["next_page_url"])).await.expect(200);
    assert_eq!(third["next_page_url"], Value::Null);
    assert_eq!(third["data"].as_array().map(Vec::len), Some(1));
    let back = server.get(target(&server, &third["prev_page_url"])).await.expect(200);
    assert_eq!(back["data"], second["data"]);
    let back = server.get(target(&server, &back["prev_page_url"])).await.expect(200);
    assert_eq!(back["data"], first["data"]);
    assert_eq!(back["prev_page_url"], Value::Null);
    let on = server.get(target(&server, &back["next_page_url"])).await.expect(200);
    assert_eq!(on["data"], second["data"]);
    // The cursor alone says that it is one.
    let cursor = first["next_cursor"].as_str().expect("a cursor");
    let alone = server.get(&format!("{CUSTOMERS}?per_page=3&sort=-name&cursor={cursor}")).await;
    assert_eq!(alone.expect(200)["data"], second["data"]);
}

async fn a_cursor_is_of_use_only_for_its_list(server: TestServer) {
    fill(&server, ["a".into(), "ab".into(), "abc".into()]).await;
    let cursor = async |query: &str| {
        let page = server.get(&format!("{CUSTOMERS}?pagination=cursor&per_page=1&{query}")).await;
        page.expect(200)["next_cursor"].as_str().expect("a cursor").to_owned()
    };
    let [plain, filtered, sorted] =
        [cursor("").await, cursor("filter[name]=a").await, cursor("sort=name").await];
    let history = format!("{CUSTOMERS}/1/history");
    let mut altered = plain.clone();
    altered.replace_range(12..13, if &plain[12..13] == "A" { "B" } else { "A" });
    for (query, cursor) in [
        ("filter[name]=b", &*filtered),
        ("", &filtered),
        ("filter[name]=a", &plain),
        ("sort=name", &plain),
        ("sort=-id", &plain),
        ("", &sorted),
        ("", &altered),
        ("", &plain[1..]),
        ("", "x"),
        ("", "%00"),
        ("", "W2ZhbHNlLFsxXV0"),
        ("", &"A".repeat(5000)),
    ] {
        let answer = server.get(&format!("{CUSTOMERS}?{query}&cursor={cursor}")).await;
        assert_eq!(answer.expect(400)["code"], "invalid_cursor", "{query} {cursor}");
    }
    let answer = server.get(&format!("{history}?cursor={plain}")).await;
    assert!(matches!(answer.status, 400), "{}", answer.text());
    // How many are shown, and in which order filters stand, makes no other list.
    for query in ["per_page=2", "page=7&x=y"] {
        server.get(&format!("{CUSTOMERS}?{query}&cursor={plain}")).await.expect(200);
    }
    server.get(&format!("{CUSTOMERS}?cursor=&pagination=cursor")).await.expect(200);
}
