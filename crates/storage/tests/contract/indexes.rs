//! Indexes that are missing come back beside servers, and a start stops no other server.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use customers_domain::Value;
use customers_domain::import::{Incoming, OnConflict};
use customers_domain::search::SearchTerm;
use customers_domain::selection::{Order, Page, Selection};
use customers_storage::{Import, ImportMode, ImportOptions, Options, Store, Verdict};

use crate::database::{Connection, TestDatabase};
use crate::living::changes;
use crate::{Create as _, named, open, token, try_open};

const PAGE: Page = Page { skip: 0, take: 20 };

fn indexes(database: &TestDatabase) -> Vec<String> {
    match database.url().starts_with("sqlite:") {
        true => database.values(
            "SELECT name AS value FROM sqlite_master
             WHERE tbl_name = 'customer_keys' AND sql IS NOT NULL ORDER BY name",
        ),
        false => database.values(
            "SELECT indexname::text AS value FROM pg_indexes WHERE tablename = 'customer_keys'
             ORDER BY indexname",
        ),
    }
}

/// An import into an empty registry that has set the indexes aside.
fn begin_import(database: &TestDatabase) -> Import {
    let options = Options {
        numbering: Default::default(),
        connections: 4.try_into().expect("not zero"),
        replica: None,
    };
    let how = ImportOptions {
        on_conflict: OnConflict::Fail,
        request_id: "import-1".into(),
        mode: ImportMode::Batches,
        may_repeat: false,
    };
    let mut import =
        Import::open(&database.url().parse().expect("a URL"), options, how).expect("an import");
    let customers: Vec<_> = (1..=2_000)
        .map(|number| Incoming {
            id: None,
            changes: changes(&[
                ("name", Value::Text(format!("Customer {number}").into())),
                ("customerAccount", Value::Text(format!("K{number}").into())),
            ]),
            created_at: None,
            updated_at: None,
            deleted_at: None,
        })
        .collect();
    assert_eq!(import.load(&customers).unwrap().len(), 2_000);
    import
}

fn missing(store: &Store) -> u64 {
    store.instrumented.statistics().missing_indexes
}

/// Puts back what is missing, as a running server does, and returns how many indexes these were.
async fn restore(store: &Store) -> usize {
    let mut restored = 0;
    while store.upkeep.restore_index().await.unwrap() {
        restored += 1;
    }
    restored
}

fn verdict(database: &TestDatabase, subject: &str) -> (Verdict, String) {
    let found = customers_storage::check(&database.url().parse().expect("a URL"), None);
    let of_subject = |it: &&customers_storage::Finding| it.subject == subject;
    let finding = found.iter().find(of_subject).unwrap_or_else(|| panic!("{found:#?}"));
    (finding.verdict, finding.text.clone())
}

