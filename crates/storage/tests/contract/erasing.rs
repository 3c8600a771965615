//! Erasing a customer: nothing that was said of it is left anywhere.

use std::time::{Duration, Instant};

use customers_domain::history::{Action, Change};
use customers_domain::search::SearchTerm;
use customers_domain::selection::Page;
use customers_domain::{
    Customer, CustomerDetails, CustomerId, ERASED_NAME, Idempotency, Precondition, Revisions,
    Value, Write, WriteError,
};
use customers_storage::Store;

use crate::database::TestDatabase;
use crate::living::changes;
use crate::{Create as _, key, named, open, under, with_account, write};

/// What was said of the customer at one time or another: the last to another release of the service.
const SECRETS: [&str; 6] =
    ["Quaxolotl", "Wyvernski", "zebulon@example.com", "0611223344", "Xanadu", "Ypsilon"];

/// A customer with a past: created under a key, and changed.
async fn customer_with_a_past(store: &Store, database: &TestDatabase) -> Customer {
    let details = CustomerDetails {
        name: "Quaxolotl".into(),
        phone: Some("0611223344".into()),
        comment: Some("Xanadu ".repeat(3000)),
        ..CustomerDetails::default()
    };
    let new = under("ACME", details);
    let idempotency = Idempotency { key: [1; 32], fingerprint: [2; 32] };
    store.create(named("Wyvernus")).await.unwrap();
    let keyed = Write { idempotency: Some(idempotency), ..write() };
    store.customers.create(new, keyed).await.unwrap();
    let id = store.customers.find_by_account(&key("ACME")).await.unwrap().unwrap().id;
    database.execute(&format!(
        r#"UPDATE customers SET more = replace(more, '{{', '{{"ofTomorrow":"Ypsilon",') WHERE id = {id}"#
    ));
    update(store, id, &[("emailAddress", "zebulon@example.com")]).await;
    update(store, id, &[("name", "Wyvernski")]).await
}

async fn update(store: &Store, id: CustomerId, values: &[(&str, &str)]) -> Customer {
    let values: Vec<_> =
        values.iter().map(|(name, it)| (*name, Value::Text((*it).to_owned().into()))).collect();
    store.customers.update(id, changes(&values), write()).await.unwrap()
}

async fn an_erased_customer_keeps_id_account_and_times(database: TestDatabase) {
    let store = open(&database);
    let before = customer_with_a_past(&store, &database).await;
    let (erased, _) = store.customers.erase(before.id, write()).await.unwrap();
    assert!(erased.updated_at > before.updated_at);
    assert_eq!(erased, Customer { updated_at: erased.updated_at, ..before.erased() });
    assert_eq!((erased.id, &*erased.details.name), (before.id, ERASED_NAME));
    assert_eq!(open(&database).customers.find(before.id).await.unwrap(), Some(erased.clone()));
    // It goes on as any other.
    let renamed = update(&store, before.id, &[("name", "Z")]).await;
    let mut expected = Customer { updated_at: renamed.updated_at, ..erased };
    expected.details.name = "Z".into();
    assert_eq!(renamed, expected);
}

async fn its_history_tells_who_changed_what_and_when_but_no_values(database: TestDatabase) {
    let store = open(&database);
    let id = customer_with_a_past(&store, &database).await.id;
    let before = store.customers.history(id, None, 10).await.unwrap().unwrap();
    let by_zoe = Write { actor: "Zoé".into(), request_id: "r-9".into(), ..write() };
    let (erased, _) = store.customers.erase(id, by_zoe).await.unwrap();
    let mut after = store.customers.history(id, None, 10).await.unwrap().unwrap();
    let entry = after.remove(0);
    assert_eq!((entry.action, entry.at), (Action::Erased, erased.updated_at));
    assert_eq!((entry.actor.as_str(), entry.request_id.as_str()), ("Zoé", "r-9"));
    let names =
        |changes: &[Change]| -> Vec<_> { changes.iter().map(|it| it.name.clone()).collect() };
    assert_eq!(names(&entry.changes), ["name", "emailAddress", "phone", "comment"]);
    let mut expected = before;
    // A caller chooses what its request is called.
    expected.iter_mut().for_each(|entry| entry.request_id.clear());
    for change in expected.iter_mut().flat_map(|entry| &mut entry.changes) {
        (change.from, change.to) = (Value::Null, Value::Null);
    }
    assert_eq!(after, expected);
    assert!(entry.changes.iter().all(|it| (&it.from, &it.to) == (&Value::Null, &Value::Null)));
}

