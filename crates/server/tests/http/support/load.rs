//! Clients that create customers, each one after the other, until they are told to stop.

use std::collections::HashSet;
use std::ops::AddAssign;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::client::Client;
use super::until;
use crate::database::TestDatabase;

/// Creates under way. Each has a name of its own, and every other one brings it as its account.
pub struct Load {
    clients: JoinSet<Outcome>,
    progress: Arc<Progress>,
}

#[derive(Default)]
struct Progress {
    is_over: AtomicBool,
    created: AtomicUsize,
    refused: AtomicUsize,
}

/// What came of the creates.
#[derive(Default)]
pub struct Outcome {
    /// The customers that were answered.
    pub created: Vec<Value>,
    /// How many were answered with 503. Nothing else is answered.
    pub refused: usize,
    /// How many were not answered at all.
    pub unanswered: usize,
}

impl AddAssign for Outcome {
    fn add_assign(&mut self, more: Self) {
        self.created.extend(more.created);
        self.refused += more.refused;
        self.unanswered += more.unanswered;
    }
}

impl Load {
    /// Starts so many clients of a server.
    pub fn start(client: &Client, clients: usize) -> Self {
        // Names must differ from those of any other load.
        static LOADS: AtomicU32 = AtomicU32::new(1);
        let load = LOADS.fetch_add(1, Ordering::Relaxed);
        let mut started = Self { clients: JoinSet::new(), progress: Arc::default() };
        for number in 0..clients {
            let name = format!("load {load} client {number}");
            started.clients.spawn(create_on(client.clone(), name, started.progress.clone()));
        }
        started
    }

    /// Waits until so many more customers are created.
    pub async fn until_created(&self, more: usize) {
        until_more(&self.progress.created, more, "creates").await;
    }

    /// Waits until so many more creates are refused.
    pub async fn until_refused(&self, more: usize) {
        until_more(&self.progress.refused, more, "refusals").await;
    }

    /// Lets each client finish what it is at.
    pub async fn stop(self) -> Outcome {
        self.progress.is_over.store(true, Ordering::Relaxed);
        let mut all = Outcome::default();
        for outcome in self.clients.join_all().await {
            all += outcome;
        }
        all
    }
}

async fn until_more(count: &AtomicUsize, more: usize, what: &str) {
    let goal = count.load(Ordering::Relaxed) + more;
    until(&format!("{more} {what}"), async || count.load(Ordering::Relaxed) >= goal).await;
}

async fn create_on(client: Client, name: String, progress: Arc<Progress>) -> Outcome {
    let mut outcome = Outcome::default();
    let mut number = 0;
    while !progress.is_over.load(Ordering::Relaxed) {
        number += 1;
        let name = format!("{name} create {number}");
        let body = match number % 2 {
            0 => json!({ "name": name }),
            _ => json!({ "name": name, "customerAccount": name }),
        };
        match client.post("/api/v1/customers").json(&body).attempt().await {
            Ok(answer) if answer.status == 201 => {
                let customer = answer.json();
                assert_eq!(customer["name"], name);
                outcome.created.push(customer);
                progress.created.fetch_add(1, Ordering::Relaxed);
            }
            Ok(answer) => {
                // The client has held it against the document, Retry-After included.
                answer.expect(503);
                outcome.refused += 1;
                progress.refused.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            // The server is gone: nobody was told anything.
            Err(_) => {
                outcome.unanswered += 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
    outcome
}

/// Panics unless each of the customers that were answered is found, as it was, by its id and by its
/// account.
pub async fn assert_found(client: &Client, created: &[Value]) {
    let mut finds = JoinSet::new();
    for part in created.chunks(created.len().div_ceil(8).max(1)) {
        let (client, part) = (client.clone(), part.to_vec());
        finds.spawn(async move {
            for customer in part {
                let account = customer["customerAccount"].as_str().expect("an account");
                for target in [
                    format!("/api/v1/customers/{}", customer["id"]),
                    format!("/api/v1/customerAccounts/{}", super::encode(account)),
                ] {
                    assert_eq!(client.get(&target).await.expect(200), customer);
                }
            }
        });
    }
    finds.join_all().await;
}

/// Panics unless the database holds each of the customers that were answered, once, and none twice
/// of those that nobody was told of.
pub fn assert_kept_once(database: &TestDatabase, created: &[Value]) {
    let doubled = "SELECT name AS value FROM customers GROUP BY name HAVING count(*) > 1";
    assert_eq!(database.values(doubled), [""; 0]);
    let ids: HashSet<_> = created.iter().map(|customer| customer["id"].as_i64()).collect();
    assert_eq!(ids.len(), created.len(), "an id was given twice");
    let rows = "SELECT CAST(id AS TEXT) || ' ' || customer_account || ' ' || name AS value
                FROM customers";
    let rows: HashSet<_> = database.values(rows).into_iter().collect();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let missing: Vec<_> = created
        .iter()
        .map(|customer| {
            let [account, name] = ["customerAccount", "name"].map(|key| text(&customer[key]));
            format!("{} {account} {name}", customer["id"])
        })
        .filter(|row| !rows.contains(row))
        .collect();
    assert!(missing.is_empty(), "of {} answered are missing: {missing:#?}", created.len());
}

/// Panics unless SQLite finds the file sound.
pub fn assert_sound(database: &TestDatabase) {
    let check = "SELECT integrity_check AS value FROM pragma_integrity_check";
    assert_eq!(database.values(check), ["ok"]);
}
