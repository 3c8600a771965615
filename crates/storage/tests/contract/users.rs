//! Users log in until they are disabled or get another password, in every process.

use std::time::Duration;

use customers_domain::Timestamp;
use customers_domain::password::PasswordHash;
use customers_domain::token::{NewToken, Scope, TokenDigest};
use customers_domain::user::{AddUserError, EmailKey, NewLogin, NewUser, User, UserId};
use customers_storage::Store;
use futures_util::future::join_all;

use crate::database::TestDatabase;
use crate::{open, token};

async fn an_added_user_is_found_by_the_address_in_any_case(database: TestDatabase) {
    let store = open(&database);
    let before = Timestamp::now();
    let new = NewUser { scope: Scope::Read, ..user("Zoe.Martin@Example.com") };
    store.users.add(new.clone()).await.unwrap();
    store.users.add(user("bob@example.com")).await.unwrap();

    // By another process too.
    for store in [&store, &open(&database)] {
        let found = store.users.find_by_email(&key(" zoe.martin@EXAMPLE.com")).await.unwrap();
        let (found, password) = found.unwrap();
        assert!((before..=Timestamp::now()).contains(&found.created_at));
        let expected = User {
            id: found.id,
            email: new.email.clone(),
            name: new.name.clone(),
            scope: Scope::Read,
            created_at: found.created_at,
            disabled_at: None,
        };
        assert_eq!((found, password), (expected, new.password.clone()));
        let (bob, _) = find(store, "bob@example.com").await;
        assert_eq!(bob.scope, Scope::Write);
        for nobody in ["bob", "bob@example.co", "% ☎️ 'x'"] {
            assert_eq!(store.users.find_by_email(&key(nobody)).await.unwrap(), None);
        }
    }
}

async fn of_parallel_users_of_one_address_one_is_added(database: TestDatabase) {
    let stores = [open(&database), open(&database)];
    let adds = (0..20).map(|number| {
        let users = stores[number % 2].users.clone();
        let address = if number % 3 == 0 { "ZOE@example.com" } else { "zoe@example.com" };
        let password = hash(&format!("hash {number}"));
        tokio::spawn(async move { users.add(NewUser { password, ..user(address) }).await })
    });
    let added: Vec<_> = join_all(adds).await.into_iter().map(Result::unwrap).collect();
    for refused in added.iter().filter(|added| added.is_err()) {
        assert!(matches!(refused, Err(AddUserError::EmailTaken)), "{refused:?}");
    }
    assert_eq!(added.iter().filter(|added| added.is_ok()).count(), 1);
    let winner = added.iter().position(Result::is_ok).unwrap();
    let (_, password) = find(&stores[0], "zoe@example.com").await;
    assert_eq!(password, hash(&format!("hash {winner}")));
    assert_eq!(database.count("users"), 1);
}

async fn users_are_listed_by_address(database: TestDatabase) {
    let store = open(&database);
    assert_eq!(store.users.list().await.unwrap(), []);
    for address in ["b@example.com", "Z@example.com", "_@example.com", "A@example.com"] {
        store.users.add(user(address)).await.unwrap();
    }
    assert!(store.users.disable(&key("B@example.com")).await.unwrap());
    let listed = store.users.list().await.unwrap();
    let listed: Vec<_> =
        listed.iter().map(|user| (user.email.as_str(), user.disabled_at.is_some())).collect();
    // By code point of the folded address: the same on every database.
    let expected = [
        ("_@example.com", false),
        ("A@example.com", false),
        ("b@example.com", true),
        ("Z@example.com", false),
    ];
    assert_eq!(listed, expected);
}

