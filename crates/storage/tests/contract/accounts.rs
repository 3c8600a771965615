//! Accounts are unique, and there is always a free one for who brings none.

use std::collections::HashSet;

use customers_domain::{AccountNumbering, Customer, CustomerId, WriteError};
use customers_storage::Options;
use futures_util::future::join_all;

use crate::Create as _;
use crate::database::TestDatabase;
use crate::{key, named, open, with_account};

async fn an_automatic_account_is_that_of_the_id(database: TestDatabase) {
    let store = open(&database);
    for _ in 0..3 {
        let created = store.create(named("Aurora")).await.unwrap();
        let account = format!("CL{:06}", created.id.get());
        assert_eq!(created.account.as_str(), account);
        assert_eq!(store.customers.find_by_account(&key(&account)).await.unwrap(), Some(created));
    }
}

async fn automatic_accounts_are_numbered_as_told(database: TestDatabase) {
    let numbering = AccountNumbering::new("Kunde ", 2).unwrap();
    let options = Options { numbering, connections: 1.try_into().unwrap(), replica: None };
    let store = customers_storage::open(&database.url().parse().unwrap(), options).unwrap();
    let created = store.create(named("Aurora")).await.unwrap();
    assert_eq!(created.id.get(), 1);
    assert_eq!(created.account.as_str(), "Kunde 01");
}

async fn a_taken_account_is_refused_with_its_owner(database: TestDatabase) {
    let store = open(&database);
    let owner = store.create(with_account("Straße 9")).await.unwrap();
    for taken in ["Straße 9", "STRASSE 9", "strasse 9"] {
        assert_taken(store.create(with_account(taken)).await, owner.id, false);
    }
    // Automatic ones are as good as others.
    let owner = store.create(named("Aurora")).await.unwrap();
    let taken = owner.account.as_str().to_lowercase();
    assert_taken(store.create(with_account(&taken)).await, owner.id, false);
    assert_eq!(database.count("customers"), 2);
}

async fn a_deleted_customer_keeps_its_account(database: TestDatabase) {
    let store = open(&database);
    let owner = store.create(with_account("Gone")).await.unwrap();
    database.execute("UPDATE customers SET deleted_at = created_at");
    assert_taken(store.create(with_account("gone")).await, owner.id, true);
}

async fn a_refused_customer_leaves_the_next_ones_alone(database: TestDatabase) {
    let store = open(&database);
    store.create(with_account("taken")).await.unwrap();
    store.create(with_account("TAKEN")).await.unwrap_err();
    let next = store.create(with_account("free")).await.unwrap();
    assert_eq!(store.customers.find(next.id).await.unwrap(), Some(next));
}

/// Half of the taken ones belong to deleted customers: those are not handed out either.
async fn where_the_account_of_the_id_is_taken_another_is_made(database: TestDatabase) {
    let store = open(&database);
    let by_hand: Vec<String> = (2..=400).map(|number| format!("cl{number:06}")).collect();
    for created in
        join_all(by_hand[..200].iter().map(|account| store.create(with_account(account)))).await
    {
        created.unwrap();
    }
    database.execute("UPDATE customers SET deleted_at = created_at");
    for created in
        join_all(by_hand[200..].iter().map(|account| store.create(with_account(account)))).await
    {
        created.unwrap();
    }

    let mut accounts: HashSet<String> = by_hand.into_iter().collect();
    for number in 0..200 {
        let created = store.create(named("Aurora")).await.unwrap();
        let account = created.account.as_str();
        let digits = account.strip_prefix("CL").unwrap();
        assert!(digits.len() >= 6 && digits.bytes().all(|digit| digit.is_ascii_digit()));
        assert!(accounts.insert(account.to_lowercase()), "{account}, the {number}th, was taken");
        assert_eq!(store.customers.find(created.id).await.unwrap(), Some(created));
    }
}

/// The crowd stands above the ids to come, as when numbers of an older system were taken over.
async fn an_account_is_made_in_a_crowd_of_a_hundred_thousand(database: TestDatabase) {
    let store = open(&database);
    let is_sqlite = database.url().starts_with("sqlite:");
    let [yes, no] = if is_sqlite { ["1", "0"] } else { ["true", "false"] };
    // The accounts of the next hundred thousand ids are taken.
    database.execute(&format!(
        "INSERT INTO customers (id, brand_id, customer_account, account_key, name, active,
             is_reseller, reseller_level, charge_vat, apply_vat_auto_reverse_operators,
             on_call_duty, vip, created_at, updated_at)
         WITH RECURSIVE numbers (n) AS
             (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 100000)
         SELECT n, 1, 'CL' || (100000 + n), 'cl' || (100000 + n), 'taken over', {yes},
             {no}, 0, {yes}, {no}, {no}, {no}, 0, 0
         FROM numbers"
    ));
    let started = std::time::Instant::now();
    for _ in 0..20 {
        let created = store.create(named("Aurora")).await.unwrap();
        assert!(created.id.get() > 100_000, "{}", created.id);
        let number: u64 = created.account.as_str()[2..].parse().unwrap();
        assert!(number > 200_000, "{}", created.account);
    }
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
}

cases! {
    both: [
        an_automatic_account_is_that_of_the_id,
        automatic_accounts_are_numbered_as_told,
        a_taken_account_is_refused_with_its_owner,
        a_deleted_customer_keeps_its_account,
        a_refused_customer_leaves_the_next_ones_alone,
        where_the_account_of_the_id_is_taken_another_is_made,
        an_account_is_made_in_a_crowd_of_a_hundred_thousand,
    ]
}

#[track_caller]
fn assert_taken(result: Result<Customer, WriteError>, owner: CustomerId, owner_deleted: bool) {
    match result {
        Err(WriteError::AccountTaken { id, deleted }) => {
            assert_eq!((id, deleted), (owner, owner_deleted));
        }
        other => panic!("{other:?} instead of taken by {owner}"),
    }
}
