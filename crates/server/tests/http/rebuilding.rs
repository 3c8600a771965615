//! What lists and searches look at is compared with the customers, and mended.

use serde_json::json;

use crate::support::{Home, Program, TestServer};

cases! {
    both: [
        what_is_lost_is_told_mended_by_a_change_and_rebuilt,
        keys_of_a_newer_version_stop_the_start,
        rebuilding_needs_a_database,
    ]
    postgres: [
        a_set_aside_index_comes_back_while_the_service_runs,
    ]
}

fn metric(program: &Program, page: &str, name: &str) -> f64 {
    let line = page.lines().find(|line| line.starts_with(name));
    let line = line.unwrap_or_else(|| panic!("{name}: {page} {:?}", program.log()));
    line.rsplit_once(' ').and_then(|(_, value)| value.parse().ok()).expect("a number")
}

async fn metrics(server: &TestServer) -> String {
    let line = server.program.wait_for_log(|line| line.contains("metrics"));
    let address: std::net::SocketAddr =
        line.split(['=', ' ']).find_map(|word| word.parse().ok()).expect("an address");
    let answer = server.http().get(format!("http://{address}/metrics")).send().await;
    answer.expect("an answer").text().await.expect("a page")
}

async fn what_is_lost_is_told_mended_by_a_change_and_rebuilt(home: Home) {
    let server = TestServer::start(home, &[("METRICS_BIND", "127.0.0.1:0")]);
    for name in ["Aurora", "Borealis", "Corona"] {
        server.create(&json!({ "name": name, "phone": "0102030405" })).await;
    }
    server.home.database.execute(
        "DELETE FROM customer_keys WHERE id IN (1, 2);
         UPDATE customer_totals SET live = live + 3 WHERE slot = 0",
    );
    let check = || server.home.run(&["check", "--bind", "127.0.0.1:0"]);
    let ran = check();
    assert_eq!(ran.code, 0, "{ran:?}");
    let told = |what: &str| ran.stdout.lines().any(|line| line.starts_with(what));
    assert!(told("warning  keys: customers without their search keys: 2 (id 1, 2)"), "{ran:?}");
    assert!(told("warning  totals: the count of all customers is off by 3"), "{ran:?}");
    assert!(!ran.stdout.contains("Aurora"), "{ran:?}");

    let patch = server.patch("/api/v1/customers/1");
    patch.json(&json!({ "comment": "found again" })).await.expect(200);
    let listed = server.get("/api/v1/customers?sort=name").await.expect(200);
    let names: Vec<_> =
        listed["data"].as_array().expect("customers").iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["Aurora", "Corona"]);
    server.program.wait_for_log(|line| line.contains("mended") && line.contains("customer=1"));
    let page = metrics(&server).await;
    assert_eq!(metric(&server.program, &page, "customers_mended_total{what=\"keys\"}"), 1.0);

    let ran = server.home.run_well(&["rebuild"]);
    for told in ["Compared 3 customers", "search keys of 1", "off by 3 and 0"] {
        assert!(ran.contains(told), "{ran}");
    }
    let listed = server.get("/api/v1/customers?filter[name]=borealis").await.expect(200);
    assert_eq!(listed["total"], 1);
    assert_eq!(server.get("/api/v1/customers").await.expect(200)["total"], 3);
    let ran = check();
    assert!(ran.stdout.contains("ok       keys: every customer has its search keys"), "{ran:?}");
    assert!(ran.stdout.contains("ok       totals"), "{ran:?}");
}

/// As a first import leaves it that is killed. The start leaves it, too, because another session might
/// wait for it.
async fn a_set_aside_index_comes_back_while_the_service_runs(home: Home) {
    home.run_well(&["migrate"]);
    home.database.execute(
        "CREATE TABLE customer_keys_indexes AS
         SELECT 'customer_keys_vip' AS name, pg_get_indexdef('customer_keys_vip'::regclass) AS sql;
         DROP INDEX customer_keys_vip",
    );
    let ran = home.run(&["check", "--bind", "127.0.0.1:0"]);
    assert!(ran.stdout.contains("warning  indexes: missing: 1 (customer_keys_vip)"), "{ran:?}");
    let _other = home.database.connect();
    let server = TestServer::start(home, &[("METRICS_BIND", "127.0.0.1:0")]);
    server.program.wait_for_log(|line| line.contains("an index that was missing is back"));
    let there = "pg_indexes WHERE indexname = 'customer_keys_vip'";
    assert_eq!(server.home.database.count(there), 1);
    let page = metrics(&server).await;
    assert_eq!(metric(&server.program, &page, "customers_indexes_missing"), 0.0);
}

async fn keys_of_a_newer_version_stop_the_start(home: Home) {
    let server = TestServer::start(home, &[]);
    server.create(&json!({ "name": "Aurora" })).await;
    let home = &server.home;
    // One that runs goes on.
    home.database.execute("UPDATE customer_keys SET fold_version = 999");
    for command in [&["serve", "--bind", "127.0.0.1:0"][..], &["migrate"]] {
        let ran = home.run(command);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.stderr.contains("version 999"), "{ran:?}");
        assert!(ran.stderr.contains("customers rebuild"), "{ran:?}");
    }
    assert_eq!(home.database.count("customer_keys WHERE fold_version = 999"), 1);
    server.get("/api/v1/customers/1").await.expect(200);
    home.run_well(&["rebuild"]);
    home.run_well(&["migrate"]);
}

async fn rebuilding_needs_a_database(home: Home) {
    let ran = home.run(&["rebuild"]);
    match home.database.url().starts_with("sqlite:") {
        true => assert!(ran.code == 1 && ran.stderr.contains("there is no database"), "{ran:?}"),
        false => assert!(ran.stdout.contains("Compared 0 customers"), "{ran:?}"),
    }
}
