//! `customers erase`: takes all that is known of a customer from the registry.

use customers_domain::selection::{Filter, Order, Page, Selection, Trashed};
use customers_domain::{Customer, CustomerId, Write, WriteError};
use customers_storage::Store;
use uuid::Uuid;

use crate::Failure;
use crate::token::show;

/// Erases the customer, or tells what that would be where it is not confirmed.
pub async fn run(store: Store, id: CustomerId, confirmed: bool) -> Result<(), Failure> {
    if !confirmed {
        let customer = find(&store, id).await?;
        show(&description(&customer)).map_err(Failure::other)?;
        return Err(Failure::Unconfirmed);
    }
    let write = Write {
        actor: "command line".to_owned(),
        request_id: Uuid::now_v7().simple().to_string(),
        precondition: None,
        idempotency: None,
    };
    match store.customers.erase(id, write).await {
        Ok(erased) => show(&format!(
            "Erased customer {id}. Its account is still {}; backups have what they had.",
            erased.customer_account.as_str()
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

fn unknown(id: CustomerId) -> Failure {
    Failure::other(format!("there is no customer {id}"))
}

/// What would be erased. Values are shown in quotes, so that none reaches the terminal as a command.
fn description(customer: &Customer) -> String {
    let account = customer.customer_account.as_str();
    let values: String = customer
        .erased()
        .changes_since(Some(customer))
        .into_iter()
        .map(|change| format!("  {}: {}\n", change.name, serde_json::json!(change.from)))
        .collect();
    format!(
        "Of customer {} with the account {} this would be erased for good:\n{values}  \
         all values in its history\n\
         Its id, its account, and who changed what and when would stay.",
        customer.id,
        serde_json::json!(account),
    )
}
