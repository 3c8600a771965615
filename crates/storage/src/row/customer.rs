//! A customer and its row: what is listed by, sorted by, constrained or long known has a column, the
//! rest lies together in one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use customers_domain::{
    ATTRIBUTES, Attribute, Customer, CustomerAccount, CustomerDetails, Timestamp, Value,
};
use diesel::backend::Backend;
use diesel::dsl::SqlTypeOf;
use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_types::BigInt;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{corrupt, customer_id, readable};
use crate::listing;
use crate::schema::customers;
use crate::sql::{Bind, Sql, Typed};

type ColumnTypes<DB> = SqlTypeOf<<CustomerRow as Selectable<DB>>::SelectExpression>;

/// Makes [`CustomerRow`] of the attributes that have a column of their own, under the names of their
/// fields.
macro_rules! customer_row {
    ($( $field:ident: $type:ty, )+) => {
        /// A row of `customers`.
        #[derive(Clone, Queryable, Selectable, Insertable)]
        #[diesel(table_name = customers)]
        // An absent value is written as NULL, which is also its default: one statement for every
        // customer, so that it is prepared once.
        #[diesel(treat_none_as_default_value = false)]
        pub(crate) struct CustomerRow {
            pub id: i64,
            customer_account: String,
            pub account_key: String,
            $( $field: $type, )+
            more: String,
            created_at: i64,
            /// As it is stored, which may be out of range.
            pub updated_at: i64,
            deleted_at: Option<i64>,
        }

        /// The columns of a row, written beforehand: diesel would put them together at every list.
        const SELECT: &str = concat!(
            "SELECT customers.id, customers.customer_account, customers.account_key, ",
            $( "customers.", stringify!($field), ", ", )+
            "customers.more, customers.created_at, customers.updated_at, customers.deleted_at",
        );

        /// The fields of the attributes that have a column.
        const COLUMNS: &[&str] = &["customer_account", $( stringify!($field), )+];

        impl From<&Customer> for CustomerRow {
            fn from(customer: &Customer) -> Self {
                Self {
                    id: customer.id.get(),
                    customer_account: customer.account.as_str().to_owned(),
                    account_key: customer.account.key().into(),
                    $( $field: customer.details.$field.clone(), )+
                    more: more(customer),
                    created_at: customer.created_at.as_micros(),
                    updated_at: customer.updated_at.as_micros(),
                    deleted_at: customer.deleted_at.map(|at| at.as_micros()),
                }
            }
        }

        impl TryFrom<CustomerRow> for Customer {
            type Error = Error;

            fn try_from(row: CustomerRow) -> Result<Self, Self::Error> {
                let CustomerRow {
                    id,
                    customer_account,
                    account_key: _,
                    $( $field, )+
                    more,
                    created_at,
                    updated_at,
                    deleted_at,
                } = row;
                let account = CustomerAccount::try_from(customer_account)
                    .map_err(|rule| corrupt(format!("the account of customer {id} {rule}")))?;
                let time = |micros| readable(micros, format_args!("customer {id}"));
                let mut customer = Customer {
                    id: customer_id(id)?,
                    account,
                    details: Box::new(CustomerDetails { $( $field, )+ ..Default::default() }),
                    created_at: time(created_at),
                    updated_at: time(updated_at),
                    deleted_at: deleted_at.map(time),
                };
                set_more(&mut customer, &more)?;
                Ok(customer)
            }
        }

        impl CustomerRow {
            /// Reads a row of [`CustomerRow::select_text`].
            ///
            /// # Errors
            ///
            /// Where a column holds something else than this.
            pub fn from_columns(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
                let mut columns = 0..;
                let mut next = || columns.next().unwrap_or_default();
                // In the order of the columns, which is the order in which the fields are written.
                Ok(Self {
                    id: row.get(next())?,
                    customer_account: row.get(next())?,
                    account_key: row.get(next())?,
                    $( $field: row.get(next())?, )+
                    more: row.get(next())?,
                    created_at: row.get(next())?,
                    updated_at: row.get(next())?,
                    deleted_at: row.get(next())?,
                })
            }

            /// The names of all columns and the values in them, in the same order.
            pub fn binds(self) -> Vec<(&'static str, Bind)> {
                let Self {
                    id,
                    customer_account,
                    account_key,
                    $( $field, )+
                    more,
                    created_at,
                    updated_at,
                    deleted_at,
                } = self;
                vec![
                    ("id", id.into()),
                    ("customer_account", customer_account.into()),
                    ("account_key", account_key.into()),
                    $( (stringify!($field), $field.into()), )+
                    ("more", more.into()),
                    ("created_at", created_at.into()),
                    ("updated_at", updated_at.into()),
                    ("deleted_at", deleted_at.into()),
                ]
            }
        }
    };
}

