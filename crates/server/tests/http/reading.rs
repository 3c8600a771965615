//! How customers are found: by id, by account, and by paths of every kind.

use serde_json::json;

use crate::support::{TestServer, encode};

cases! {
    both: [
        odd_accounts_are_found_by_what_they_are,
        digits_without_a_leading_zero_are_an_id_and_nothing_else,
        the_documented_parameter_decides_where_it_is_present,
        what_can_be_neither_id_nor_account_is_not_found,
        slashes_are_ignored_unless_they_are_encoded,
        head_is_get_without_the_body,
        a_request_id_is_kept_or_made,
        health_needs_no_token,
    ]
}

async fn odd_accounts_are_found_by_what_they_are(server: TestServer) {
    for account in [
        "a/b c%é?",
        "☎️ 📞",
        &"𝄞".repeat(255),
        "%2F",
        "+33 6",
        "#1&x=y",
        "\"'\\;--",
        "a//b",
        "0",
        "0123",
        "１２",
        "naïve—façade",
        "ΣΊΣΥΦΟΣ",
        "STRASSE",
        "I",
        "...",
    ] {
        let created = server.create(&json!({ "name": "A", "customerAccount": account })).await;
        assert_eq!(created["customerAccount"], account);
        let encoded = encode(account);
        for target in [
            format!("/api/v1/customerAccounts/{encoded}"),
            format!("/api/v1/customers/{encoded}"),
            format!("/api/v1/customers/{}?customerAccount={encoded}", created["id"]),
            format!("/api/v1/customers/{encoded}?customerAccount={encoded}"),
            format!("/api/v1/customerAccounts/%20{encoded}%C2%A0"),
            format!("/api/v1/customerAccounts/{}", encode(&account.to_lowercase())),
        ] {
            assert_eq!(server.get(&target).await.expect(200), created, "{target}");
        }
    }
    let strasse = server.get("/api/v1/customerAccounts/stra%C3%9Fe").await.expect(200);
    assert_eq!(strasse["customerAccount"], "STRASSE");
    // Decoded once and no more.
    assert_eq!(
        server.get("/api/v1/customerAccounts/%252F").await.expect(200)["customerAccount"],
        "%2F"
    );
    assert_eq!(server.get("/api/v1/customerAccounts/%25252F").await.status, 404);
    // Strictly: what is no escape is not taken for itself, as it is in a query.
    server.create(&json!({ "name": "A", "customerAccount": "100%" })).await;
    server.get("/api/v1/customerAccounts/100%25").await.expect(200);
    server.get("/api/v1/customerAccounts/100%").await.expect(404);
    server.get("/api/v1/customers/100%").await.expect(404);
    // A plus is a plus in a path.
    assert_eq!(server.get("/api/v1/customerAccounts/+33%206").await.status, 200);
}

async fn digits_without_a_leading_zero_are_an_id_and_nothing_else(server: TestServer) {
    let one = server.create(&json!({ "name": "A", "customerAccount": "777777" })).await;
    let id = &one["id"];
    assert_eq!(server.get(&format!("/api/v1/customers/{id}")).await.expect(200), one);
    assert_eq!(server.get("/api/v1/customers/777777").await.status, 404);
    assert_eq!(server.get("/api/v1/customerAccounts/777777").await.expect(200), one);
    for digits in ["9007199254740991", "9007199254740992", "9223372036854775808", &"9".repeat(255)]
    {
        let problem = server.get(&format!("/api/v1/customers/{digits}")).await.expect(404);
        let message = format!(
            "No customer has the id {digits}. For an account, call /api/v1/customerAccounts/{digits}."
        );
        assert_eq!(problem["message"], message);
    }
    // An account has at most 255 characters.
    let problem = server.get(&format!("/api/v1/customers/{}", "9".repeat(256))).await.expect(404);
    assert_eq!(problem["message"], "No customer has an id or an account of so many digits.");
    // Neither an id: they are accounts that nobody has.
    for other in [&format!("0{id}"), "0", "-1", "%2B1", "1.0", "%D9%A1"] {
        let problem = server.get(&format!("/api/v1/customers/{other}")).await.expect(404);
        assert!(problem["message"].as_str().unwrap().contains("account"), "{other}: {problem}");
    }
}

