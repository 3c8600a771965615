//! Lists: which customers, in which order, from where on.

use customers_domain::search::SearchTerm;
use customers_domain::selection::{
    Filter, Order, Page, Selection, Sort, SortKey, Stretch, Trashed,
};
use customers_domain::{Attribute, Customer, CustomerDetails, PhoneDigits, Timestamp, Value, fold};
use customers_storage::Store;

use crate::database::TestDatabase;
use crate::living::changes;
use crate::{Create as _, details_of, named, open, under, write};

async fn a_page_is_a_part_of_the_order(database: TestDatabase) {
    let store = open(&database);
    for name in ["b", "É", "a", "e", "Z", "œ", "o"] {
        store.create(named(name)).await.unwrap();
    }
    let by_name = Order::new([Sort { key: SortKey::Name, descending: false }]);
    let listed = |order: Order, skip, take| {
        let page = Page { skip, take };
        let store = store.clone();
        async move {
            let listing = store.customers.list(Selection::default(), order, page).await.unwrap();
            (names(&listing.customers), listing.total)
        }
    };
    // Of the same folded name, the smaller id comes first.
    assert_eq!(listed(by_name.clone(), 0, 4).await, ("a b É e".into(), 7));
    assert_eq!(listed(by_name.clone(), 4, 4).await, ("o œ Z".into(), 7));
    assert_eq!(listed(by_name.clone(), 7, 4).await, (String::new(), 7));
    assert_eq!(listed(by_name, u64::MAX, 4).await, (String::new(), 7));
    let backwards = Order::new([Sort { key: SortKey::Name, descending: true }]);
    assert_eq!(listed(backwards, 0, 20).await, ("Z œ o e É b a".into(), 7));
    assert_eq!(listed(Order::default(), 0, 20).await.0, "b É a e Z œ o");
}

async fn the_total_counts_what_is_shown(database: TestDatabase) {
    let store = open(&database);
    let mut ids = Vec::new();
    for name in ["a", "b", "c", "d"] {
        ids.push(store.create(named(name)).await.unwrap().id);
    }
    store.customers.delete(ids[1], write()).await.unwrap();
    store.customers.delete(ids[2], write()).await.unwrap();
    let _ = store.customers.restore(ids[2], write()).await.unwrap();
    for (trashed, expected) in [
        (Trashed::Without, ("a c d", 3)),
        (Trashed::With, ("a b c d", 4)),
        (Trashed::Only, ("b", 1)),
    ] {
        let selection = Selection { trashed, ..Selection::default() };
        assert_eq!(list(&store, selection).await, (expected.0.to_owned(), expected.1));
    }
}

async fn the_total_counts_more_than_a_page_holds(database: TestDatabase) {
    let store = open(&database);
    for number in 0..23 {
        let new = CustomerDetails { vip: number > 0, ..details_of("a") }.into();
        store.create(new).await.unwrap();
    }
    let vip = Attribute::named("vip").unwrap();
    let filters = vec![Filter::Attribute { attribute: vip, any_of: vec![Value::Boolean(true)] }];
    for (selection, total) in
        [(Selection::default(), 23), (Selection { filters, ..Selection::default() }, 22)]
    {
        for (skip, shown) in [(0, 20), (20, total - 20), (40, 0)] {
            let page = Page { skip, take: 20 };
            let listing = store.customers.list(selection.clone(), Order::default(), page).await;
            let listing = listing.unwrap();
            assert_eq!((listing.customers.len() as u64, listing.total), (shown, total));
        }
    }
}

