//! What the document shows.

use customers_domain::history::{Action, HistoryEntry};
use customers_domain::{
    Customer, CustomerAccount, CustomerDetails, CustomerId, NewCustomer, Timestamp, Value,
};
use serde_json::{Value as Json, json};

use crate::customers::history::Entry;

fn example() -> NewCustomer {
    let details = CustomerDetails {
        name: "Société Générale de Téléphonie".into(),
        registration_number: Some("83210417500012".into()),
        company_type: Some("SAS".into()),
        main_address_line1: Some("12 rue de la Paix".into()),
        main_address_city: Some("Paris".into()),
        main_address_country: Some("FR".into()),
        ..CustomerDetails::default()
    };
    NewCustomer { account: CustomerAccount::new("CL000001").ok(), details: Box::new(details) }
}

/// A customer that is answered.
pub(crate) fn customer_example() -> Option<Customer> {
    let new = example();
    let account = new.account.clone()?;
    let created_at = Timestamp::from_micros(1_785_840_147_000_000)?;
    Some(new.into_customer(CustomerId::MIN, account, created_at))
}

/// A customer that is sent. Without an account: the page sends it, and may do so twice.
pub(crate) fn customer_input_example() -> Json {
    let defaults = json!(NewCustomer::default());
    let mut example = json!(NewCustomer { account: None, ..example() });
    if let Some(members) = example.as_object_mut() {
        members.retain(|name, value| defaults[name] != *value);
    }
    example
}

/// Changes that are sent.
pub(crate) fn changes_example() -> Json {
    json!({ "name": "Société Générale de Télécommunications", "brand": null, "vip": true })
}

/// A numbered page that is answered: the only one.
pub(super) fn page_example(path: &str, query: &str) -> Json {
    let url = format!("https://customers.example{path}?{query}page=1");
    json!({
        "current_page": 1,
        "data": [customer_example()],
        "first_page_url": url,
        "from": 1,
        "last_page": 1,
        "last_page_url": url,
        "links": [
            { "url": null, "label": "&laquo; Previous", "page": null, "active": false },
            { "url": url, "label": "1", "page": 1, "active": true },
            { "url": null, "label": "Next &raquo;", "page": null, "active": false },
        ],
        "next_page_url": null,
        "path": format!("https://customers.example{path}"),
        "per_page": 20,
        "prev_page_url": null,
        "to": 1,
        "total": 1,
    })
}

/// A page by cursor that is answered: the first of several.
pub(super) fn cursor_page_example(path: &str, query: &str, data: Json) -> Json {
    let cursor = "6BqzXcwZkKpbZmFsc2UsWzFdXQ";
    json!({
        "data": data,
        "path": format!("https://customers.example{path}"),
        "per_page": 1,
        "next_cursor": cursor,
        "next_page_url": format!("https://customers.example{path}?{query}cursor={cursor}"),
        "prev_cursor": null,
        "prev_page_url": null,
    })
}

/// An entry of a history that is answered.
pub(super) fn history_example() -> Json {
    let change = |name: &str, from, to| customers_domain::history::Change {
        name: name.to_owned(),
        from,
        to,
    };
    let entry = Timestamp::from_micros(1_785_840_147_000_000).map(|at| HistoryEntry {
        id: 2,
        at,
        actor: "billing".into(),
        action: Action::Updated,
        request_id: "0198d5a9c0de7c1f8b1d2a3e4f506172".into(),
        changes: vec![
            change("brand", Value::Null, Value::Text("SGT".into())),
            change("vip", Value::Boolean(false), Value::Boolean(true)),
        ],
    });
    json!(entry.as_ref().map(Entry::of))
}
