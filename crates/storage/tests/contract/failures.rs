//! What is told when the database is busy, away or broken, and that it passes.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use customers_domain::WriteError;
use futures_util::future::join_all;

use crate::Create as _;
use crate::database::TestDatabase;
use crate::{assert_internal, assert_unavailable, key, named, open, token, with_account};

async fn a_missing_column_is_an_internal_error(database: TestDatabase) {
    let store = open(&database);
    let created = store.create(with_account("a")).await.unwrap();
    // Statements that are prepared already fail too, also in the next transaction.
    store.customers.find(created.id).await.unwrap();
    database.execute("ALTER TABLE customers DROP COLUMN website");
    for _ in 0..2 {
        assert_internal(store.customers.find(created.id).await);
        assert_internal(store.customers.find_by_account(&key("a")).await);
        assert_internal(store.create(named("Aurora")).await);
    }
    assert_eq!(database.count("customers"), 1);
}

async fn a_row_that_makes_no_sense_is_an_internal_error(database: TestDatabase) {
    let store = open(&database);
    let created = store.create(named("Aurora")).await.unwrap();
    database.execute("UPDATE customers SET customer_account = '..'");
    assert_internal(store.customers.find(created.id).await);
    store.customers.ready().await.unwrap();
}

async fn writes_fail_one_by_one_when_their_transaction_fails(database: TestDatabase) {
    let store = open(&database);
    // One customer that the database itself does not want.
    database.execute(if database.url().starts_with("sqlite:") {
        "CREATE TRIGGER unwanted BEFORE INSERT ON customers WHEN NEW.name = 'unwanted'
         BEGIN SELECT RAISE(ROLLBACK, 'unwanted'); END"
    } else {
        "ALTER TABLE customers ADD CHECK (name <> 'unwanted')"
    });
    let creates = (0..60).map(|number| {
        let store = store.clone();
        let name = if number % 10 == 0 { "unwanted" } else { "welcome" };
        tokio::spawn(async move { store.create(named(name)).await })
    });
    for (number, created) in join_all(creates).await.into_iter().enumerate() {
        match created.unwrap() {
            Ok(created) => {
                assert_eq!(created.details.name, "welcome");
                assert_eq!(store.customers.find(created.id).await.unwrap(), Some(created));
            }
            unwanted => {
                assert_eq!(number % 10, 0, "{unwanted:?}");
                assert_internal(unwanted);
            }
        }
    }
    assert_eq!(database.count("customers WHERE name = 'welcome'"), 54);
    assert_eq!(database.count("customers"), 54);
}

/// SQLite rolls back by itself where a page cannot be read or written; what is told is still the
/// reason.
async fn a_failure_that_ends_the_transaction_is_told_as_it_is(database: TestDatabase) {
    let store = open(&database);
    database.execute(
        "CREATE TRIGGER broken BEFORE INSERT ON customers WHEN NEW.name = 'broken'
         BEGIN SELECT RAISE(ROLLBACK, 'disk I/O error'); END",
    );
    for _ in 0..3 {
        let creates = ["broken", "welcome", "broken"].map(|name| store.create(named(name)));
        for (name, created) in ["broken", "welcome", "broken"].iter().zip(join_all(creates).await) {
            match *name {
                "broken" => assert_unavailable(created),
                _ => assert!(created.is_ok(), "{created:?}"),
            }
        }
    }
    assert_eq!(database.count("customers"), 3);
}

async fn a_short_lock_is_waited_for(database: TestDatabase) {
    let store = open(&database);
    let mut other = database.connect();
    other.execute("BEGIN IMMEDIATE");
    let creates = (0..10).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.create(named("Aurora")).await })
    });
    let creates: Vec<_> = creates.collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(creates.iter().all(|create| !create.is_finished()));
    other.execute("COMMIT");
    for created in join_all(creates).await {
        created.unwrap().unwrap();
    }
}

