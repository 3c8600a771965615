//! Lists: pages, cursors, filters, orders.

use serde_json::{Value, json};

use crate::support::{Client, TestServer, encode};

cases! {
    both: [
        a_page_has_thirteen_members_and_leads_to_the_others,
        links_are_drawn_as_laravel_draws_them,
        beyond_the_end_a_page_is_empty_and_the_last,
        nonsense_counts_as_the_first_page_of_twenty,
        a_filter_lets_those_pass_that_match,
        filters_of_the_wrong_kind_or_name_are_refused,
        lists_are_sorted_alike_on_every_database,
        deleted_customers_are_listed_only_for_those_who_may_write,
        a_walk_by_cursor_passes_everybody_once_whatever_is_created_meanwhile,
        a_walk_goes_back_the_way_it_came,
        a_cursor_is_of_use_only_for_its_list,
        every_page_shows_what_was_written_before_it,
    ]
    sqlite: [
        urls_begin_with_the_public_url_or_the_host_that_the_client_names,
        urls_keep_what_makes_the_list,
        a_link_header_stays_within_what_readers_take,
    ]
}

const CUSTOMERS: &str = "/api/v1/customers";

/// Creates customers of these names, one after the other.
async fn fill(client: &Client, names: impl IntoIterator<Item = String>) {
    for name in names {
        client.create(&json!({ "name": name })).await;
    }
}

/// The values of one attribute on a page.
fn values<'a>(page: &'a Value, attribute: &str) -> Vec<&'a Value> {
    let customers = page["data"].as_array().expect("data").iter();
    customers.map(|customer| &customer[attribute]).collect()
}

/// The names on a page, without spaces between them.
async fn names(client: &Client, query: &str) -> String {
    let page = client.get(&format!("{CUSTOMERS}?{query}")).await.expect(200);
    let names = values(&page, "name");
    assert_eq!(page["total"], names.len(), "{query}");
    names.iter().map(|name| name.as_str().expect("a name")).collect()
}

/// The rest of a URL that leads to this server.
fn target<'a>(client: &Client, url: &'a Value) -> &'a str {
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