async fn a_running_server_puts_back_the_indexes_of_a_stopped_import(database: TestDatabase) {
    let (store, other) = (open(&database), open(&database));
    let before = indexes(&database);
    assert_eq!(restore(&store).await, 0);
    assert_eq!((missing(&store), verdict(&database, "indexes").0), (0, Verdict::Good));

    let import = begin_import(&database);
    assert!(indexes(&database).len() < 5, "{:?}", indexes(&database));
    // They are left to the import as long as it is under way.
    assert_eq!(restore(&store).await, 0);
    assert_eq!(missing(&store), 19);
    // Opening the database leaves them to it, too.
    drop(open(&database));
    let (verdict_meanwhile, text) = verdict(&database, "indexes");
    assert_eq!(verdict_meanwhile, Verdict::Doubtful);
    assert!(text.contains("missing: 19 ("), "{text}");

    drop(import);
    // Somebody makes one by hand meanwhile.
    database.execute("CREATE INDEX customer_keys_name ON customer_keys (name)");
    // PostgreSQL hears a moment later that a process is gone. Two servers do it at once.
    for _ in 0..100 {
        tokio::join!(restore(&store), restore(&other));
        if indexes(&database) == before {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(indexes(&database), before);
    assert_eq!(restore(&store).await, 0);
    assert_eq!((missing(&store), verdict(&database, "indexes").0), (0, Verdict::Good));
}

async fn opening_puts_back_the_indexes_of_a_stopped_import(database: TestDatabase) {
    drop(open(&database));
    let before = indexes(&database);
    drop(begin_import(&database));
    database.execute("CREATE INDEX customer_keys_vip ON customer_keys (vip)");
    let mut store = open(&database);
    // Where another session has not ended yet, they are left to running servers.
    for _ in 0..100 {
        if indexes(&database) == before {
            break;
        }
        restore(&store).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        store = open(&database);
    }
    assert_eq!(indexes(&database), before);
}

async fn an_import_puts_back_its_own_indexes(database: TestDatabase) {
    let store = open(&database);
    let before = indexes(&database);
    let import = begin_import(&database);
    assert!(indexes(&database).len() < before.len());
    import.finish().unwrap();
    assert_eq!(indexes(&database), before);
    assert_eq!(restore(&store).await, 0);
    let listed = store.customers.list(Selection::default(), Order::default(), PAGE).await;
    assert_eq!(listed.unwrap().total, 2_000);
}

async fn an_index_that_was_left_invalid_is_made_again(database: TestDatabase) {
    let store = open(&database);
    let before = indexes(&database);
    let invalid = "UPDATE pg_index SET indisvalid = false WHERE indexrelid IN
        ('customer_keys_vip'::regclass, 'customer_keys_searched_text'::regclass)";
    database.execute(invalid);
    assert_eq!(verdict(&database, "indexes").0, Verdict::Doubtful);
    assert_eq!(restore(&store).await, 2);
    assert_eq!(indexes(&database), before);
    assert_eq!(database.count("pg_index WHERE NOT indisvalid"), 0);
    assert_eq!(verdict(&database, "indexes").0, Verdict::Good);
}

/// As where somebody creates the extension long after the start.
async fn a_running_server_makes_the_index_of_trigrams(database: TestDatabase) {
    let store = open(&database);
    let created = store.create(named("Société Aurora")).await.unwrap();
    database.execute("DROP EXTENSION pg_trgm CASCADE");
    assert_eq!(restore(&store).await, 0);
    let term = || SearchTerm::new("rora").unwrap();
    assert_eq!(store.customers.search(term(), PAGE).await.unwrap().customers, []);
    database.execute("CREATE EXTENSION pg_trgm");
    assert_eq!(restore(&store).await, 1);
    assert_eq!(store.customers.search(term(), PAGE).await.unwrap().customers, [created]);
}

/// Reads a table as pg_dump does, until it is told to end.
fn dump(database: &TestDatabase, tables: &str) -> Connection {
    let mut session = database.connect();
    session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ");
    session.execute(&format!("LOCK TABLE {tables} IN ACCESS SHARE MODE; SELECT 1"));
    session
}

/// So many that a start would rather make the indexes when all is done.
async fn search_keys_are_rebuilt_beside_servers_and_a_dump(database: TestDatabase) {
    let store = open(&database);
    let before = indexes(&database);
    database.execute(
        "INSERT INTO customers (id, brand_id, customer_account, account_key, name, active,
             is_reseller, reseller_level, charge_vat, apply_vat_auto_reverse_operators,
             on_call_duty, vip, created_at, updated_at)
         SELECT i, 1, 'K' || i, 'k' || i, 'Name ' || i, true, false, 0, true, false, false, false,
             i, i FROM generate_series(1, 20500) AS i;
         INSERT INTO customer_keys (id, customer_account, name, brand_id, active, is_reseller,
             on_call_duty, vip, created_at, updated_at, searched_text, fold_version)
         SELECT id, '', '', brand_id, active, is_reseller, on_call_duty, vip, created_at, updated_at,
             '', 0 FROM customers;
         UPDATE customer_totals SET live = 20500 WHERE slot = 0",
    );
    let mut session = dump(&database, "customers, customer_keys");
    let is_open = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let opening = scope.spawn(|| {
            let opened = try_open(&database.url());
            is_open.store(true, Ordering::Relaxed);
            opened
        });
        // Each list would wait until its connection is given up, and be refused.
        while !is_open.load(Ordering::Relaxed) {
            let listing = store.customers.list(Selection::default(), Order::default(), PAGE);
            let listed = wait(listing);
            assert_eq!(listed.unwrap().total, 20_500);
            assert_eq!(indexes(&database), before);
        }
        opening.join().unwrap().expect("a store");
    });
    session.execute("ROLLBACK");
    assert_eq!(database.count("customer_keys WHERE fold_version = 0"), 0);
}

/// Waits for the end of something on this thread, which is one of several.
fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(work))
}

async fn a_migration_waits_for_a_dump_and_stops_nobody(database: TestDatabase) {
    drop(open(&database));
    database.execute(include_str!(
        "../../../../migrations/postgres/2026-11-25-000001_create_users/down.sql"
    ));
    database.execute("DELETE FROM __diesel_schema_migrations WHERE version = '20261125000001'");
    let mut session = dump(&database, "tokens");
    let mut other = database.connect();
    let is_open = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let opening = scope.spawn(|| {
            let opened = try_open(&database.url());
            is_open.store(true, Ordering::Relaxed);
            opened
        });
        let waits = "pg_locks WHERE NOT granted AND relation = 'tokens'::regclass";
        while database.count(waits) == 0 {
            assert!(!is_open.load(Ordering::Relaxed), "it was to wait for the dump");
            std::thread::sleep(Duration::from_millis(10));
        }
        // Longer than the migration waits for its lock, but not as long as the dump lasts.
        other.execute("SET statement_timeout = '60s'");
        other.values("SELECT count(*)::text AS value FROM tokens");
        assert!(!is_open.load(Ordering::Relaxed));
        session.execute("ROLLBACK");
        let store = opening.join().unwrap().expect("a store");
        wait(store.tokens.add(token("ERP", 1))).unwrap();
    });
}

cases! {
    both: [
        a_running_server_puts_back_the_indexes_of_a_stopped_import,
        opening_puts_back_the_indexes_of_a_stopped_import,
        an_import_puts_back_its_own_indexes,
    ]
    postgres: [
        an_index_that_was_left_invalid_is_made_again,
        a_running_server_makes_the_index_of_trigrams,
        search_keys_are_rebuilt_beside_servers_and_a_dump,
        a_migration_waits_for_a_dump_and_stops_nobody,
    ]
}
