//! Customers as serde writes and reads them: flat, each attribute under its wire name, in the order of
//! the declarations.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::customer::{ATTRIBUTES, Customer, CustomerId, NewCustomer, position_of};
use crate::timestamp::Timestamp;

impl Serialize for NewCustomer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_struct("NewCustomer", ATTRIBUTES.len())?;
        for attribute in ATTRIBUTES {
            members.serialize_field(attribute.name, &attribute.of_new(self))?;
        }
        members.end()
    }
}

impl Serialize for Customer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_struct("Customer", ATTRIBUTES.len() + 4)?;
        members.serialize_field("id", &self.id)?;
        for attribute in ATTRIBUTES {
            members.serialize_field(attribute.name, &attribute.of(self))?;
        }
        members.serialize_field("created_at", &self.created_at)?;
        members.serialize_field("updated_at", &self.updated_at)?;
        members.serialize_field("deleted_at", &self.deleted_at)?;
        members.end()
    }
}

impl<'de> Deserialize<'de> for NewCustomer {
    /// Reads a new customer; an attribute that is missing takes its default.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members).map(|flat| flat.new)
    }
}

impl<'de> Deserialize<'de> for Customer {
    /// Reads a customer. An attribute that is missing takes its default, because an older version may
    /// have written the customer. Id, account, name and times must be there.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Flat { new, given, id, created_at, updated_at, deleted_at } =
            deserializer.deserialize_map(Members)?;
        for (attribute, is_given) in ATTRIBUTES.iter().zip(given) {
            if !is_given && attribute.required() {
                return Err(D::Error::missing_field(attribute.name));
            }
        }
        Ok(Self {
            id: id.ok_or_else(|| D::Error::missing_field("id"))?,
            account: new.account.ok_or_else(|| D::Error::missing_field("customerAccount"))?,
            details: new.details,
            created_at: created_at.ok_or_else(|| D::Error::missing_field("created_at"))?,
            updated_at: updated_at.ok_or_else(|| D::Error::missing_field("updated_at"))?,
            deleted_at: deleted_at.flatten(),
        })
    }
}

/// What was read of a customer, new or not.
struct Flat {
    new: NewCustomer,
    /// Whether each of [`ATTRIBUTES`] was there.
    given: Vec<bool>,
    id: Option<CustomerId>,
    created_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
    deleted_at: Option<Option<Timestamp>>,
}

/// Reads the members of a customer. Unknown ones are passed over.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Flat;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a customer")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Flat, A::Error> {
        let mut flat = Flat {
            new: NewCustomer::default(),
            given: vec![false; ATTRIBUTES.len()],
            id: None,
            created_at: None,
            updated_at: None,
            deleted_at: None,
        };
        while let Some(Name(name)) = members.next_key()? {
            match &*name {
                "id" => once(&mut flat.id, "id", members.next_value()?)?,
                "created_at" => once(&mut flat.created_at, "created_at", members.next_value()?)?,
                "updated_at" => once(&mut flat.updated_at, "updated_at", members.next_value()?)?,
                "deleted_at" => once(&mut flat.deleted_at, "deleted_at", members.next_value()?)?,
                name => match position_of(name) {
                    Some(position) => {
                        let attribute = &ATTRIBUTES[position];
                        if std::mem::replace(&mut flat.given[position], true) {
                            return Err(A::Error::duplicate_field(attribute.name));
                        }
                        let value = members.next_value()?;
                        attribute.set_new(&mut flat.new, value).map_err(|rule| {
                            A::Error::custom(format_args!("{} {rule}", attribute.name))
                        })?;
                    }
                    None => {
                        members.next_value::<IgnoredAny>()?;
                    }
                },
            }
        }
        Ok(flat)
    }
}

/// Keeps a value that may come once.
fn once<T, E: Error>(kept: &mut Option<T>, name: &'static str, value: T) -> Result<(), E> {
    match kept.replace(value) {
        Some(_) => Err(E::duplicate_field(name)),
        None => Ok(()),
    }
}

/// The name of a member, borrowed where it can be.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::CustomerAccount;

    fn customer() -> Customer {
        let mut new = NewCustomer::default();
        new.details.name = "Genève \"A\"".into();
        new.details.zone = 3;
        new.details.vip = true;
        let account = CustomerAccount::new("CL7").unwrap();
        let now = Timestamp::from_micros(1_785_840_147_000_001).unwrap();
        new.into_customer(CustomerId::new(7).unwrap(), account, now)
    }

    fn json() -> String {
        serde_json::to_string(&customer()).unwrap()
    }

    #[test]
    fn a_customer_is_flat_and_in_the_order_of_the_declarations() {
        let json = json();
        let names = crate::import::names().map(|name| format!("\"{name}\":"));
        let places: Vec<_> = names.map(|name| json.find(&name).unwrap()).collect();
        assert!(places.is_sorted(), "{json}");
        let start = r#"{"id":7,"brand_id":1,"representative_id":null,"customerAccount":"CL7","#;
        assert!(json.starts_with(start), "{json}");
        assert!(json.contains(r#","name":"Genève \"A\"",""#), "{json}");
        let at = "2026-08-04T10:42:27.000001Z";
        let end = format!(r#","created_at":"{at}","updated_at":"{at}","deleted_at":null}}"#);
        assert!(json.ends_with(&end), "{json}");
    }

    #[test]
    fn a_customer_is_read_back() {
        assert_eq!(serde_json::from_str::<Customer>(&json()).unwrap(), customer());
        assert_eq!(serde_json::from_reader::<_, Customer>(json().as_bytes()).unwrap(), customer());
    }

    #[test]
    fn a_new_customer_is_the_same_without_id_and_times() {
        let Customer { account, details, .. } = customer();
        let new = NewCustomer { account: Some(account), details };
        let written = serde_json::to_string(&new).unwrap();
        let whole = json().replace("\"id\":7,", "");
        let (attributes, _) = whole.split_once(",\"created_at\"").unwrap();
        assert_eq!(written, format!("{attributes}}}"));
        assert_eq!(serde_json::from_str::<NewCustomer>(&written).unwrap(), new);
        let default: NewCustomer = serde_json::from_str("{\"unknown\":[1]}").unwrap();
        assert_eq!(default, NewCustomer::default());
    }

    #[test]
    fn what_is_missing_wrong_or_there_twice_is_an_error() {
        let at = ",\"created_at\":\"2026-08-04T10:42:27.000001Z\"";
        for (from, to, error) in [
            ("\"id\":7,", "", "missing field `id`"),
            ("\"customerAccount\":\"CL7\",", "", "missing field `customerAccount`"),
            ("\"name\":\"Genève \\\"A\\\"\",", "", "missing field `name`"),
            (at, "", "missing field `created_at`"),
            ("\"vip\":true", "\"vip\":null", "vip must be true or false"),
            ("\"zone\":3", "\"zone\":\"3\"", "zone must be an integer"),
            ("\"zone\":3", "\"zone\":3,\"zone\":3", "duplicate field `zone`"),
            ("\"id\":7", "\"id\":7,\"id\":7", "duplicate field `id`"),
        ] {
            let json = json();
            assert!(json.contains(from), "{from}");
            let refused = serde_json::from_str::<Customer>(&json.replace(from, to)).unwrap_err();
            assert!(refused.to_string().starts_with(error), "{refused}");
        }
        let without = ["\"phone\":null,", "\"active\":true,", ",\"deleted_at\":null"];
        let shorter = without.into_iter().fold(json(), |json, member| json.replace(member, ""));
        assert_eq!(serde_json::from_str::<Customer>(&shorter).unwrap(), customer());
    }
}
