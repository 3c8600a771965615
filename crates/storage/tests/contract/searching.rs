//! Searches: what is found, and what stands first.

use customers_domain::search::SearchTerm;
use customers_domain::selection::Page;
use customers_domain::{CustomerDetails, Value};
use customers_storage::Store;

use crate::database::TestDatabase;
use crate::living::changes;
use crate::{Create as _, details_of, named, open, try_open, under, write};

async fn case_accents_and_ligatures_do_not_matter(database: TestDatabase) {
    let store = open(&database);
    for name in
        ["Société Générale", "Œuvres Sociales", "Łódź Ærø", "STRASSE 5 — Straße", "日本語会社"]
    {
        store.create(named(name)).await.unwrap();
    }
    for (term, found) in [
        ("societe", "1"),
        ("GÉNÉRALE société", "1"),
        ("soci", "1 2"),
        ("oeuvre", "2"),
        ("œuv", "2"),
        ("lodz", "3"),
        ("aero", "3"),
        ("straße", "4"),
        ("本語会", "5"),
        ("nobody", ""),
        ("societe nobody", ""),
    ] {
        assert_eq!(search(&store, term).await, found, "{term}");
    }
}

async fn the_best_hits_come_first(database: TestDatabase) {
    let store = open(&database);
    let of = |account: &str, name: &str| under(account, details_of(name));
    for new in [
        of("X1", "Les Amis d'Alpha"),
        of("X2", "Alpha Centauri"),
        of("ALPHA-2", "zzz"),
        of("X3", "alpha"),
        of("alpha", "yyy"),
        of("X4", "also alphabetical"),
        of("ALPHA-1", "alpha twice"),
        of("Álpha", "the acute makes it another account"),
    ] {
        store.create(new).await.unwrap();
    }
    assert_eq!(search(&store, "Alpha").await, "5 8 3 7 2 4 1 6");
    // The whole term, not its words.
    assert_eq!(search(&store, "alpha cent").await, "2");
    assert_eq!(search(&store, "cent alpha").await, "2");
    assert_eq!(search(&store, "alpha t").await, "7 2 6 8");
    for (skip, take, expected) in [(0, 3, "5 8 3"), (3, 3, "7 2 4"), (6, 3, "1 6"), (8, 3, "")] {
        let listing = store
            .customers
            .search(SearchTerm::new("alpha").unwrap(), Page { skip, take })
            .await
            .unwrap();
        let ids: Vec<_> = listing.customers.iter().map(|it| it.id.to_string()).collect();
        assert_eq!((ids.join(" ").as_str(), listing.total), (expected, 8));
    }
}

async fn every_searched_attribute_is_looked_into(database: TestDatabase) {
    let store = open(&database);
    let details = CustomerDetails {
        brand: Some("Brandeau".into()),
        accounts_reference: Some("411REF".into()),
        registration_number: Some("83210417500012".into()),
        tax_registration_number: Some("FR12832104175".into()),
        email_address: Some("zoe@example.com".into()),
        phone: Some("06 02 03 04 05".into()),
        mobile_phone: Some("+33 7 11 22 33 44".into()),
        fax: Some("3900".into()),
        comment: Some("unsearched".into()),
        ..details_of("ACC-77")
    };
    store.create(under("ACC-77", details)).await.unwrap();
    for term in [
        "acc-77",
        "rande",
        "411ref",
        "2104175",
        "r1283",
        "oe@exam",
        "+33602030405",
        "0602030405",
        "06 02 03 04 05",
        "0711223344",
        "0033711223344 brandeau",
        "3900",
        "acc-77 3900",
    ] {
        assert_eq!(search(&store, term).await, "1", "{term}");
    }
    // Numbers are compared as numbers, and no word reaches from one attribute into the next.
    for term in ["unsearched", "020304", "0602030406", "77brandeau", "900"] {
        assert_eq!(search(&store, term).await, "", "{term}");
    }
}