async fn the_documented_parameter_decides_where_it_is_present(server: TestServer) {
    let digits = server.create(&json!({ "name": "A", "customerAccount": "123456" })).await;
    let letters = server.create(&json!({ "name": "B", "customerAccount": "ACME" })).await;
    let id = &letters["id"];
    for (path, query) in [
        (&*id.to_string(), "customerAccount=ACME"),
        (&*id.to_string(), "customerAccount=%20acme%20"),
        ("acme", "customerAccount=Acme"),
        ("ACME", "customerAccount=nobody&customerAccount=ACME"),
    ] {
        let target = format!("/api/v1/customers/{path}?{query}");
        assert_eq!(server.get(&target).await.expect(200), letters, "{target}");
    }
    // What looks like an id is an account too, where the parameter says so.
    let target = "/api/v1/customers/123456?customerAccount=123456";
    assert_eq!(server.get(target).await.expect(200), digits);
    let other_id = &digits["id"];
    for (path, query) in [
        (&*id.to_string(), "customerAccount=123456"),
        (&*other_id.to_string(), "customerAccount=ACME"),
        ("nobody", "customerAccount=ACME"),
        ("ACME", "customerAccount=nobody"),
        (&*id.to_string(), "customerAccount="),
        (&*id.to_string(), "customerAccount"),
        (&*id.to_string(), "customerAccount=%20"),
        (&*id.to_string(), "customerAccount[]=ACME"),
        ("%00", "customerAccount=ACME"),
    ] {
        let target = format!("/api/v1/customers/{path}?{query}");
        assert_eq!(server.get(&target).await.status, 404, "{target}");
    }
    // Other parameters decide nothing.
    let target = format!("/api/v1/customers/{id}?customeraccount=nobody&x=y");
    assert_eq!(server.get(&target).await.expect(200), letters);
}

async fn what_can_be_neither_id_nor_account_is_not_found(server: TestServer) {
    for segment in
        ["%ff", "%00", "%C3", "%zz", "%", "a%2", "%C3%28", "%E2%80%8B", "%09", "%ED%A0%80"]
    {
        for resource in ["customers", "customerAccounts"] {
            let target = format!("/api/v1/{resource}/{segment}");
            assert_eq!(server.get(&target).await.expect(404)["code"], "not_found", "{target}");
        }
    }
}

async fn slashes_are_ignored_unless_they_are_encoded(server: TestServer) {
    let customer =
        server.post("//api//v1///customers//?name=A&customerAccount=a").await.expect(201);
    for target in
        ["/api/v1/customers/a/", "//api/v1//customers///a//", "/api/v1/customerAccounts//a"]
    {
        assert_eq!(server.get(target).await.expect(200), customer, "{target}");
    }
    // Nor do they change what an answer says of caching, which the client looks at.
    for target in ["//api/v1/nowhere", "/api//", "/%61pi/v1/customers/nobody"] {
        assert_eq!(server.get(target).await.status, 404, "{target}");
    }
    for target in ["/api/v1%2Fcustomers/a", "/api/v1/customers%2Fa", "/api/v1/customers/a%2F"] {
        assert_eq!(server.get(target).await.status, 404, "{target}");
    }
}

async fn head_is_get_without_the_body(server: TestServer) {
    let customer = server.create(&json!({ "name": "A", "customerAccount": "a" })).await;
    let id = &customer["id"];
    for target in [
        &*format!("/api/v1/customers/{id}"),
        "/api/v1/customerAccounts/a",
        "/api/v1/customerAccounts/nobody",
        "/health/live",
        "/health/ready",
        "/openapi.json",
        "/docs",
    ] {
        let [get, head] = [server.get(target).await, server.call("HEAD", target).await];
        assert_eq!(head.status, get.status, "{target}");
        assert!(head.body.is_empty());
        for name in ["content-length", "content-type", "cache-control", "vary"] {
            assert_eq!(head.header(name), get.header(name), "{name} of {target}");
        }
        assert_eq!(get.header("content-length"), Some(&*get.body.len().to_string()), "{target}");
    }
}

async fn a_request_id_is_kept_or_made(server: TestServer) {
    let id = async |given: &str| {
        let answer = server.get("/health/live").header("x-request-id", given).await;
        answer.header("x-request-id").unwrap().to_owned()
    };
    assert_eq!(id("call-7.B_9").await, "call-7.B_9");
    for other in ["", "a b", "a/b", "é", &"x".repeat(65)] {
        assert_ne!(id(other).await, other);
    }
    assert_ne!(id("").await, id("").await);
}

async fn health_needs_no_token(server: TestServer) {
    for target in ["/health/live", "/health/ready"] {
        assert_eq!(server.get(target).anonymous().await.expect(200), json!({ "status": "ok" }));
    }
    assert_eq!(server.get("/openapi.json").anonymous().await.status, 200);
    assert_eq!(server.get("/docs").anonymous().await.status, 200);
}