async fn a_filter_lets_those_pass_that_match(server: TestServer) {
    for (name, rest) in [
        (
            "a",
            json!({ "customerAccount": "ACME-é", "type": "SAS", "brand_id": 2, "vip": true,
            "mainAddressCity": "Saint-Étienne", "mainAddressPostalCode": "01000",
            "phone": "+33 6 02 03 04 05", "emailAddress": "A@example.com" }),
        ),
        (
            "b",
            json!({ "customerAccount": "ACME", "type": "S.A.R.L., Paris", "brand_id": 3,
            "representative_id": 7, "mainAddressCity": "SAINT-ETIENNE", "fax": "0602030405",
            "registrationNumber": "100%_\\", "onCallDuty": true }),
        ),
        (
            "c",
            json!({ "customerAccount": "007", "type": "sas", "active": false, "isReseller": true,
            "accountsReference": "Œuvre", "taxRegistrationNumber": "FR1",
            "mainAddressCountry": "FR", "mobilePhone": "3900" }),
        ),
        ("Dé", json!({ "customerAccount": "d", "phone": "0033602030405" })),
    ] {
        let mut customer = rest;
        customer["name"] = json!(name);
        server.create(&customer).await;
    }
    for (filter, text, found) in [
        ("type", "sas", "ac"),
        ("type", "SÀS", "ac"),
        ("type", "sa", ""),
        ("type", "s.a.r.l.\\, paris", "b"),
        ("type", "S.A.R.L., Paris", ""),
        ("type", "nobody,SAS", "ac"),
        ("type", " ", "abcDé"),
        ("type", ",", "abcDé"),
        ("type", "%", ""),
        ("registrationNumber", "100%_\\", "b"),
        ("registrationNumber", "100%%%", ""),
        ("customerAccount", "acme", "b"),
        ("customerAccount", "ACME-É", "a"),
        ("customerAccount", "acme-e", "a"),
        ("customerAccount", "007", "c"),
        ("customerAccount", "7", ""),
        ("customerAccount", "", ""),
        ("customerAccount", " ,", ""),
        ("id", "", ""),
        ("id", "0,-1,9007199254740993,99999999999999999999999", ""),
        ("brand_id", "2,3", "ab"),
        ("brand_id", "1", "cDé"),
        ("brand_id", "-5", ""),
        ("representative_id", "7", "b"),
        ("accountsReference", "oeuvre", "c"),
        ("taxRegistrationNumber", "fr1", "c"),
        ("active", "no", "c"),
        ("active", "1", "abDé"),
        ("isReseller", "TRUE", "c"),
        ("vip", "on", "a"),
        ("onCallDuty", "yes", "b"),
        ("onCallDuty", "true,false", "abcDé"),
        ("mainAddressCity", "saint-etienne", "ab"),
        ("mainAddressCountry", "fr", "c"),
        ("mainAddressPostalCode", "01000", "a"),
        ("mainAddressPostalCode", "1000", ""),
        ("emailAddress", "a@EXAMPLE.com", "a"),
        ("name", "d", "Dé"),
        ("name", "E", "Dé"),
        ("name", "a,dE", "aDé"),
        ("name", "_", ""),
        ("name", "\u{301}", "abcDé"),
        ("phone", "+33602030405", "abDé"),
        ("phone", "0602030405", "abDé"),
        ("phone", "06 02 03 04 05", "abDé"),
        // What is left without the zero in front are seven digits.
        ("phone", "02030405", ""),
        ("phone", "602 030 405", "abDé"),
        ("phone", "00 33 6-02-03-04-05", "abDé"),
        ("phone", "+44602030405", "b"),
        ("phone", "3900", "c"),
        ("phone", "03900", "c"),
        ("phone", "900", ""),
        ("phone", "anonymous", ""),
        ("phone", "00", ""),
        ("phone", "", "abcDé"),
        ("created_after", "2020-01-01", "abcDé"),
        ("created_before", "2020-01-01T00:00:00+02:00", ""),
        ("updated_after", "9999-01-01T00:00:00Z", ""),
        ("updated_before", "9999-01-01", "abcDé"),
        ("term_match", "acme", "ab"),
        ("term_match", "oeuvre", "c"),
        ("term_match", " ", "abcDé"),
        ("trashed", "", "abcDé"),
        ("trashed", "with", "abcDé"),
        ("trashed", "only", ""),
    ] {
        let query =
            format!("filter[{filter}]={}", encode(text)).replace('[', "%5B").replace(']', "%5D");
        assert_eq!(names(&server, &query).await, found, "{filter}: {text}");
    }
    // As a phone system writes it that does not encode the plus sign.
    assert_eq!(names(&server, "filter[phone]=+33602030405").await, "abDé");
    // All must match.
    assert_eq!(names(&server, "filter[type]=sas&filter[vip]=1").await, "a");
    assert_eq!(names(&server, "filter[type]=sas&filter[id]=").await, "");
    // The last of a repeated one counts, and an array is as good as commas.
    assert_eq!(names(&server, "filter[type]=sas&filter[type]=x").await, "");
    assert_eq!(names(&server, "filter[brand_id][]=2&filter[brand_id][]=3").await, "ab");
    // Times are of the whole microsecond.
    let all = server.get(&format!("{CUSTOMERS}?sort=-id")).await.expect(200);
    let last = all["data"][0]["created_at"].as_str().expect("a time");
    assert_eq!(names(&server, &format!("filter[created_after]={last}")).await, "Dé");
    assert_eq!(names(&server, &format!("filter[created_before]={last}")).await, "abc");
    let id = &all["data"][1]["id"];
    assert_eq!(names(&server, &format!("filter[id]=,{id},{id},777777")).await, "c");
}