/// More entries than are read at once.
async fn a_long_history_has_no_value_left(database: TestDatabase) {
    let store = open(&database);
    let id = customer_with_a_past(&store, &database).await.id;
    for number in 0..150 {
        update(&store, id, &[("comment", &format!("Xanadu {number}"))]).await;
    }
    assert!(store.customers.erase(id, write()).await.unwrap().1);
    let entries = store.customers.history(id, None, 500).await.unwrap().unwrap();
    assert_eq!(entries.len(), 154);
    for change in entries.iter().flat_map(|entry| &entry.changes) {
        assert_eq!((&change.from, &change.to), (&Value::Null, &Value::Null));
    }
    assert_eq!(database.count("customer_history WHERE changes LIKE '%Xanadu%'"), 0);
    // A precondition that does not hold changes nothing.
    update(&store, id, &[("comment", "Xanadu")]).await;
    for _ in 0..20 {
        update(&store, id, &[("comment", "Ypsilon")]).await;
        update(&store, id, &[("comment", "Xanadu")]).await;
    }
    let never = Precondition { expected: Some(Revisions::OneOf(vec![])), ..Default::default() };
    let write = Write { precondition: never, ..write() };
    let refused = store.customers.erase(id, write).await;
    assert!(matches!(refused, Err(WriteError::PreconditionFailed)), "{refused:?}");
    assert_eq!(database.count("customer_history WHERE changes LIKE '%Ypsilon%'"), 40);
}

async fn it_is_no_longer_found_by_what_it_was(database: TestDatabase) {
    let store = open(&database);
    let id = customer_with_a_past(&store, &database).await.id;
    let found = async |term: &str| -> Vec<CustomerId> {
        let page = Page { skip: 0, take: 10 };
        let hits = store.customers.search(SearchTerm::new(term).unwrap(), page).await.unwrap();
        hits.customers.into_iter().map(|customer| customer.id).collect()
    };
    for term in ["wyvernski", "zebulon", "0611223344"] {
        assert_eq!(found(term).await, [id], "{term}");
    }
    store.customers.erase(id, write()).await.unwrap();
    for term in ["wyvernski", "zebulon", "0611223344"] {
        assert_eq!(found(term).await, [], "{term}");
    }
    assert_eq!(found("acme").await, [id]);
    assert_eq!(found("wyvernus").await.len(), 1);
    assert_eq!(database.count(&format!("customer_phones WHERE customer_id = {id}")), 0);
    assert_eq!(database.count("idempotency_keys"), 0);
}

async fn a_deleted_customer_is_erased_and_stays_deleted(database: TestDatabase) {
    let store = open(&database);
    let customer = customer_with_a_past(&store, &database).await;
    store.customers.delete(customer.id, write()).await.unwrap();
    let (erased, _) = store.customers.erase(customer.id, write()).await.unwrap();
    assert!(erased.deleted_at.is_some());
    assert_eq!(erased.details.name, ERASED_NAME);
    assert_eq!(store.customers.find(customer.id).await.unwrap(), None);
    match store.create(with_account("acme")).await {
        Err(WriteError::AccountTaken { id, deleted: true }) => assert_eq!(id, customer.id),
        other => panic!("{other:?}"),
    }
}

async fn erasing_again_changes_nothing_unless_something_was_done(database: TestDatabase) {
    let store = open(&database);
    let id = customer_with_a_past(&store, &database).await.id;
    let (first, was_done) = store.customers.erase(id, write()).await.unwrap();
    assert!(was_done);
    assert_eq!(store.customers.erase(id, write()).await.unwrap(), (first, false));
    let entries = async || store.customers.history(id, None, 10).await.unwrap().unwrap();
    assert_eq!(entries().await.len(), 4);

    // Nothing shows in the customer any more, but in its history.
    update(&store, id, &[("name", "Wyvernski")]).await;
    let same = update(&store, id, &[("name", ERASED_NAME)]).await;
    let (again, was_done) = store.customers.erase(id, write()).await.unwrap();
    assert!(was_done && again.updated_at > same.updated_at);
    let entries = entries().await;
    assert_eq!((entries.len(), entries[0].action), (7, Action::Erased));
    assert!(entries.iter().flat_map(|it| &it.changes).all(|it| it.from == Value::Null));
}

async fn nobody_is_erased_who_never_was(database: TestDatabase) {
    let store = open(&database);
    let outcome = store.customers.erase(CustomerId::new(77).unwrap(), write()).await;
    assert!(matches!(outcome, Err(WriteError::NotFound)), "{outcome:?}");
}

