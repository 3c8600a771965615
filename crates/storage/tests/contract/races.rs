//! Many writers at once, in one process and in several.

use std::collections::HashSet;
use std::time::Duration;

use customers_domain::{Customer, NewCustomer, WriteError};
use customers_storage::Store;
use futures_util::FutureExt;
use futures_util::future::join_all;

use crate::Create as _;
use crate::database::TestDatabase;
use crate::{key, named, open, with_account};

async fn hundreds_of_parallel_creates_never_collide(database: TestDatabase) {
    let store = open(&database);
    assert_no_collisions(&[store]).await;
}

/// Two stores stand for two processes.
async fn parallel_creates_of_two_processes_never_collide(database: TestDatabase) {
    let stores = [open(&database), open(&database)];
    assert_no_collisions(&stores).await;
}

async fn of_parallel_creates_of_one_account_one_wins(database: TestDatabase) {
    let store = open(&database);
    assert_one_wins(&[store]).await;
    assert_eq!(database.count("customers"), 1);
}

async fn of_parallel_creates_of_one_account_in_two_processes_one_wins(database: TestDatabase) {
    let stores = [open(&database), open(&database)];
    assert_one_wins(&stores).await;
    assert_eq!(database.count("customers"), 1);
}

async fn a_conflict_does_not_fail_its_neighbours(database: TestDatabase) {
    let store = open(&database);
    let owner = store.create(with_account("taken")).await.unwrap();
    let news = (0..120).map(|number| match number % 3 {
        0 => with_account("TAKEN"),
        1 => with_account(&format!("free {number}")),
        _ => named("automatic"),
    });
    for (number, created) in create_in_parallel(&[store], news).await.into_iter().enumerate() {
        match created {
            Err(WriteError::AccountTaken { id, deleted: false }) => {
                assert_eq!((number % 3, id), (0, owner.id));
            }
            created => assert!(number % 3 != 0 && created.is_ok(), "{number}: {created:?}"),
        }
    }
    assert_eq!(database.count("customers"), 81);
}

/// A client hangs up: its request is dropped at whatever point it has reached.
async fn a_create_that_nobody_waits_for_is_done_once_or_not_at_all(database: TestDatabase) {
    let store = open(&database);
    for number in 0..60 {
        let create = store.create(with_account(&format!("dropped {number}")));
        // Polled once, or for so long that some are done and others not.
        match number % 3 {
            0 => drop(create.now_or_never()),
            _ => drop(tokio::time::timeout(Duration::from_micros(number * 50), create).await),
        }
    }
    // The store goes on, with all its connections.
    let news = (0..60).map(|number| with_account(&format!("kept {number}")));
    for created in create_in_parallel(std::slice::from_ref(&store), news).await {
        created.unwrap();
    }
    assert_eq!(database.count("customers WHERE account_key LIKE 'kept %'"), 60);
    for number in 0..60 {
        let account = format!("dropped {number}");
        let rows = database.count(&format!("customers WHERE account_key = '{account}'"));
        let found = store.customers.find_by_account(&key(&account)).await.unwrap();
        assert_eq!(rows, usize::from(found.is_some()));
        // What was not done is still free, and what was done is whole.
        match (found, store.create(with_account(&account)).await) {
            (None, created) => assert_eq!(created.unwrap().details.name, account),
            (Some(found), Err(WriteError::AccountTaken { id, .. })) => {
                assert_eq!((found.id, found.details.name), (id, account));
            }
            (Some(found), created) => panic!("{found:?}, then {created:?}"),
        }
    }
}

/// One process is told to stop while its queue is full.
async fn a_dropped_store_finishes_its_writes(database: TestDatabase) {
    let store = open(&database);
    for number in 0..300 {
        let create = store.create(with_account(&format!("last {number}")));
        assert!(create.now_or_never().is_none());
    }
    drop(store);
    assert_eq!(database.count("customers"), 300);
}

cases! {
    both: [
        hundreds_of_parallel_creates_never_collide,
        parallel_creates_of_two_processes_never_collide,
        of_parallel_creates_of_one_account_one_wins,
        of_parallel_creates_of_one_account_in_two_processes_one_wins,
        a_conflict_does_not_fail_its_neighbours,
        a_create_that_nobody_waits_for_is_done_once_or_not_at_all,
    ]
    sqlite: [a_dropped_store_finishes_its_writes]
}

/// Creates all of them at once, in turn through each of the stores.
async fn create_in_parallel(
    stores: &[Store],
    news: impl IntoIterator<Item = NewCustomer>,
) -> Vec<Result<Customer, WriteError>> {
    let tasks: Vec<_> = news
        .into_iter()
        .zip(stores.iter().cycle().cloned())
        .map(|(new, store)| tokio::spawn(async move { store.create(new).await }))
        .collect();
    join_all(tasks).await.into_iter().map(|done| done.expect("no panic")).collect()
}

/// Half of 400 customers bring an account of the automatic form, with a number that an id is about
/// to have, or had a moment ago.
async fn assert_no_collisions(stores: &[Store]) {
    let news: Vec<_> = (0..400)
        .map(|number| match number % 2 {
            0 => named("automatic"),
            _ => with_account(&format!("cl{number:06}")),
        })
        .collect();
    let mut ids = HashSet::new();
    let mut accounts = HashSet::new();
    for (new, created) in news.clone().into_iter().zip(create_in_parallel(stores, news).await) {
        match (new.account, created) {
            (account, Ok(created)) => {
                assert!(account.is_none_or(|account| account == created.account));
                let key = created.account.key();
                assert!(ids.insert(created.id), "the id {} was given twice", created.id);
                assert!(accounts.insert(key.clone()), "the account {key} was given twice");
                for store in stores {
                    let found = store.customers.find(created.id).await.unwrap();
                    assert_eq!(found.as_ref(), Some(&created));
                    let found = store.customers.find_by_account(&key).await.unwrap();
                    assert_eq!(found.as_ref(), Some(&created));
                }
            }
            (Some(account), Err(WriteError::AccountTaken { id, deleted: false })) => {
                let owner = stores[0].customers.find(id).await.unwrap().expect("the owner");
                assert_eq!(owner.account.key(), account.key());
                assert_eq!(owner.details.name, "automatic");
            }
            (account, error) => panic!("{account:?}: {error:?}"),
        }
    }
    assert!(ids.len() >= 200);
}

/// Each of 50 writes the same account in another case.
async fn assert_one_wins(stores: &[Store]) {
    let news = (0..50).map(|number| {
        let letters = "straße".chars().enumerate();
        let written: String = letters
            .map(|(position, letter)| match number >> position & 1 {
                0 => letter.to_string(),
                _ => letter.to_uppercase().to_string(),
            })
            .collect();
        with_account(&written)
    });
    let (won, lost): (Vec<_>, Vec<_>) =
        create_in_parallel(stores, news).await.into_iter().partition(Result::is_ok);
    let [Ok(winner)] = &won[..] else { panic!("{} winners", won.len()) };
    assert_eq!(lost.len(), 49);
    for lost in lost {
        match lost {
            Err(WriteError::AccountTaken { id, deleted: false }) => assert_eq!(id, winner.id),
            other => panic!("{other:?}"),
        }
    }
}
