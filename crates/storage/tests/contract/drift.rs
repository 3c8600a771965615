//! Rows beside a customer that are lost are put back by the next write to it.

use customers_domain::search::SearchTerm;
use customers_domain::selection::{Order, Page, Selection};
use customers_domain::{Customer, NewCustomer, Value};
use customers_storage::{Finding, MendedStatistics, OpenError, Rebuild, Rebuilt, Store, Verdict};

use crate::database::TestDatabase;
use crate::living::changes;
use crate::{Create as _, named, open, try_open, write};

const PAGE: Page = Page { skip: 0, take: 20 };

/// A customer with two phone numbers.
fn with_phones() -> NewCustomer {
    let mut new = named("Société Aurora");
    new.details.phone = Some("0102030405".into());
    new.details.mobile_phone = Some("0607080910".into());
    new
}

async fn change(store: &Store, customer: &Customer, name: &str, value: &str) -> Customer {
    let changes = changes(&[(name, Value::Text(value.to_owned().into()))]);
    store.customers.update(customer.id, changes, write()).await.unwrap()
}

async fn total(store: &Store) -> u64 {
    store.customers.list(Selection::default(), Order::default(), PAGE).await.unwrap().total
}

async fn found(store: &Store, term: &str) -> Vec<Customer> {
    let term = SearchTerm::new(term).unwrap();
    store.customers.search(term, PAGE).await.unwrap().customers
}

fn mended(store: &Store) -> (u64, u64, u64) {
    let MendedStatistics { keys, phones, totals } = store.instrumented.statistics().mended;
    (keys, phones, totals)
}

/// Each change of another kind: of something else than keys, of keys, and of whether it is deleted.
async fn a_change_puts_back_lost_keys(database: TestDatabase) {
    let store = open(&database);
    let created = store.create(with_phones()).await.unwrap();
    let lose = "DELETE FROM customer_keys; DELETE FROM customer_phones";
    let lose = match database.url().starts_with("sqlite:") {
        true => format!("{lose}; DELETE FROM customer_search"),
        false => lose.to_owned(),
    };

    database.execute(&lose);
    let changed = change(&store, &created, "website", "https://aurora.example").await;
    let listed = store.customers.list(Selection::default(), Order::default(), PAGE).await.unwrap();
    assert_eq!(listed.customers, std::slice::from_ref(&changed));
    assert_eq!(found(&store, "aurora").await, std::slice::from_ref(&changed));
    assert_eq!(found(&store, "0607080910").await, [changed]);
    assert_eq!(mended(&store), (1, 1, 0));

    database.execute(&lose);
    let renamed = change(&store, &created, "name", "Borealis").await;
    assert_eq!(found(&store, "borealis").await, std::slice::from_ref(&renamed));
    assert_eq!(found(&store, "aurora").await, []);
    assert_eq!(found(&store, "0102030405").await, [renamed]);
    assert_eq!(mended(&store), (2, 2, 0));

    database.execute(&lose);
    store.customers.delete(created.id, write()).await.unwrap();
    assert_eq!(database.count("customer_keys WHERE deleted_at IS NOT NULL"), 1);
    assert_eq!(database.count("customer_phones"), 2);
    assert_eq!(total(&store).await, 0);
    assert_eq!(mended(&store), (3, 3, 0));
}

async fn a_change_mends_nothing_where_nothing_is_lost(database: TestDatabase) {
    let store = open(&database);
    let created = store.create(with_phones()).await.unwrap();
    change(&store, &created, "name", "Borealis").await;
    let changed = change(&store, &created, "phone", "0908070605").await;
    assert_eq!(found(&store, "0908070605").await, [changed]);
    assert_eq!(found(&store, "0102030405").await, []);
    assert_eq!(database.count("customer_phones"), 2);
    assert_eq!(mended(&store), (0, 0, 0));
}

async fn a_write_puts_back_a_lost_count(database: TestDatabase) {
    let store = open(&database);
    for number in 0..5 {
        store.create(named(&format!("Customer {number}"))).await.unwrap();
    }
    database.execute("DELETE FROM customer_totals");
    store.create(named("Customer 5")).await.unwrap();
    assert_eq!(total(&store).await, 6);
    assert_eq!(mended(&store), (0, 0, 1));
    database.execute("DELETE FROM customer_totals");
    let deleted = store.create(named("Customer 6")).await.unwrap();
    store.customers.delete(deleted.id, write()).await.unwrap();
    assert_eq!(total(&store).await, 6);
    assert_eq!(mended(&store), (0, 0, 2));
}

/// As where a customer was removed by hand, and another one gets its id.
async fn rows_that_were_left_behind_stop_no_write(database: TestDatabase) {
    let store = open(&database);
    let created = store.create(with_phones()).await.unwrap();
    database.execute(
        "INSERT INTO customer_phones (digits, customer_id)
         SELECT '1111111111', max(id) FROM customers",
    );
    change(&store, &created, "phone", "1111111111").await;
    assert_eq!(database.count("customer_phones"), 2);
}

/// What `check` says that is not well, by subject.
fn drift(database: &TestDatabase) -> Vec<(&'static str, String)> {
    let found = customers_storage::check(&database.url().parse().expect("a URL"), None);
    // The machine and the server of the tests are as they are.
    let is_drift =
        |it: &Finding| it.verdict != Verdict::Good && !["disk", "durability"].contains(&it.subject);
    found.into_iter().filter(is_drift).map(|it| (it.subject, it.text)).collect()
}

