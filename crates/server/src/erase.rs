//! `customers erase`: takes all that is known of a customer from the registry.

use customers_domain::history::{Action, HistoryEntry};
use customers_domain::selection::{Filter, Order, Page, Selection, Trashed};
use customers_domain::{Customer, CustomerId, Precondition, Value, Write, WriteError};
use customers_storage::Store;
use uuid::Uuid;

use crate::Failure;
use crate::output::show;

/// Of a long value, so many characters are shown.
const SHOWN: usize = 60;

/// Erases the customer, or tells what that would be where it is not confirmed. `from_file` where all that
/// is kept is in one file, which is clean then.
pub async fn run(
    store: Store,
    from_file: bool,
    id: CustomerId,
    confirmed: bool,
) -> Result<(), Failure> {
    if !confirmed {
        let customer = find(&store, id).await?;
        let last = store.customers.history(id, None, 1).await.map_err(Failure::other)?;
        let last = last.and_then(|mut entries| entries.pop());
        show(&description(&customer, last.as_ref())).map_err(Failure::other)?;
        return Err(Failure::Unconfirmed);
    }
    let write = Write {
        actor: "command line".to_owned(),
        request_id: Uuid::now_v7().simple().to_string(),
        precondition: Precondition::default(),
        idempotency: None,
    };
    match store.customers.erase(id, write).await {
        Ok((_, false)) => {
            let clean = if from_file { " The file holds nothing of it any more." } else { "" };
            show(&format!(
                "Customer {id} was erased already, and nothing was done to it since.{clean}"
            ))
            .map_err(Failure::other)
        }
        Ok((erased, true)) => show(&format!(
            "Erased customer {id}. Its account is still {}; backups and exports have what they had.",
            quoted(erased.account.as_str())
        ))
        .map_err(Failure::other),
        Err(WriteError::NotFound) => Err(unknown(id)),
        Err(error) => Err(Failure::other(error)),
    }
}

/// The customer, deleted or not.
async fn find(store: &Store, id: CustomerId) -> Result<Customer, Failure> {
    let selection = Selection { filters: vec![Filter::Id(vec![id])], trashed: Trashed::With };
    let page = Page { skip: 0, take: 1 };
    let found = store.customers.list(selection, Order::default(), page).await;
    found.map_err(Failure::other)?.customers.pop().ok_or_else(|| unknown(id))
}

pub fn unknown(id: CustomerId) -> Failure {
    Failure::other(format!(
        "there is no customer {id}; an id is the number that the API answers as `id`, not an account"
    ))
}

/// What would be erased of a customer, to which this was done last.
fn description(customer: &Customer, last: Option<&HistoryEntry>) -> String {
    let id = customer.id;
    if let Some(HistoryEntry { at, action: Action::Erased, .. }) = last {
        return format!("Customer {id} was erased at {at}, and nothing was done to it since.");
    }
    let values: String = customer
        .erased()
        .changes_since(Some(customer))
        .into_iter()
        .map(|change| match change.from {
            Value::Text(text) => format!("  {}: {}\n", change.name, quoted(&text)),
            other => format!("  {}: {}\n", change.name, serde_json::json!(other)),
        })
        .collect();
    format!(
        "Of customer {id} with the account {} this would be erased for good:\n{values}  \
         all values in its history\n\
         Its id, its account, and who changed what and when would stay.",
        quoted(customer.account.as_str()),
    )
}

/// A text in quotes, so that nothing of it reaches the terminal as a command, and cut where it is long.
fn quoted(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", serde_json::json!(&text[..end])),
        None => serde_json::json!(text).to_string(),
    }
}
