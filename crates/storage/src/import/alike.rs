//! The customers that have all that rows without an id and an account say: they came in before.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use customers_domain::import::Incoming;
use customers_domain::{Attribute, Customer, CustomerId, Timestamp};
use diesel::prelude::*;
use indexmap::IndexMap;

use super::{Load, overlay};
use crate::row::text_key;
use crate::sql::{Sql, Values};

/// How many customers are held at once to be compared. Each may have a long comment.
const PAGE: usize = 100;

/// Finds for rows of a batch, by their places in it, the customer that has all that the row says: one that
/// is not deleted before one that is.
///
/// Every customer of the same name is compared, however many there are: a hash of what the rows say tells
/// which of them a customer may be.
pub(super) fn find(
    target: &mut dyn Load,
    batch: &[Incoming],
    is_dry: bool,
) -> QueryResult<HashMap<usize, CustomerId>> {
    let mut of_names: IndexMap<&str, Wanted<'_>> = IndexMap::new();
    for (at, incoming) in batch.iter().enumerate() {
        if incoming.id.is_none()
            && incoming.account().is_none()
            && let Some(name) = incoming.name()
        {
            of_names.entry(name).or_default().add(at, incoming);
        }
    }
    let mut found = HashMap::new();
    if is_dry {
        for (name, wanted) in &mut of_names {
            let planned = Sql::new("FROM ").push(overlay::SOURCE).push(" WHERE customers.name = ");
            let planned = planned.bind(*name);
            let compare = |customer: &Customer| wanted.compare(customer, &mut found);
            pages(target, planned, "customers.id", compare)?;
        }
    }
    // As they are stored, those that a dry run would have changed are no longer.
    let stored = |condition: &'static str| {
        let overlaid = " AND customers.id NOT IN (SELECT id FROM import_overlay)";
        Sql::new("FROM customer_keys AS k CROSS JOIN customers WHERE customers.id = k.id")
            .push(if is_dry { overlaid } else { "" })
            .push(condition)
    };
    for (name, wanted) in &mut of_names {
        if wanted.are_live() {
            let live = stored(" AND k.deleted_at IS NULL AND k.name = ").bind(text_key(name));
            pages(target, live, "k.id", |customer| wanted.compare(customer, &mut found))?;
        }
    }
    // Deleted customers are in no index by their names: all are looked through, once.
    of_names.retain(|_, wanted| wanted.may_be_deleted());
    let mut left = of_names.len();
    if left > 0 {
        let keys = of_names.keys().map(|name| text_key(name)).collect();
        let deleted =
            stored(" AND k.deleted_at IS NOT NULL AND k.name").one_of(Values::Texts(keys));
        pages(target, deleted, "k.id", |customer| {
            if let Some(wanted) = of_names.get_mut(&*customer.details.name)
                && wanted.count > 0
                && !wanted.compare(customer, &mut found)
            {
                left -= 1;
            }
            left > 0
        })?;
    }
    Ok(found)
}

/// Reads customers in the order of their ids, which are in this column, as long as more are wanted.
fn pages(
    target: &mut dyn Load,
    from: Sql,
    id: &'static str,
    mut wants_more: impl FnMut(&Customer) -> bool,
) -> QueryResult<()> {
    let mut last = 0;
    loop {
        let page = from.clone().push(" AND ").push(id).push(" > ").bind(last);
        let page = page.push(" ORDER BY ").push(id).push(" LIMIT ").bind(PAGE as i64);
        let customers = target.customers(page, PAGE)?;
        for customer in &customers {
            if !wants_more(customer) {
                return Ok(());
            }
        }
        match customers.last() {
            Some(customer) if customers.len() == PAGE => last = customer.id.get(),
            _ => return Ok(()),
        }
    }
}

/// Rows and their places, by the hashes of what they say.
type OfHashes<'a> = HashMap<u64, Vec<(usize, &'a Incoming)>>;

/// Rows of one name for which a customer is looked for.
#[derive(Default)]
struct Wanted<'a> {
    /// By the attributes that they say something of: most tables have one such set.
    of_attributes: Vec<(Vec<&'static Attribute>, OfHashes<'a>)>,
    count: usize,
}

impl<'a> Wanted<'a> {
    fn add(&mut self, at: usize, incoming: &'a Incoming) {
        // What lacks something is refused, whoever is there.
        let Ok(new) = incoming.changes.new_customer() else { return };
        let account = customers_domain::AccountNumbering::default().account(1);
        let customer = incoming.create(new, CustomerId::MIN, account, Timestamp::now());
        let attributes: Vec<_> = incoming.changes.iter().map(|(attribute, _)| attribute).collect();
        let hash = hash(&attributes, &customer);
        let place = match self.of_attributes.iter().position(|(those, _)| *those == attributes) {
            Some(place) => place,
            None => {
                self.of_attributes.push((attributes, HashMap::new()));
                self.of_attributes.len() - 1
            }
        };
        self.of_attributes[place].1.entry(hash).or_default().push((at, incoming));
        self.count += 1;
    }

    /// Compares a customer with the rows, and says whether some are left to be found.
    fn compare(&mut self, customer: &Customer, found: &mut HashMap<usize, CustomerId>) -> bool {
        for (attributes, rows) in &mut self.of_attributes {
            let Some(rows) = rows.get_mut(&hash(attributes, customer)) else { continue };
            rows.retain(|(at, incoming)| {
                let is_found = incoming.is_had_by(customer);
                if is_found {
                    found.insert(*at, customer.id);
                    self.count -= 1;
                }
                !is_found
            });
        }
        self.count > 0
    }

    fn left(&self) -> impl Iterator<Item = &Incoming> {
        self.of_attributes.iter().flat_map(|(_, rows)| rows.values().flatten()).map(|(_, it)| *it)
    }

    fn are_live(&self) -> bool {
        self.left().any(|it| it.deleted_at.flatten().is_none())
    }

    fn may_be_deleted(&self) -> bool {
        self.left().any(|it| it.deleted_at != Some(None))
    }
}

/// A hash of what a customer has in these attributes.
fn hash(attributes: &[&'static Attribute], customer: &Customer) -> u64 {
    let mut hasher = DefaultHasher::new();
    for attribute in attributes {
        attribute.of(customer).hash(&mut hasher);
    }
    hasher.finish()
}
