//! What is to be written so that a batch of customers is in.

use std::collections::HashMap;

use customers_domain::import::{Incoming, OnConflict, Verdict};
use customers_domain::{AccountNumbering, Customer, CustomerAccount, CustomerId, Timestamp};
use diesel::prelude::*;
use diesel::result::Error;
use roaring::RoaringTreemap;

use super::{Brought, Changed, Load, Outcome, alike, overlay};
use crate::row::{CustomerRow, customer_id};
use crate::sql::{Sql, Values};

/// How a plan is made.
pub(super) struct Planning<'a> {
    pub numbering: &'a AccountNumbering,
    /// What is not made here.
    pub brought: &'a Brought,
    pub on_conflict: OnConflict,
    pub is_dry: bool,
    /// Whether customers that are there are locked before they are looked at.
    pub locks: bool,
    pub now: Timestamp,
    /// Who came in with earlier batches, where nobody may come in twice.
    pub came_before: Option<&'a RoaringTreemap>,
}

/// What is to be written for the first customers of a batch, and what becomes of each.
#[derive(Default)]
pub(super) struct Plan {
    pub created: Vec<Customer>,
    pub changed: Vec<Changed>,
    pub outcomes: Vec<Outcome>,
}

/// The customers of a batch that are there, as they are with what is planned.
#[derive(Default)]
struct Known {
    by_id: HashMap<i64, Customer>,
    /// As they are stored, unless they are new.
    stored: HashMap<i64, CustomerRow>,
    ids: HashMap<String, i64>,
    /// The new ones that came without an account, by their names: where they are in the plan.
    unidentified: HashMap<String, Vec<usize>>,
}

impl Known {
    fn of_account(&self, account: &CustomerAccount) -> Option<&Customer> {
        self.by_id.get(self.ids.get(account.key().as_str())?)
    }

    /// The one of those that are planned that has all that comes in without an id and an account.
    fn created<'a>(&self, incoming: &Incoming, created: &'a [Customer]) -> Option<&'a Customer> {
        let alike = self.unidentified.get(incoming.name()?)?;
        alike.iter().map(|at| &created[*at]).find(|customer| incoming.is_had_by(customer))
    }

    /// Adds one, or puts it in the place of what it was before.
    fn put(&mut self, customer: Customer) {
        let id = customer.id.get();
        if let Some(before) = self.by_id.get(&id) {
            self.ids.remove(before.account.key().as_str());
        }
        self.ids.insert(customer.account.key().into(), id);
        self.by_id.insert(id, customer);
    }
}