/// However many wait, the last of them need not wait for the lock in turn.
async fn a_long_lock_makes_writes_unavailable_and_no_reads(database: TestDatabase) {
    let store = open(&database);
    let created = store.create(named("Aurora")).await.unwrap();
    let mut other = database.connect();
    other.execute("BEGIN IMMEDIATE");
    let started = Instant::now();
    let creates = (0..1400).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            let created = store.create(named("Locked out")).await;
            (started.elapsed(), created)
        })
    });
    let creates: Vec<_> = creates.collect();
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let asked = Instant::now();
        let found = store.customers.find(created.id).await.unwrap();
        assert_eq!(found.as_ref(), Some(&created));
        store.customers.ready().await.unwrap();
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    }
    // What does not fit into the queue is refused at once.
    let refused = creates.iter().filter(|create| create.is_finished()).count();
    assert!((1..1400).contains(&refused), "{refused}");
    for (waited, created) in join_all(creates).await.into_iter().map(Result::unwrap) {
        assert_unavailable(created);
        assert!(waited < Duration::from_secs(9), "{waited:?}");
    }
    assert!(started.elapsed() >= Duration::from_secs(5), "{:?}", started.elapsed());
    other.execute("COMMIT");
    store.create(named("Welcome")).await.unwrap();
    assert_eq!(database.count("customers"), 2);
}

async fn lost_connections_are_replaced(database: TestDatabase) {
    let store = open(&database);
    let created = store.create(named("Aurora")).await.unwrap();
    store.tokens.add(token("ERP", 0)).await.unwrap();
    for round in 1..=5 {
        // All connections of the pool are open when they are cut.
        let finds = (0..50).map(|_| store.customers.find(created.id));
        assert!(join_all(finds).await.into_iter().all(|found| found.unwrap().is_some()));

        database.end_connections();
        store.customers.ready().await.unwrap();
        database.end_connections();
        assert_eq!(store.customers.find(created.id).await.unwrap().as_ref(), Some(&created));
        database.end_connections();
        store.create(named(&format!("of round {round}"))).await.unwrap();
        database.end_connections();
        let found = store.customers.find_by_account(&created.account.key()).await;
        assert_eq!(found.unwrap().as_ref(), Some(&created));
        database.end_connections();
        store.tokens.add(token(&format!("of round {round}"), round)).await.unwrap();
        database.end_connections();
        assert!(store.tokens.revoke(&format!("of round {round}").parse().unwrap()).await.unwrap());
    }
    for round in 1..=5 {
        assert_eq!(database.count(&format!("customers WHERE name = 'of round {round}'")), 1);
    }
}

async fn creates_survive_connections_that_are_lost_under_them(database: TestDatabase) {
    let store = open(&database);
    let creates = (0..4).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            let started = Instant::now();
            let mut results = Vec::new();
            while started.elapsed() < Duration::from_secs(2) {
                let name = format!("{writer} {}", results.len());
                // Every other one with an account, which it could take from itself.
                let new = if results.len() % 2 == 0 { with_account(&name) } else { named(&name) };
                results.push((name, store.create(new).await));
            }
            results
        })
    });
    let creates: Vec<_> = creates.collect();
    while !creates.iter().all(|create| create.is_finished()) {
        tokio::time::sleep(Duration::from_millis(15)).await;
        database.end_connections();
    }
    let names = database.values("SELECT name AS value FROM customers");
    let mut rows = HashMap::new();
    names.into_iter().for_each(|name| *rows.entry(name).or_insert(0) += 1);
    let mut done = 0;
    for (name, created) in join_all(creates).await.into_iter().flat_map(Result::unwrap) {
        match created {
            Ok(created) => {
                assert_eq!(rows[&name], 1, "{name}");
                assert_eq!(store.customers.find(created.id).await.unwrap(), Some(created));
                done += 1;
            }
            unavailable => {
                assert!(rows.get(&name).is_none_or(|rows| *rows == 1), "{name}");
                assert_unavailable(unavailable);
            }
        }
    }
    assert!(done > 20, "{done} creates");
}

async fn a_database_that_is_away_is_unavailable_until_it_is_back(database: TestDatabase) {
    let store = open(&database);
    let created = store.create(named("Aurora")).await.unwrap();
    database.allow_connections(false);
    database.end_connections();
    let (ready, find, create, add) = tokio::join!(
        store.customers.ready(),
        store.customers.find(created.id),
        store.create(named("Away")),
        store.tokens.add(token("ERP", 1)),
    );
    assert_unavailable(ready);
    assert_unavailable(find);
    assert_unavailable(create);
    assert!(add.is_err());
    database.allow_connections(true);
    assert_eq!(store.customers.find(created.id).await.unwrap(), Some(created));
    store.create(named("Back")).await.unwrap();
    assert_eq!(database.count("customers"), 2);
}