fn rebuild(database: &TestDatabase) -> Rebuilt {
    let mut rebuild = Rebuild::open(&database.url().parse().expect("a URL")).unwrap();
    while rebuild.step().unwrap() {}
    rebuild.rebuilt()
}

/// More than are compared at a time.
async fn what_drifted_is_told_and_rebuilt_beside_writers(database: TestDatabase) {
    const CUSTOMERS: u64 = 600;
    let is_sqlite = database.url().starts_with("sqlite:");
    let store = open(&database);
    for _ in 0..CUSTOMERS {
        store.create(with_phones()).await.unwrap();
    }
    assert_eq!(drift(&database), []);
    let nothing = Rebuilt { customers: CUSTOMERS, ..Rebuilt::default() };
    assert_eq!(rebuild(&database), nothing);

    database.execute(
        "DELETE FROM customer_keys WHERE id IN (7, 300, 301);
         UPDATE customer_keys SET name = 'other' WHERE id = 8;
         INSERT INTO customer_keys (id, customer_account, name, brand_id, active, is_reseller,
             on_call_duty, vip, created_at, updated_at, searched_text, fold_version)
         SELECT 90000, 'a', 'a', 1, active, active, active, active, 1, 1, 'a', fold_version
         FROM customer_keys WHERE id = 9;
         DELETE FROM customer_phones WHERE customer_id IN (7, 599) AND digits LIKE '50403%';
         INSERT INTO customer_phones (digits, customer_id) VALUES ('123', 10), ('504030', 80000);
         UPDATE customer_totals SET live = live + 3 WHERE slot = 0;
         UPDATE customer_totals SET deleted = deleted - 1 WHERE slot = 0",
    );
    if is_sqlite {
        database.execute(
            "DELETE FROM customer_search WHERE rowid IN (7, 11);
             INSERT INTO customer_search (rowid, searched_text) VALUES (90000, 'a')",
        );
    }
    let told = drift(&database);
    let text = |subject: &str| {
        let told = told.iter().find(|(of, _)| *of == subject);
        told.map_or("", |(_, text)| text)
    };
    for (subject, parts) in [
        (
            "keys",
            &["without their search keys: 4 (id 7, 8, 300, 301)", "of no customer: 1 (id 90000)"][..],
        ),
        ("phones", &["by a phone number: 2 (id 7, 599)", "or of another: 2 (id", "80000"]),
        ("totals", &["off by 3", "deleted ones by -1"]),
        ("search", &["not in the search index: 2 (id 7, 11)", "(id 90000)"]),
    ] {
        for part in parts.iter().filter(|_| is_sqlite || subject != "search") {
            assert!(text(subject).contains(part), "{part}: {told:#?}");
        }
    }
    assert!(told.iter().all(|(_, text)| text.contains("customers rebuild")), "{told:#?}");

    let (rebuilt, created) = tokio::join!(
        tokio::task::spawn_blocking({
            let url = database.url();
            move || {
                let mut rebuild = Rebuild::open(&url.parse().expect("a URL")).unwrap();
                while rebuild.step().unwrap() {}
                rebuild.rebuilt()
            }
        }),
        async {
            for _ in 0..50 {
                store.create(with_phones()).await.unwrap();
            }
            50
        }
    );
    let rebuilt = rebuilt.unwrap();
    assert_eq!((rebuilt.keys, rebuilt.phones, rebuilt.totals), (4, 2, (-3, 1)), "{rebuilt:?}");
    let (searched, removed) = if is_sqlite { (2, 4) } else { (0, 3) };
    assert_eq!((rebuilt.searched, rebuilt.removed), (searched, removed), "{rebuilt:?}");
    assert_eq!(drift(&database), []);
    assert_eq!(total(&store).await, CUSTOMERS + created);
    let again = Rebuilt { customers: CUSTOMERS + created, ..Rebuilt::default() };
    assert_eq!(rebuild(&database), again);
}

/// As after going back to an older version of the service.
async fn keys_of_a_newer_version_are_refused_until_they_are_rebuilt(database: TestDatabase) {
    let created = open(&database).create(with_phones()).await.unwrap();
    database.execute("UPDATE customer_keys SET fold_version = 999, name = 'newer'");
    for _ in 0..2 {
        match try_open(&database.url()) {
            Err(error @ OpenError::NewerKeys(999)) => {
                assert!(error.to_string().contains("customers rebuild"), "{error}");
            }
            other => panic!("{:?}", other.err()),
        }
    }
    assert!(drift(&database)[0].1.contains("999"), "{:?}", drift(&database));
    assert_eq!(database.count("customer_keys WHERE fold_version = 999"), 1);
    assert_eq!(rebuild(&database).keys, 1);
    let store = open(&database);
    assert_eq!(found(&store, "aurora").await, [created]);
    assert_eq!(drift(&database), []);
}

cases! {
    both: [
        what_drifted_is_told_and_rebuilt_beside_writers,
        keys_of_a_newer_version_are_refused_until_they_are_rebuilt,
        a_change_puts_back_lost_keys,
        a_change_mends_nothing_where_nothing_is_lost,
        a_write_puts_back_a_lost_count,
        rows_that_were_left_behind_stop_no_write,
    ]
}
