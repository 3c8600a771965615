//! What is created is found again as it was.

use customers_domain::{
    ATTRIBUTES, Attribute, Customer, CustomerAccount, CustomerDetails, CustomerId, Kind,
    NewCustomer, Timestamp, Value,
};

use crate::Create as _;
use crate::database::TestDatabase;
use crate::{details_of, key, named, open, with_account};

/// Texts that naive code breaks. None is trimmed or brought to a normal form: that is not the
/// store's business.
const HOSTILE: [&str; 8] = [
    "'; DROP TABLE customers; --",
    r#"quotes '' "" `` and \' \" \\ \n \0"#,
    r"100% of _everything_ \% \_",
    "👩‍👩‍👧‍👦 🇫🇷 ☎️ 𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
    "e\u{301}\u{323} e\u{323}\u{301} \u{1ec7}",
    "\u{202e}desrever\u{202c} \u{feff}\u{200b}",
    "  spaces at both ends\u{a0} ",
    "{\"json\": null} $1 ? :name @x \u{fffd}\u{10ffff}",
];

const LONG_EMAIL: &str =
    "a.rather.long.address.of.somebody@a.rather.long.name.of.a.domain.example.com";

async fn a_created_customer_is_found_by_its_id(database: TestDatabase) {
    let store = open(&database);
    let created = store.create(named("Aurora")).await.unwrap();
    assert_eq!(store.customers.find(created.id).await.unwrap(), Some(created));
}

async fn a_created_customer_is_found_by_its_account(database: TestDatabase) {
    let store = open(&database);
    let created = store.create(with_account("Ö/42 b?")).await.unwrap();
    assert_eq!(created.account.as_str(), "Ö/42 b?");
    assert_eq!(store.customers.find_by_account(&key("Ö/42 b?")).await.unwrap(), Some(created));
}

async fn an_account_is_found_in_any_case(database: TestDatabase) {
    let store = open(&database);
    for (written, asked) in
        [("CL9000", "cl9000"), ("cl9001", "Cl9001"), ("Straße", "STRASSE"), ("ΣΊΣΥΦΟΣ", "σίσυφος")]
    {
        let created = store.create(with_account(written)).await.unwrap();
        assert_eq!(created.account.as_str(), written);
        assert_eq!(store.customers.find_by_account(&key(asked)).await.unwrap(), Some(created));
    }
}

async fn an_account_is_not_a_pattern(database: TestDatabase) {
    let store = open(&database);
    store.create(with_account("CL9000")).await.unwrap();
    for pattern in ["CL900_", "%", "CL%", "*", "CL9000\\", "CL9000%", "cl900", "CL90000", "CL 9000"]
    {
        assert_eq!(store.customers.find_by_account(&key(pattern)).await.unwrap(), None);
    }
}

async fn an_unknown_id_or_account_is_none(database: TestDatabase) {
    let store = open(&database);
    let created = store.create(named("Aurora")).await.unwrap();
    let next = CustomerId::new(created.id.get() + 1).unwrap();
    assert_eq!(store.customers.find(next).await.unwrap(), None);
    assert_eq!(store.customers.find(CustomerId::MAX).await.unwrap(), None);
    // An id is not an account, nor the other way round.
    let id = created.id.to_string();
    assert_eq!(store.customers.find_by_account(&key(&id)).await.unwrap(), None);
}

async fn every_attribute_is_kept(database: TestDatabase) {
    let store = open(&database);
    let mut expected = Vec::new();
    for (number, hostile) in HOSTILE.iter().enumerate() {
        let account = format!("account {number}");
        let new = customer(&account, |position, attribute| {
            other_than_default(attribute, &format!("{position}{hostile}"), position as i32)
        });
        expected.push(create(&store, new).await);
    }
    assert_kept(&database, &expected).await;
}

/// Two columns that were mixed up would hold the same values if all attributes were set.
async fn every_attribute_is_kept_by_itself(database: TestDatabase) {
    let store = open(&database);
    let mut expected = vec![create(&store, named("All default")).await];
    for chosen in ATTRIBUTES {
        let new = customer(&format!("with {}", chosen.name), |_, attribute| {
            if attribute == chosen || attribute.required() {
                other_than_default(attribute, "x", 1)
            } else {
                attribute.default()
            }
        });
        expected.push(create(&store, new).await);
    }
    assert_kept(&database, &expected).await;
}

async fn the_longest_texts_and_the_largest_numbers_are_kept(database: TestDatabase) {
    let store = open(&database);
    let account = "𝔘".repeat(255);
    let new = customer(&account, |_, attribute| match attribute.kind {
        Kind::Text { max_chars, .. } | Kind::Lines { max_chars } => {
            Value::Text("📞".repeat(max_chars as usize).into())
        }
        Kind::Emails => Value::Text([LONG_EMAIL; 3].join(";").into()),
        Kind::Integer { .. } => Value::Integer(i32::MAX),
        Kind::Boolean => Value::Boolean(true),
        Kind::Account => Value::Null,
    });
    let created = create(&store, new).await;
    assert_eq!(created.account.as_str(), account);
    assert_kept(&database, &[created]).await;
}

