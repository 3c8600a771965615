//! Lists: numbered pages, their order, and the URLs of the others.

use serde_json::{Value, json};

use crate::support::{Client, TestServer, encode};

cases! {
    both: [
        a_page_has_thirteen_members_and_leads_to_the_others,
        links_are_drawn_as_laravel_draws_them,
        beyond_the_end_a_page_is_empty_and_the_last,
        nonsense_counts_as_the_first_page_of_twenty,
        lists_are_sorted_alike_on_every_database,
        every_page_shows_what_was_written_before_it,
    ]
    sqlite: [
        urls_begin_with_the_public_url_or_the_host_that_the_client_names,
        urls_keep_what_makes_the_list,
        a_link_header_stays_within_what_readers_take,
    ]
}

pub const CUSTOMERS: &str = "/api/v1/customers";

/// Creates customers of these names, one after the other.
pub async fn fill(client: &Client, names: impl IntoIterator<Item = String>) {
    for name in names {
        client.create(&json!({ "name": name })).await;
    }
}

/// The values of one attribute on a page.
pub fn values<'a>(page: &'a Value, attribute: &str) -> Vec<&'a Value> {
    let customers = page["data"].as_array().expect("data").iter();
    customers.map(|customer| &customer[attribute]).collect()
}

/// The rest of a URL that leads to this server.
pub fn target<'a>(client: &Client, url: &'a Value) -> &'a str {
    let origin = format!("http://{}", client.address());
    let url = url.as_str().unwrap_or_else(|| panic!("no URL: {url}"));
    url.strip_prefix(&origin).unwrap_or_else(|| panic!("{url} is elsewhere"))
}

async fn a_page_has_thirteen_members_and_leads_to_the_others(server: TestServer) {
    fill(&server, (1..=5).map(|number| format!("A{number}"))).await;
    let answer = server.get("/api/v1/customers?per_page=2&page=2").await;
    let page = answer.expect(200);
    let members: Vec<&String> = page.as_object().expect("an object").keys().collect();
    assert_eq!(
        members,
        [
            "current_page",
            "data",
            "first_page_url",
            "from",
            "last_page",
            "last_page_url",
            "links",
            "next_page_url",
            "path",
            "per_page",
            "prev_page_url",
            "to",
            "total"
        ]
    );
    let path = format!("http://{}{CUSTOMERS}", server.address());
    let url = |number: i64| json!(format!("{path}?per_page=2&page={number}"));
    let mut expected = json!({
        "current_page": 2,
        "first_page_url": url(1),
        "from": 3,
        "last_page": 3,
        "last_page_url": url(3),
        "links": [
            { "url": url(1), "label": "&laquo; Previous", "page": 1, "active": false },
            { "url": url(1), "label": "1", "page": 1, "active": false },
            { "url": url(2), "label": "2", "page": 2, "active": true },
            { "url": url(3), "label": "3", "page": 3, "active": false },
            { "url": url(3), "label": "Next &raquo;", "page": 3, "active": false },
        ],
        "next_page_url": url(3),
        "path": path,
        "per_page": 2,
        "prev_page_url": url(1),
        "to": 4,
        "total": 5,
    });
    expected["data"] = page["data"].clone();
    assert_eq!(page, expected);
    assert_eq!(values(&page, "name"), ["A3", "A4"]);
    let single = server.get(&format!("{CUSTOMERS}/{}", page["data"][0]["id"])).await.expect(200);
    assert_eq!(page["data"][0], single);

    let link = |relation: &str, number: i64| {
        format!("<{path}?per_page=2&page={number}>; rel=\"{relation}\"")
    };
    let links = [link("first", 1), link("prev", 1), link("next", 3), link("last", 3)];
    assert_eq!(answer.header("link"), Some(&*links.join(", ")));

    // Following the pages passes everybody and ends.
    let mut names = Vec::new();
    let mut next = CUSTOMERS.to_owned() + "?per_page=2";
    loop {
        let page = server.get(&next).await.expect(200);
        names.extend(values(&page, "name").into_iter().cloned());
        if page["next_page_url"].is_null() {
            assert_eq!(page["current_page"], page["last_page"]);
            break;
        }
        next = target(&server, &page["next_page_url"]).to_owned();
    }
    assert_eq!(names, ["A1", "A2", "A3", "A4", "A5"]);
}