async fn a_login_makes_a_token_of_the_user(database: TestDatabase) {
    let store = open(&database);
    let new = NewUser { scope: Scope::Read, ..user("zoe@example.com") };
    store.users.add(new.clone()).await.unwrap();
    let (zoe, _) = find(&store, "zoe@example.com").await;
    let login = NewLogin { expires_at: in_a_minute(), ..login(zoe.id, 1) };
    let before = Timestamp::now();
    assert!(store.users.log_in(login.clone()).await.unwrap());

    for store in [&store, &open(&database)] {
        let found = store.tokens.find_by_digest(&digest(1)).await.unwrap().unwrap();
        assert_eq!((found.name, found.user), (new.name.clone(), Some(zoe.id)));
        assert_eq!((found.scope, found.expires_at), (Scope::Read, Some(login.expires_at)));
        assert!((before..=Timestamp::now()).contains(&found.created_at));
    }
    let now = Timestamp::now();
    store.tokens.used(&digest(1), now).await.unwrap();
    let found = store.tokens.find_by_digest(&digest(1)).await.unwrap().unwrap();
    assert_eq!(found.last_used_at, Some(now));
}

async fn tokens_of_logins_stand_in_nobodys_way(database: TestDatabase) {
    let store = open(&database);
    store.users.add(user("zoe@example.com")).await.unwrap();
    let (zoe, _) = find(&store, "zoe@example.com").await;
    for number in 1..=3 {
        assert!(store.users.log_in(login(zoe.id, number)).await.unwrap());
    }
    assert!(!store.tokens.any().await.unwrap());
    assert_eq!(store.tokens.list().await.unwrap(), []);
    assert!(!store.tokens.revoke(&zoe.name).await.unwrap());
    store.tokens.add(token(zoe.name.as_str(), 4)).await.unwrap();
    assert!(store.users.log_in(login(zoe.id, 5)).await.unwrap());
    assert_eq!(store.tokens.list().await.unwrap().len(), 1);
    assert!(store.tokens.revoke(&zoe.name).await.unwrap());
    for number in [1, 2, 3, 5] {
        assert!(lives(&store, number).await);
    }
    assert!(!lives(&store, 4).await && store.tokens.any().await.unwrap());
}

async fn a_token_is_revoked_by_its_digest(database: TestDatabase) {
    let store = open(&database);
    store.users.add(user("zoe@example.com")).await.unwrap();
    let (zoe, _) = find(&store, "zoe@example.com").await;
    for number in 1..=2 {
        assert!(store.users.log_in(login(zoe.id, number)).await.unwrap());
        store.tokens.add(token(&format!("ERP {number}"), number + 10)).await.unwrap();
    }
    for number in [1, 11, 1, 11, 99] {
        store.tokens.revoke_by_digest(&digest(number)).await.unwrap();
    }
    for (number, expected) in [(1, false), (2, true), (11, false), (12, true)] {
        assert_eq!(lives(&store, number).await, expected, "{number}");
        assert_eq!(lives(&open(&database), number).await, expected, "{number}");
    }
    // Its name is free.
    store.tokens.add(token("ERP 1", 13)).await.unwrap();
}

async fn another_password_revokes_the_tokens_of_the_user(database: TestDatabase) {
    let [store, other] = [open(&database), open(&database)];
    let (zoe, bob) = two_users_who_are_logged_in(&store).await;
    assert!(other.users.set_password(&key("Zoe@example.com"), hash("new")).await.unwrap());
    assert!(!lives(&store, 1).await && !lives(&store, 2).await && lives(&store, 3).await);
    assert_eq!(find(&store, "zoe@example.com").await, (zoe.clone(), hash("new")));
    assert_eq!(find(&store, "bob@example.com").await, (bob, hash("hash")));

    // Who has shown the old one meanwhile is too late.
    assert!(!store.users.log_in(login(zoe.id, 4)).await.unwrap());
    assert!(!lives(&store, 4).await);
    let login = NewLogin { password: hash("new"), ..login(zoe.id, 5) };
    assert!(store.users.log_in(login).await.unwrap() && lives(&store, 5).await);
    assert!(!store.users.set_password(&key("nobody"), hash("new")).await.unwrap());
}