async fn an_empty_text_is_not_null(database: TestDatabase) {
    let store = open(&database);
    let new = CustomerDetails { brand: Some(String::new()), ..details_of("Aurora") };
    let created = create(&store, new.into()).await;
    assert_eq!(created.details.brand.as_deref(), Some(""));
    assert_eq!(created.details.website, None);
    assert_kept(&database, &[created]).await;
}

async fn a_customer_is_created_now(database: TestDatabase) {
    let store = open(&database);
    let before = Timestamp::now();
    let created = store.create(named("Aurora")).await.unwrap();
    let after = Timestamp::now();
    assert!((before..=after).contains(&created.created_at), "{}", created.created_at);
    assert_eq!(created.updated_at, created.created_at);
    assert_eq!(created.deleted_at, None);
}

async fn a_deleted_customer_is_hidden(database: TestDatabase) {
    let store = open(&database);
    let deleted = store.create(with_account("gone")).await.unwrap();
    let live = store.create(with_account("here")).await.unwrap();
    database.execute(&format!(
        "UPDATE customers SET deleted_at = created_at WHERE id = {}",
        deleted.id
    ));
    assert_eq!(store.customers.find(deleted.id).await.unwrap(), None);
    assert_eq!(store.customers.find_by_account(&key("gone")).await.unwrap(), None);
    assert_eq!(store.customers.find(live.id).await.unwrap(), Some(live));
}

async fn ids_grow(database: TestDatabase) {
    let store = open(&database);
    let mut last = 0;
    for _ in 0..100 {
        let id = store.create(named("Aurora")).await.unwrap().id.get();
        assert!(id > last, "{id} after {last}");
        last = id;
    }
}

async fn an_id_is_never_used_again(database: TestDatabase) {
    let mut last = 0;
    for round in 0..4 {
        let store = open(&database);
        let first = store.create(named("Aurora")).await.unwrap().id.get();
        assert!(first > last, "{first} after {last} in round {round}");
        last = store.create(named("Aurora")).await.unwrap().id.get();
        database.execute(&format!("DELETE FROM customers WHERE id = {last}"));
        let next = store.create(named("Aurora")).await.unwrap().id.get();
        assert!(next > last, "{next} after {last} in round {round}");
        last = next;
        // Everything, so that nothing is left to count on.
        database.execute("DELETE FROM customers");
    }
}

cases! {
    both: [
        a_created_customer_is_found_by_its_id,
        a_created_customer_is_found_by_its_account,
        an_account_is_found_in_any_case,
        an_account_is_not_a_pattern,
        an_unknown_id_or_account_is_none,
        every_attribute_is_kept,
        every_attribute_is_kept_by_itself,
        the_longest_texts_and_the_largest_numbers_are_kept,
        an_empty_text_is_not_null,
        a_customer_is_created_now,
        a_deleted_customer_is_hidden,
        ids_grow,
        an_id_is_never_used_again,
    ]
}

/// A customer of this account and these values of its other attributes.
fn customer<'a>(
    account: &str,
    value: impl Fn(usize, &'static Attribute) -> Value<'a>,
) -> NewCustomer {
    let values = ATTRIBUTES.iter().enumerate().map(|(position, attribute)| match attribute.kind {
        Kind::Account => (attribute, Ok(Value::Null)),
        _ => (attribute, Ok(value(position, attribute))),
    });
    NewCustomer {
        account: Some(CustomerAccount::new(account).unwrap()),
        ..NewCustomer::from_values(values).unwrap()
    }
}

fn other_than_default(attribute: &Attribute, text: &str, number: i32) -> Value<'static> {
    match (attribute.kind, attribute.default()) {
        (Kind::Integer { min }, _) => Value::Integer(min + 2 + number),
        (Kind::Boolean, Value::Boolean(default)) => Value::Boolean(!default),
        (Kind::Text { .. } | Kind::Lines { .. }, _) => Value::Text(text.to_owned().into()),
        (Kind::Emails, _) => Value::Text(format!("a{number}@example.com").into()),
        (kind, default) => panic!("a default of {kind:?} is {default:?}"),
    }
}

/// Creates a customer and sees that it is as it was asked for.
async fn create(store: &customers_storage::Store, new: NewCustomer) -> Customer {
    let created = store.create(new.clone()).await.unwrap();
    if let Some(account) = &new.account {
        assert_eq!(created.account, *account);
    }
    let asked_for = new.into_customer(created.id, created.account.clone(), created.created_at);
    assert_eq!(created, asked_for);
    created
}

/// Sees that another process finds the customers as they were created.
async fn assert_kept(database: &TestDatabase, expected: &[Customer]) {
    let store = open(database);
    for customer in expected {
        let found = store.customers.find(customer.id).await.unwrap();
        assert_eq!(found.as_ref(), Some(customer));
        let found = store.customers.find_by_account(&customer.account.key()).await;
        assert_eq!(found.unwrap().as_ref(), Some(customer));
    }
}