async fn nothing_of_it_is_left_in_the_file(database: TestDatabase) {
    let store = open(&database);
    let id = customer_with_a_past(&store, &database).await.id;
    let files = || -> Vec<u8> {
        let log = format!("{}-wal", database.path().display());
        [database.path(), log.into()]
            .iter()
            .flat_map(|path: &std::path::PathBuf| std::fs::read(path).unwrap())
            .collect()
    };
    let left = |files: &[u8]| -> Vec<&'static str> {
        // What is folded, or stands the other way round, too.
        let holds = |text: &str| files.windows(text.len()).any(|it| it == text.as_bytes());
        let forms = |secret: &str| {
            [secret.to_owned(), secret.to_lowercase(), secret.chars().rev().collect()]
        };
        SECRETS.into_iter().filter(|secret| forms(secret).iter().any(|it| holds(it))).collect()
    };
    database.execute("CREATE VIRTUAL TABLE trigrams USING fts5vocab(customer_search, 'row');");
    let trigram = |trigram: &str| database.count(&format!("trigrams WHERE term = '{trigram}'"));
    assert_eq!(left(&files()), SECRETS);
    assert_eq!([trigram("ski"), trigram("wyv")], [1, 1]);
    store.customers.erase(id, write()).await.unwrap();
    assert_eq!(left(&files()), [""; 0]);
    // The other is still there.
    assert_eq!([trigram("ski"), trigram("wyv")], [0, 1]);
}

/// Otherwise all answers of the last 24 hours would be looked at, while all other writes wait.
async fn what_is_kept_of_a_customer_is_found_by_an_index(database: TestDatabase) {
    drop(open(&database));
    let without = database.values(
        "SELECT t.name AS value FROM sqlite_master AS t, pragma_table_info(t.name) AS c
         WHERE t.type = 'table' AND c.name = 'customer_id' AND NOT EXISTS (
             SELECT 1 FROM pragma_index_list(t.name) AS i, pragma_index_info(i.name) AS x
             WHERE x.seqno = 0 AND x.name = 'customer_id'
         )",
    );
    // A phone number is known, and is found by its digits.
    assert_eq!(without, ["customer_phones"]);
}

/// As while a backup is made: what it reads cannot be taken out of the log, but others write on.
async fn who_reads_for_long_keeps_an_erasure_waiting_and_no_writer(database: TestDatabase) {
    let store = open(&database);
    let id = customer_with_a_past(&store, &database).await.id;
    let mut reader = database.connect();
    reader.execute("BEGIN");
    assert_eq!(reader.values("SELECT account_key AS value FROM customers WHERE id = 2"), ["acme"]);
    let erasing = tokio::spawn({
        let store = store.clone();
        async move { store.customers.erase(id, write()).await }
    });
    let (mut written, mut longest) = (0, Duration::ZERO);
    while !erasing.is_finished() {
        let began = Instant::now();
        store.create(named("Aurora")).await.unwrap();
        longest = longest.max(began.elapsed());
        written += 1;
    }
    crate::assert_unavailable(erasing.await.unwrap());
    assert!(longest < Duration::from_secs(3), "the longest of {written} writes took {longest:?}");
    reader.execute("ROLLBACK");
    assert!(!store.customers.erase(id, write()).await.unwrap().1);
    let log = format!("{}-wal", database.path().display());
    assert_eq!(std::fs::metadata(log).unwrap().len(), 0);
}

async fn no_row_of_it_has_a_value(database: TestDatabase) {
    let store = open(&database);
    let id = customer_with_a_past(&store, &database).await.id;
    let left = || -> Vec<&'static str> {
        let tables = ["customers", "customer_keys", "customer_phones", "customer_history"];
        let rows =
            tables.map(|it| database.values(&format!("SELECT {it}::text AS value FROM {it}")));
        let rows = rows.concat().concat();
        SECRETS.into_iter().filter(|secret| rows.contains(secret)).collect()
    };
    assert_eq!(left(), SECRETS);
    store.customers.erase(id, write()).await.unwrap();
    assert_eq!(left(), [""; 0]);
}

cases! {
    both: [
        an_erased_customer_keeps_id_account_and_times,
        its_history_tells_who_changed_what_and_when_but_no_values,
        a_long_history_has_no_value_left,
        it_is_no_longer_found_by_what_it_was,
        a_deleted_customer_is_erased_and_stays_deleted,
        erasing_again_changes_nothing_unless_something_was_done,
        nobody_is_erased_who_never_was,
    ]
    sqlite: [
        nothing_of_it_is_left_in_the_file,
        what_is_kept_of_a_customer_is_found_by_an_index,
        who_reads_for_long_keeps_an_erasure_waiting_and_no_writer,
    ]
    postgres: [no_row_of_it_has_a_value]
}