async fn a_filter_lets_those_pass_that_match(database: TestDatabase) {
    let store = open(&database);
    let one = CustomerDetails {
        brand_id: 2,
        representative_id: Some(5),
        company_type: Some("Société Anonyme".into()),
        main_address_city: Some("Orléans".into()),
        email_address: Some("Zoe@Example.com".into()),
        phone: Some("+33 6 02 03 04 05".into()),
        vip: true,
        ..details_of("Œuvre 100%_ \"x\"")
    };
    let two = CustomerDetails {
        company_type: Some("societe anonyme".into()),
        mobile_phone: Some("0033602030499".into()),
        fax: Some("3900".into()),
        ..details_of("Été-9")
    };
    for new in [one.into(), under("Été-9", two), named("three")] {
        store.create(new).await.unwrap();
    }
    let attribute = |name: &str, any_of: &[Value<'static>]| Filter::Attribute {
        attribute: Attribute::named(name).unwrap(),
        any_of: any_of.to_vec(),
    };
    let text = |text: &str| Value::Text(text.to_owned().into());
    let phone = |text: &str| Filter::Phone(vec![PhoneDigits::of(text).unwrap()]);
    let name = |text: &str| Filter::Name(vec![fold(text)]);
    let id = |number| customers_domain::CustomerId::new(number).unwrap();
    for (filters, expected) in [
        (vec![attribute("brand_id", &[Value::Integer(2)])], "1"),
        (vec![attribute("brand_id", &[Value::Integer(2), Value::Integer(1)])], "1 2 3"),
        (vec![attribute("representative_id", &[Value::Integer(5)])], "1"),
        (vec![attribute("type", &[text("SOCIETE ANONYME")])], "1 2"),
        (vec![attribute("type", &[text("societe")])], ""),
        (vec![attribute("mainAddressCity", &[text("orleans")])], "1"),
        (vec![attribute("emailAddress", &[text("zoe@example.com")])], "1"),
        (vec![attribute("customerAccount", &[text("ete-9")])], "2"),
        (vec![attribute("customerAccount", &[])], ""),
        (vec![attribute("vip", &[Value::Boolean(true)])], "1"),
        (vec![attribute("active", &[Value::Boolean(false)])], ""),
        (vec![Filter::Id(vec![id(3), id(1), id(9)])], "1 3"),
        (vec![Filter::Id(vec![])], ""),
        (vec![Filter::Nobody], ""),
        (vec![name("UVRE")], "1"),
        (vec![name("oe")], "1"),
        (vec![name("0%_")], "1"),
        (vec![name("\"x\"")], "1"),
        (vec![name("0%x")], ""),
        (vec![Filter::Name(vec!["three".into(), "ete".into()])], "2 3"),
        (vec![phone("0602030405")], "1"),
        (vec![phone("+33602030499")], "2"),
        (vec![phone("602030499")], "2"),
        (vec![phone("2030499")], ""),
        (vec![phone("3900")], "2"),
        (vec![phone("900")], ""),
        (
            vec![
                attribute("type", &[text("societe anonyme")]),
                attribute("vip", &[Value::Boolean(false)]),
            ],
            "2",
        ),
    ] {
        let selection = Selection { filters, ..Selection::default() };
        let shown = format!("{selection:?}");
        let orders = SortKey::ALL.map(|key| Order::new([Sort { key, descending: false }]));
        for order in orders {
            let page = Page { skip: 0, take: 20 };
            let listing = store.customers.list(selection.clone(), order, page).await.unwrap();
            let mut found: Vec<_> = listing.customers.iter().map(|it| it.id.get()).collect();
            found.sort_unstable();
            let found: Vec<_> = found.iter().map(ToString::to_string).collect();
            assert_eq!(found.join(" "), expected, "{shown}");
            assert_eq!(listing.total, found.len() as u64, "{shown}");
        }
    }
}

/// As many as the API lets through, of the longest.
async fn a_filter_takes_a_thousand_values(database: TestDatabase) {
    let store = open(&database);
    let new = CustomerDetails { phone: Some("3900".into()), ..details_of("name 999") };
    store.create(new.into()).await.unwrap();
    let number = |number: u64| PhoneDigits::of(&format!("{}", 10_u64.pow(19) + number)).unwrap();
    let type_ = Filter::Attribute {
        attribute: Attribute::named("type").unwrap(),
        any_of: (0..1000).map(|number| Value::Text(number.to_string().into())).collect(),
    };
    let names = Filter::Name((0..1000).map(|number| format!("name {number}")).collect());
    let ids = (1..=1000).filter_map(customers_domain::CustomerId::new).collect();
    for (filters, total) in [
        (vec![Filter::Phone((0..1000).map(number).collect())], 0),
        (vec![names.clone(), Filter::Id(ids)], 1),
        (vec![names, type_, Filter::Phone((0..1000).map(number).collect())], 0),
    ] {
        let selection = Selection { filters, ..Selection::default() };
        assert_eq!(list(&store, selection).await.1, total);
    }
}

