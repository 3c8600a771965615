//! Up to when lists are complete: what is under way holds the moment back, and what is over does not.

use std::time::{Duration, Instant};

use customers_domain::import::{Incoming, OnConflict};
use customers_domain::{Timestamp, Value};
use customers_storage::{Import, ImportMode, ImportOptions, Options, Outcome, Store};

use crate::Create as _;
use crate::database::TestDatabase;
use crate::living::changes;
use crate::{named, open, with_account, write};

/// How far behind the moment may be where nothing is under way.
const LAG: Duration = Duration::from_secs(20);

async fn until(store: &Store) -> Timestamp {
    store.customers.complete_until().await.unwrap()
}

async fn a_list_is_complete_until_a_moment_ago(database: TestDatabase) {
    let store = open(&database);
    let before = Timestamp::now();
    let first = until(&store).await;
    assert!(first.saturating_add(LAG) > before && first <= Timestamp::now(), "{first}");
    store.create(named("Aurora")).await.unwrap();
    assert!(until(&store).await >= first);
}

/// The lock of the file is held by another process.
async fn a_writer_of_another_process_holds_the_moment_back(database: TestDatabase) {
    let store = open(&database);
    until(&store).await;
    let mut beside = database.connect();
    beside.execute("BEGIN IMMEDIATE");
    let locked = Timestamp::now();
    assert!(until(&store).await <= locked);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(until(&store).await <= locked);
    beside.execute("ROLLBACK");
    assert!(until(&store).await > locked);
}