impl Planning<'_> {
    /// Plans the first of these customers: all, unless one of them gives up an account, which must be
    /// written before another takes it. Who comes in is added to those who `came` with the same batch.
    pub fn plan(
        &self,
        target: &mut dyn Load,
        batch: &[Incoming],
        came: &mut RoaringTreemap,
    ) -> QueryResult<Plan> {
        let mut known = self.known(target, batch)?;
        let alike = alike::find(target, batch, self.is_dry)?;
        let mut plan = Plan::default();
        let mut ids = Vec::new();
        for (at, incoming) in batch.iter().enumerate() {
            let account = incoming.account();
            let of_id = incoming.id.and_then(|id| known.by_id.get(&id.get()));
            let of_account = match &account {
                Some(account) => known.of_account(account),
                None if incoming.id.is_none() => {
                    let is_there = match known.created(incoming, &plan.created) {
                        Some(customer) => Some(customer.id),
                        None => alike.get(&at).copied(),
                    };
                    if let Some(id) = is_there {
                        came.insert(id.get() as u64);
                        plan.outcomes.push(Outcome::Unchanged);
                        continue;
                    }
                    None
                }
                None => None,
            };
            let came_before = |id: CustomerId| {
                let is_among = |those: &RoaringTreemap| those.contains(id.get() as u64);
                self.came_before.is_some_and(|before| is_among(before) || is_among(came))
            };
            match incoming.onto(of_id, of_account, self.on_conflict, self.now, came_before) {
                Verdict::Create(new) => {
                    let id = match incoming.id {
                        Some(id) => id,
                        None => {
                            if ids.is_empty() {
                                ids = self.ids(target, &batch[at..], &known, plan.created.len())?;
                            }
                            customer_id(ids.pop().ok_or(Error::NotFound)?)?
                        }
                    };
                    let account = match account {
                        Some(account) => account,
                        None => {
                            let alike =
                                known.unidentified.entry(new.details.name.clone()).or_default();
                            alike.push(plan.created.len());
                            self.free_account(target, id, &known)?
                        }
                    };
                    let customer = incoming.create(new, id, account, self.now);
                    came.insert(id.get() as u64);
                    known.put(customer.clone());
                    plan.created.push(customer);
                    plan.outcomes.push(Outcome::Created);
                }
                Verdict::Change(before, after) => {
                    let id = before.id.get();
                    came.insert(id as u64);
                    let gives_up = before.account.key() != after.account.key();
                    let stored =
                        known.stored.remove(&id).unwrap_or_else(|| CustomerRow::from(&before));
                    known.put(after.clone());
                    known.stored.insert(id, CustomerRow::from(&after).keeping_unknown(&stored)?);
                    plan.changed.push(Changed { stored, before, after });
                    plan.outcomes.push(Outcome::Updated);
                    if gives_up {
                        break;
                    }
                }
                Verdict::Unchanged(id) => {
                    came.insert(id.get() as u64);
                    plan.outcomes.push(Outcome::Unchanged);
                }
                Verdict::Skip(_) => plan.outcomes.push(Outcome::Skipped),
                Verdict::Refuse(refusal) => plan.outcomes.push(Outcome::Refused(refusal)),
            }
        }
        Ok(plan)
    }

    /// The customers that have an id or an account of the batch.
    fn known(&self, target: &mut dyn Load, batch: &[Incoming]) -> QueryResult<Known> {
        let mut ids: Vec<i64> = batch.iter().filter_map(|it| Some(it.id?.get())).collect();
        let keys: Vec<String> =
            batch.iter().filter_map(|it| Some(it.account()?.key().into())).collect();
        if self.locks && !self.is_dry {
            target.lock(&ids, &keys)?;
        }
        let mut known = Known::default();
        let sources =
            if self.is_dry { &["customers", overlay::SOURCE][..] } else { &["customers"] };
        // What a dry run would have written comes last, and counts.
        for source in sources {
            let mut queries = Vec::new();
            if !ids.is_empty() {
                queries.push(listed(source, "id", Values::Numbers(ids.clone())));
            }
            if !keys.is_empty() {
                queries.push(listed(source, "account_key", Values::Texts(keys.clone())));
            }
            for query in queries {
                for row in target.rows(query)? {
                    let (row, customer) = row.into_both()?;
                    ids.push(customer.id.get());
                    known.stored.insert(customer.id.get(), row);
                    known.put(customer);
                }
            }
        }
        Ok(known)
    }

    /// Ids for those of the rest that are new and have none.
    fn ids(
        &self,
        target: &mut dyn Load,
        rest: &[Incoming],
        known: &Known,
        made: usize,
    ) -> QueryResult<Vec<i64>> {
        let is_new = |it: &&Incoming| {
            it.id.is_none()
                && it.account().is_none_or(|account| known.of_account(&account).is_none())
        };
        let count = rest.iter().filter(is_new).count();
        let given = rest.iter().filter_map(|it| it.id).chain(known.by_id.values().map(|it| it.id));
        if self.is_dry {
            // Nobody sees them; they are only to be others than all that are given.
            let made =
                made as i64 + target.number(Sql::new("SELECT count(*) FROM import_overlay"))?;
            return Ok((0..count as i64).map(|at| CustomerId::MAX.get() - made - at).collect());
        }
        let mut above = given.map(CustomerId::get).max().unwrap_or(0);
        let mut ids = Vec::with_capacity(count);
        while ids.len() < count {
            let drawn = target.next_ids(count - ids.len(), above)?;
            let last = drawn.iter().copied().max().ok_or(Error::NotFound)?;
            above = self.brought.last_behind(last);
            ids.extend(drawn.into_iter().filter(|id| !self.brought.has_id(*id)));
        }
        ids.sort_unstable_by(|a, b| b.cmp(a));
        Ok(ids)
    }

    /// The first account made for this id that nobody has or brings.
    fn free_account(
        &self,
        target: &mut dyn Load,
        id: CustomerId,
        known: &Known,
    ) -> QueryResult<CustomerAccount> {
        for account in self.numbering.candidates(id) {
            let key = account.key();
            let owner = Sql::new("SELECT count(*) FROM customers WHERE account_key = ");
            if !self.brought.has_account(&account)
                && !known.ids.contains_key(key.as_str())
                && target.number(owner.bind(key.as_str()))? == 0
            {
                return Ok(account);
            }
        }
        unreachable!("there is always another account to try")
    }
}

/// The rows of a source whose column is one of these values.
fn listed(source: &str, column: &str, values: Values) -> Sql {
    Sql::new(format!("FROM {source} WHERE customers.{column}")).one_of(values)
}