customer_row! {
    brand_id: i32,
    representative_id: Option<i32>,
    accounts_reference: Option<String>,
    name: String,
    brand: Option<String>,
    registration_number: Option<String>,
    tax_registration_number: Option<String>,
    company_type: Option<String>,
    capital: Option<String>,
    main_address_line1: Option<String>,
    main_address_line2: Option<String>,
    main_address_postal_code: Option<String>,
    main_address_city: Option<String>,
    main_address_country: Option<String>,
    email_address: Option<String>,
    website: Option<String>,
    active: bool,
    is_reseller: bool,
    reseller_level: i32,
    charge_vat: bool,
    apply_vat_auto_reverse_operators: bool,
    on_call_duty: bool,
    vip: bool,
}

impl CustomerRow {
    /// The query of rows that are described from `FROM` on.
    pub fn select<DB: Backend>(from: Sql) -> Typed<ColumnTypes<DB>>
    where
        Self: Selectable<DB>,
    {
        Self::select_text(from).typed()
    }

    /// The text of that query, without the types of its columns.
    pub fn select_text(from: Sql) -> Sql {
        Sql::new(SELECT).push(" ").append(from)
    }

    /// The same, and beside each row how many there are, as the description counts them.
    pub fn select_counted<DB: Backend>(from: Sql) -> Typed<(ColumnTypes<DB>, BigInt)>
    where
        Self: Selectable<DB>,
    {
        Sql::new(SELECT).push(", ").push(listing::COUNTED).push(" ").append(from).typed()
    }

    /// Whether the customer is not deleted.
    pub fn is_live(&self) -> bool {
        self.deleted_at.is_none()
    }

    /// Whether one of the times is out of range, and is read as the nearest one.
    pub fn has_unreadable_time(&self) -> bool {
        let times = [Some(self.created_at), Some(self.updated_at), self.deleted_at];
        times.into_iter().flatten().any(|micros| Timestamp::from_micros(micros).is_none())
    }

    /// The row and the customer that it stands for.
    ///
    /// # Errors
    ///
    /// Where the row stands for none.
    pub fn into_both(self) -> Result<(Self, Customer), Error> {
        let customer = Customer::try_from(self.clone())?;
        Ok((self, customer))
    }

    /// Keeps what another version of the service has stored of the customer and this one does not
    /// know.
    ///
    /// # Errors
    ///
    /// Where what is stored is not what was written.
    pub fn keeping_unknown(mut self, stored: &Self) -> Result<Self, Error> {
        let unknown: BTreeMap<_, _> = members(&stored.more)?
            .into_iter()
            .filter(|(name, _)| Attribute::named(name).is_none())
            .collect();
        if !unknown.is_empty() {
            let mut all = members(&self.more)?;
            all.extend(unknown);
            self.more = json(&all);
        }
        Ok(self)
    }
}

/// The attributes without a column, and their defaults.
static MORE: LazyLock<Vec<(&Attribute, Value<'static>)>> = LazyLock::new(|| {
    let others = ATTRIBUTES.iter().filter(|attribute| !COLUMNS.contains(&attribute.field));
    others.map(|attribute| (attribute, attribute.default())).collect()
});

/// The attributes without a column that are not as they are by default, as a JSON object.
fn more(customer: &Customer) -> String {
    let members: BTreeMap<&str, Value<'_>> = MORE
        .iter()
        .map(|(attribute, default)| (attribute.name, attribute.of(customer), default))
        .filter(|(_, value, default)| value != *default)
        .map(|(name, value, _)| (name, value))
        .collect();
    json(&members)
}

