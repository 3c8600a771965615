//! Every refusal: its status, code, sentence and fields.

use serde_json::{Value, json};

use crate::support::{Call, TestServer};

cases! {
    both: [
        every_refusal_says_what_is_wrong,
        what_is_wrong_with_the_caller_comes_before_what_is_wrong_with_the_request,
        of_many_faults_the_first_is_told,
        a_token_that_may_only_read_is_told_so_before_its_body_is_looked_at,
        all_errors_are_told_at_once,
        problems_come_under_their_own_media_type_where_it_is_asked_for,
        a_taken_account_is_told_only_of_an_otherwise_valid_request,
        a_path_that_is_no_route_is_not_found_and_a_wrong_method_is_named,
        what_a_client_makes_up_is_repeated_within_limits,
        a_request_has_so_many_parameters,
    ]
}

const CUSTOMERS: &str = "/api/v1/customers";

/// Status, code, message, and what is wrong with the fields.
type Refusal = (u16, &'static str, String, Value);

fn refused(field: &str, sentence: &str) -> Refusal {
    (422, "validation_failed", sentence.to_owned(), json!({ field: [sentence] }))
}

async fn every_refusal_says_what_is_wrong(server: TestServer) {
    let post = || server.post(CUSTOMERS);
    let json = |body: &str| post().json_text(body);
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    let file = "--b\r\nContent-Disposition: form-data; name=\"name\"; filename=\"a.txt\"\r\n\r\nx\r\n--b--\r\n";
    let malformed = |column: usize| {
        (
            400,
            "malformed_request",
            format!("The body is not valid JSON, at line 1 column {column}."),
            Value::Null,
        )
    };
    let not_utf8 =
        || (400, "malformed_request", "The request is not valid UTF-8.".to_owned(), Value::Null);
    let unsupported =
        |message: &str| (415, "unsupported_media_type", message.to_owned(), Value::Null);
    let accepted = "Send the body as application/json, application/x-www-form-urlencoded or \
                    multipart/form-data, and say so in Content-Type.";
    let too_large = || {
        (
            413,
            "payload_too_large",
            "The body must not be larger than 1 MiB.".to_owned(),
            Value::Null,
        )
    };
    let long = "é".repeat(256);

    let table: Vec<(&str, Call, Refusal)> = vec![
        ("cut off", json("{\"name\":"), malformed(8)),
        ("not JSON", json("name=A"), malformed(2)),
        ("white space", post().body("text/plain", " "), unsupported(accepted)),
        ("a lone surrogate", json(r#"{"name":"\ud800"}"#), (400, "malformed_request", "The body is not valid JSON, at line 1 column 8.".into(), Value::Null)),
        ("too deep", json(&nested(100)), (400, "malformed_request", "The JSON is nested deeper than 100 levels.".into(), Value::Null)),
        ("far too deep", json(&nested(400_000)), (400, "malformed_request", "The JSON is nested deeper than 100 levels.".into(), Value::Null)),
        ("no object", json("[{\"name\":\"A\"}]"), (400, "malformed_request", "The body must be a JSON object.".into(), Value::Null)),
        ("text", json("\"A\""), (400, "malformed_request", "The body must be a JSON object.".into(), Value::Null)),
        ("JSON that is not UTF-8", post().json_text(b"{\"name\":\"\xff\"}".to_vec()), not_utf8()),
        ("a form that is not UTF-8", post().form("name=%ff"), not_utf8()),
        ("a part that is not UTF-8", post().body("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\n\xff\r\n--b--\r\n".to_vec()), not_utf8()),
        ("a query that is not UTF-8", server.post("/api/v1/customers?name=%C3"), not_utf8()),
        ("multipart without a boundary", post().body("multipart/form-data", "x"), (400, "malformed_request", "The body is not valid multipart/form-data.".into(), Value::Null)),
        ("multipart that is cut off", post().body("multipart/form-data; boundary=b", "--b\r\nContent-Disp"), (400, "malformed_request", "The body is not valid multipart/form-data.".into(), Value::Null)),
        ("too large", post().json_text(" ".repeat((1 << 20) + 1)), too_large()),
        ("no media type", post().bytes("name=A"), unsupported(accepted)),
        ("another media type", post().body("text/plain", "name=A"), unsupported(accepted)),
        ("no media type at all", post().body("json", "{}x"), unsupported(accepted)),
        ("JSON as a form", post().form("{\"name\":\"A\"}"), unsupported("Send Content-Type: application/json.")),
        ("a coded body", json("{\"name\":\"A\"}").header("content-encoding", "gzip"), unsupported("Send the body without Content-Encoding.")),
        ("nothing", post(), refused("name", "The name field is required.")),
        ("an empty name", json(r#"{"name":" \u00a0 "}"#), refused("name", "The name field is required.")),
        ("null as a name", json(r#"{"name":null}"#), refused("name", "The name field is required.")),
        ("a name that is true", json(r#"{"name":true}"#), refused("name", "The name field must be a string.")),
        ("an array as a name", json(r#"{"name":["A"]}"#), refused("name", "The name field must be a string.")),
        ("an array in the query", server.post("/api/v1/customers?name[]=A"), refused("name", "The name field must be a string.")),
        ("an object as a name", json(r#"{"name":{"a":1}}"#), refused("name", "The name field must be a string.")),
        ("a file as a name", post().body("multipart/form-data; boundary=b", file), refused("name", "The name field must not be a file.")),
        ("a long name", json(&format!(r#"{{"name":"{long}"}}"#)), refused("name", "The name field must not be greater than 255 characters.")),
        ("a NUL", json(r#"{"name":"a\u0000b"}"#), refused("name", "The name field must not contain control characters.")),
        ("a tab within", server.post("/api/v1/customers?name=a%09b"), refused("name", "The name field must not contain control characters.")),
        ("a C1 control", json(r#"{"name":"a\u0085b"}"#), refused("name", "The name field must not contain control characters.")),
        ("a fraction", json(r#"{"name":"A","brand_id":1.5}"#), refused("brand_id", "The brand id field must be an integer.")),
        ("words as a number", json(r#"{"name":"A","brand_id":"one"}"#), refused("brand_id", "The brand id field must be an integer.")),
        ("a number with a zero in front", json(r#"{"name":"A","brand_id":"01"}"#), refused("brand_id", "The brand id field must be an integer.")),
        ("true as a number", json(r#"{"name":"A","brand_id":true}"#), refused("brand_id", "The brand id field must be an integer.")),
        ("zero as a brand", json(r#"{"name":"A","brand_id":0}"#), refused("brand_id", "The brand id field must be at least 1.")),
        ("a negative level", server.post("/api/v1/customers?name=A&resellerLevel=-1"), refused("resellerLevel", "The reseller level field must be at least 0.")),
        ("beyond 32 bits", json(r#"{"name":"A","brand_id":2147483648}"#), refused("brand_id", "The brand id field must not be greater than 2147483647.")),
        ("beyond all bits", json(r#"{"name":"A","representative_id":1e400}"#), refused("representative_id", "The representative id field must not be greater than 2147483647.")),
        ("below 32 bits", json(r#"{"name":"A","brand_id":"-99999999999"}"#), refused("brand_id", "The brand id field must be at least 1.")),
        ("maybe", json(r#"{"name":"A","active":"maybe"}"#), refused("active", "The active field must be true or false.")),
        ("two", json(r#"{"name":"A","chargeVAT":2}"#), refused("chargeVAT", "The charge vat field must be true or false.")),
        ("a long account", server.post(&format!("/api/v1/customers?name=A&customerAccount={}", "a".repeat(256))), refused("customerAccount", "The customer account field must not be greater than 255 characters.")),
        ("an invisible account", json(r#"{"name":"A","customerAccount":"a\u200bb"}"#), refused("customerAccount", "The customer account field must not contain invisible characters.")),
        ("a separated account", json(r#"{"name":"A","customerAccount":"a\u2028b"}"#), refused("customerAccount", "The customer account field must not contain invisible characters.")),
        ("a dot", server.post("/api/v1/customers?name=A&customerAccount=."), refused("customerAccount", "The customer account field must not be \".\" or \"..\".")),
        ("two dots", json(r#"{"name":"A","customerAccount":" .. "}"#), refused("customerAccount", "The customer account field must not be \".\" or \"..\".")),
        ("no such id", server.get("/api/v1/customers/123456"), (404, "not_found", "No customer has the id 123456. For an account, call /api/v1/customerAccounts/123456.".into(), Value::Null)),
        ("no such account", server.get("/api/v1/customerAccounts/x%2Fy"), (404, "not_found", "No customer has the account x/y.".into(), Value::Null)),
        ("an account that cannot be", server.get("/api/v1/customerAccounts/%00"), (404, "not_found", "No customer has this account.".into(), Value::Null)),
        ("a query of a read that is not UTF-8", server.get("/api/v1/customers/1?customerAccount=%ff"), not_utf8()),
    ];
    for (what, call, (status, code, message, errors)) in table {
        let problem = call.await.json();
        let got = ["status", "code", "message", "errors"].map(|key| problem[key].clone());
        assert_eq!(got, [json!(status), json!(code), json!(message), errors], "{what}");
    }
    assert_eq!(server.home.database.count("customers"), 0, "something was kept");
}

async fn what_is_wrong_with_the_caller_comes_before_what_is_wrong_with_the_request(
    server: TestServer,
) {
    let plain = r#"Bearer realm="customers""#;
    let invalid = r#"Bearer realm="customers", error="invalid_token""#;
    let unknown = format!("Bearer cus_{}", "A".repeat(43));
    let own = format!("token {}", server.token());
    let headers: [(&[u8], &str, &str); 9] = [
        (b"", "unauthenticated", plain),
        (b"Bearer", "unauthenticated", plain),
        (b"Bearer  ", "unauthenticated", plain),
        (b"Basic dXNlcjpwYXNzd29yZA==", "unauthenticated", plain),
        (own.as_bytes(), "unauthenticated", plain),
        (b"Bearer cus_\xc3\xa9", "unauthenticated", plain),
        (unknown.as_bytes(), "invalid_token", invalid),
        (b"bearer x", "invalid_token", invalid),
        (b"BEARER cus_short", "invalid_token", invalid),
    ];
    for (header, code, challenge) in headers {
        for call in [
            server.get("/api/v1/customers/1"),
            server.get("/api/v1/nothing/here"),
            server.get("/api/v1"),
            server.call("DELETE", CUSTOMERS),
            server.call("HEAD", "/api/v1/customers/1"),
            server.post(CUSTOMERS).body("text/plain", vec![b'x'; (1 << 20) + 1]),
        ] {
            let answer = call.header("authorization", header).await;
            assert_eq!(answer.status, 401);
            assert_eq!(answer.header("www-authenticate"), Some(challenge));
            if !answer.body.is_empty() {
                assert_eq!(answer.json()["code"], code);
                assert_eq!(answer.json()["message"], "Unauthenticated.");
            }
        }
    }
    // Never from the query.
    let target = format!("/api/v1/customers/1?access_token={0}&token={0}", server.token());
    assert_eq!(server.get(&target).anonymous().await.status, 401);
}

async fn of_many_faults_the_first_is_told(server: TestServer) {
    server.create(&json!({ "name": "A", "customerAccount": "taken" })).await;
    let reader = server.with_token(&server.home.token(&["--name", "reader", "--scope", "read"]));
    let far = "a".repeat(64_000);
    let large = || vec![b'{'; (1 << 20) + 1];
    let taken = r#"{"name":"B","customerAccount":"TAKEN"}"#;
    // Each mends the first fault of the one before, and has all the others still.
    let steps = [
        (server.call("PUT", &format!("/api/v1/x?%ff{far}")).anonymous().bytes(large()), 414),
        (server.call("PUT", "/api/v1/x?%ff").anonymous().bytes(large()), 401),
        (reader.call("PUT", "/api/v1/x?%ff").bytes(large()), 404),
        (reader.call("PUT", "/api/v1/customers?%ff").bytes(large()), 405),
        (reader.post("/api/v1/customers?%ff").bytes(large()), 403),
        (server.post("/api/v1/customers?%ff").bytes(large()), 413),
        (server.post("/api/v1/customers?%ff").bytes("{"), 415),
        (server.post("/api/v1/customers?%ff").json_text(r#"{"vip":2}"#), 400),
        (server.post("/api/v1/customers?customerAccount=taken").json_text("{"), 400),
        (server.post("/api/v1/customers?vip=2").json_text(taken), 422),
        (server.post(CUSTOMERS).json_text(taken), 409),
        (server.post("/api/v1/customers?customerAccount=free&name=B"), 201),
        // Of a read: the request before the customer.
        (server.get("/api/v1/customers/nobody?%ff"), 400),
        (server.get("/api/v1/customers/nobody"), 404),
    ];
    for (number, (call, status)) in steps.into_iter().enumerate() {
        let answer = call.await;
        assert_eq!(answer.status, status, "step {number}: {}", answer.text());
    }
}

async fn a_token_that_may_only_read_is_told_so_before_its_body_is_looked_at(server: TestServer) {
    let id = server.create(&json!({ "name": "A" })).await["id"].clone();
    let reader = server.with_token(&server.home.token(&["--name", "reader", "--scope", "read"]));
    assert_eq!(reader.get(&format!("/api/v1/customers/{id}")).await.status, 200);
    assert_eq!(reader.get("/api/v1/nothing").await.status, 404);
    assert_eq!(reader.call("PATCH", CUSTOMERS).await.status, 405);
    for call in [
        reader.post("/api/v1/customers?name=A"),
        reader.post(CUSTOMERS),
        reader.post(CUSTOMERS).json_text("{"),
        reader.post(CUSTOMERS).body("text/plain", "x"),
        reader.post(CUSTOMERS).json_text(" ".repeat((1 << 20) + 1)),
    ] {
        let answer = call.await;
        assert_eq!(answer.expect(403)["code"], "insufficient_scope");
        let challenge = r#"Bearer realm="customers", error="insufficient_scope", scope="write""#;
        assert_eq!(answer.header("www-authenticate"), Some(challenge));
    }
    assert_eq!(server.home.database.count("customers"), 1);
}

async fn all_errors_are_told_at_once(server: TestServer) {
    let body = json!({
        "vip": "perhaps", "brand_id": 0, "brand": "x".repeat(300), "customerAccount": "..",
        "resellerLevel": [],
    });
    let problem = server.post(CUSTOMERS).json(&body).await.expect(422);
    let expected = json!({
        "brand_id": ["The brand id field must be at least 1."],
        "customerAccount": ["The customer account field must not be \".\" or \"..\"."],
        "name": ["The name field is required."],
        "brand": ["The brand field must not be greater than 255 characters."],
        "resellerLevel": ["The reseller level field must be an integer."],
        "vip": ["The vip field must be true or false."],
    });
    assert_eq!(problem["errors"], expected);
    assert_eq!(problem["message"], "The name field is required. (and 5 more errors)");
    // Of each field too.
    let long = "x".repeat(256);
    let target = format!("/api/v1/customers?name={long}%00{long}&customerAccount={long}%C2%AD");
    let problem = server.post(&target).await.expect(422);
    let expected = json!({
        "customerAccount": [
            "The customer account field must not be greater than 255 characters.",
            "The customer account field must not contain invisible characters.",
        ],
        "name": [
            "The name field must not be greater than 255 characters.",
            "The name field must not contain control characters.",
        ],
    });
    assert_eq!(problem["errors"], expected);
    let problem = server.post("/api/v1/customers?vip=2").await.expect(422);
    assert_eq!(problem["message"], "The name field is required. (and 1 more error)");
}

async fn problems_come_under_their_own_media_type_where_it_is_asked_for(server: TestServer) {
    for (accept, media_type) in [
        ("application/problem+json", "application/problem+json"),
        ("text/html, Application/Problem+JSON;q=0.9", "application/problem+json"),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
    ] {
        for call in
            [server.post(CUSTOMERS), server.get("/nowhere"), server.get("/api/v1/x").anonymous()]
        {
            let answer = call.header("accept", accept).await;
            assert_eq!(answer.header("content-type"), Some(media_type), "{accept}");
        }
    }
    let answer =
        server.post("/api/v1/customers?name=A").header("accept", "application/problem+json");
    assert_eq!(answer.await.header("content-type"), Some("application/json"));
}

async fn a_taken_account_is_told_only_of_an_otherwise_valid_request(server: TestServer) {
    let id = server.create(&json!({ "name": "A", "customerAccount": "ACME" })).await["id"].clone();
    let sentence = "The customer account has already been taken.";
    let problem = server.post("/api/v1/customers?name=B&customerAccount=acme").await.expect(409);
    assert_eq!(problem["code"], "account_taken");
    assert_eq!(problem["message"], sentence);
    assert_eq!(problem["errors"], json!({ "customerAccount": [sentence] }));
    assert_eq!(problem["conflict"], json!({ "id": id, "deleted": false }));

    let problem = server.post("/api/v1/customers?customerAccount=acme").await.expect(422);
    assert_eq!(problem["errors"], json!({ "name": ["The name field is required."] }));

    // What was refused took no id.
    let next = server.create(&json!({ "name": "C" })).await;
    assert_eq!(next["id"].as_i64(), id.as_i64().map(|id| id + 1));

    server.home.database.execute("UPDATE customers SET deleted_at = 1");
    let problem = server.post("/api/v1/customers?name=B&customerAccount=Acme").await.expect(409);
    assert_eq!(problem["code"], "account_deleted");
    assert_eq!(problem["conflict"], json!({ "id": id, "deleted": true }));
    assert_eq!(server.get(&format!("/api/v1/customers/{id}")).await.status, 404);
    assert_eq!(server.get("/api/v1/customerAccounts/ACME").await.status, 404);
}

async fn a_path_that_is_no_route_is_not_found_and_a_wrong_method_is_named(server: TestServer) {
    for target in
        ["/", "/api", "/api/v1", "/api/v2/customers", "/api/v1/customers/1/2", "/docs/x.js", "/%ff"]
    {
        assert_eq!(server.get(target).await.expect(404)["code"], "not_found", "{target}");
    }
    for (method, target, allow) in [
        ("PUT", CUSTOMERS, "GET, HEAD, POST"),
        ("DELETE", CUSTOMERS, "GET, HEAD, POST"),
        ("POST", "/api/v1/customers/1", "GET, HEAD, PUT, PATCH, DELETE"),
        ("GET", "/api/v1/customers/1/restore", "POST"),
        ("HEAD", "/api/v1/customers/1/restore", "POST"),
        ("POST", "/api/v1/customers/1/history", "GET, HEAD"),
        ("POST", "/api/v1/customerAccounts/a%2Fb", "GET, HEAD, PUT"),
        ("DELETE", "/api/v1/customerAccounts/a%2Fb", "GET, HEAD, PUT"),
        ("OPTIONS", "/api/v1//customers/", "GET, HEAD, POST"),
        ("POST", "/health/live", "GET, HEAD"),
        ("PUT", "/openapi.json", "GET, HEAD"),
    ] {
        let answer = server.call(method, target).await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some(allow)),
            "{method} {target}"
        );
    }
}

/// The largest body of a failure.
const MAX_FAILURE: usize = 64 << 10;

async fn what_a_client_makes_up_is_repeated_within_limits(server: TestServer) {
    let strict = |call: Call| call.header("prefer", "handling=strict");
    let names = |count: usize, length: usize| {
        let members: Vec<_> =
            (0..count).map(|n| format!("\"{n:03}{}\":0", "\\u0001".repeat(length))).collect();
        format!("{{{}}}", members.join(","))
    };
    let answer = strict(server.post(CUSTOMERS)).json_text(names(1000, 150)).await;
    let problem = answer.expect(422);
    let first = format!("The 000{} field is unknown.", "\u{1}".repeat(61) + "…");
    assert_eq!(problem["message"], "The name field is required. (and 1000 more errors)");
    let errors = problem["errors"].as_object().expect("errors");
    assert_eq!(errors.len(), 51);
    assert_eq!(errors[&format!("000{}…", "\u{1}".repeat(61))], json!([first]));
    assert!(answer.body.len() <= MAX_FAILURE, "{}", answer.body.len());

    let long = "x".repeat(60_000);
    let parts: String = (0..1000)
        .map(|n| {
            let name = format!("{n}{}", "x".repeat(500));
            format!(
                "--b\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"f\"\r\n\r\n\r\n"
            )
        })
        .collect();
    let filters: String = (0..5000).map(|n| format!("filter[{n}]&")).collect();
    let sorts = (0..9000).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let login = format!("{{\"{}\":0}}", "x".repeat(16_000));
    for (call, status, code) in [
        (strict(server.post(CUSTOMERS)).json_text(names(1, 160_000)), 422, "validation_failed"),
        (strict(server.post(&format!("{CUSTOMERS}?name=A&{long}"))), 422, "validation_failed"),
        (
            server.post(CUSTOMERS).body("multipart/form-data; boundary=b", parts + "--b--\r\n"),
            422,
            "validation_failed",
        ),
        (strict(server.post("/api/login")).json_text(login), 422, "validation_failed"),
        (server.get(&format!("{CUSTOMERS}?{filters}")), 400, "invalid_filter"),
        (server.get(&format!("{CUSTOMERS}?filter[{long}]=1")), 400, "invalid_filter"),
        (server.get(&format!("{CUSTOMERS}?sort={sorts}")), 400, "invalid_sort"),
        (server.get(&format!("{CUSTOMERS}?sort={long}")), 400, "invalid_sort"),
        (server.get(&format!("{CUSTOMERS}?cursor={long}")), 400, "invalid_cursor"),
        (server.get(&format!("{CUSTOMERS}/{}", "1".repeat(60_000))), 404, "not_found"),
        (server.get(&format!("{CUSTOMERS}/{long}")), 404, "not_found"),
        (server.get(&format!("/api/v1/customerAccounts/{long}")), 404, "not_found"),
        (server.get(&format!("/{long}")), 404, "not_found"),
        (server.call("BREW", &format!("{CUSTOMERS}/{long}")), 405, "method_not_allowed"),
        (server.post(CUSTOMERS).header("idempotency-key", &long), 400, "malformed_request"),
    ] {
        let answer = call.await;
        assert_eq!(answer.expect(status)["code"], code);
        assert!(answer.body.len() <= MAX_FAILURE, "{code}: {}", answer.body.len());
    }
}

async fn a_request_has_so_many_parameters(server: TestServer) {
    let pairs = |from: usize, count: usize| {
        (from..from + count).map(|n| format!("n{n}=x")).collect::<Vec<_>>().join("&")
    };
    let members = |count: usize| {
        let members: Vec<_> = (1..count).map(|n| format!("\"n{n}\":0")).collect();
        format!("{{{},\"name\":\"A\"}}", members.join(","))
    };
    let parts = |count: usize| {
        let part = "--b\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nA\r\n";
        part.repeat(count) + "--b--\r\n"
    };
    let post = || server.post(CUSTOMERS);
    let multipart = |count: usize| post().body("multipart/form-data; boundary=b", parts(count));
    let query = |count: usize| server.post(&format!("{CUSTOMERS}?name=A&{}", pairs(1, count - 1)));
    for call in [
        post().json_text(members(1000)),
        post().form(format!("name=A&{}", pairs(1, 999))),
        multipart(1000),
        query(1000),
        query(500).form(pairs(500, 500)),
        query(1000).form(pairs(1, 999)),
    ] {
        call.await.expect(201);
    }
    let sentence = "A request must not have more than 1,000 parameters.";
    for call in [
        post().json_text(members(1001)),
        post().json_text(format!("{{{}\"name\":\"A\"}}", "\"a\":0,".repeat(1000))),
        post().form(format!("name=A&{}", pairs(1, 1000))),
        multipart(1001),
        query(1001),
        query(500).form(pairs(500, 501)),
        server.patch("/api/v1/customers/1").json_text(members(1001)),
        server.post("/api/login").json_text(members(1001)),
    ] {
        let problem = call.await.expect(422);
        assert_eq!(problem["message"], sentence);
        assert_eq!(problem["errors"], json!({ "parameters": [sentence] }));
    }
    // Lists ignore what they do not know, and are bounded by the length of a URL.
    server.get(&format!("{CUSTOMERS}?{}", pairs(0, 2000))).await.expect(200);
}