/// A commit may take longer than any statement, where a standby is waited for.
async fn a_transaction_that_takes_long_holds_the_moment_back(database: TestDatabase) {
    let store = open(&database);
    let created = store.create(named("Aurora")).await.unwrap();
    let mut beside = database.connect();
    beside.execute(&format!("BEGIN; UPDATE customers SET vip = NOT vip WHERE id = {}", created.id));
    let began = Timestamp::now();
    let since = Instant::now();
    // Longer than any other write may take.
    while since.elapsed() < Duration::from_secs(17) {
        assert!(until(&store).await < began);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    beside.execute("COMMIT");
    assert!(until(&store).await > began);
}

/// Its statement is on its way for longer than it may be.
async fn a_write_that_arrives_late_takes_a_later_time(database: TestDatabase) {
    let proxy = crate::lost_answers::Proxy::start(&database.url());
    let store = crate::try_open(&proxy.url).unwrap();
    let delay = Duration::from_secs(6);
    let first = store.create(named("Aurora")).await.unwrap();
    for name in ["Zenobia", "Wyverna"] {
        let sent = Timestamp::now();
        proxy.delay(name, delay);
        let written = if name == "Zenobia" {
            store.create(named(name)).await.unwrap()
        } else {
            let renamed = changes(&[("name", Value::Text(name.into()))]);
            store.customers.update(first.id, renamed, write()).await.unwrap()
        };
        proxy.assert_lost();
        assert!(written.updated_at >= sent.saturating_add(delay), "{}", written.updated_at);
        assert_eq!(store.customers.find(written.id).await.unwrap(), Some(written));
    }
    assert_eq!(database.count("customer_history"), 3);
}

fn import(database: &TestDatabase, mode: ImportMode) -> Import {
    let options = Options {
        numbering: Default::default(),
        connections: 2.try_into().unwrap(),
        replica: None,
    };
    let import = ImportOptions {
        on_conflict: OnConflict::Update,
        request_id: "import".into(),
        mode,
        may_repeat: false,
    };
    Import::open(&database.url().parse().unwrap(), options, import).unwrap()
}

fn incoming(account: &str, comment: &str) -> Incoming {
    let text = |text: &str| Value::Text(text.to_owned().into());
    let values =
        [("customerAccount", text(account)), ("name", text(account)), ("comment", text(comment))];
    Incoming {
        id: None,
        changes: changes(&values),
        created_at: None,
        updated_at: None,
        deleted_at: None,
    }
}

async fn an_import_holds_the_moment_back_until_it_ends(database: TestDatabase) {
    let store = open(&database);
    for mode in [ImportMode::Batches, ImportMode::AllOrNothing] {
        let running = import(&database, mode);
        // As if it had begun long ago.
        database.execute("UPDATE customer_imports SET started_at = 1000000");
        assert_eq!(until(&store).await.as_micros(), 999_999, "{mode:?}");
        drop(running);
        assert!(until(&store).await.as_micros() > 1_000_000, "{mode:?}");
        assert_eq!(database.count("customer_imports"), 0);
    }
    // One that was killed, and has not renewed its row.
    database.execute("INSERT INTO customer_imports VALUES ('killed', 1000000, 2000000)");
    assert!(until(&store).await.as_micros() > 1_000_000);
    import(&database, ImportMode::Batches).finish().unwrap();
    assert_eq!(database.count("customer_imports"), 0);
}

/// All at once, or not at all, and others write meanwhile.
async fn an_import_of_one_transaction_does_not_stop_creates(database: TestDatabase) {
    let store = open(&database);
    let mut running = import(&database, ImportMode::AllOrNothing);
    let batch: Vec<_> = (0..50).map(|number| incoming(&format!("i{number}"), "new")).collect();
    running.load(&batch).unwrap();
    running.load(&batch[..1]).unwrap();
    // One for each part of the total.
    for number in 0..64 {
        store.create(with_account(&format!("c{number}"))).await.unwrap();
    }
    tokio::task::spawn_blocking(|| running.finish()).await.unwrap().unwrap();
    let listed = database.values(
        "SELECT CAST(sum(live) AS TEXT) || ' ' || CAST(sum(deleted) AS TEXT) AS value
         FROM customer_totals",
    );
    assert_eq!(listed, ["114 0"]);
}

/// Somebody else keeps changing the customers that an import changes.
async fn an_import_changes_customers_that_others_change(database: TestDatabase) {
    const CUSTOMERS: usize = 300;
    let store = open(&database);
    let mut ids = Vec::new();
    for number in 0..CUSTOMERS {
        ids.push(store.create(with_account(&format!("a{number}"))).await.unwrap().id);
    }
    let is_over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let others = (0..4).map(|other| {
        let (store, ids, is_over) = (store.clone(), ids.clone(), is_over.clone());
        tokio::spawn(async move {
            let mut round = 0;
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                round += 1;
                let id = ids[(round * 37 + other * 11) % ids.len()];
                let value = Value::Text(format!("{other} {round}").into());
                let changed = changes(&[("brand", value)]);
                store.customers.update(id, changed, write()).await.unwrap();
            }
        })
    });
    let others: Vec<_> = others.collect();
    for mode in [ImportMode::Batches, ImportMode::AllOrNothing] {
        let mut running = import(&database, mode);
        let comment = format!("{mode:?}");
        let batch: Vec<_> =
            (0..CUSTOMERS).map(|number| incoming(&format!("a{number}"), &comment)).collect();
        let loaded = tokio::task::spawn_blocking(move || {
            let outcomes = running.load(&batch).map_err(|error| error.to_string())?;
            running.finish().map_err(|error| error.to_string())?;
            Ok::<_, String>(outcomes)
        });
        assert_eq!(loaded.await.unwrap().unwrap(), vec![Outcome::Updated; CUSTOMERS]);
    }
    is_over.store(true, std::sync::atomic::Ordering::Relaxed);
    for other in others {
        other.await.unwrap();
    }
}

/// A role may have limits of its own, which are for requests.
async fn migrations_and_imports_do_without_limits_of_the_role(database: TestDatabase) {
    for setting in [
        // Less than migrating takes, during which another connection holds the lock and is idle.
        "idle_in_transaction_session_timeout = '5ms'",
        "statement_timeout = '300ms'",
        "lock_timeout = '300ms'",
    ] {
        database.execute(&format!("ALTER DATABASE {} SET {setting}", database.name()));
    }
    drop(open(&database));
    let mut running = import(&database, ImportMode::AllOrNothing);
    running.load(&[incoming("a", "b")]).unwrap();
    // It is idle in its transaction for longer than the role may be.
    std::thread::sleep(Duration::from_millis(100));
    running.finish().unwrap();
}

cases! {
    both: [a_list_is_complete_until_a_moment_ago]
    sqlite: [a_writer_of_another_process_holds_the_moment_back]
    postgres: [
        a_transaction_that_takes_long_holds_the_moment_back,
        a_write_that_arrives_late_takes_a_later_time,
        an_import_holds_the_moment_back_until_it_ends,
        an_import_of_one_transaction_does_not_stop_creates,
        an_import_changes_customers_that_others_change,
        migrations_and_imports_do_without_limits_of_the_role,
    ]
}
