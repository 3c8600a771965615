//! A database is opened by whoever comes first, and refused where it is not ours.

use std::sync::Barrier;

use customers_domain::search::SearchTerm;
use customers_domain::selection::{Filter, Listing, Order, Page, Selection};
use customers_domain::token::NewToken;
use customers_domain::{Attribute, Timestamp, Value};
use customers_storage::{OpenError, Store};

use crate::Create as _;
use crate::database::TestDatabase;
use crate::{key, named, open, token, try_open};

async fn an_open_store_is_ready(database: TestDatabase) {
    open(&database).customers.ready().await.unwrap();
}

async fn a_store_that_lost_its_tables_is_not_ready(database: TestDatabase) {
    let store = open(&database);
    database.execute("DROP TABLE customers; DROP TABLE __diesel_schema_migrations");
    store.customers.ready().await.unwrap_err();
}

async fn what_was_created_is_there_when_opened_again(database: TestDatabase) {
    let created = open(&database).create(named("Aurora")).await.unwrap();
    assert_eq!(open(&database).customers.find(created.id).await.unwrap(), Some(created));
}

async fn many_processes_may_open_a_fresh_database_at_once(database: TestDatabase) {
    for store in open_at_once(&database) {
        store.customers.ready().await.unwrap();
        store.create(named("Aurora")).await.unwrap();
    }
    assert_eq!(database.count("customers"), PROCESSES);
}

/// A file is locked in a way of its own while it is put into WAL mode: it takes some tries for two to
/// get in each other's way there.
async fn many_processes_may_make_a_file_at_once(_: TestDatabase) {
    for _ in 0..60 {
        open_at_once(&TestDatabase::sqlite());
    }
}

/// As beside a long import, which holds the lock for writing.
async fn an_up_to_date_database_is_opened_while_another_writes(database: TestDatabase) {
    let created = open(&database).create(named("Aurora")).await.unwrap();
    let mut importing = database.connect();
    importing.execute("BEGIN IMMEDIATE");
    // It would wait for 30 seconds, and fail.
    let store = try_open(&database.url()).unwrap();
    assert_eq!(store.customers.find(created.id).await.unwrap(), Some(created));
    importing.execute("COMMIT");
}

/// PostgreSQL has several ways to say that a table is just being made, and the likeliest is not all.
async fn many_processes_may_make_the_first_table_at_once(database: TestDatabase) {
    for _ in 0..20 {
        open_at_once(&database);
        database.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public");
    }
}

/// One that the first version has made and filled.
async fn many_processes_may_bring_a_database_up_to_date_at_once(database: TestDatabase) {
    let sql = match database.url().starts_with("sqlite:") {
        true => include_str!("../../../../migrations/sqlite/2026-11-23-000001_customers/up.sql"),
        false => include_str!("../../../../migrations/postgres/2026-11-23-000001_customers/up.sql"),
    };
    database.execute(sql);
    database.execute(
        "CREATE TABLE __diesel_schema_migrations (
             version VARCHAR(50) PRIMARY KEY NOT NULL, run_on TIMESTAMP DEFAULT CURRENT_TIMESTAMP
         );
         INSERT INTO __diesel_schema_migrations (version) VALUES ('20261123000001');
         INSERT INTO customers (id, brand_id, customer_account, account_key, name,
             main_address_city, active, is_reseller, reseller_level, charge_vat,
             apply_vat_auto_reverse_operators, on_call_duty, vip, created_at, updated_at)
         SELECT 7, 1, 'ACME', 'acme', 'Société Générale', 'Orléans', active, NOT active, 0, active,
             NOT active, NOT active, active, 1000000, 2000000
         FROM (SELECT 1 = 1 AS active) AS truth",
    );
    for store in open_at_once(&database) {
        store.customers.ready().await.unwrap();
        assert!(!store.tokens.any().await.unwrap());
        let customer = store.customers.find_by_account(&key("Acme")).await.unwrap().unwrap();
        assert_eq!(
            (customer.id.get(), customer.details.vip, customer.details.is_reseller),
            (7, true, false)
        );
        let city = Filter::Attribute {
            attribute: Attribute::named("mainAddressCity").unwrap(),
            any_of: vec![Value::Text("orleans".into())],
        };
        let selection = Selection { filters: vec![city], ..Selection::default() };
        let page = Page { skip: 0, take: 20 };
        let listed = store.customers.list(selection, Order::default(), page).await.unwrap();
        let found =
            store.customers.search(SearchTerm::new("societe").unwrap(), page).await.unwrap();
        for listing in [listed, found] {
            assert_eq!(listing, Listing { customers: vec![customer.clone()], total: 1 });
        }
    }
}

