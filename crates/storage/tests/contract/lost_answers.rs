//! PostgreSQL commits, and the connection breaks before that is told: what is done again must not be
//! done twice.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use customers_domain::password::PasswordHash;
use customers_domain::token::{AddTokenError, Scope, TokenDigest};
use customers_domain::user::{AddUserError, EmailKey, NewLogin, NewUser};
use customers_domain::{
    CustomerAccount, CustomerId, ERASED_NAME, Idempotency, Outcome, Precondition, Revisions,
    Timestamp, Value, Write as Change,
};

use tokio::runtime::Handle;

use crate::Create as _;
use crate::database::TestDatabase;
use crate::living::changes;
use crate::{at, named, open, token, try_open, with_account, write};

async fn a_create_whose_answer_is_lost_is_done_once(database: TestDatabase) {
    let proxy = Proxy::start(&database.url());
    let store = try_open(&proxy.url).unwrap();
    store.create(named("Aurora")).await.unwrap();
    for new in [named("automatic"), with_account("by hand")] {
        proxy.lose("SELECT 1");
        let created = store.create(new.clone()).await.unwrap();
        proxy.assert_lost();
        assert_eq!(created.details.name, new.details.name);
        assert_eq!(store.customers.find(created.id).await.unwrap(), Some(created));
        assert_eq!(database.count(&format!("customers WHERE name = '{}'", new.details.name)), 1);
    }
    assert_eq!(database.count("customers"), 3);
}

/// The connection breaks before the server has read the INSERT, and the id goes to another customer.
async fn a_create_that_did_not_leave_is_not_taken_for_a_stranger(database: TestDatabase) {
    let proxy = Proxy::start(&database.url());
    let store = try_open(&proxy.url).unwrap();
    let first = store.create(named("Aurora")).await.unwrap();
    let mut connection = database.connect();
    proxy.cut(Side::Store, "Zenobia", 0, move || connection.execute(STRANGER));
    let created = store.create(named("Zenobia")).await.unwrap();
    proxy.assert_lost();
    assert_eq!(created.details.name, "Zenobia");
    assert!(created.id.get() > first.id.get() + 1);
    assert_eq!(store.customers.find(created.id).await.unwrap(), Some(created));
    assert_eq!(database.values("SELECT name AS value FROM customers WHERE id = 2"), ["Stranger"]);
    assert_eq!(database.count("customers"), 3);
}

/// What an import does: customer 2, of the same request as every other here.
const STRANGER: &str = "
    CREATE TEMPORARY TABLE stranger AS SELECT * FROM customers WHERE id = 1;
    UPDATE stranger SET id = 2, customer_account = 's', account_key = 's', name = 'Stranger';
    INSERT INTO customers SELECT * FROM stranger;
    INSERT INTO customer_history (customer_id, at, actor, action, request_id, changes)
        SELECT 2, at + 1, actor, action, request_id, changes FROM customer_history;";

async fn an_upsert_whose_answer_is_lost_has_created(database: TestDatabase) {
    let proxy = Proxy::start(&database.url());
    let store = try_open(&proxy.url).unwrap();
    store.create(named("Aurora")).await.unwrap();
    let account = CustomerAccount::new("ACME").unwrap();
    let named = changes(&[("name", Value::Text("Zenobia".into()))]);
    // "If-None-Match: *"
    let precondition = Precondition { excluded: Some(Revisions::Any), ..Default::default() };
    proxy.lose("SELECT 1");
    let create = Change { precondition, ..write() };
    let (created, is_new) = store.customers.upsert(account.clone(), named, create).await.unwrap();
    proxy.assert_lost();
    assert!(is_new);
    assert_eq!(store.customers.find(created.id).await.unwrap().as_ref(), Some(&created));

    let renamed = changes(&[("name", Value::Text("Wyverna".into()))]);
    // "If-Match"
    let precondition = at(created.revision());
    // The first is the customer as it is read.
    proxy.cut(Side::Server, "SELECT 1", 1, || {});
    let change = Change { precondition, ..write() };
    let (changed, is_new) = store.customers.upsert(account, renamed, change).await.unwrap();
    proxy.assert_lost();
    assert!(!is_new);
    assert_eq!(store.customers.find(created.id).await.unwrap(), Some(changed));
    assert_eq!(database.count("customer_history"), 3);
}

