//! Which service it is.

use serde_json::json;

use crate::support::TestServer;

cases! {
    both: [anybody_is_told_the_version]
}

async fn anybody_is_told_the_version(server: TestServer) {
    let answer = server.get("/api/version").anonymous().await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let expected = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "status": "ok",
        "vendor": "customers",
        "url": format!("http://{}", server.address()),
    });
    assert_eq!(answer.expect(200), expected);
    assert_eq!(server.call("HEAD", "/api/version").anonymous().await.status, 200);
    server.post("/api/version").anonymous().await.expect(405);
}
