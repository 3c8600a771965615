//! PostgreSQL commits, and the connection breaks before that is told: what is done again must not be
//! done twice.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use customers_domain::Timestamp;
use customers_domain::password::PasswordHash;
use customers_domain::token::{AddTokenError, Scope, TokenDigest};
use customers_domain::user::{AddUserError, EmailKey, NewLogin, NewUser};

use crate::Create as _;
use crate::database::TestDatabase;
use crate::{named, token, try_open, with_account};

async fn a_create_whose_answer_is_lost_is_done_once(database: TestDatabase) {
    let proxy = Proxy::start(&database.url());
    let store = try_open(&proxy.url).unwrap();
    store.create(named("Aurora")).await.unwrap();
    for new in [named("automatic"), with_account("by hand")] {
        proxy.lose("SELECT 1");
        let created = store.create(new.clone()).await.unwrap();
        proxy.assert_lost();
        assert_eq!(created.name, new.name);
        assert_eq!(store.customers.find(created.id).await.unwrap(), Some(created));
        assert_eq!(database.count(&format!("customers WHERE name = '{}'", new.name)), 1);
    }
    assert_eq!(database.count("customers"), 3);
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
        a_search_whose_answer_is_lost_is_done_again,
        a_token_whose_answer_is_lost_is_added,
        a_user_whose_answer_is_lost_is_added,
    ]
}

/// Stands between the store and the server, until it is told to lose an answer.
struct Proxy {
    url: String,
    losing: Arc<Mutex<Option<&'static str>>>,
}

impl Proxy {
    fn start(url: &str) -> Self {
        let (login, server) = url.rsplit_once('@').unwrap();
        let (address, name) = server.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("{login}@{}/{name}", listener.local_addr().unwrap());
        let losing = Arc::new(Mutex::new(None));
        let address = address.to_owned();
        let shared = losing.clone();
        // It ends with the program.
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let server = TcpStream::connect(&address).unwrap();
                let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Both);
                });
                let losing = shared.clone();
                std::thread::spawn(move || pass_on(server, client, &losing));
            }
        });
        Self { url, losing }
    }

    /// Cuts the connection on which the server's next answer with this text comes.
    fn lose(&self, answer: &'static str) {
        *self.losing.lock().unwrap() = Some(answer);
    }

    #[track_caller]
    fn assert_lost(&self) {
        assert_eq!(*self.losing.lock().unwrap(), None, "no such answer came");
    }
}

fn pass_on(mut server: TcpStream, mut client: TcpStream, losing: &Mutex<Option<&'static str>>) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read @ 1..) = server.read(&mut buffer) {
        let answer = &buffer[..read];
        let mut losing = losing.lock().unwrap();
        let is_lost = |text: &str| answer.windows(text.len()).any(|part| part == text.as_bytes());
        if losing.is_some_and(is_lost) {
            *losing = None;
            break;
        }
        drop(losing);
        if client.write_all(answer).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}