/// The customer is erased between the commit and the next attempt.
async fn an_update_whose_answer_is_lost_leaves_an_erased_customer_alone(database: TestDatabase) {
    let proxy = Proxy::start(&database.url());
    let store = try_open(&proxy.url).unwrap();
    let id = store.create(named("Aurora")).await.unwrap().id;
    let (beside, runtime) = (open(&database), Handle::current());
    proxy.cut(Side::Server, "SELECT 1", 1, move || {
        runtime.block_on(beside.customers.erase(id, write())).unwrap();
    });
    let renamed = changes(&[("name", Value::Text("Zenobia".into()))]);
    let answered = store.customers.update(id, renamed, write()).await.unwrap();
    proxy.assert_lost();
    assert_eq!(answered.details.name, "Zenobia");
    let actions = "SELECT action AS value FROM customer_history ORDER BY id";
    assert_eq!(database.values(actions), ["created", "updated", "erased"]);
    assert_eq!(store.customers.find(id).await.unwrap().unwrap().details.name, ERASED_NAME);
}

/// A create with a key whose customer is erased before the next attempt keeps no answer.
async fn a_create_whose_answer_is_lost_keeps_nothing_of_an_erased_customer(database: TestDatabase) {
    let proxy = Proxy::start(&database.url());
    let store = try_open(&proxy.url).unwrap();
    store.create(named("Aurora")).await.unwrap();
    let (beside, runtime) = (open(&database), Handle::current());
    proxy.cut(Side::Server, "COMMIT", 0, move || {
        let id = CustomerId::new(2).unwrap();
        runtime.block_on(beside.customers.erase(id, write())).unwrap();
    });
    let idempotency = Idempotency { key: [1; 32], fingerprint: [2; 32] };
    let keyed = Change { idempotency: Some(idempotency), ..write() };
    let written = store.customers.create(named("Zenobia"), keyed).await.unwrap();
    proxy.assert_lost();
    assert!(matches!(written, Outcome::Applied(customer) if customer.details.name == "Zenobia"));
    assert_eq!(database.count("customers"), 2);
    assert_eq!(database.count("idempotency_keys"), 0);
}

async fn a_deletion_whose_answer_is_lost_is_done_once(database: TestDatabase) {
    let proxy = Proxy::start(&database.url());
    let store = try_open(&proxy.url).unwrap();
    let id = store.create(named("Aurora")).await.unwrap().id;
    proxy.cut(Side::Server, "SELECT 1", 1, || {});
    store.customers.delete(id, write()).await.unwrap();
    proxy.assert_lost();
    assert_eq!(database.count("customer_history"), 2);
    proxy.lose("COMMIT");
    let (_, is_new) = store.customers.erase(id, write()).await.unwrap();
    proxy.assert_lost();
    assert!(is_new);
    assert_eq!(database.count("customer_history"), 3);
}

/// Another token gets the name of the one that was revoked, before the next attempt.
async fn a_revocation_whose_answer_is_lost_spares_the_next_token(database: TestDatabase) {
    let proxy = Proxy::start(&database.url());
    let store = try_open(&proxy.url).unwrap();
    store.tokens.add(token("erp", 1)).await.unwrap();
    let (beside, runtime) = (open(&database), Handle::current());
    proxy.cut(Side::Server, "UPDATE 1", 0, move || {
        runtime.block_on(beside.tokens.add(token("erp", 2))).unwrap();
    });
    assert!(store.tokens.revoke(&"erp".parse().unwrap()).await.unwrap());
    proxy.assert_lost();
    assert!(store.tokens.find_by_digest(&TokenDigest([1; 32])).await.unwrap().is_none());
    assert!(store.tokens.find_by_digest(&TokenDigest([2; 32])).await.unwrap().is_some());
}

async fn a_search_whose_answer_is_lost_is_done_again(database: TestDatabase) {
    let proxy = Proxy::start(&database.url());
    let store = try_open(&proxy.url).unwrap();
    let created = store.create(with_account("Aurora")).await.unwrap();
    for _ in 0..3 {
        proxy.lose("SELECT 1");
        assert_eq!(store.customers.find(created.id).await.unwrap().as_ref(), Some(&created));
        proxy.assert_lost();
    }
}

async fn a_token_whose_answer_is_lost_is_added(database: TestDatabase) {
    let proxy = Proxy::start(&database.url());
    let store = try_open(&proxy.url).unwrap();
    for (number, answer) in (0..).zip(["BEGIN", "UPDATE 0", "INSERT 0 1", "COMMIT"]) {
        let new = token(answer, number);
        proxy.lose(answer);
        store.tokens.add(new.clone()).await.unwrap();
        proxy.assert_lost();
        assert!(store.tokens.find_by_digest(&new.digest).await.unwrap().is_some());
        // That makes no room for others.
        let refused = store.tokens.add(token(answer, number + 100)).await;
        assert!(matches!(refused, Err(AddTokenError::NameTaken)), "{refused:?}");
    }
}

