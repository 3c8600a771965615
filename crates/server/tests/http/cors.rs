//! Calls from web pages of other origins.

use reqwest::Response;

use crate::support::{Home, TestServer};

cases! {
    both: [
        pages_of_named_origins_may_call_and_read_what_they_need,
        preflights_need_no_token,
        failures_can_be_read_too,
    ]
    sqlite: [
        no_page_may_call_unless_told,
        what_is_no_origin_is_refused,
    ]
}

const ORIGIN: &str = "https://crm.example";

fn with_origins(home: Home) -> TestServer {
    let origins = "https://crm.example, http://localhost:3000";
    TestServer::start(home, &[("CORS_ORIGINS", origins), ("RATE_LIMIT", "1000")])
}

/// What a browser sends before it sends the request itself.
async fn preflight(server: &TestServer, target: &str, origin: &str) -> Response {
    let url = format!("http://{}{target}", server.address());
    let options = server.http().request(reqwest::Method::OPTIONS, url);
    options
        .header("origin", origin)
        .header("access-control-request-method", "PATCH")
        .header("access-control-request-headers", "authorization,content-type,if-match")
        .send()
        .await
        .expect("an answer")
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().expect("an ASCII header"))
}

async fn pages_of_named_origins_may_call_and_read_what_they_need(home: Home) {
    let server = with_origins(home);
    for origin in [ORIGIN, "http://localhost:3000"] {
        let answer = server.post("/api/v1/customers?name=A").header("origin", origin).await;
        answer.expect(201);
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        assert!(answer.list("vary").contains(&"Origin"));
        let exposed = answer.list("access-control-expose-headers");
        for name in [
            "ETag",
            "Location",
            "Link",
            "Retry-After",
            "X-Request-Id",
            "X-RateLimit-Limit",
            "X-RateLimit-Remaining",
            "X-RateLimit-Reset",
            "Idempotent-Replayed",
            "Preference-Applied",
        ] {
            assert!(exposed.contains(&name), "{name} in {exposed:?}");
        }
        // A token is sent by the page itself, and nothing by the browser.
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
    for other in ["https://crm.example:8443", "http://crm.example", "https://evil.example", "null"]
    {
        let answer = server.get("/api/v1/customers/1").header("origin", other).await;
        answer.expect(200);
        assert_eq!(answer.header("access-control-allow-origin"), None);
        assert!(answer.list("vary").contains(&"Origin"));
    }
    let strict = server.get("/api/v1/customers/1").header("prefer", "handling=strict").await;
    assert_eq!(strict.header("access-control-allow-origin"), None);
    assert!(strict.list("vary").contains(&"Origin"));
}

async fn preflights_need_no_token(home: Home) {
    let server = with_origins(home);
    for target in ["/api/v1/customers/1", "/api/login", "/openapi.json"] {
        let answer = preflight(&server, target, ORIGIN).await;
        assert_eq!(answer.status(), 204);
        assert_eq!(header(&answer, "access-control-allow-origin"), Some(ORIGIN));
        let methods = header(&answer, "access-control-allow-methods").expect("methods");
        assert!(methods.split(", ").any(|method| method == "PATCH"), "{methods}");
        let headers = header(&answer, "access-control-allow-headers").expect("headers");
        let headers = headers.to_ascii_lowercase();
        for name in ["authorization", "content-type", "if-match", "idempotency-key", "prefer"] {
            assert!(headers.split(", ").any(|header| header == name), "{name} in {headers}");
        }
        assert!(header(&answer, "access-control-max-age").is_some());
        assert!(header(&answer, "x-request-id").is_some());
        assert_eq!(header(&answer, "x-ratelimit-remaining"), None);
        assert_eq!(answer.bytes().await.expect("a body").len(), 0);
    }
    let answer = preflight(&server, "/api/v1/customers/1", "https://evil.example").await;
    assert_eq!(answer.status(), 401);
    assert_eq!(header(&answer, "access-control-allow-origin"), None);
}

async fn failures_can_be_read_too(home: Home) {
    let server = with_origins(home);
    let long = format!("/api/v1/customers?name={}", "x".repeat(64_000));
    for (call, status) in [
        (server.get("/api/v1/customers/1").anonymous(), 401),
        (server.get("/api/v1/customers/1"), 404),
        (server.get("/nowhere"), 404),
        (server.delete("/api/v1/customers"), 405),
        (server.post(&long), 414),
        (server.post("/api/v1/customers").body("text/plain", "x"), 415),
        (server.post("/api/v1/customers"), 422),
    ] {
        let answer = call.header("origin", ORIGIN).await;
        answer.expect(status);
        assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN), "{status}");
        assert!(answer.header("access-control-expose-headers").is_some(), "{status}");
    }
}

async fn no_page_may_call_unless_told(server: TestServer) {
    let answer = server.get("/api/version").header("origin", ORIGIN).await;
    answer.expect(200);
    assert!(!answer.headers.keys().any(|name| name.as_str().starts_with("access-control")));
    assert_eq!(answer.header("vary"), None);
    assert_eq!(preflight(&server, "/api/v1/customers/1", ORIGIN).await.status(), 401);
}

async fn what_is_no_origin_is_refused(home: Home) {
    for origin in ["*", "https://crm.example/", "crm.example"] {
        let ran = home.run(&["serve", "--cors-origins", origin]);
        assert_eq!((ran.code, &*ran.stdout), (2, ""), "{ran:?}");
        assert!(ran.stderr.contains("--cors-origins") && ran.stderr.contains(origin), "{ran:?}");
    }
}
