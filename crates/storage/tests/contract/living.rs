//! What is done to a customer after its creation, and what is told of it.

use customers_domain::history::Action;
use customers_domain::{
    ATTRIBUTES, Attribute, Customer, CustomerAccount, CustomerChanges, CustomerId, Idempotency,
    Outcome, Timestamp, Value, Write, WriteError,
};
use customers_storage::Store;
use futures_util::future::join_all;

use crate::database::TestDatabase;
use crate::{Create as _, at, key, named, open, with_account, write};

async fn an_update_changes_what_it_gives(database: TestDatabase) {
    let store = open(&database);
    let before = store.create(with_account("ACME")).await.unwrap();
    let changes = changes(&[
        ("name", text("Société")),
        ("phone", text("0602030405")),
        ("vip", Value::Boolean(true)),
        ("balance", Value::Integer(-3)),
    ]);
    let after = store.customers.update(before.id, changes.clone(), write()).await.unwrap();
    assert!(after.updated_at > before.updated_at);
    let mut expected = before.clone();
    changes.apply(&mut expected);
    expected.updated_at = after.updated_at;
    assert_eq!(after, expected);
    assert_eq!(open(&database).customers.find(before.id).await.unwrap(), Some(after));
}

async fn an_update_without_a_difference_changes_nothing(database: TestDatabase) {
    let store = open(&database);
    let before = store.create(named("A")).await.unwrap();
    let same = changes(&[("name", text("A")), ("vip", Value::Boolean(false))]);
    let after = store.customers.update(before.id, same, write()).await.unwrap();
    assert_eq!(after, before);
    assert_eq!(history(&store, before.id).await.len(), 1);
}

async fn every_change_is_later_than_the_one_before(database: TestDatabase) {
    let store = open(&database);
    let mut last = store.create(named("A")).await.unwrap();
    // As after a clock that was ahead.
    database.execute("UPDATE customers SET updated_at = updated_at + 3600000000");
    let ahead = store.customers.find(last.id).await.unwrap().unwrap();
    for number in 0..20 {
        let changed = changes(&[("balance", Value::Integer(number))]);
        let next = store.customers.update(last.id, changed, write()).await.unwrap();
        assert!(next.updated_at > last.updated_at.max(ahead.updated_at));
        last = next;
    }
}

async fn another_account_is_free_or_refused(database: TestDatabase) {
    let store = open(&database);
    let [one, two] =
        [store.create(with_account("ONE")).await, store.create(with_account("TWO")).await]
            .map(Result::unwrap);
    let renamed = |account| changes(&[("customerAccount", text(account))]);
    match store.customers.update(two.id, renamed("one"), write()).await {
        Err(WriteError::AccountTaken { id, deleted: false }) => assert_eq!(id, one.id),
        other => panic!("{other:?}"),
    }
    // Its own, in another spelling.
    let two = store.customers.update(two.id, renamed("Two"), write()).await.unwrap();
    assert_eq!(two.account.as_str(), "Two");
    let two = store.customers.update(two.id, renamed("Three"), write()).await.unwrap();
    assert_eq!(store.customers.find_by_account(&key("TWO")).await.unwrap(), None);
    assert_eq!(store.customers.find_by_account(&key("three")).await.unwrap(), Some(two));
    // What was given up is free.
    store.create(with_account("TWO")).await.unwrap();
}

async fn a_deleted_customer_is_hidden_and_comes_back(database: TestDatabase) {
    let store = open(&database);
    let before = store.create(with_account("ACME")).await.unwrap();
    store.customers.delete(before.id, write()).await.unwrap();
    assert_eq!(store.customers.find(before.id).await.unwrap(), None);
    assert_eq!(store.customers.find_by_account(&key("acme")).await.unwrap(), None);
    assert_not_found(store.customers.delete(before.id, write()).await);
    assert_not_found(store.customers.update(before.id, changes(&[]), write()).await);
    match store.create(with_account("acme")).await {
        Err(WriteError::AccountTaken { id, deleted: true }) => assert_eq!(id, before.id),
        other => panic!("{other:?}"),
    }

    let restored = now(store.customers.restore(before.id, write()).await);
    assert!(restored.updated_at > before.updated_at);
    assert_eq!(restored, Customer { updated_at: restored.updated_at, ..before });
    assert_eq!(store.customers.find(restored.id).await.unwrap().as_ref(), Some(&restored));
    // One that is there stays as it is.
    assert_eq!(now(store.customers.restore(restored.id, write()).await), restored);
    let actions: Vec<_> =
        history(&store, restored.id).await.into_iter().map(|(action, _)| action).collect();
    assert_eq!(actions, [Action::Restored, Action::Deleted, Action::Created]);
}