async fn filters_of_the_wrong_kind_or_name_are_refused(server: TestServer) {
    let allowed = "id, brand_id, representative_id, customerAccount, accountsReference, \
                   registrationNumber, taxRegistrationNumber, type, mainAddressPostalCode, \
                   mainAddressCity, mainAddressCountry, emailAddress, active, isReseller, \
                   onCallDuty, vip, name, phone, created_after, created_before, updated_after, \
                   updated_before, term_match, trashed";
    let not_allowed = |names: &str| {
        format!("Requested filter(s) `{names}` are not allowed. Allowed filter(s) are `{allowed}`.")
    };
    let sorts = "Allowed sort(s) are `id, name, customerAccount, created_at, updated_at`.";
    for (query, code, message) in [
        ("filter[foo]=1", "invalid_filter", not_allowed("foo")),
        ("filter[website]=&filter[b%20c]=1", "invalid_filter", not_allowed("website, b c")),
        ("filter=x", "invalid_filter", not_allowed("")),
        ("filter[Name]=x", "invalid_filter", not_allowed("Name")),
        ("filter[brand_id]=x", "invalid_filter", "The brand id filter must be an integer.".into()),
        (
            "filter[brand_id]=1,,2.0",
            "invalid_filter",
            "The brand id filter must be an integer.".into(),
        ),
        (
            "filter[representative_id]=2147483648",
            "invalid_filter",
            "The representative id filter must not be greater than 2147483647.".into(),
        ),
        ("filter[id]=CL000001", "invalid_filter", "The id filter must be an integer.".into()),
        ("filter[id]=01", "invalid_filter", "The id filter must be an integer.".into()),
        ("filter[vip]=maybe", "invalid_filter", "The vip filter must be true or false.".into()),
        (
            "filter[type]=a%00b",
            "invalid_filter",
            "The type filter must not contain control characters.".into(),
        ),
        (
            "filter[name]=%1F",
            "invalid_filter",
            "The name filter must not contain control characters.".into(),
        ),
        (
            "filter[phone]=1%002",
            "invalid_filter",
            "The phone filter must not contain control characters.".into(),
        ),
        (
            "filter[term_match]=a%00",
            "invalid_filter",
            "The term match filter must not contain control characters.".into(),
        ),
        (
            "filter[created_after]=soon",
            "invalid_filter",
            "The created after filter must be a date such as 2026-08-04 or 2026-08-04T10:42:27Z."
                .into(),
        ),
        (
            "filter[updated_before]=2026-02-30",
            "invalid_filter",
            "The updated before filter must be a date such as 2026-08-04 or 2026-08-04T10:42:27Z."
                .into(),
        ),
        (
            "filter[trashed]=all",
            "invalid_filter",
            "The trashed filter must be with or only.".into(),
        ),
        ("sort=foo", "invalid_sort", format!("Requested sort(s) `foo` is not allowed. {sorts}")),
        (
            "sort=-name,--id,x",
            "invalid_sort",
            format!("Requested sort(s) `-id, x` is not allowed. {sorts}"),
        ),
        ("filter[name]=%ff", "malformed_request", "The request is not valid UTF-8.".into()),
    ] {
        for mode in ["", "&pagination=cursor"] {
            let problem = server.get(&format!("{CUSTOMERS}?{query}{mode}")).await.expect(400);
            assert_eq!(problem["code"], code, "{query}");
            assert_eq!(problem["message"], message, "{query}");
        }
    }
    // What is no parameter of the list is ignored.
    server.get(&format!("{CUSTOMERS}?foo=1&filters[x]=2&name=x")).await.expect(200);
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

async fn deleted_customers_are_listed_only_for_those_who_may_write(server: TestServer) {
    for name in ["a", "b"] {
        server.create(&json!({ "name": name, "customerAccount": name })).await;
    }
    let id = server.get("/api/v1/customerAccounts/a").await.expect(200)["id"].clone();
    assert_eq!(server.delete(&format!("{CUSTOMERS}/{id}")).await.status, 204);
    assert_eq!(names(&server, "").await, "b");
    assert_eq!(names(&server, "filter[trashed]=with").await, "ab");
    assert_eq!(names(&server, "filter[trashed]=only").await, "a");
    assert_eq!(names(&server, "filter[trashed]=only&filter[name]=b").await, "");
    assert_eq!(names(&server, &format!("filter[id]={id}")).await, "");
    let deleted = server.get(&format!("{CUSTOMERS}?filter[trashed]=only")).await.expect(200);
    assert!(deleted["data"][0]["deleted_at"].is_string());

    let reader = server.with_token(&server.home.token(&["--name", "reader", "--scope", "read"]));
    assert_eq!(names(&reader, "filter[trashed]=").await, "b");
    for filter in ["with", "only", "x", "with&filter[foo]=1"] {
        let answer = reader.get(&format!("{CUSTOMERS}?filter[trashed]={filter}")).await;
        assert_eq!(answer.expect(403)["code"], "insufficient_scope");
    }
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
    let many = server.get(&format!("{CUSTOMERS}?filter[id]={}", "1,".repeat(1001))).await;
    assert_eq!(many.expect(400)["message"], "The id filter must not have more than 1000 values.");
}
