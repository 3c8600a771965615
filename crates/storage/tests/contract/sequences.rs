//! Ids are drawn, and what they are drawn from is behind: logical replication copies no sequences, and a
//! table may be copied without SQLite's note.

use crate::Create as _;
use crate::database::TestDatabase;
use crate::living::changes;
use crate::{named, open, write};

/// More customers than ids are drawn at once, and more than a thread's stack has room for, should each id
/// that is taken use some of it.
const CUSTOMERS: i64 = 3_000;

const FILL: &str = "
    INSERT INTO customers (id, brand_id, customer_account, account_key, name, active, is_reseller,
        reseller_level, charge_vat, apply_vat_auto_reverse_operators, on_call_duty, vip, more,
        created_at, updated_at)
    WITH RECURSIVE numbers (number) AS (
        SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < 3000
    )
    SELECT number, 1, 'a' || number, 'a' || number, 'Copied', 1 = 1, 1 = 0, 0, 1 = 1, 1 = 0, 1 = 0,
        1 = 0, '{}', 1, 1
    FROM numbers;
    INSERT INTO customer_history (customer_id, at, actor, action, request_id, changes)
        SELECT id, 1, 'import', 'created', 'r', '{}' FROM customers;";

fn let_fall_behind(database: &TestDatabase) {
    database.execute(match database.url().starts_with("sqlite:") {
        true => "UPDATE sqlite_sequence SET seq = 1",
        false => {
            "SELECT setval('customers_id', 1), setval('customer_history_id_seq', 1);
             SELECT setval('users_id', 1, FALSE)"
        }
    });
}

async fn a_sequence_that_fell_behind_goes_on_behind_its_table(database: TestDatabase) {
    let store = open(&database);
    database.execute(FILL);
    let_fall_behind(&database);
    for more in 1..=40 {
        let created = store.create(named("Aurora")).await.unwrap();
        assert!(created.id.get() >= CUSTOMERS + more, "{}", created.id);
    }
    // By a server that has drawn ids, and by one that has not.
    let_fall_behind(&database);
    let id = store.create(named("Aurora")).await.unwrap().id;
    let renamed = changes(&[("comment", customers_domain::Value::Text("A".into()))]);
    store.customers.update(id, renamed, write()).await.unwrap();
    let_fall_behind(&database);
    open(&database).create(named("Aurora")).await.unwrap();
    assert_eq!(database.count("customers WHERE name = 'Aurora'"), 42);
    assert_eq!(database.count("customer_history"), CUSTOMERS as usize + 43);
}

async fn a_check_tells_of_a_sequence_that_fell_behind(database: TestDatabase) {
    let store = open(&database);
    store.create(named("Aurora")).await.unwrap();
    let url = database.url().parse().unwrap();
    let ids = || {
        let findings = customers_storage::check(&url, None);
        findings.into_iter().find(|it| it.subject == "ids").expect("a finding about ids")
    };
    assert_eq!(ids().verdict, customers_storage::Verdict::Good);
    database.execute(FILL.replace("SELECT number, 1", "SELECT number + 100, 1").as_str());
    let found = ids();
    assert_eq!(found.verdict, customers_storage::Verdict::Doubtful);
    assert!(found.text.contains("customers_id is at 32, and customers at 3100"), "{}", found.text);
    // Starting mends it.
    open(&database);
    assert_eq!(ids().verdict, customers_storage::Verdict::Good);
}

async fn a_check_tells_where_answered_writes_may_be_lost(database: TestDatabase) {
    open(&database);
    let url = database.url().parse().unwrap();
    // Of the server of the tests, other settings may be off.
    for (value, is_told) in [("on", false), ("off", true), ("local", false)] {
        let set = format!("ALTER DATABASE {} SET synchronous_commit = {value}", database.name());
        database.execute(&set);
        let findings = customers_storage::check(&url, None);
        let found = findings.into_iter().find(|it| it.subject == "durability").expect("a finding");
        assert_eq!(
            found.text.contains("synchronous_commit is off"),
            is_told,
            "{value}: {}",
            found.text
        );
        assert!(!is_told || found.verdict == customers_storage::Verdict::Doubtful);
    }
}

cases! {
    both: [a_sequence_that_fell_behind_goes_on_behind_its_table]
    postgres: [
        a_check_tells_of_a_sequence_that_fell_behind,
        a_check_tells_where_answered_writes_may_be_lost,
    ]
}
