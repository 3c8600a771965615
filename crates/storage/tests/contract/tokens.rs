//! Tokens are found until they are revoked, in every process.

use std::time::Duration;

use customers_domain::token::{AddTokenError, NewToken, Scope, Token, TokenDigest};
use customers_domain::{Name, Timestamp};
use futures_util::future::join_all;

use crate::database::TestDatabase;
use crate::{open, token};

async fn an_added_token_is_found_by_its_digest(database: TestDatabase) {
    let store = open(&database);
    let before = Timestamp::now();
    let expires_at = Some(before.saturating_add(Duration::from_secs(60)));
    let new = NewToken { scope: Scope::Read, expires_at, ..token("ERP ☎️ 'x' %", 1) };
    store.tokens.add(new.clone()).await.unwrap();
    store.tokens.add(token("other", 2)).await.unwrap();

    // By another process too.
    for store in [&store, &open(&database)] {
        let found = store.tokens.find_by_digest(&new.digest).await.unwrap().unwrap();
        assert!((before..=Timestamp::now()).contains(&found.created_at));
        let expected = Token {
            name: new.name.clone(),
            user: None,
            scope: Scope::Read,
            created_at: found.created_at,
            expires_at,
            last_used_at: None,
        };
        assert_eq!(found, expected);
        let other = store.tokens.find_by_digest(&digest(2)).await.unwrap().unwrap();
        assert_eq!((other.scope, other.expires_at), (Scope::Write, None));
        assert_eq!(store.tokens.find_by_digest(&digest(3)).await.unwrap(), None);
    }
}

async fn tokens_are_listed_by_name(database: TestDatabase) {
    let store = open(&database);
    assert_eq!(store.tokens.list().await.unwrap(), []);
    for (number, name) in ["été", "b", "Z", "a", "expired"].into_iter().enumerate() {
        let expires_at = (name == "expired").then(Timestamp::now);
        let new = NewToken { expires_at, ..token(name, number as u8) };
        store.tokens.add(new).await.unwrap();
    }
    store.tokens.revoke(&name("b")).await.unwrap();
    let listed = store.tokens.list().await.unwrap();
    let names: Vec<_> = listed.iter().map(|token| token.name.as_str()).collect();
    // By code point: the same on every database.
    assert_eq!(names, ["Z", "a", "expired", "été"]);
    for token in listed {
        assert_eq!(token.is_expired(Timestamp::now()), token.name.as_str() == "expired");
    }
}

async fn live_tokens_have_different_names(database: TestDatabase) {
    let store = open(&database);
    store.tokens.add(token("ERP", 1)).await.unwrap();
    let refused = store.tokens.add(token("ERP", 2)).await;
    assert!(matches!(refused, Err(AddTokenError::NameTaken)), "{refused:?}");
    assert_eq!(store.tokens.find_by_digest(&digest(2)).await.unwrap(), None);
    assert!(store.tokens.find_by_digest(&digest(1)).await.unwrap().is_some());
    // Told apart by case.
    store.tokens.add(token("erp", 3)).await.unwrap();
}

async fn of_parallel_tokens_of_one_name_one_is_added(database: TestDatabase) {
    let stores = [open(&database), open(&database)];
    let adds = (0..20).map(|number| {
        let tokens = stores[number % 2].tokens.clone();
        tokio::spawn(async move { tokens.add(token("ERP", number as u8)).await })
    });
    let added: Vec<_> = join_all(adds).await.into_iter().map(Result::unwrap).collect();
    for refused in added.iter().filter(|added| added.is_err()) {
        assert!(matches!(refused, Err(AddTokenError::NameTaken)), "{refused:?}");
    }
    assert_eq!(added.iter().filter(|added| added.is_ok()).count(), 1);
    let winner = added.iter().position(Result::is_ok).unwrap() as u8;
    assert!(stores[0].tokens.find_by_digest(&digest(winner)).await.unwrap().is_some());
    assert_eq!(database.count("tokens"), 1);
}

async fn a_revoked_token_is_found_no_more(database: TestDatabase) {
    let store = open(&database);
    store.tokens.add(token("ERP", 1)).await.unwrap();
    store.tokens.add(token("PBX", 2)).await.unwrap();
    assert!(!store.tokens.revoke(&name("erp")).await.unwrap());
    assert!(store.tokens.revoke(&name("ERP")).await.unwrap());
    assert!(!store.tokens.revoke(&name("ERP")).await.unwrap());
    assert_eq!(store.tokens.find_by_digest(&digest(1)).await.unwrap(), None);
    assert!(store.tokens.find_by_digest(&digest(2)).await.unwrap().is_some());
    assert_eq!(store.tokens.list().await.unwrap().len(), 1);
}