async fn nobody_is_changed_who_never_was(database: TestDatabase) {
    let store = open(&database);
    let id = CustomerId::new(77).unwrap();
    assert_not_found(store.customers.update(id, changes(&[]), write()).await);
    assert_not_found(store.customers.delete(id, write()).await);
    assert_not_found(store.customers.restore(id, write()).await);
    assert_eq!(store.customers.history(id, None, 10).await.unwrap(), None);
}

async fn an_upsert_creates_or_changes(database: TestDatabase) {
    let store = open(&database);
    let account = CustomerAccount::new("A/1").unwrap();
    let upsert = |values: &[(&str, Value<'static>)]| {
        store.customers.upsert(account.clone(), changes(values), write())
    };
    match upsert(&[("vip", Value::Boolean(true))]).await {
        Err(WriteError::Incomplete(missing)) => assert_eq!(missing.to_string(), "name is required"),
        other => panic!("{other:?}"),
    }
    let (created, is_new) =
        upsert(&[("name", text("A")), ("zone", Value::Integer(3))]).await.unwrap();
    assert!(is_new);
    assert_eq!((created.account.as_str(), created.details.zone), ("A/1", 3));
    let lower = CustomerAccount::new("a/1").unwrap();
    let changed = changes(&[("zone", Value::Integer(4))]);
    let (updated, is_new) = store.customers.upsert(lower, changed, write()).await.unwrap();
    assert!(!is_new);
    assert_eq!((updated.account.as_str(), updated.details.zone), ("A/1", 4));
    assert_eq!(updated.id, created.id);

    store.customers.delete(created.id, write()).await.unwrap();
    match upsert(&[("name", text("B"))]).await {
        Err(WriteError::AccountTaken { id, deleted: true }) => assert_eq!(id, created.id),
        other => panic!("{other:?}"),
    }
}

async fn upserts_at_once_create_one_customer(database: TestDatabase) {
    let store = open(&database);
    let account = CustomerAccount::new("shared").unwrap();
    let upserts = (0..32).map(|zone| {
        let values = [("name", text("A")), ("zone", Value::Integer(zone))];
        store.customers.upsert(account.clone(), changes(&values), write())
    });
    let outcomes = join_all(upserts).await.into_iter().map(Result::unwrap);
    assert_eq!(outcomes.filter(|(_, is_new)| *is_new).count(), 1);
    assert_eq!(database.count("customers"), 1);
}

async fn a_precondition_is_asked_of_the_customer_as_it_is(database: TestDatabase) {
    let store = open(&database);
    let customer = store.create(named("A")).await.unwrap();
    let guarded = || Write { precondition: at(customer.revision()), ..write() };
    let races = (1..=100).map(|zone| {
        store.customers.update(customer.id, changes(&[("zone", Value::Integer(zone))]), guarded())
    });
    let outcomes = join_all(races).await;
    let won: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
    assert_eq!(won.len(), 1);
    for lost in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        assert!(matches!(lost, WriteError::PreconditionFailed), "{lost:?}");
    }
    assert_eq!(store.customers.find(customer.id).await.unwrap().as_ref(), Some(won[0]));
    for refused in [
        store.customers.delete(customer.id, guarded()).await.err(),
        store.customers.restore(customer.id, guarded()).await.err(),
    ] {
        assert!(matches!(refused, Some(WriteError::PreconditionFailed)), "{refused:?}");
    }
}

