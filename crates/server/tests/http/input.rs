//! Where parameters come from, which of them count, and what becomes of text.

use serde_json::json;

use crate::creation::{encoded, full_customer};
use crate::support::TestServer;

cases! {
    both: [
        the_body_wins_over_the_query_key_by_key,
        the_last_of_a_repeated_key_wins,
        an_empty_body_is_fine_under_any_content_type,
        media_types_and_parts_may_say_more_than_they_need_to,
        text_is_trimmed_and_nothing_means_not_given,
        queries_and_forms_are_decoded_as_browsers_encode_them,
        read_only_and_unknown_keys_are_ignored,
        strict_handling_refuses_unknown_keys,
        what_is_nested_100_deep_is_taken,
        large_bodies_are_taken_up_to_one_mebibyte,
    ]
}

async fn the_body_wins_over_the_query_key_by_key(server: TestServer) {
    let target = "/api/v1/customers?name=query&brand=query&capital=7&vip=1&resellerLevel=3";
    let body = json!({ "brand": "body", "vip": false, "resellerLevel": null, "capital": "" });
    let customer = server.post(target).json(&body).await.expect(201);
    assert_eq!(customer["name"], "query");
    assert_eq!(customer["brand"], "body");
    assert_eq!(customer["vip"], false);
    // What the body leaves empty is given by it, as nothing.
    assert_eq!(customer["resellerLevel"], 0);
    assert_eq!(customer["capital"], json!(null));

    for call in [
        server.post(target).form("brand=body&vip=off"),
        server.post(target).multipart(&[("brand", "body"), ("vip", "off")]),
    ] {
        let customer = call.await.expect(201);
        assert_eq!(customer["name"], "query");
        assert_eq!(customer["brand"], "body");
        assert_eq!(customer["vip"], false);
        assert_eq!(customer["capital"], "7");
        assert_eq!(customer["resellerLevel"], 3);
    }
    // What the query has wrong does not matter where the body has it right, and the other way round.
    server.post("/api/v1/customers?name=A&vip=maybe").json(&json!({ "vip": 1 })).await.expect(201);
    let call = server.post("/api/v1/customers?name=A&vip=1").json(&json!({ "vip": "maybe" }));
    call.await.expect(422);
}

