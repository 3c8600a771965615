//! Many reads of one customer each, at once.

use std::time::{Duration, Instant};

use customers_domain::{AccountKey, Customer, CustomerId, Value};
use customers_storage::Store;
use futures_util::FutureExt;
use futures_util::future::join_all;

use crate::Create as _;
use crate::database::TestDatabase;
use crate::living::changes;
use crate::{assert_internal, assert_unavailable, key, named, open, with_account, write};

async fn each_of_many_reads_at_once_finds_its_own_customer(database: TestDatabase) {
    let store = open(&database);
    let mut expected: Vec<(CustomerId, AccountKey, Option<Customer>)> = Vec::new();
    for number in 0..40 {
        let account = format!("read {number}");
        let created = store.create(with_account(&account)).await.unwrap();
        let is_deleted = number % 4 == 0;
        if is_deleted {
            store.customers.delete(created.id, write()).await.unwrap();
        }
        expected.push((created.id, key(&account), (!is_deleted).then_some(created)));
    }
    expected.push((CustomerId::MAX, key("nobody"), None));
    let read = |number: usize| {
        let store = store.clone();
        let (id, key, customer) = expected[number % expected.len()].clone();
        tokio::spawn(async move {
            let found = match number % 3 {
                0 => store.customers.find_by_account(&key).await,
                _ => store.customers.find(id).await,
            };
            assert_eq!(found.unwrap(), customer);
        })
    };
    for read in join_all((0..800).map(read)).await {
        read.unwrap();
    }
}

async fn a_read_beside_many_others_sees_what_was_answered(database: TestDatabase) {
    let store = open(&database);
    let customer = store.create(with_account("read")).await.unwrap();
    let readers = (0..16).map(|_| {
        let (store, id) = (store.clone(), customer.id);
        tokio::spawn(async move {
            for _ in 0..200 {
                store.customers.find(id).await.unwrap();
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    for number in 0..30 {
        let name = format!("written {number}");
        let changes = changes(&[("name", Value::Text(name.clone().into()))]);
        store.customers.update(customer.id, changes, write()).await.unwrap();
        assert_eq!(store.customers.find(customer.id).await.unwrap().unwrap().details.name, name);
        let found = store.customers.find_by_account(&key("read")).await.unwrap();
        assert_eq!(found.unwrap().details.name, name);
    }
    for reader in join_all(readers).await {
        reader.unwrap();
    }
}

async fn a_row_that_makes_no_sense_fails_no_other_read(database: TestDatabase) {
    let store = open(&database);
    let (broken, whole) = (with_account("broken"), with_account("whole"));
    let broken = store.create(broken).await.unwrap();
    let whole = store.create(whole).await.unwrap();
    database.execute("UPDATE customers SET customer_account = '..' WHERE account_key = 'broken'");
    let reads = (0..300).map(|number| {
        let (store, broken, whole) = (store.clone(), broken.id, whole.clone());
        tokio::spawn(async move {
            match number % 2 {
                0 => assert_internal(store.customers.find(broken).await),
                _ => assert_eq!(store.customers.find(whole.id).await.unwrap(), Some(whole)),
            }
        })
    });
    for read in join_all(reads).await {
        read.unwrap();
    }
}

/// A client hangs up while it waits for others' reads.
async fn reads_that_nobody_waits_for_hold_up_no_other(database: TestDatabase) {
    let store = open(&database);
    let customer = store.create(named("Aurora")).await.unwrap();
    for _ in 0..3 {
        for _ in 0..2000 {
            drop(store.customers.find(customer.id).now_or_never());
        }
        // Of those that nobody waits for no more than a queue is left.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let found = store.customers.find(customer.id).await.unwrap();
        assert_eq!(found.as_ref(), Some(&customer));
    }
}

/// A statement for several is prepared while there is nobody yet.
async fn reads_do_not_look_at_all_there_are(database: TestDatabase) {
    let scans = || {
        database.values("SELECT CAST(seq_scan AS TEXT) AS value FROM pg_stat_user_tables WHERE relname = 'customers'")
    };
    let store = open(&database);
    // What opening has read is counted by then.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let before = scans();
    database.execute("ALTER TABLE customers SET (autovacuum_enabled = off)");
    read_in_parallel(&store, 400).await;
    for number in 0..20 {
        store.create(with_account(&format!("here {number}"))).await.unwrap();
    }
    read_in_parallel(&store, 400).await;
    drop(store);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(scans(), before);
}

async fn read_in_parallel(store: &Store, reads: i64) {
    let reads = (1..=reads).map(|number| {
        let (store, id) = (store.clone(), CustomerId::new(number).unwrap());
        tokio::spawn(async move {
            store.customers.find(id).await.unwrap();
            store.customers.find_by_account(&key(&format!("here {number}"))).await.unwrap();
        })
    });
    for read in join_all(reads).await {
        read.unwrap();
    }
}

/// An administrator ends what stands in the way.
async fn reads_that_are_cancelled_are_unavailable(database: TestDatabase) {
    let store = open(&database);
    let created = store.create(named("Aurora")).await.unwrap();
    let mut other = database.connect();
    other.execute("BEGIN; LOCK TABLE customers IN ACCESS EXCLUSIVE MODE");
    let read = tokio::spawn({
        let store = store.clone();
        async move { store.customers.find(created.id).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    other.execute(
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock'",
    );
    assert_unavailable(read.await.unwrap());
    other.execute("COMMIT");
    assert_eq!(store.customers.find(created.id).await.unwrap(), Some(created));
}

async fn a_store_is_left_though_its_server_hangs(database: TestDatabase) {
    let store = open(&database);
    let created = store.create(named("Aurora")).await.unwrap();
    let mut other = database.connect();
    other.execute("BEGIN; LOCK TABLE customers IN ACCESS EXCLUSIVE MODE");
    for _ in 0..500 {
        assert!(store.customers.find(created.id).now_or_never().is_none());
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let started = Instant::now();
    drop(store);
    assert!(started.elapsed() < Duration::from_millis(4500), "{:?}", started.elapsed());
    other.execute("COMMIT");
}

cases! {
    both: [
        each_of_many_reads_at_once_finds_its_own_customer,
        a_read_beside_many_others_sees_what_was_answered,
        a_row_that_makes_no_sense_fails_no_other_read,
        reads_that_nobody_waits_for_hold_up_no_other,
    ]
    postgres: [
        reads_do_not_look_at_all_there_are,
        reads_that_are_cancelled_are_unavailable,
        a_store_is_left_though_its_server_hangs,
    ]
}