/// So many that the indexes are made when all is done.
async fn many_processes_may_make_many_keys_anew_at_once(database: TestDatabase) {
    drop(open(&database));
    let indexes = || match database.url().starts_with("sqlite:") {
        true => database.values(
            "SELECT sql AS value FROM sqlite_master
             WHERE tbl_name = 'customer_keys' AND sql IS NOT NULL ORDER BY name",
        ),
        false => database.values(
            "SELECT indexdef AS value FROM pg_indexes WHERE tablename = 'customer_keys'
             ORDER BY indexname",
        ),
    };
    let before = indexes();
    database.execute(
        "WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < 20500)
         INSERT INTO customers (id, brand_id, customer_account, account_key, name,
             main_address_city, active, is_reseller, reseller_level, charge_vat,
             apply_vat_auto_reverse_operators, on_call_duty, vip, more, created_at, updated_at)
         SELECT i, 1, 'K' || i, 'k' || i, 'Société ' || i, 'Orléans', i > 0, i < 0, 0, i > 0, i < 0,
             i < 0, i < 0, '{\"phone\":\"01020' || (10000 + i) || '\"}', i, i FROM numbers;
         INSERT INTO customer_keys (id, customer_account, name, brand_id, active, is_reseller,
             on_call_duty, vip, created_at, updated_at, searched_text, fold_version)
         SELECT id, '', '', brand_id, active, is_reseller, on_call_duty, vip, created_at, updated_at,
             '', 0 FROM customers;
         UPDATE customer_totals SET live = 20500 WHERE slot = 0",
    );
    for store in open_at_once(&database) {
        store.customers.ready().await.unwrap();
        assert_eq!(database.count("customer_keys WHERE fold_version = 0"), 0);
        let page = Page { skip: 0, take: 20 };
        for term in ["societe 20500", "0102030500"] {
            let term = SearchTerm::new(term).unwrap();
            assert_eq!(
                store.customers.search(term, page).await.unwrap().customers[0].id.get(),
                20_500
            );
        }
    }
    assert_eq!(indexes(), before);
    assert!(before.len() > 20, "{before:#?}");
}

async fn tokens_outlive_the_change_that_brought_users(database: TestDatabase) {
    let store = open(&database);
    let expires_at = Some(Timestamp::now());
    store.tokens.add(NewToken { expires_at, ..token("ERP", 1) }).await.unwrap();
    store.tokens.add(token("PBX", 2)).await.unwrap();
    store.tokens.used(&token("PBX", 2).digest, Timestamp::now()).await.unwrap();
    store.tokens.add(token("revoked", 3)).await.unwrap();
    store.tokens.revoke(&"revoked".parse().unwrap()).await.unwrap();
    let before = store.tokens.list().await.unwrap();
    drop(store);
    database.execute(match database.url().starts_with("sqlite:") {
        true => {
            include_str!("../../../../migrations/sqlite/2026-11-25-000001_create_users/down.sql")
        }
        false => {
            include_str!("../../../../migrations/postgres/2026-11-25-000001_create_users/down.sql")
        }
    });
    database.execute("DELETE FROM __diesel_schema_migrations WHERE version = '20261125000001'");
    let store = open(&database);
    assert_eq!(store.tokens.list().await.unwrap(), before);
    assert_eq!(before.len(), 2);
    assert_eq!(database.count("tokens WHERE revoked_at IS NOT NULL"), 1);
}

/// As when a server starts while others are stopping: on SQLite, the last one to close a file
/// tidies it up.
async fn a_database_may_be_opened_while_others_close_it(database: TestDatabase) {
    drop(open(&database));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    drop(try_open(&database.url()).expect("a store"));
                }
            });
        }
    });
    open(&database).customers.ready().await.unwrap();
}

async fn a_database_of_a_newer_version_is_refused(database: TestDatabase) {
    drop(open(&database));
    let note = "__diesel_schema_migrations (version) VALUES ('29990101000000')";
    database.execute(&format!("INSERT INTO {note}"));
    match try_open(&database.url()) {
        Err(OpenError::Newer(version)) => assert_eq!(version, "29990101000000"),
        other => panic!("{:?}", other.err()),
    }
}

async fn a_file_is_made_with_its_folders(database: TestDatabase) {
    let folder = database.path().with_file_name("new folder");
    // None of this means anything to a file system, but it would in a URL.
    let file = folder.join("a&b=c#d%41 é").join("x.db");
    let store = try_open(&format!("sqlite://{}", file.display())).unwrap();
    store.create(named("Aurora")).await.unwrap();
    assert!(file.is_file());
}

async fn a_file_is_written_ahead(database: TestDatabase) {
    let _store = open(&database);
    let mode = database.values("SELECT journal_mode AS value FROM pragma_journal_mode");
    assert_eq!(mode, ["wal"]);
}

async fn a_folder_is_no_database(database: TestDatabase) {
    std::fs::create_dir(database.path()).unwrap();
    let opened = try_open(&database.url());
    assert!(matches!(opened, Err(OpenError::Connect(_))), "{:?}", opened.err());
}

async fn a_file_of_something_else_is_no_database(database: TestDatabase) {
    std::fs::write(database.path(), "My dear diary, ".repeat(1000)).unwrap();
    let opened = try_open(&database.url());
    assert!(matches!(opened, Err(OpenError::Connect(_))), "{:?}", opened.err());
    assert_eq!(std::fs::read(database.path()).unwrap().len(), 15_000);
}