async fn links_are_drawn_as_laravel_draws_them(server: TestServer) {
    fill(&server, (1..=15).map(|number| format!("A{number}"))).await;
    let drawn = async |page: u64| {
        let page = server.get(&format!("{CUSTOMERS}?per_page=1&page={page}")).await.expect(200);
        let links = page["links"].as_array().expect("links");
        for link in links.iter().filter(|link| link["label"] == "...") {
            assert_eq!(
                link,
                &json!({ "url": null, "label": "...", "page": null, "active": false })
            );
        }
        let active: Vec<_> = links.iter().filter(|link| link["active"] == true).collect();
        assert_eq!((active.len(), &active[0]["page"]), (1, &page["current_page"]));
        let labels: Vec<_> =
            links.iter().map(|link| link["label"].as_str().expect("text")).collect();
        labels[1..labels.len() - 1].join(" ")
    };
    assert_eq!(drawn(1).await, "1 2 3 4 5 6 7 8 9 10 ... 14 15");
    assert_eq!(drawn(8).await, "1 2 ... 5 6 7 8 9 10 11 ... 14 15");
    assert_eq!(drawn(9).await, "1 2 ... 6 7 8 9 10 11 12 13 14 15");
}

async fn beyond_the_end_a_page_is_empty_and_the_last(server: TestServer) {
    let origin = format!("http://{}{CUSTOMERS}", server.address());
    let empty = server.get(CUSTOMERS).await.expect(200);
    let shown = |page: &Value| {
        let members = ["data", "from", "to", "total", "next_page_url", "current_page", "last_page"];
        members.map(|name| page[name].clone())
    };
    assert_eq!(
        shown(&empty),
        [json!([]), json!(null), json!(null), json!(0), json!(null), json!(1), json!(1)]
    );
    assert_eq!(empty["last_page_url"], format!("{origin}?page=1"));
    assert_eq!(empty["links"].as_array().map(Vec::len), Some(3));

    fill(&server, (1..=3).map(|number| format!("A{number}"))).await;
    for number in [3u64, 1_000_000, 9_007_199_254_740_991] {
        let page = server.get(&format!("{CUSTOMERS}?per_page=2&page={number}")).await.expect(200);
        let n = json!(number);
        assert_eq!(
            shown(&page),
            [json!([]), json!(null), json!(null), json!(3), json!(null), n.clone(), n]
        );
        assert_eq!(page["last_page_url"], format!("{origin}?per_page=2&page=2"));
        assert_eq!(page["prev_page_url"], format!("{origin}?per_page=2&page=2"));
    }
}

async fn nonsense_counts_as_the_first_page_of_twenty(server: TestServer) {
    fill(&server, (1..=21).map(|number| format!("A{number}"))).await;
    for (query, per_page, shown) in [
        ("", 20, 20),
        ("page=0&per_page=0", 20, 20),
        ("page=-1&per_page=-1", 20, 20),
        ("page=x&per_page=x", 20, 20),
        ("page=1.5&per_page=2.5", 20, 20),
        ("page=&per_page=", 20, 20),
        ("page[]=2&per_page[]=2", 20, 20),
        ("page=99999999999999999999999999&per_page=2", 2, 2),
        ("page=18446744073709551616&per_page=501", 500, 21),
        ("per_page=99999999999999999999999999", 500, 21),
        ("per_page=%201%20", 1, 1),
    ] {
        let page = server.get(&format!("{CUSTOMERS}?{query}")).await.expect(200);
        assert_eq!(page["current_page"], 1, "{query}");
        assert_eq!(page["per_page"], per_page, "{query}");
        assert_eq!(page["data"].as_array().map(Vec::len), Some(shown), "{query}");
        assert_eq!(page["total"], 21);
    }
}

async fn lists_are_sorted_alike_on_every_database(server: TestServer) {
    for (name, account) in
        [("b", "Z"), ("Éa", "z2"), ("a B", "10"), ("ab", "9"), ("Œz", "a"), ("B", "é"), ("_", "%")]
    {
        server.create(&json!({ "name": name, "customerAccount": account })).await;
    }
    server.patch("/api/v1/customerAccounts/9").await;
    for (sort, expected) in [
        ("", "b Éa a B ab Œz B _"),
        ("id", "b Éa a B ab Œz B _"),
        ("-id", "_ B Œz ab a B Éa b"),
        // By the folded name, then by id, in the direction of the name.
        ("name", "_ a B ab b B Éa Œz"),
        ("-name", "Œz Éa B b ab a B _"),
        ("-name,id", "Œz Éa b B ab a B _"),
        ("customerAccount", "_ a B ab Œz B b Éa"),
        ("created_at", "b Éa a B ab Œz B _"),
        ("-created_at,name", "_ B Œz ab a B Éa b"),
        (" name , -id ,", "_ a B ab B b Éa Œz"),
    ] {
        let page = server.get(&format!("{CUSTOMERS}?sort={}", encode(sort))).await.expect(200);
        let names: Vec<_> =
            values(&page, "name").iter().map(|it| it.as_str().expect("text")).collect();
        assert_eq!(names.join(" "), expected, "{sort}");
        // The same step by step.
        let mut walked = Vec::new();
        let mut next = format!("{CUSTOMERS}?per_page=2&pagination=cursor&sort={}", encode(sort));
        loop {
            let page = server.get(&next).await.expect(200);
            walked.extend(values(&page, "name").into_iter().cloned());
            match page["next_page_url"] {
                Value::Null => break,
                ref url => next = target(&server, url).to_owned(),
            }
        }
        assert_eq!(
            walked,
            values(&page, "name").into_iter().cloned().collect::<Vec<_>>(),
            "{sort}"
        );
    }
    let first = server.get(&format!("{CUSTOMERS}?per_page=1")).await.expect(200);
    let id = &first["data"][0]["id"];
    server.patch(&format!("{CUSTOMERS}/{id}?vip=1")).await.expect(200);
    let latest = server.get(&format!("{CUSTOMERS}?per_page=1&sort=-updated_at")).await.expect(200);
    assert_eq!(&latest["data"][0]["id"], id);
}