/// Each of many that change the same customer at once has its change made.
async fn no_update_is_lost(database: TestDatabase) {
    let store = open(&database);
    let customer = store.create(named("A")).await.unwrap();
    let others: Vec<_> =
        ATTRIBUTES.iter().filter(|it| it.name.starts_with("mainAddress")).collect();
    let updates = others.iter().map(|attribute| {
        store.customers.update(customer.id, changes(&[(attribute.name, text("x"))]), write())
    });
    for updated in join_all(updates).await {
        updated.unwrap();
    }
    let after = store.customers.find(customer.id).await.unwrap().unwrap();
    for attribute in others {
        assert_eq!(attribute.of(&after), text("x"), "{}", attribute.name);
    }
}

async fn a_history_tells_who_changed_what(database: TestDatabase) {
    let store = open(&database);
    let customer = store.create(with_account("ACME")).await.unwrap();
    let by = |actor: &str, request_id: &str| Write {
        actor: actor.into(),
        request_id: request_id.into(),
        ..write()
    };
    let first = changes(&[("brand", text("B")), ("resellerLevel", Value::Integer(2))]);
    store.customers.update(customer.id, first, by("Zoé", "r-2")).await.unwrap();
    let second = changes(&[("brand", Value::Null)]);
    let last = store.customers.update(customer.id, second, by("ERP", "r-3")).await.unwrap();

    let entries = store.customers.history(customer.id, None, 10).await.unwrap().unwrap();
    assert_eq!(entries.len(), 3);
    assert_eq!((entries[0].actor.as_str(), entries[0].request_id.as_str()), ("ERP", "r-3"));
    assert_eq!(entries[0].at, last.updated_at);
    let told = |entry: usize| -> Vec<_> {
        let changes = entries[entry].changes.iter();
        changes.map(|it| (it.name.clone(), it.from.clone(), it.to.clone())).collect()
    };
    assert_eq!(told(0), [("brand".into(), text("B"), Value::Null)]);
    assert_eq!(
        told(1),
        [
            ("brand".into(), Value::Null, text("B")),
            ("resellerLevel".into(), Value::Integer(0), Value::Integer(2)),
        ]
    );
    assert_eq!(
        told(2),
        [
            ("customerAccount".into(), Value::Null, text("ACME")),
            ("name".into(), Value::Null, text("ACME")),
        ]
    );
    // In pages.
    let page = store.customers.history(customer.id, Some(entries[0].id), 1).await.unwrap().unwrap();
    assert_eq!(page, entries[1..2]);
}