async fn the_name_of_a_revoked_token_is_free(database: TestDatabase) {
    let store = open(&database);
    for number in 0..3 {
        store.tokens.add(token("ERP", number)).await.unwrap();
        assert!(store.tokens.revoke(&name("ERP")).await.unwrap());
    }
    store.tokens.add(token("ERP", 3)).await.unwrap();
    assert!(store.tokens.find_by_digest(&digest(3)).await.unwrap().is_some());
    assert_eq!(store.tokens.find_by_digest(&digest(0)).await.unwrap(), None);
}

async fn the_name_of_an_expired_token_is_free(database: TestDatabase) {
    let store = open(&database);
    let expired = NewToken { expires_at: Some(Timestamp::now()), ..token("ERP", 1) };
    store.tokens.add(expired).await.unwrap();
    // It is found until then, so that callers can be told that it is expired.
    let found = store.tokens.find_by_digest(&digest(1)).await.unwrap().unwrap();
    assert!(found.is_expired(Timestamp::now()));

    let later = Timestamp::now().saturating_add(Duration::from_secs(3600));
    store.tokens.add(NewToken { expires_at: Some(later), ..token("ERP", 2) }).await.unwrap();
    assert!(store.tokens.find_by_digest(&digest(2)).await.unwrap().is_some());
    assert_eq!(store.tokens.find_by_digest(&digest(1)).await.unwrap(), None);
    assert_eq!(store.tokens.list().await.unwrap().len(), 1);
    // That one is live.
    let refused = store.tokens.add(token("ERP", 3)).await;
    assert!(matches!(refused, Err(AddTokenError::NameTaken)), "{refused:?}");
}

async fn the_last_use_never_goes_back(database: TestDatabase) {
    let store = open(&database);
    store.tokens.add(token("ERP", 1)).await.unwrap();
    store.tokens.add(token("PBX", 2)).await.unwrap();
    let at = |seconds: i64| Timestamp::from_micros(1_785_840_147_000_001 + seconds * 1_000_000);
    for (used, noted) in [(10, 10), (5, 10), (10, 10), (11, 11)] {
        store.tokens.used(&digest(1), at(used).unwrap()).await.unwrap();
        let found = store.tokens.find_by_digest(&digest(1)).await.unwrap().unwrap();
        assert_eq!(found.last_used_at, at(noted));
    }
    let found = store.tokens.find_by_digest(&digest(2)).await.unwrap().unwrap();
    assert_eq!(found.last_used_at, None);
    // A token that is gone meanwhile is nobody's error.
    store.tokens.used(&digest(3), at(0).unwrap()).await.unwrap();
}

async fn whether_there_ever_was_a_token_is_known(database: TestDatabase) {
    let store = open(&database);
    assert!(!store.tokens.any().await.unwrap());
    store.tokens.add(token("ERP", 1)).await.unwrap();
    assert!(store.tokens.any().await.unwrap());
    store.tokens.revoke(&name("ERP")).await.unwrap();
    assert!(store.tokens.any().await.unwrap());
    assert!(open(&database).tokens.any().await.unwrap());
}

/// The command line mints and revokes beside a running server.
async fn processes_see_each_others_tokens(database: TestDatabase) {
    let stores = [open(&database), open(&database), open(&database)];
    for number in 0..6_u8 {
        let [minting, serving, revoking] =
            [0, 1, 2].map(|store| &stores[(usize::from(number) + store) % 3].tokens);
        minting.add(token("ERP", number)).await.unwrap();
        let found = serving.find_by_digest(&digest(number)).await.unwrap();
        assert_eq!(found.unwrap().last_used_at, None);
        let now = Timestamp::now();
        serving.used(&digest(number), now).await.unwrap();
        assert_eq!(revoking.list().await.unwrap()[0].last_used_at, Some(now));
        assert!(revoking.revoke(&name("ERP")).await.unwrap());
        assert_eq!(serving.find_by_digest(&digest(number)).await.unwrap(), None);
    }
}

cases! {
    both: [
        an_added_token_is_found_by_its_digest,
        tokens_are_listed_by_name,
        live_tokens_have_different_names,
        of_parallel_tokens_of_one_name_one_is_added,
        a_revoked_token_is_found_no_more,
        the_name_of_a_revoked_token_is_free,
        the_name_of_an_expired_token_is_free,
        the_last_use_never_goes_back,
        whether_there_ever_was_a_token_is_known,
        processes_see_each_others_tokens,
    ]
}

fn digest(digest: u8) -> TokenDigest {
    TokenDigest([digest; 32])
}

fn name(name: &str) -> Name {
    name.parse().unwrap()
}
