//! What Prometheus is told.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::json;

use crate::support::{Home, Program, TestServer};

cases! {
    both: [
        requests_are_counted_by_route_and_status_and_nothing_else,
        the_store_tells_what_it_does,
        nobody_is_told_unless_asked_for,
    ]
}

pub fn with_metrics(home: Home, variables: &[(&str, &str)]) -> TestServer {
    TestServer::start(home, &[&[("METRICS_BIND", "127.0.0.1:0")], variables].concat())
}

/// The address of the page.
pub fn address(program: &Program) -> SocketAddr {
    let line = program.wait_for_log(|line| line.contains("metrics"));
    line.split(['=', ' ', '"']).find_map(|word| word.parse().ok()).expect("an address")
}

/// The page, as names with labels and their values.
pub async fn page(server: &TestServer) -> BTreeMap<String, f64> {
    let url = format!("http://{}/metrics", address(&server.program));
    let answer = server.http().get(url).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let kind = answer.headers()["content-type"].to_str().expect("a media type").to_owned();
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    let head = server.http().head(format!("http://{}/metrics", address(&server.program)));
    assert_eq!(head.send().await.expect("an answer").status(), 200);
    let text = answer.text().await.expect("a page");
    let figures = text.lines().filter(|line| !line.starts_with('#'));
    figures
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            (name.to_owned(), value.parse().expect("a number"))
        })
        .collect()
}

async fn requests_are_counted_by_route_and_status_and_nothing_else(home: Home) {
    let server = with_metrics(home, &[]);
    for name in ["SECRET1", "SECRET2"] {
        server.create(&json!({ "name": name })).await;
    }
    server.get("/api/v1/customers/SECRET3").await.expect(404);
    server.get("/api/v1/customers/1").anonymous().await.expect(401);
    server.get("/SECRET4").await.expect(404);
    server.post("/api/login?email=SECRET5@example.com&password=SECRET6").await.expect(401);
    let any = server.http().request("SECRET7".parse().expect("a method"), url(&server, "/docs"));
    any.send().await.expect("an answer");

    let page = page(&server).await;
    let count = |method: &str, route: &str, status: u16| {
        let labels = format!(r#"{{method="{method}",route="{route}",status="{status}"}}"#);
        page.get(&format!("customers_http_request_duration_seconds_count{labels}")).copied()
    };
    assert_eq!(count("POST", "/api/v1/customers", 201), Some(2.0), "{page:#?}");
    assert_eq!(count("GET", "/api/v1/customers/{customer}", 404), Some(1.0), "{page:#?}");
    assert_eq!(count("GET", "none", 404), Some(1.0), "{page:#?}");
    assert_eq!(count("POST", "/api/login", 401), Some(1.0), "{page:#?}");
    assert_eq!(count("other", "/docs", 405), Some(1.0), "{page:#?}");
    assert_eq!(page["customers_logins_failed_total"], 1.0);
    assert!(!page.keys().any(|name| name.contains("SECRET")), "{page:#?}");
    let bucket = page.iter().find(|(name, _)| {
        name.starts_with("customers_http_request_duration_seconds_bucket")
            && name.contains("status=\"201\"")
            && name.contains("le=\"+Inf\"")
    });
    assert_eq!(bucket.map(|(_, value)| *value), Some(2.0), "{page:#?}");
}

fn url(server: &TestServer, path: &str) -> String {
    format!("http://{}{path}", server.address())
}

async fn the_store_tells_what_it_does(home: Home) {
    let server = with_metrics(home, &[]);
    server.create(&json!({ "name": "A" })).await;
    server.get("/api/v1/customers/1").await.expect(200);
    let page = page(&server).await;
    let info = page.keys().find(|name| name.starts_with("customers_build_info")).expect("a build");
    assert!(info.contains(env!("CARGO_PKG_VERSION")), "{info}");
    let is_sqlite = info.contains("sqlite");
    let pool = if is_sqlite { "reads" } else { "postgres" };
    let of_pool = |figure: &str| page[&format!("customers_database_{figure}{{pool=\"{pool}\"}}")];
    assert!(of_pool("connections") >= 1.0, "{page:#?}");
    assert!(of_pool("connections") <= of_pool("connections_max"), "{page:#?}");
    assert!(of_pool("connections_used") <= of_pool("connections"), "{page:#?}");
    assert_eq!(of_pool("waiting"), 0.0);
    for what in ["keys", "phones", "totals"] {
        assert_eq!(page[&format!("customers_mended_total{{what=\"{what}\"}}")], 0.0);
    }
    assert!(page["process_resident_memory_bytes"] > 1e6);
    assert!(page["process_open_fds"] > 1.0);
    if is_sqlite {
        // The first token, the customer, and maybe the token's first use.
        assert!(page["customers_writer_group_size_sum"] >= 2.0, "{page:#?}");
        assert!(page["customers_writer_group_size_count"] >= 1.0, "{page:#?}");
        assert_eq!(page["customers_writer_queue_max"], 1024.0);
        assert!(page["customers_wal_bytes"] > 0.0);
    } else {
        assert!(!page.keys().any(|name| name.starts_with("customers_w")), "{page:#?}");
    }
}

async fn nobody_is_told_unless_asked_for(server: TestServer) {
    server.get("/metrics").await.expect(404);
    assert!(!server.program.log().iter().any(|line| line.contains("metrics")));
}