fn json(members: &impl serde::Serialize) -> String {
    serde_json::to_string(members).expect("a map of texts and plain values")
}

type Members<'a> = BTreeMap<Cow<'a, str>, serde_json::Value>;

fn members(more: &str) -> Result<Members<'_>, Error> {
    if more == "{}" {
        return Ok(Members::new());
    }
    serde_json::from_str(more).map_err(corrupt)
}

fn set_more(customer: &mut Customer, more: &str) -> Result<(), Error> {
    if more == "{}" {
        return Ok(());
    }
    let mut json = serde_json::Deserializer::from_str(more);
    json.deserialize_map(More(customer)).map_err(corrupt)?;
    json.end().map_err(corrupt)
}

/// The name of a member, borrowed where it can be.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Sets the attributes of a customer while they are read.
struct More<'a>(&'a mut Customer);

impl<'de> Visitor<'de> for More<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("attributes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(Name(name)) = members.next_key()? {
            match Attribute::named(&name) {
                Some(attribute) => {
                    let value = members.next_value::<Value<'de>>()?;
                    attribute.set(self.0, value).map_err(A::Error::custom)?;
                }
                // A newer version may know it.
                None => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use customers_domain::{CustomerId, Kind, NewCustomer};

    use super::*;

    fn customer() -> Customer {
        let now = Timestamp::from_micros(1).unwrap();
        let account = CustomerAccount::new("CL1").unwrap();
        NewCustomer::default().into_customer(CustomerId::MIN, account, now)
    }

    /// A value that is not the default.
    fn other(attribute: &Attribute) -> Value<'static> {
        match (attribute.kind, attribute.default()) {
            (Kind::Integer { .. }, _) => Value::Integer(4),
            (Kind::Boolean, Value::Boolean(default)) => Value::Boolean(!default),
            (Kind::Emails, _) => Value::Text("a@example.com".into()),
            _ => Value::Text(format!("é {}", attribute.name).into()),
        }
    }

    #[test]
    fn every_attribute_survives_its_row() {
        let mut customer = customer();
        for attribute in ATTRIBUTES {
            attribute.set(&mut customer, other(attribute)).unwrap();
        }
        let row = CustomerRow::from(&customer);
        for attribute in ATTRIBUTES {
            let is_in_more = row.more.contains(&format!("{:?}:", attribute.name));
            assert_ne!(is_in_more, COLUMNS.contains(&attribute.field), "{}", attribute.name);
        }
        assert_eq!(Customer::try_from(row).unwrap(), customer);
    }

    #[test]
    fn defaults_take_no_room_and_are_read_back() {
        let customer = customer();
        let row = CustomerRow::from(&customer);
        assert_eq!(row.more, "{}");
        assert_eq!(Customer::try_from(row).unwrap(), customer);
    }

    #[test]
    fn every_attribute_that_is_listed_by_has_a_column() {
        for attribute in ATTRIBUTES.iter().filter(|attribute| attribute.filtered) {
            assert!(COLUMNS.contains(&attribute.field), "{}", attribute.name);
        }
    }

    #[test]
    fn every_column_of_an_attribute_is_one_of_the_domain() {
        for column in COLUMNS {
            assert!(ATTRIBUTES.iter().any(|attribute| attribute.field == *column), "{column}");
        }
    }

    #[test]
    fn what_another_version_has_stored_is_kept() {
        let mut stored = CustomerRow::from(&customer());
        stored.more = r#"{"fax":"1","ofTomorrow":[1]}"#.into();
        let mut read = Customer::try_from(CustomerRow {
            more: stored.more.clone(),
            ..CustomerRow::from(&customer())
        })
        .unwrap();
        assert_eq!(read.details.fax.as_deref(), Some("1"));
        read.details.fax = None;
        read.details.phone = Some("2".into());
        let row = CustomerRow::from(&read).keeping_unknown(&stored).unwrap();
        assert_eq!(row.more, r#"{"ofTomorrow":[1],"phone":"2"}"#);
    }
}