async fn every_character_is_taken_as_it_is(database: TestDatabase) {
    let store = open(&database);
    for name in
        ["100% pure_wool", "100 percent", r#"say "hello" AND (bye)"#, r"back\slash", "l'été * x"]
    {
        store.create(named(name)).await.unwrap();
    }
    for (term, found) in [
        ("100%", "1"),
        ("pure_wool", "1"),
        ("purexwool", ""),
        ("%%%", ""),
        ("___", ""),
        ("\"hello\"", "3"),
        ("(bye)", "3"),
        ("hello AND", "3"),
        ("hello OR", ""),
        (r"back\slash", "4"),
        ("l'ete", "5"),
        ("ete *", "5"),
        ("ete -x", ""),
        ("NEAR(hello)", ""),
        ("searched_text:hello", ""),
    ] {
        assert_eq!(search(&store, term).await, found, "{term}");
    }
}

async fn short_words_match_beginnings_and_narrow_what_longer_ones_find(database: TestDatabase) {
    let store = open(&database);
    for name in ["Du Pont", "Pont du Gard", "Dubois", "Durand et fils", "duo pont"] {
        store.create(named(name)).await.unwrap();
    }
    for (term, found) in [
        ("du", "1 3 4 5"),
        ("d", "1 3 4 5"),
        ("cl", "1 2 3 4 5"),
        ("cl du", "1 3 4 5"),
        ("pont du", "2 1 5"),
        ("pont d", "2 1 5"),
        ("pont g", "2"),
        ("a-", ""),
        // Of two short words, each begins the name or the account.
        ("du d", "1 3 4 5"),
        // Or the whole term does.
        ("du p", "1"),
    ] {
        assert_eq!(search(&store, term).await, found, "{term}");
    }
}

async fn a_term_may_have_many_words(database: TestDatabase) {
    let store = open(&database);
    store.create(named(&"a ".repeat(127))).await.unwrap();
    store.create(named(&"1 ".repeat(127))).await.unwrap();
    store.create(named(&"abc ".repeat(63))).await.unwrap();
    for (term, found) in [("a ", "1 3"), ("1 ", "2"), ("abc ", "3"), ("(1) ", "")] {
        let term = term.repeat(255 / term.len());
        assert_eq!(search(&store, &term).await, found, "{term}");
    }
}

async fn a_change_is_found_by_the_next_search(database: TestDatabase) {
    let store = open(&database);
    let customer = store.create(named("Before")).await.unwrap();
    assert_eq!(search(&store, "before").await, "1");
    let renamed = changes(&[
        ("name", Value::Text("After".into())),
        ("phone", Value::Text("0102030405".into())),
    ]);
    store.customers.update(customer.id, renamed, write()).await.unwrap();
    assert_eq!(search(&store, "before").await, "");
    assert_eq!(search(&store, "after").await, "1");
    assert_eq!(search(&store, "+33102030405").await, "1");
    let gone = changes(&[("phone", Value::Null)]);
    store.customers.update(customer.id, gone, write()).await.unwrap();
    assert_eq!(search(&store, "+33102030405").await, "");
    store.customers.delete(customer.id, write()).await.unwrap();
    assert_eq!(search(&store, "after").await, "");
    let _ = store.customers.restore(customer.id, write()).await.unwrap();
    assert_eq!(search(&store, "after").await, "1");
}

/// The role may make tables in its schema, but no extension in the database.
async fn without_trigrams_beginnings_are_found(database: TestDatabase) {
    let role = format!("restricted_in_{}", database.url().rsplit_once('/').unwrap().1);
    database.execute(&format!(
        "CREATE ROLE {role} LOGIN PASSWORD 'secret'; GRANT ALL ON SCHEMA public TO {role}"
    ));
    let url = database.url();
    let (_, server) = url.rsplit_once('@').unwrap();
    let store = try_open(&format!("postgres://{role}:secret@{server}")).unwrap();
    for name in ["Société Générale", "Générale des Eaux"] {
        store.create(named(name)).await.unwrap();
    }
    store.customers.ready().await.unwrap();
    for (term, found) in [("generale", "2"), ("SOCIÉTÉ gen", "1"), ("cl", "1 2"), ("eaux", "")] {
        assert_eq!(search(&store, term).await, found, "{term}");
    }
    drop(store);

    // Once somebody has made it, all is found from the next start on.
    database.execute("CREATE EXTENSION pg_trgm");
    let store = try_open(&format!("postgres://{role}:secret@{server}")).unwrap();
    assert_eq!(search(&store, "eaux").await, "2");
    drop(store);
    database.execute(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}"));
}

cases! {
    both: [
        case_accents_and_ligatures_do_not_matter,
        the_best_hits_come_first,
        every_searched_attribute_is_looked_into,
        every_character_is_taken_as_it_is,
        short_words_match_beginnings_and_narrow_what_longer_ones_find,
        a_term_may_have_many_words,
        a_change_is_found_by_the_next_search,
    ]
    postgres: [without_trigrams_beginnings_are_found]
}

/// The ids of what is found, in order.
async fn search(store: &Store, term: &str) -> String {
    let term = SearchTerm::new(term).unwrap();
    let listing = store.customers.search(term, Page { skip: 0, take: 20 }).await.unwrap();
    assert_eq!(listing.total, listing.customers.len() as u64);
    let ids: Vec<_> = listing.customers.iter().map(|it| it.id.to_string()).collect();
    ids.join(" ")
}
