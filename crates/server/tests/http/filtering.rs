//! Which customers a list shows.

use serde_json::json;

use crate::listing::{CUSTOMERS, values};
use crate::support::{Client, TestServer, encode};

cases! {
    both: [
        a_filter_lets_those_pass_that_match,
        filters_of_the_wrong_kind_or_name_are_refused,
        deleted_customers_are_listed_only_for_those_who_may_write,
    ]
}

/// The names on a page, without spaces between them.
async fn names(client: &Client, query: &str) -> String {
    let page = client.get(&format!("{CUSTOMERS}?{query}")).await.expect(200);
    let names = values(&page, "name");
    assert_eq!(page["total"], names.len(), "{query}");
    names.iter().map(|name| name.as_str().expect("a name")).collect()
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
        ("name", "\u{301}", ""),
        ("name", "\u{301},a", "a"),
        ("name", " ", "abcDé"),
        ("emailAddress", "", ""),
        ("emailAddress", " ,", ""),
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
        ("phone", "", ""),
        ("phone", " ", ""),
        ("phone", ",", ""),
        ("phone", "+", ""),
        ("phone", " ,0", ""),
        ("created_after", "2020-01-01", "abcDé"),
        ("created_before", "2020-01-01T00:00:00+02:00", ""),
        ("updated_after", "9999-01-01T00:00:00Z", ""),
        ("updated_before", "9999-01-01", "abcDé"),
        ("term_match", "acme", "ab"),
        ("term_match", "oeuvre", "c"),
        ("term_match", " ", "abcDé"),
        ("term_match", "\u{301}", ""),
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
    // A withheld number, in whatever way the query says nothing.
    for nothing in
        ["filter[phone]", "filter[phone]=+", "filter[phone][]=", "filter[emailAddress]=+,"]
    {
        for query in [nothing.to_owned(), format!("{nothing}&sort=-name")] {
            assert_eq!(names(&server, &query).await, "", "{query}");
            let page =
                server.get(&format!("{CUSTOMERS}?{query}&pagination=cursor")).await.expect(200);
            assert_eq!(page["data"], json!([]), "{query}");
        }
    }
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
    for (name, most) in [("id", 1000), ("customerAccount", 1000), ("phone", 100), ("name", 100)] {
        let list = async |count| {
            let values = vec!["1"; count].join(",");
            server.get(&format!("{CUSTOMERS}?filter[{name}]={values}")).await
        };
        list(most).await.expect(200);
        let problem = list(most + 1).await.expect(400);
        assert_eq!(problem["code"], "invalid_filter");
        let message = problem["message"].as_str().expect("a message");
        assert!(message.ends_with(&format!("must not have more than {most} values.")), "{message}");
    }
    let words = |count| "a%20".repeat(count);
    for (url, name) in [
        (format!("{CUSTOMERS}?filter[term_match]="), "term match filter"),
        (format!("{CUSTOMERS}/search?term="), "term"),
    ] {
        server.get(&format!("{url}{}", words(10))).await.expect(200);
        let problem = server.get(&format!("{url}{}", words(11))).await.expect(400);
        assert_eq!(problem["code"], "invalid_filter");
        assert_eq!(problem["message"], format!("The {name} must not have more than 10 words."));
    }
    // What is no parameter of the list is ignored.
    server.get(&format!("{CUSTOMERS}?foo=1&filters[x]=2&name=x")).await.expect(200);
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
