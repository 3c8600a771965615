//! Rows beside a customer that are lost are put back by the next write to it.

use customers_domain::search::SearchTerm;
use customers_domain::selection::{Order, Page, Selection};
use customers_domain::{Customer, NewCustomer, Value};
use customers_storage::{MendedStatistics, Store};

use crate::database::TestDatabase;
use crate::living::changes;
use crate::{Create as _, named, open, write};

const PAGE: Page = Page { skip: 0, take: 20 };

/// A customer with two phone numbers.
fn with_phones() -> NewCustomer {
    let mut new = named("Société Aurora");
    new.phone = Some("0102030405".into());
    new.mobile_phone = Some("0607080910".into());
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
    assert_eq!(listed.customers, [changed.clone()]);
    assert_eq!(found(&store, "aurora").await, [changed.clone()]);
    assert_eq!(found(&store, "0607080910").await, [changed]);
    assert_eq!(mended(&store), (1, 1, 0));

    database.execute(&lose);
    let renamed = change(&store, &created, "name", "Borealis").await;
    assert_eq!(found(&store, "borealis").await, [renamed.clone()]);
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

cases! {
    both: [
        a_change_puts_back_lost_keys,
        a_change_mends_nothing_where_nothing_is_lost,
        a_write_puts_back_a_lost_count,
        rows_that_were_left_behind_stop_no_write,
    ]
}