async fn who_is_disabled_has_no_token_and_gets_none(database: TestDatabase) {
    let [store, other] = [open(&database), open(&database)];
    let (zoe, bob) = two_users_who_are_logged_in(&store).await;
    let before = Timestamp::now();
    assert!(other.users.disable(&key("ZOE@example.com")).await.unwrap());
    assert!(!lives(&store, 1).await && !lives(&store, 2).await && lives(&store, 3).await);
    let (disabled, _) = find(&store, "zoe@example.com").await;
    assert!(disabled.disabled_at.is_some_and(|at| (before..=Timestamp::now()).contains(&at)));
    assert_eq!(find(&store, "bob@example.com").await.0, bob);
    assert!(!store.users.log_in(login(zoe.id, 4)).await.unwrap());
    let taken = store.users.add(user("zoe@example.com")).await;
    assert!(matches!(taken, Err(AddUserError::EmailTaken)), "{taken:?}");

    // Another password does not change that.
    assert!(other.users.set_password(&key("zoe@example.com"), hash("new")).await.unwrap());
    let login = NewLogin { password: hash("new"), ..login(zoe.id, 5) };
    assert!(!store.users.log_in(login.clone()).await.unwrap());
    assert!(store.users.disable(&key("zoe@example.com")).await.unwrap());
    assert!(store.users.enable(&key("zoe@example.com")).await.unwrap());
    assert!(store.users.log_in(login).await.unwrap());
    assert!(!lives(&store, 1).await);
    assert_eq!(find(&store, "zoe@example.com").await.0, zoe);
    assert!(!store.users.disable(&key("nobody")).await.unwrap());
    assert!(!store.users.enable(&key("nobody")).await.unwrap());
}

async fn no_login_slips_past_a_change_of_the_password(database: TestDatabase) {
    let stores = [open(&database), open(&database)];
    stores[0].users.add(user("zoe@example.com")).await.unwrap();
    let (zoe, _) = find(&stores[0], "zoe@example.com").await;
    for round in 0..5_u8 {
        let old = find(&stores[0], "zoe@example.com").await.1;
        let logins = (0..30).map(|number| {
            let users = stores[usize::from(number % 2)].users.clone();
            let login = NewLogin { password: old.clone(), ..login(zoe.id, round * 30 + number) };
            tokio::spawn(async move { users.log_in(login).await.unwrap() })
        });
        let logins: Vec<_> = logins.collect();
        let users = stores[1].users.clone();
        let new = hash(&format!("new {round}"));
        let change = tokio::spawn(async move {
            if round % 2 == 0 {
                users.set_password(&key("zoe@example.com"), new).await.unwrap()
            } else {
                users.disable(&key("zoe@example.com")).await.unwrap()
            }
        });
        join_all(logins).await.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
        assert!(change.await.unwrap());
        for number in 0..30 {
            assert!(!lives(&stores[0], round * 30 + number).await);
        }
        assert!(stores[0].users.enable(&key("zoe@example.com")).await.unwrap());
    }
}

async fn expired_logins_are_swept_and_nothing_else(database: TestDatabase) {
    let store = open(&database);
    store.users.add(user("zoe@example.com")).await.unwrap();
    let (zoe, _) = find(&store, "zoe@example.com").await;
    let expired = Timestamp::now();
    for number in 1..=4 {
        let expires_at = if number <= 2 { expired } else { in_a_minute() };
        let login = NewLogin { expires_at, ..login(zoe.id, number) };
        assert!(store.users.log_in(login).await.unwrap());
        let token = token(&format!("ERP {number}"), number + 10);
        store.tokens.add(NewToken { expires_at: Some(expires_at), ..token }).await.unwrap();
    }
    for number in [1, 3, 11, 13] {
        store.tokens.revoke_by_digest(&digest(number)).await.unwrap();
    }
    assert_eq!(store.tokens.sweep(expired).await.unwrap(), 2);
    assert_eq!(store.tokens.sweep(expired).await.unwrap(), 0);
    assert_eq!(database.count("tokens WHERE user_id IS NOT NULL"), 2);
    assert_eq!(database.count("tokens WHERE name IS NOT NULL"), 4);
    assert!(lives(&store, 4).await && lives(&store, 12).await);
    assert_eq!(store.tokens.sweep(in_a_minute()).await.unwrap(), 2);
    assert_eq!(store.tokens.list().await.unwrap().len(), 2);
}

