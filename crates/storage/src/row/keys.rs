//! What a customer is listed, sorted and searched by, as it is stored.

use customers_domain::selection::sort_key;
use customers_domain::{Customer, FOLD_VERSION, fold};
use diesel::prelude::*;

use crate::schema::customer_keys;
use crate::sql::Bind;

/// Makes [`KeysRow`] of the attributes that customers are listed by, under the names of their fields.
macro_rules! keys_row {
    ($( $field:ident: $type:ty, )+) => {
        /// A row of `customer_keys`.
        #[derive(Debug, PartialEq, Eq, Queryable, Selectable, Insertable)]
        #[diesel(table_name = customer_keys)]
        #[diesel(treat_none_as_default_value = false)]
        pub(crate) struct KeysRow {
            pub id: i64,
            customer_account: String,
            name: String,
            $( $field: $type, )+
            created_at: i64,
            pub updated_at: i64,
            deleted_at: Option<i64>,
            pub searched_text: String,
            fold_version: i32,
        }

        impl From<&Customer> for KeysRow {
            fn from(customer: &Customer) -> Self {
                Self {
                    id: customer.id.get(),
                    customer_account: text_key(customer.account.as_str()),
                    name: text_key(&customer.details.name),
                    $( $field: customer.details.$field.key(), )+
                    created_at: customer.created_at.as_micros(),
                    updated_at: customer.updated_at.as_micros(),
                    deleted_at: customer.deleted_at.map(|at| at.as_micros()),
                    searched_text: customer.searched_text(),
                    fold_version: FOLD_VERSION,
                }
            }
        }

        impl KeysRow {
            /// The names of all columns and the values in them, in the same order.
            pub fn binds(self) -> Vec<(&'static str, Bind)> {
                let Self {
                    id,
                    customer_account,
                    name,
                    $( $field, )+
                    created_at,
                    updated_at,
                    deleted_at,
                    searched_text,
                    fold_version,
                } = self;
                vec![
                    ("id", id.into()),
                    ("customer_account", customer_account.into()),
                    ("name", name.into()),
                    $( (stringify!($field), $field.into()), )+
                    ("created_at", created_at.into()),
                    ("updated_at", updated_at.into()),
                    ("deleted_at", deleted_at.into()),
                    ("searched_text", searched_text.into()),
                    ("fold_version", fold_version.into()),
                ]
            }
        }

        #[cfg(test)]
        const COLUMNS: &[&str] = &["customer_account", $( stringify!($field), )+];
    };
}

keys_row! {
    brand_id: i32,
    representative_id: Option<i32>,
    accounts_reference: Option<String>,
    registration_number: Option<String>,
    tax_registration_number: Option<String>,
    company_type: Option<String>,
    main_address_postal_code: Option<String>,
    main_address_city: Option<String>,
    main_address_country: Option<String>,
    email_address: Option<String>,
    active: bool,
    is_reseller: bool,
    on_call_duty: bool,
    vip: bool,
}

/// Text as it is compared and sorted. What is longer than an index takes is cut.
pub(crate) fn text_key(text: &str) -> String {
    let mut folded = fold(text);
    let end = sort_key(&folded).len();
    folded.truncate(end);
    folded
}

/// A value that is compared.
trait Key {
    fn key(&self) -> Self;
}

impl Key for i32 {
    fn key(&self) -> Self {
        *self
    }
}

impl Key for Option<i32> {
    fn key(&self) -> Self {
        *self
    }
}

impl Key for bool {
    fn key(&self) -> Self {
        *self
    }
}

impl Key for Option<String> {
    fn key(&self) -> Self {
        self.as_deref().map(text_key)
    }
}

/// The digits of a customer's phone numbers, as they are stored: the last first.
pub(crate) fn phones(customer: &Customer) -> Vec<String> {
    customer.phone_digits().iter().map(|digits| digits.reversed()).collect()
}

#[cfg(test)]
mod tests {
    use customers_domain::ATTRIBUTES;

    use super::*;

    #[test]
    fn every_attribute_that_is_listed_by_has_a_column() {
        for attribute in ATTRIBUTES {
            let has_column = COLUMNS.contains(&attribute.field);
            assert_eq!(has_column, attribute.filtered, "{}", attribute.name);
        }
    }

    #[test]
    fn keys_are_folded_and_fit_an_index() {
        assert_eq!(text_key("Société"), "societe");
        // One character that becomes eighteen.
        assert!(text_key(&"\u{FDFA}".repeat(255)).len() <= 255 * 4);
    }
}