async fn a_folder_that_cannot_be_made_is_told(database: TestDatabase) {
    std::fs::write(database.path(), "").unwrap();
    let opened = try_open(&format!("{}/below/x.db", database.url()));
    let Err(OpenError::Folder { path, .. }) = opened else { panic!("{:?}", opened.err()) };
    assert_eq!(path, database.path().join("below"));
}

async fn a_database_without_utf8_is_refused(_: TestDatabase) {
    let database = TestDatabase::postgres_as("ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE 'C'");
    match try_open(&database.url()) {
        Err(OpenError::Encoding(encoding)) => assert_eq!(encoding, "SQL_ASCII"),
        other => panic!("{:?}", other.err()),
    }
    assert_eq!(database.count("pg_tables WHERE schemaname = 'public'"), 0);
}

async fn a_server_that_does_not_let_us_in_is_told_without_the_password(database: TestDatabase) {
    let url = database.url();
    let (_, server) = url.rsplit_once('@').unwrap();
    let (host, _) = server.split_once(':').unwrap();
    let (_, name) = server.split_once('/').unwrap();
    for wrong in [
        format!("postgres://customers:hunter2@{server}"),
        format!("postgres://nobody:hunter2@{server}"),
        format!("postgres://customers:hunter2@{host}:1/{name}"),
        format!("postgres://customers@{server}?password=hunter2&no_such_option=1"),
        // Passwords that were not percent-encoded.
        format!("postgres://customers:100%hunter2@{server}"),
        format!("postgres://customers:12/hunter2@{server}"),
        format!("postgres://customers:12?hunter2@{server}"),
        format!("postgres://customers:a@hunter2@{server}"),
        format!("postgres://customers:a@hunter2:1@{server}"),
        "postgres://customers:hunter2@[nowhere".to_owned(),
        format!("postgres://customers:hunter2@[::1/{name}"),
        format!("postgres://customers:hunter2@[::1]x/{name}"),
        format!("postgres://customers@{server}?password=12&hunter2"),
        format!("postgres://customers@{server}?password=12%hunter2"),
    ] {
        let opened = try_open(&wrong);
        let Err(error @ OpenError::Connect(_)) = opened else { panic!("{:?}", opened.err()) };
        let shown = format!("{error:?} {error}");
        assert!(!shown.contains("hunter2"), "{wrong}: {shown}");
    }
}

/// As one that is cut off: it takes connections, or seems to, and says nothing.
async fn a_host_that_says_nothing_is_passed_over(database: TestDatabase) {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = database.url();
    let (login, server) = url.rsplit_once('@').unwrap();
    let hosts = format!("{},{server}", silent.local_addr().unwrap());
    let store = try_open(&format!("{login}@{hosts}?target_session_attrs=read-write")).unwrap();
    store.customers.ready().await.unwrap();
    store.create(named("Aurora")).await.unwrap();
}

/// So that the role of a server in production need not own the tables.
async fn a_migrated_database_is_opened_by_a_role_that_may_only_use_it(database: TestDatabase) {
    drop(open(&database));
    let role = format!("user_of_{}", database.url().rsplit_once('/').unwrap().1);
    database.execute(&format!(
        "CREATE ROLE {role} LOGIN PASSWORD 'secret';
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role};
         GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}"
    ));
    let url = database.url();
    let (_, server) = url.rsplit_once('@').unwrap();
    let store = try_open(&format!("postgres://{role}:secret@{server}")).unwrap();
    store.customers.ready().await.unwrap();
    store.create(named("Aurora")).await.unwrap();
    store.tokens.add(token("ERP", 1)).await.unwrap();
}

cases! {
    both: [
        an_open_store_is_ready,
        a_store_that_lost_its_tables_is_not_ready,
        what_was_created_is_there_when_opened_again,
        many_processes_may_open_a_fresh_database_at_once,
        many_processes_may_bring_a_database_up_to_date_at_once,
        many_processes_may_make_many_keys_anew_at_once,
        tokens_outlive_the_change_that_brought_users,
        a_database_may_be_opened_while_others_close_it,
        a_database_of_a_newer_version_is_refused,
    ]
    sqlite: [
        many_processes_may_make_a_file_at_once,
        an_up_to_date_database_is_opened_while_another_writes,
        a_file_is_made_with_its_folders,
        a_file_is_written_ahead,
        a_folder_is_no_database,
        a_file_of_something_else_is_no_database,
        a_folder_that_cannot_be_made_is_told,
    ]
    postgres: [
        many_processes_may_make_the_first_table_at_once,
        a_database_without_utf8_is_refused,
        a_server_that_does_not_let_us_in_is_told_without_the_password,
        a_host_that_says_nothing_is_passed_over,
        a_migrated_database_is_opened_by_a_role_that_may_only_use_it,
    ]
}

const PROCESSES: usize = 8;

/// Opens as many stores as there are processes, all at the same moment.
fn open_at_once(database: &TestDatabase) -> Vec<Store> {
    let barrier = Barrier::new(PROCESSES);
    std::thread::scope(|scope| {
        let openings: Vec<_> = (0..PROCESSES)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    try_open(&database.url())
                })
            })
            .collect();
        openings.into_iter().map(|opening| opening.join().unwrap().expect("a store")).collect()
    })
}