async fn the_last_of_a_repeated_key_wins(server: TestServer) {
    let post = || server.post("/api/v1/customers");
    for call in [
        server.post("/api/v1/customers?name=first&vip=maybe&name=last&vip=1"),
        server.post("/api/v1/customers?name%5B%5D=first&name=last&vip=1"),
        post().json_text(r#"{"name": "first", "vip": "maybe", "name": "last", "vip": true}"#),
        post().json_text(r#"{"name": ["first"], "n\u0061me": "last", "vip": 1}"#),
        post().form("name=first&vip=maybe&name=last&vip=1"),
        post().multipart(&[("name", "first"), ("vip", "2"), ("name", "last"), ("vip", "1")]),
    ] {
        let customer = call.await.expect(201);
        assert_eq!(customer["name"], "last");
        assert_eq!(customer["vip"], true);
    }
    let refused = server.post("/api/v1/customers?name=first&name[]=last").await.expect(422);
    assert_eq!(refused["errors"], json!({ "name": ["The name field must be a string."] }));
}

async fn media_types_and_parts_may_say_more_than_they_need_to(server: TestServer) {
    let post = || server.post("/api/v1/customers");
    for media_type in
        ["application/json ; charset=utf-8", "APPLICATION/JSON;charset", "application/x+json"]
    {
        let customer = post().body(media_type, r#"{"name":"A"}"#).await.expect(201);
        assert_eq!(customer["name"], "A", "{media_type}");
    }
    // A part is as long as it is, whatever it says.
    for length in [3, 8, 300] {
        let body = format!(
            "--b\r\nContent-Disposition: form-data; name=\"name\"\r\nContent-Length: {length}\r\n\r\n\
             Société\r\n--b--\r\n"
        );
        let customer = post().body("multipart/form-data ; boundary=b", body).await.expect(201);
        assert_eq!(customer["name"], "Société");
    }
}

async fn an_empty_body_is_fine_under_any_content_type(server: TestServer) {
    let target = "/api/v1/customers?name=A";
    for media_type in [
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "multipart/form-data",
        "text/plain",
        "no media type",
    ] {
        server.post(target).header("content-type", media_type).await.expect(201);
    }
    for body in ["{}", "\u{feff}{}", "[]", "null", " [ ] "] {
        server.post(target).json_text(body).await.expect(201);
    }
    let refused = server.post("/api/v1/customers").json_text("null").await.expect(422);
    assert_eq!(refused["errors"], json!({ "name": ["The name field is required."] }));
}

async fn text_is_trimmed_and_nothing_means_not_given(server: TestServer) {
    // White space of several kinds, a no-break space, a zero-width space, a byte order mark.
    let edge = "\u{feff}\u{200b} \t\r\n\u{a0}\u{2003}\u{3000}";
    let parameters = json!({
        "name": format!("{edge}A{edge}B{edge}").replace(['\t', '\r', '\n'], ""),
        "customerAccount": format!("{edge}Acct 1{edge}"),
        "brand": edge,
        "capital": "",
        "website": null,
        "representative_id": format!("{edge}12{edge}"),
        "brand_id": edge,
        "resellerLevel": "",
        "active": edge,
        "chargeVAT": null,
        "vip": format!("{edge}yes{edge}"),
    });
    let members = parameters.as_object().expect("an object");
    let without_nulls = members.clone().into_iter().filter(|(_, value)| !value.is_null()).collect();
    let post = || server.post("/api/v1/customers");
    for call in [
        post().json(&parameters),
        post().form(encoded(&without_nulls)),
        server.post(&format!("/api/v1/customers?{}", encoded(&without_nulls))),
    ] {
        let customer = call.await.expect(201);
        // Inside, everything stays as it is.
        let inner = edge.replace(['\t', '\r', '\n'], "");
        assert_eq!(customer["name"], format!("A{inner}B"));
        assert_eq!(customer["customerAccount"], "Acct 1");
        for name in ["brand", "capital", "website"] {
            assert_eq!(customer[name], json!(null), "{name}");
        }
        assert_eq!(customer["representative_id"], 12);
        assert_eq!(customer["brand_id"], 1);
        assert_eq!(customer["resellerLevel"], 0);
        assert_eq!(customer["active"], true);
        assert_eq!(customer["chargeVAT"], true);
        assert_eq!(customer["vip"], true);
        server.home.database.execute("UPDATE customers SET account_key = 'renamed ' || id");
    }
    for nothing in [json!({ "name": edge }), json!({ "name": "" }), json!({ "name": null })] {
        let refused = server.post("/api/v1/customers").json(&nothing).await.expect(422);
        assert_eq!(refused["errors"], json!({ "name": ["The name field is required."] }));
    }
    // An account of nothing is none.
    let customer = server.create(&json!({ "name": "A", "customerAccount": edge })).await;
    assert!(customer["customerAccount"].as_str().is_some_and(|it| it.starts_with("CL")));
}

async fn queries_and_forms_are_decoded_as_browsers_encode_them(server: TestServer) {
    let pairs =
        "name=a+b%2Bc%20d&&brand=100%&type=%zz%4&capital=a=b&=x&website&%6Eame=Caf%C3%A9+%26";
    for call in [
        server.post(&format!("/api/v1/customers?{pairs}")),
        server.post("/api/v1/customers").form(pairs),
    ] {
        let customer = call.await.expect(201);
        assert_eq!(customer["name"], "Café &");
        assert_eq!(customer["brand"], "100%");
        assert_eq!(customer["type"], "%zz%4");
        assert_eq!(customer["capital"], "a=b");
        assert_eq!(customer["website"], json!(null));
    }
    let customer = server.post("/api/v1/customers?name=a+b%2Bc%20d").await.expect(201);
    assert_eq!(customer["name"], "a b+c d");
}

async fn read_only_and_unknown_keys_are_ignored(server: TestServer) {
    let parameters = json!({
        "id": 123456, "created_at": "1999-01-01", "updated_at": [], "deleted_at": "yesterday",
        "name": "A", "ftp_password": "hunter2", "Name": "B", "response": {}, "": 1, "é": [[]],
    });
    let customer = server.create(&parameters).await;
    assert_eq!(customer["name"], "A");
    assert_ne!(customer["id"], 123456);
    assert_eq!(customer["deleted_at"], json!(null));
    assert_ne!(customer["created_at"], "1999-01-01");
    let names = |value: &serde_json::Value| {
        value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>()
    };
    let plain = server.create(&json!({ "name": "B" })).await;
    assert_eq!(names(&customer), names(&plain));
    let query = "/api/v1/customers?name=A&id=5&telco_x=1&filter[a]=b&numberOfInvoices=9";
    let answer = server.post(query).await;
    answer.expect(201);
    assert_eq!(answer.header("preference-applied"), None);
}

async fn strict_handling_refuses_unknown_keys(server: TestServer) {
    let strict = |target: &str| server.post(target).header("prefer", "handling=strict");
    let is_applied = |answer: &crate::support::Answer| {
        assert_eq!(answer.header("preference-applied"), Some("handling=strict"));
        assert!(answer.list("vary").contains(&"Prefer"), "{answer:?}");
    };
    let body = json!({ "ftp_password": "x", "Name": "B", "vip": 1, "id": 7 });
    let answer = strict("/api/v1/customers?name=A&telco_x[]=1&created_at=x").json(&body).await;
    is_applied(&answer);
    let refused = answer.expect(422);
    assert_eq!(
        refused["errors"],
        json!({
            "telco_x": ["The telco x field is unknown."],
            "ftp_password": ["The ftp password field is unknown."],
            "Name": ["The name field is unknown."],
        })
    );
    assert_eq!(refused["message"], "The telco x field is unknown. (and 2 more errors)");

    // Beside everything else that is wrong.
    let answer = strict("/api/v1/customers?foo=1&vip=maybe").await;
    let refused = answer.expect(422);
    let errors = refused["errors"].as_object().expect("an object");
    assert!(["foo", "vip", "name"].iter().all(|name| errors.contains_key(*name)), "{refused}");

    let mut all = full_customer();
    all["id"] = json!(1);
    let answer = strict("/api/v1/customers").json(&all).await;
    answer.expect(201);
    is_applied(&answer);
    for preference in ["handling=lenient", "respond-async", "strict"] {
        let call = server.post("/api/v1/customers?name=A&foo=1").header("prefer", preference);
        let answer = call.await;
        answer.expect(201);
        assert_eq!(answer.header("preference-applied"), None, "{preference}");
    }
    let call = server.post("/api/v1/customers?name=A&foo=1");
    call.header("prefer", "respond-async, Handling=\"strict\"; x").await.expect(422);
}

async fn what_is_nested_100_deep_is_taken(server: TestServer) {
    // The body itself is the first level.
    let nested = format!(r#"{{"name": "A", "x": {}{}}}"#, "[".repeat(99), "]".repeat(99));
    server.post("/api/v1/customers").json_text(nested).await.expect(201);
}

async fn large_bodies_are_taken_up_to_one_mebibyte(server: TestServer) {
    let body = |length: usize| {
        let (start, end) = (r#"{"name": "A", "x": ""#, r#""}"#);
        format!("{start}{}{end}", "x".repeat(length - start.len() - end.len()))
    };
    server.post("/api/v1/customers").json_text(body(1 << 20)).await.expect(201);
    server.post("/api/v1/customers").json_text(body((1 << 20) + 1)).await.expect(413);
}