async fn a_user_whose_answer_is_lost_is_added(database: TestDatabase) {
    let proxy = Proxy::start(&database.url());
    let store = try_open(&proxy.url).unwrap();
    let user = |hash: &str| NewUser {
        email: "zoe@example.com".parse().unwrap(),
        name: "Zoe".parse().unwrap(),
        scope: Scope::Write,
        password: PasswordHash::new(hash.to_owned()),
    };
    store.users.list().await.unwrap();
    proxy.lose("INSERT 0 1");
    store.users.add(user("hash")).await.unwrap();
    proxy.assert_lost();
    let refused = store.users.add(user("another hash")).await;
    assert!(matches!(refused, Err(AddUserError::EmailTaken)), "{refused:?}");

    let key = EmailKey::of("zoe@example.com").unwrap();
    let (zoe, password) = store.users.find_by_email(&key).await.unwrap().unwrap();
    for (number, answer) in (0..).zip(["BEGIN", "SELECT 1", "INSERT 0 1", "COMMIT"]) {
        let digest = TokenDigest([number; 32]);
        let expires_at = Timestamp::now();
        let login = NewLogin { user: zoe.id, password: password.clone(), digest, expires_at };
        proxy.lose(answer);
        assert!(store.users.log_in(login).await.unwrap());
        proxy.assert_lost();
        assert!(store.tokens.find_by_digest(&digest).await.unwrap().is_some());
    }
}

cases! {
    both: []
    postgres: [
        a_create_whose_answer_is_lost_is_done_once,
        a_create_that_did_not_leave_is_not_taken_for_a_stranger,
        an_upsert_whose_answer_is_lost_has_created,
        an_update_whose_answer_is_lost_leaves_an_erased_customer_alone,
        a_create_whose_answer_is_lost_keeps_nothing_of_an_erased_customer,
        a_deletion_whose_answer_is_lost_is_done_once,
        a_revocation_whose_answer_is_lost_spares_the_next_token,
        a_search_whose_answer_is_lost_is_done_again,
        a_token_whose_answer_is_lost_is_added,
        a_user_whose_answer_is_lost_is_added,
    ]
}

/// Stands between the store and the server, until it is told to cut a connection.
pub struct Proxy {
    pub url: String,
    cut: Arc<Mutex<Option<Cut>>>,
}

/// When a connection is cut.
struct Cut {
    side: Side,
    /// The text that is not passed on.
    text: &'static str,
    /// How often the text is passed on before.
    passes: usize,
    /// What is done before the store notices.
    meanwhile: Box<dyn FnOnce() + Send>,
    /// Whether the text is passed on after that, and nothing cut.
    is_delay: bool,
}

/// Who says the text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Store,
    Server,
}

impl Proxy {
    pub fn start(url: &str) -> Self {
        let (login, server) = url.rsplit_once('@').unwrap();
        let (address, name) = server.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("{login}@{}/{name}", listener.local_addr().unwrap());
        let cut = Arc::default();
        let address = address.to_owned();
        let shared = Arc::clone(&cut);
        // It ends with the program.
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let server = TcpStream::connect(&address).unwrap();
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let cut = Arc::clone(&shared);
                std::thread::spawn(move || pass_on(from, to, Side::Store, &cut));
                let cut = Arc::clone(&shared);
                std::thread::spawn(move || pass_on(server, client, Side::Server, &cut));
            }
        });
        Self { url, cut }
    }

    /// Cuts the connection on which the server's next answer with this text comes.
    fn lose(&self, answer: &'static str) {
        self.cut(Side::Server, answer, 0, || {});
    }

    /// Cuts the connection on which this side says the text for the next time but so many, and does
    /// something before the store notices.
    fn cut(
        &self,
        side: Side,
        text: &'static str,
        passes: usize,
        meanwhile: impl FnOnce() + Send + 'static,
    ) {
        let cut = Cut { side, text, passes, meanwhile: Box::new(meanwhile), is_delay: false };
        *self.cut.lock().unwrap() = Some(cut);
    }

    /// Passes on what the store says next with this text after so long.
    pub fn delay(&self, text: &'static str, delay: Duration) {
        let meanwhile = Box::new(move || std::thread::sleep(delay));
        let cut = Cut { side: Side::Store, text, passes: 0, meanwhile, is_delay: true };
        *self.cut.lock().unwrap() = Some(cut);
    }

    #[track_caller]
    pub fn assert_lost(&self) {
        assert!(self.cut.lock().unwrap().is_none(), "no such text came");
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, side: Side, cut: &Mutex<Option<Cut>>) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let said = &buffer[..read];
        let mut next = cut.lock().unwrap();
        let is_said = |text: &str| said.windows(text.len()).any(|part| part == text.as_bytes());
        if let Some(cut) = next.as_mut()
            && cut.side == side
            && is_said(cut.text)
        {
            if cut.passes == 0 {
                let cut = next.take().expect("it was looked at");
                drop(next);
                (cut.meanwhile)();
                if !cut.is_delay {
                    break;
                }
            } else {
                cut.passes -= 1;
                drop(next);
            }
        } else {
            drop(next);
        }
        if to.write_all(said).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
