//! What is left of a customer whose data have to go.

use crate::customer::{Customer, CustomerDetails};

/// What a customer is called whose name was erased.
pub const ERASED_NAME: &str = "(erased)";

impl Customer {
    /// The customer without anything that was said of it: the name is [`ERASED_NAME`], every other
    /// attribute as it is by default. The id, the account and the times stay.
    #[must_use]
    pub fn erased(&self) -> Self {
        let details = CustomerDetails { name: ERASED_NAME.to_owned(), ..Default::default() };
        Self { details: Box::new(details), account: self.account.clone(), ..*self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::CustomerAccount;
    use crate::attribute::{Kind, Value};
    use crate::customer::{ATTRIBUTES, CustomerId, NewCustomer};
    use crate::timestamp::Timestamp;

    #[test]
    fn id_account_and_times_are_all_that_is_left() {
        let [first, last] = [1, 2].map(|micros| Timestamp::from_micros(micros).unwrap());
        let account = CustomerAccount::new("Zoé").unwrap();
        let new = NewCustomer::default();
        let mut customer = new.into_customer(CustomerId::MIN, account.clone(), first);
        for attribute in ATTRIBUTES.iter().filter(|it| it.kind != Kind::Account) {
            let other = match (attribute.kind, attribute.default()) {
                (Kind::Integer { .. }, _) => Value::Integer(4),
                (_, Value::Boolean(default)) => Value::Boolean(!default),
                _ => Value::Text("a@example.com".into()),
            };
            attribute.set(&mut customer, other).unwrap();
        }
        customer.updated_at = last;
        customer.deleted_at = Some(last);

        let erased = customer.erased();
        let left = (erased.id, &erased.account, erased.created_at, erased.updated_at);
        assert_eq!(left, (CustomerId::MIN, &account, first, last));
        assert_eq!((erased.deleted_at, &*erased.details.name), (Some(last), ERASED_NAME));
        let changes = erased.changes_since(Some(&customer));
        assert_eq!(changes.len(), ATTRIBUTES.len() - 1, "{changes:?}");
        assert_eq!(erased.erased(), erased);
    }
}