async fn times_are_ranges(database: TestDatabase) {
    let store = open(&database);
    let first = store.create(named("a")).await.unwrap();
    let second = store.create(named("b")).await.unwrap();
    let changed = changes(&[("brand", Value::Text("x".into()))]);
    let first_again = store.customers.update(first.id, changed, write()).await.unwrap();
    let only = |filter| Selection { filters: vec![filter], ..Selection::default() };
    for (filter, expected) in [
        (Filter::CreatedFrom(second.created_at), "b"),
        (Filter::CreatedBefore(second.created_at), "a"),
        (Filter::UpdatedFrom(first_again.updated_at), "a"),
        (Filter::UpdatedBefore(first_again.updated_at), "b"),
        (Filter::CreatedFrom(Timestamp::from_micros(0).unwrap()), "a b"),
    ] {
        assert_eq!(list(&store, only(filter)).await.0, expected);
    }
    let by_change = Order::new([Sort { key: SortKey::UpdatedAt, descending: false }]);
    let since = only(Filter::UpdatedFrom(second.updated_at));
    let page = Page { skip: 0, take: 20 };
    let listing = store.customers.list(since, by_change, page).await.unwrap();
    assert_eq!((names(&listing.customers), listing.total), ("b a".into(), 2));
}

async fn a_filter_by_term_takes_what_a_search_finds(database: TestDatabase) {
    let store = open(&database);
    for name in ["Dupont Frères", "Durand", "Les frères Dupont"] {
        store.create(named(name)).await.unwrap();
    }
    store.customers.delete(customers_domain::CustomerId::MIN, write()).await.unwrap();
    let term = Filter::Term(SearchTerm::new("freres dup").unwrap());
    for (trashed, expected) in [
        (Trashed::Without, "Les frères Dupont"),
        (Trashed::With, "Dupont Frères Les frères Dupont"),
        (Trashed::Only, "Dupont Frères"),
    ] {
        let selection = Selection { filters: vec![term.clone()], trashed };
        assert_eq!(list(&store, selection).await.0, expected);
    }
}

/// Forwards and back again, in every order, with many of the same name.
async fn a_walk_passes_every_customer_once(database: TestDatabase) {
    let store = open(&database);
    for number in 0..23 {
        let name = ["é", "e", "a", "b"][number % 4];
        store.create(named(name)).await.unwrap();
    }
    let sort = |key, descending| Sort { key, descending };
    let orders = [
        Order::default(),
        Order::new([sort(SortKey::Name, false)]),
        Order::new([sort(SortKey::Name, true)]),
        Order::new([sort(SortKey::Name, true), sort(SortKey::Id, false)]),
        Order::new([sort(SortKey::CustomerAccount, true)]),
        Order::new([sort(SortKey::CreatedAt, true)]),
        Order::new([sort(SortKey::Name, false), sort(SortKey::UpdatedAt, true)]),
    ];
    let active = Filter::Attribute {
        attribute: Attribute::named("active").unwrap(),
        any_of: vec![Value::Boolean(true)],
    };
    for order in orders {
        for filters in [vec![], vec![active.clone()]] {
            let selection = Selection { filters, ..Selection::default() };
            let page = Page { skip: 0, take: 100 };
            let all = store
                .customers
                .list(selection.clone(), order.clone(), page)
                .await
                .unwrap()
                .customers;
            assert_eq!(all.len(), 23);
            for backwards in [false, true] {
                let mut passed = Vec::new();
                let mut from = None;
                loop {
                    let stretch = Stretch { from, backwards, take: 5 };
                    let mut customers = store
                        .customers
                        .walk(selection.clone(), order.clone(), stretch)
                        .await
                        .unwrap();
                    if backwards {
                        customers.reverse();
                    }
                    let Some(last) = customers.last() else { break };
                    from = Some(order.place_of(last));
                    passed.extend(customers);
                }
                if backwards {
                    passed.reverse();
                }
                assert_eq!(passed, all, "{order:?} backwards: {backwards}");
            }
        }
    }
}

cases! {
    both: [
        a_page_is_a_part_of_the_order,
        the_total_counts_what_is_shown,
        the_total_counts_more_than_a_page_holds,
        a_filter_lets_those_pass_that_match,
        a_filter_takes_a_thousand_values,
        times_are_ranges,
        a_filter_by_term_takes_what_a_search_finds,
        a_walk_passes_every_customer_once,
    ]
}

fn names(customers: &[Customer]) -> String {
    let names: Vec<_> = customers.iter().map(|customer| customer.details.name.as_str()).collect();
    names.join(" ")
}

async fn list(store: &Store, selection: Selection) -> (String, u64) {
    let page = Page { skip: 0, take: 20 };
    let listing = store.customers.list(selection, Order::default(), page).await.unwrap();
    (names(&listing.customers), listing.total)
}
