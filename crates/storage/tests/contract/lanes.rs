//! Lists on PostgreSQL leave connections to everybody else.

use std::time::Duration;

use customers_domain::selection::{Order, Page, Selection};
use futures_util::future::join_all;

use crate::Create as _;
use crate::database::TestDatabase;
use crate::{named, open};

/// Many lists wait for a table that somebody has locked, and a token is looked up.
async fn a_token_is_found_while_lists_hang(database: TestDatabase) {
    let store = open(&database);
    store.create(named("Aurora")).await.unwrap();
    let mut beside = database.connect();
    beside.execute("BEGIN; LOCK TABLE customer_keys IN ACCESS EXCLUSIVE MODE");
    let lists: Vec<_> = (0..40)
        .map(|_| {
            let store = store.clone();
            let page = Page { skip: 0, take: 20 };
            tokio::spawn(async move {
                store.customers.list(Selection::default(), Order::default(), page).await
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    for _ in 0..5 {
        // It would wait for 3 seconds, and then be refused.
        let found = tokio::time::timeout(Duration::from_secs(2), store.tokens.any());
        assert!(!found.await.expect("an answer at once").unwrap());
    }
    beside.execute("ROLLBACK");
    // Those that waited for too long were refused, and the others answered.
    let answered = join_all(lists).await.into_iter().filter(|list| list.as_ref().unwrap().is_ok());
    assert!(answered.count() > 0);
}

cases! {
    both: []
    postgres: [a_token_is_found_while_lists_hang]
}
