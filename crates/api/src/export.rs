//! What an export has in common with the API: which customers, and how they are written.

use customers_domain::Customer;
use customers_domain::history::HistoryEntry;
use customers_domain::selection::Selection;
use customers_domain::token::Scope;

use crate::customers::history::Entry;
use crate::json::Item;
use crate::listing::{ListQuery, filters};

/// The customers that `GET /api/v1/customers` shows with these filters: of each what stands in the
/// brackets of `filter[…]`, and its value. They are read as those of a request are: of a repeated name the
/// last counts, and of blank ones only those say something that name a customer: they match no customer.
///
/// # Errors
///
/// [`InvalidFilter`] where one is unknown or its value is of the wrong kind.
pub fn selection<'a>(
    filters: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Selection, InvalidFilter> {
    let mut query = ListQuery::default();
    for (name, value) in filters {
        query.filter(name, value.to_owned());
    }
    // Whoever may read the database may see all of it.
    filters::selection(&query.filters, Scope::Write).map_err(|error| InvalidFilter(error.message))
}

/// Why there is no such filter: what a request is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidFilter(String);

/// Writes a customer as JSON behind what is there, as the API answers it.
pub fn write_customer(customer: &Customer, json: &mut Vec<u8>) {
    customer.write(json);
}

/// Writes an entry of a history as JSON behind what is there, as the API answers it.
pub fn write_entry(entry: &HistoryEntry, json: &mut Vec<u8>) {
    Entry::of(entry).write(json);
}

#[cfg(test)]
mod tests {
    use customers_domain::selection::{Filter, Trashed};

    use super::*;

    #[test]
    fn filters_are_those_of_the_list() {
        let all = selection([]).unwrap();
        assert_eq!(all, Selection::default());
        let some = selection([("name", "a"), ("name", "Société, b"), ("trashed", "only")]).unwrap();
        assert_eq!(some.trashed, Trashed::Only);
        assert_eq!(some.filters, [Filter::Name(vec!["societe".into(), "b".into()])]);
        let withheld = selection([("phone", " ")]).unwrap();
        assert_eq!(withheld.filters, [Filter::Nobody]);
        let told = selection([("foo", "a")]).unwrap_err().to_string();
        assert!(told.starts_with("Requested filter(s) `foo` are not allowed."), "{told}");
        let told = selection([("vip", "maybe")]).unwrap_err().to_string();
        assert_eq!(told, "The vip filter must be true or false.");
    }
}
