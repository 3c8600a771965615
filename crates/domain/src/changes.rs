//! What an update changes.

use crate::attribute::{Attribute, Kind, Value};
use crate::customer::{ATTRIBUTES, Customer, NewCustomer};
use crate::rule::{Rule, Violation, Violations};
use crate::text::trim;

/// The attributes that an update gives, each with a value that keeps the rules. What it does not
/// give stays as it is, and is not held against the rules again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CustomerChanges(Vec<(&'static Attribute, Value<'static>)>);

impl CustomerChanges {
    /// The changes to these values. Null clears what may be without a value.
    ///
    /// A value that could not even be read stands as the rule that it breaks.
    ///
    /// # Errors
    ///
    /// Every rule that is broken; [`Rule::Required`] is where null is not allowed.
    pub fn from_values<'a>(
        values: impl IntoIterator<Item = (&'static Attribute, Result<Value<'a>, Rule>)>,
    ) -> Result<Self, Violations> {
        let mut changes = Vec::new();
        let mut violations = Vec::new();
        for (attribute, value) in values {
            let value = match value {
                Ok(Value::Null) => attribute.cleared().ok_or(Rule::Required),
                Ok(value) => Ok(value.into_owned()),
                Err(rule) => Err(rule),
            };
            let broken = match &value {
                // What was cleared is as it may be.
                Ok(value) if Some(value) == attribute.cleared().as_ref() => Vec::new(),
                Ok(value) => attribute.broken_by(value),
                Err(rule) => vec![*rule],
            };
            violations.extend(broken.into_iter().map(|rule| Violation { attribute, rule }));
            if let Ok(value) = value {
                changes.push((attribute, as_kept(attribute, value)));
            }
        }
        let place = |it: &Violation| ATTRIBUTES.iter().position(|other| other == it.attribute);
        violations.sort_by_key(place);
        Violations::unless_empty(violations)?;
        Ok(Self(changes))
    }

    /// Whether nothing is given.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value given for the attribute of this name, and no longer among the changes.
    pub fn take(&mut self, name: &str) -> Option<Value<'static>> {
        let at = self.0.iter().position(|(attribute, _)| attribute.name == name)?;
        Some(self.0.remove(at).1)
    }

    /// The attributes and their values.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Attribute, &Value<'static>)> {
        self.0.iter().map(|(attribute, value)| (*attribute, value))
    }

    /// Makes the changes to a customer.
    pub fn apply(&self, customer: &mut Customer) {
        for (attribute, value) in &self.0 {
            let set = attribute.set(customer, value.clone());
            debug_assert_eq!(set, Ok(()), "a value that was checked");
        }
    }

    /// The new customer that these changes make of the defaults.
    ///
    /// # Errors
    ///
    /// The rules that it breaks, which are about what is missing.
    pub fn new_customer(&self) -> Result<NewCustomer, Violations> {
        NewCustomer::from_values(
            self.iter().map(|(attribute, value)| (attribute, Ok(value.clone()))),
        )
    }
}

/// An account is kept trimmed.
fn as_kept(attribute: &Attribute, value: Value<'static>) -> Value<'static> {
    match value {
        Value::Text(text) if attribute.kind == Kind::Account => {
            Value::Text(trim(&text).to_owned().into())
        }
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::CustomerAccount;
    use crate::customer::{CustomerDetails, CustomerId};
    use crate::timestamp::Timestamp;

    fn changes(values: &[(&str, Value<'static>)]) -> Result<CustomerChanges, String> {
        let values =
            values.iter().map(|(name, value)| (Attribute::named(name).unwrap(), Ok(value.clone())));
        CustomerChanges::from_values(values).map_err(|violations| violations.to_string())
    }

    #[test]
    fn null_clears_what_may_be_without_a_value() {
        let new = NewCustomer::from(CustomerDetails {
            name: "A".into(),
            brand: Some("B".into()),
            suppliers: "C".into(),
            vip: true,
            ..CustomerDetails::default()
        });
        let account = CustomerAccount::new("CL1").unwrap();
        let mut customer =
            new.into_customer(CustomerId::MIN, account, Timestamp::from_micros(0).unwrap());
        let given =
            [("brand", Value::Null), ("suppliers", Value::Null), ("balance", Value::Integer(-5))];
        changes(&given).unwrap().apply(&mut customer);
        assert_eq!((customer.details.brand, customer.details.suppliers.as_str()), (None, ""));
        assert_eq!((customer.details.balance, customer.details.vip), (Some(-5), true));
    }

    #[test]
    fn what_always_has_a_value_is_not_cleared() {
        let given = [
            ("vip", Value::Null),
            ("customerAccount", Value::Null),
            ("name", Value::Null),
            ("brand_id", Value::Integer(0)),
            ("emailAddress", Value::Text("a@b.example; nobody".into())),
        ];
        assert_eq!(
            changes(&given).unwrap_err(),
            "customerAccount is required; name is required; vip is required; \
             brand_id must be at least 1; emailAddress must be a valid email address"
        );
    }

    #[test]
    fn a_new_customer_of_changes_takes_defaults() {
        let new = changes(&[("name", Value::Text("A".into()))]).unwrap().new_customer().unwrap();
        assert_eq!(
            new,
            NewCustomer::from(CustomerDetails { name: "A".into(), ..CustomerDetails::default() })
        );
        let violations = changes(&[("vip", Value::Boolean(true))]).unwrap().new_customer();
        assert_eq!(violations.unwrap_err().to_string(), "name is required");
    }
}