async fn a_change_with_a_key_is_made_once(database: TestDatabase) {
    let store = open(&database);
    let keyed = |key: u8, fingerprint: u8| Write {
        idempotency: Some(Idempotency { key: [key; 32], fingerprint: [fingerprint; 32] }),
        ..write()
    };
    let twins = (0..20).map(|_| store.customers.create(named("A"), keyed(1, 1)));
    let mut made = Vec::new();
    let mut replayed = Vec::new();
    for outcome in join_all(twins).await {
        match outcome.unwrap() {
            Outcome::Applied(customer) => made.push(customer),
            Outcome::Replayed(customer) => replayed.push(customer),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((made.len(), replayed.len()), (1, 19));
    assert!(replayed.iter().all(|it| *it == made[0]));
    assert_eq!(database.count("customers"), 1);

    let other = store.customers.create(named("B"), keyed(1, 2)).await;
    assert!(matches!(other, Err(WriteError::KeyReused)), "{other:?}");
    // One that was refused leaves its key free.
    store.create(with_account("taken")).await.unwrap();
    store.customers.create(with_account("taken"), keyed(2, 1)).await.unwrap_err();
    now(store.customers.create(with_account("free"), keyed(2, 2)).await);

    // One that is too old is as good as none.
    database.execute("UPDATE idempotency_keys SET expires_at = 1");
    now(store.customers.create(named("A"), keyed(1, 2)).await);
    assert_eq!(store.customers.sweep(Timestamp::now()).await.unwrap(), 1);
    assert_eq!(database.count("idempotency_keys"), 1);

    store.customers.delete(made[0].id, write()).await.unwrap();
    let restored = now(store.customers.restore(made[0].id, keyed(3, 1)).await);
    // The outcome is the customer right after the change, whatever was done to the customer since.
    store.customers.delete(made[0].id, write()).await.unwrap();
    let replayed = store.customers.restore(made[0].id, keyed(3, 1)).await.unwrap();
    assert_eq!(replayed, Outcome::Replayed(restored));
    // What a version before 0.2 has kept is its answer.
    let answer = r#"{"status":201,"location":null,"etag":null,"body":{"id":1}}"#;
    let bytes = match database.url().starts_with("sqlite:") {
        true => format!("CAST('{answer}' AS BLOB)"),
        false => format!("convert_to('{answer}', 'UTF8')"),
    };
    database.execute(&format!("UPDATE idempotency_keys SET answer = {bytes}"));
    let replayed = store.customers.restore(made[0].id, keyed(3, 1)).await.unwrap();
    assert_eq!(replayed, Outcome::ReplayedAnswer(answer.into()));
}

/// As after a weekend: in steps, so that others can write in between, and no step is lost.
async fn kept_answers_are_swept_in_steps_the_oldest_first(database: TestDatabase) {
    let store = open(&database);
    let (key, numbers) = if database.url().starts_with("sqlite:") {
        let numbers = "WITH RECURSIVE numbers (n) AS
            (SELECT 1 UNION ALL SELECT n + 1 FROM numbers LIMIT 1000) SELECT n FROM numbers";
        ("randomblob(32)", numbers)
    } else {
        ("sha256(n::text::bytea)", "SELECT n FROM generate_series(1, 1000) AS n")
    };
    database.execute(&format!(
        "INSERT INTO idempotency_keys (key, fingerprint, answer, customer_id, expires_at)
         SELECT {key}, {key}, {key}, 1, n FROM ({numbers}) AS numbers"
    ));
    let now = Timestamp::from_micros(900).unwrap();
    let mut swept = vec![store.customers.sweep(now).await.unwrap()];
    let first = swept[0];
    assert!((1..=200).contains(&first), "{first} at once");
    assert_eq!(database.count(&format!("idempotency_keys WHERE expires_at <= {first}")), 0);
    while *swept.last().unwrap() > 0 {
        swept.push(store.customers.sweep(now).await.unwrap());
    }
    assert_eq!(swept.iter().sum::<u64>(), 900);
    assert_eq!(database.count("idempotency_keys WHERE expires_at > 900"), 100);
}

cases! {
    both: [
        kept_answers_are_swept_in_steps_the_oldest_first,
        an_update_changes_what_it_gives,
        an_update_without_a_difference_changes_nothing,
        every_change_is_later_than_the_one_before,
        another_account_is_free_or_refused,
        a_deleted_customer_is_hidden_and_comes_back,
        nobody_is_changed_who_never_was,
        an_upsert_creates_or_changes,
        upserts_at_once_create_one_customer,
        a_precondition_is_asked_of_the_customer_as_it_is,
        no_update_is_lost,
        a_history_tells_who_changed_what,
        a_change_with_a_key_is_made_once,
    ]
}

fn text(text: &str) -> Value<'static> {
    Value::Text(text.to_owned().into())
}

pub fn changes(values: &[(&str, Value<'static>)]) -> CustomerChanges {
    let values = values
        .iter()
        .map(|(name, value)| (Attribute::named(name).expect("an attribute"), Ok(value.clone())));
    CustomerChanges::from_values(values).expect("changes that keep the rules")
}

#[track_caller]
fn now(written: Result<Outcome, WriteError>) -> Customer {
    match written.unwrap() {
        Outcome::Applied(customer) => customer,
        other => panic!("a replay: {other:?}"),
    }
}

#[track_caller]
fn assert_not_found<T: std::fmt::Debug>(outcome: Result<T, WriteError>) {
    assert!(matches!(outcome, Err(WriteError::NotFound)), "{outcome:?}");
}

async fn history(store: &Store, id: CustomerId) -> Vec<(Action, usize)> {
    let entries = store.customers.history(id, None, 100).await.unwrap().unwrap();
    entries.into_iter().map(|entry| (entry.action, entry.changes.len())).collect()
}