/// As a server is that has just become a standby: a connection to its successor would do.
async fn a_database_that_takes_no_writes_is_unavailable_to_them(database: TestDatabase) {
    let store = open(&database);
    let created = store.create(named("Aurora")).await.unwrap();
    let name = database.values("SELECT CAST(current_database() AS TEXT) AS value").remove(0);
    database.execute(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on"));
    database.end_connections();
    let sessions = || -> i64 {
        let sessions = "SELECT CAST(sessions AS TEXT) AS value FROM pg_stat_database
                        WHERE datname = current_database()";
        database.values(sessions)[0].parse().unwrap()
    };
    let before = sessions();
    assert_unavailable(store.create(named("Lost")).await);
    let opened = sessions() - before;
    assert!((2..100).contains(&opened), "{opened} connections for one request");
    assert_eq!(store.customers.find(created.id).await.unwrap(), Some(created));
    store.customers.ready().await.unwrap();
    let mut other = database.connect();
    other.execute("SET default_transaction_read_only = off");
    other.execute(&format!("ALTER DATABASE {name} RESET default_transaction_read_only"));
    database.end_connections();
    store.create(named("Back")).await.unwrap();
}

/// Three of four connections are for what is no read of one customer. That they hang is not waited for
/// without end, and holds up no such read.
async fn no_free_connection_is_unavailable(database: TestDatabase) {
    let store = open(&database);
    let created = store.create(named("Aurora")).await.unwrap();
    let mut other = database.connect();
    other.execute("BEGIN; LOCK TABLE customers, customer_history IN ACCESS EXCLUSIVE MODE");
    let hanging = (0..4).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.customers.find(created.id).await })
    });
    let hanging: Vec<_> = hanging.collect();
    let others = (0..3).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.customers.history(created.id, None, 1).await })
    });
    let others: Vec<_> = others.collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let creates = (0..1200).map(|_| store.create(named("No room")));
    let started = Instant::now();
    for created in join_all(creates).await {
        assert_unavailable(created);
    }
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    other.execute("COMMIT");
    for found in join_all(hanging).await {
        assert_eq!(found.unwrap().unwrap().as_ref(), Some(&created));
    }
    for found in join_all(others).await {
        assert_eq!(found.unwrap().unwrap().map(|entries| entries.len()), Some(1));
    }
    store.create(named("Room again")).await.unwrap();
    assert_eq!(database.count("customers"), 2);
}

/// 40001 and 40P01 are what a server says of transactions that stood in each other's way.
async fn a_conflict_with_another_transaction_is_tried_again(database: TestDatabase) {
    let store = open(&database);
    let taken = store.create(with_account("taken")).await.unwrap();
    for state in ["40001", "40P01"] {
        // The sequence remembers across the failed transactions how often that was said.
        database.execute(&format!(
            "CREATE SEQUENCE said;
             CREATE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF nextval('said') <= 3 THEN
                     RAISE EXCEPTION USING ERRCODE = '{state}', MESSAGE = 'deadlock detected';
                 END IF;
                 RETURN NEW;
             END $$;
             CREATE TRIGGER conflict BEFORE INSERT ON customers
                 FOR EACH ROW EXECUTE FUNCTION conflict();
             CREATE TRIGGER conflict BEFORE INSERT ON tokens
                 FOR EACH ROW EXECUTE FUNCTION conflict();"
        ));
        store.create(named(state)).await.unwrap();
        database.execute("ALTER SEQUENCE said RESTART");
        store.tokens.add(token(state, state.len() as u8 + state.as_bytes()[2])).await.unwrap();
        database.execute("ALTER SEQUENCE said RESTART");
        match store.create(with_account("TAKEN")).await {
            Err(WriteError::AccountTaken { id, .. }) => assert_eq!(id, taken.id),
            other => panic!("{other:?}"),
        }
        assert_eq!(database.count(&format!("customers WHERE name = '{state}'")), 1);
        database.execute("DROP FUNCTION conflict CASCADE; DROP SEQUENCE said");
    }
}

cases! {
    both: [
        a_missing_column_is_an_internal_error,
        a_row_that_makes_no_sense_is_an_internal_error,
        writes_fail_one_by_one_when_their_transaction_fails,
    ]
    sqlite: [
        a_failure_that_ends_the_transaction_is_told_as_it_is,
        a_short_lock_is_waited_for,
        a_long_lock_makes_writes_unavailable_and_no_reads,
    ]
    postgres: [
        lost_connections_are_replaced,
        creates_survive_connections_that_are_lost_under_them,
        a_database_that_is_away_is_unavailable_until_it_is_back,
        a_database_that_takes_no_writes_is_unavailable_to_them,
        no_free_connection_is_unavailable,
        a_conflict_with_another_transaction_is_tried_again,
    ]
}