async fn any_number_of_expired_logins_is_swept(database: TestDatabase) {
    let store = open(&database);
    store.users.add(user("zoe@example.com")).await.unwrap();
    let (digest, numbers) = if database.url().starts_with("sqlite:") {
        let numbers = "WITH RECURSIVE numbers (n) AS
            (SELECT 1 UNION ALL SELECT n + 1 FROM numbers LIMIT 2500) SELECT n FROM numbers";
        ("randomblob(32)", numbers)
    } else {
        ("sha256(n::text::bytea)", "SELECT n FROM generate_series(1, 2500) AS n")
    };
    database.execute(&format!(
        "INSERT INTO tokens (digest, scope, created_at, expires_at, user_id)
         SELECT {digest}, 'read', 1, 2, (SELECT id FROM users) FROM ({numbers}) AS numbers"
    ));
    let mut swept = 0;
    loop {
        match store.tokens.sweep(Timestamp::now()).await.unwrap() {
            0 => break,
            // In steps, so that others can write in between.
            step => assert!(step <= 1000, "{step} at once"),
        }
        swept += 1;
    }
    assert_eq!(swept, 3);
    assert_eq!(database.count("tokens"), 0);
}

cases! {
    both: [
        an_added_user_is_found_by_the_address_in_any_case,
        of_parallel_users_of_one_address_one_is_added,
        users_are_listed_by_address,
        a_login_makes_a_token_of_the_user,
        tokens_of_logins_stand_in_nobodys_way,
        a_token_is_revoked_by_its_digest,
        another_password_revokes_the_tokens_of_the_user,
        who_is_disabled_has_no_token_and_gets_none,
        no_login_slips_past_a_change_of_the_password,
        expired_logins_are_swept_and_nothing_else,
        any_number_of_expired_logins_is_swept,
    ]
}

fn user(email: &str) -> NewUser {
    NewUser {
        email: email.parse().unwrap(),
        name: format!("Name of {email} ☎️").parse().unwrap(),
        scope: Scope::Write,
        password: hash("hash"),
    }
}

fn hash(hash: &str) -> PasswordHash {
    PasswordHash::new(hash.to_owned())
}

fn key(email: &str) -> EmailKey {
    EmailKey::of(email).unwrap()
}

fn digest(digest: u8) -> TokenDigest {
    TokenDigest([digest; 32])
}

fn in_a_minute() -> Timestamp {
    Timestamp::now().saturating_add(Duration::from_secs(60))
}

/// With the password that [`user`] has, not expired for long.
fn login(user: UserId, number: u8) -> NewLogin {
    NewLogin { user, password: hash("hash"), digest: digest(number), expires_at: in_a_minute() }
}

async fn find(store: &Store, email: &str) -> (User, PasswordHash) {
    store.users.find_by_email(&key(email)).await.unwrap().expect("a user")
}

async fn lives(store: &Store, number: u8) -> bool {
    store.tokens.find_by_digest(&digest(number)).await.unwrap().is_some()
}

/// Zoe with tokens 1 and 2, and Bob with token 3.
async fn two_users_who_are_logged_in(store: &Store) -> (User, User) {
    for address in ["zoe@example.com", "bob@example.com"] {
        store.users.add(user(address)).await.unwrap();
    }
    let (zoe, _) = find(store, "zoe@example.com").await;
    let (bob, _) = find(store, "bob@example.com").await;
    for (user, number) in [(&zoe, 1), (&zoe, 2), (&bob, 3)] {
        assert!(store.users.log_in(login(user.id, number)).await.unwrap());
    }
    (zoe, bob)
}
