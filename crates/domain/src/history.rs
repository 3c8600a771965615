//! What happened to a customer.

use crate::attribute::Value;
use crate::customer::{ATTRIBUTES, Customer};
use crate::timestamp::Timestamp;

/// Something that was done to a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
pub enum Action {
    /// It was created.
    Created,
    /// Attributes were changed.
    Updated,
    /// It was deleted.
    Deleted,
    /// It was brought back.
    Restored,
    /// What was known of it was [erased](Customer::erased): the entries up to this one tell what was
    /// changed, but no values.
    Erased,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Created, Self::Updated, Self::Deleted, Self::Restored, Self::Erased];

    /// The name that clients see.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
            Self::Restored => "restored",
            Self::Erased => "erased",
        }
    }
}

impl std::str::FromStr for Action {
    type Err = UnknownAction;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|action| action.as_str() == name).ok_or(UnknownAction)
    }
}

/// There is no such action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an action is created, updated, deleted, restored or erased")]
pub struct UnknownAction;

/// A value that was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The attribute, or `deleted_at`, or `created_at`, which an import may change.
    pub name: String,
    /// What it was before.
    pub from: Value<'static>,
    /// What it is since.
    pub to: Value<'static>,
}

/// An entry of a customer's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// Its number, larger than those of earlier entries.
    pub id: i64,
    /// When it happened.
    pub at: Timestamp,
    /// Who did it: the name of a token or a user, or `command line`.
    pub actor: String,
    /// What was done.
    pub action: Action,
    /// The request that did it; nothing where the customer was erased since.
    pub request_id: String,
    /// What is different since.
    pub changes: Vec<Change>,
}

impl Customer {
    /// What differs from the customer as it was before; from the defaults where it is new. When it was last
    /// changed is no difference, and nor is when a new customer was created.
    pub fn changes_since(&self, before: Option<&Self>) -> Vec<Change> {
        let attributes = ATTRIBUTES.iter().map(|attribute| {
            let from = match before {
                Some(before) => attribute.of(before),
                // What has to be given has no default.
                None if attribute.required() => Value::Null,
                None => attribute.default(),
            };
            (attribute.name, from, attribute.of(self))
        });
        let moment =
            |at: Option<Timestamp>| at.map_or(Value::Null, |at| Value::Text(at.to_string().into()));
        let deleted_at = before.and_then(|before| before.deleted_at);
        let deletion = ("deleted_at", moment(deleted_at), moment(self.deleted_at));
        let created_at = before.map_or(self.created_at, |before| before.created_at);
        let creation = ("created_at", moment(Some(created_at)), moment(Some(self.created_at)));
        attributes
            .chain([deletion, creation])
            .filter(|(_, from, to)| from != to)
            .map(|(name, from, to)| Change {
                name: name.to_owned(),
                from: from.into_owned(),
                to: to.into_owned(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::CustomerAccount;
    use crate::customer::{CustomerDetails, CustomerId, NewCustomer};

    #[test]
    fn only_what_differs_is_a_change() {
        let new = NewCustomer::from(CustomerDetails {
            name: "A".into(),
            vip: true,
            ..CustomerDetails::default()
        });
        let account = CustomerAccount::new("CL1").unwrap();
        let now = Timestamp::from_micros(0).unwrap();
        let created = new.into_customer(CustomerId::MIN, account, now);
        let names =
            |changes: Vec<Change>| changes.into_iter().map(|it| it.name).collect::<Vec<_>>();
        assert_eq!(names(created.changes_since(None)), ["customerAccount", "name", "vip"]);
        let from = |at: usize| created.changes_since(None)[at].from.clone();
        assert_eq!([from(1), from(2)], [Value::Null, Value::Boolean(false)]);
        assert!(created.changes_since(Some(&created)).is_empty());

        let mut deleted = Customer { deleted_at: Some(now), ..created.clone() };
        deleted.details.phone = Some("1".into());
        let changes = deleted.changes_since(Some(&created));
        assert_eq!(changes[0].to, Value::Text("1".into()));
        assert_eq!(changes[1].from, Value::Null);
        assert_eq!(names(changes), ["phone", "deleted_at"]);

        let later = Customer { created_at: Timestamp::from_micros(1).unwrap(), ..created.clone() };
        let changes = later.changes_since(Some(&created));
        assert_eq!(changes[0].from, Value::Text("1970-01-01T00:00:00.000000Z".into()));
        assert_eq!(changes[0].to, Value::Text("1970-01-01T00:00:00.000001Z".into()));
        assert_eq!(names(changes), ["created_at"]);
    }
}