async fn every_page_shows_what_was_written_before_it(server: TestServer) {
    let mut expected = 0;
    for number in 0..10 {
        let customer = server.create(&json!({ "name": format!("A{number}"), "vip": true })).await;
        expected += 1;
        if number % 3 == 0 {
            server.delete(&format!("{CUSTOMERS}/{}", customer["id"])).await;
            expected -= 1;
        }
        for query in ["", "filter[vip]=1", "filter[name]=a", "sort=-name&filter[brand_id]=1"] {
            let page = server.get(&format!("{CUSTOMERS}?{query}")).await.expect(200);
            assert_eq!(page["total"], expected, "{query}");
            assert_eq!(page["data"].as_array().map(Vec::len), Some(expected), "{query}");
        }
    }
}

async fn urls_begin_with_the_public_url_or_the_host_that_the_client_names(mut server: TestServer) {
    let path = async |client: &Client, host: &str| {
        let answer = client.get(CUSTOMERS).header("host", host).await.expect(200);
        let path = answer["path"].as_str().expect("text").to_owned();
        assert!(answer["first_page_url"].as_str().expect("text").starts_with(&path));
        path
    };
    let own = format!("http://{}{CUSTOMERS}", server.address());
    for (host, expected) in [
        ("customers.example", "http://customers.example/api/v1/customers"),
        ("10.0.0.1:99", "http://10.0.0.1:99/api/v1/customers"),
        ("[::1]:8080", "http://[::1]:8080/api/v1/customers"),
        ("evil.example/x?", &own),
        ("user@evil.example", &own),
        ("a b", &own),
        ("evil.example:port", &own),
    ] {
        assert_eq!(path(&server, host).await, expected, "{host}");
    }
    server.program.kill();
    server.program = server.home.serve(&[], &[("PUBLIC_URL", "https://public.example/registry/")]);
    let client = Client::new(server.program.address(), server.token());
    let public = "https://public.example/registry/api/v1/customers";
    assert_eq!(path(&client, "customers.example").await, public);
    let location = client.post("/api/v1/customers?name=A").await;
    assert_eq!(location.header("location"), Some("/api/v1/customers/1"));

    for wrong in
        ["customers.example", "ftp://a.example", "https://a.example/?x=y", "https://u@a.example"]
    {
        let ran = server.home.run(&["serve", "--public-url", wrong]);
        assert_eq!(ran.code, 2, "{wrong}: {ran:?}");
    }
}

async fn urls_keep_what_makes_the_list(server: TestServer) {
    fill(&server, ["é 1".into(), "é 2".into(), "é 3".into()]).await;
    let query = "filter[name]=%C3%A9+%32,%C3%A9%203,%C3%A9&page=1&secret=x&sort=-name&per_page=2";
    for mode in ["", "&pagination=cursor"] {
        let page = server.get(&format!("{CUSTOMERS}?{query}{mode}")).await.expect(200);
        let next = target(&server, &page["next_page_url"]);
        let kept = "?filter%5Bname%5D=%C3%A9+%32,%C3%A9%203,%C3%A9&sort=-name&per_page=2&";
        assert!(next.starts_with(&format!("{CUSTOMERS}{kept}")), "{next}");
        let names: Vec<_> = [page.clone(), server.get(next).await.expect(200)]
            .iter()
            .flat_map(|page| values(page, "name").into_iter().cloned().collect::<Vec<_>>())
            .collect();
        assert_eq!(names, ["é 3", "é 2", "é 1"]);
    }
}

async fn a_link_header_stays_within_what_readers_take(server: TestServer) {
    let long = server.get(&format!("{CUSTOMERS}?filter[id]={}", "1234567%2C".repeat(900))).await;
    assert_eq!(long.expect(200)["total"], 0);
    assert_eq!(long.header("link"), None);
}
