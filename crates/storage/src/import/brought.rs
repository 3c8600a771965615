//! The numbers that customers bring along, which are made for no other.

use customers_domain::{AccountNumbering, CustomerAccount, CustomerId};
use roaring::RoaringTreemap;

/// The ids, and the numbers of accounts such as are made here, that are brought along: by those who come
/// in, and by those who are refused now and come in another time.
#[derive(Debug, Default)]
pub struct Brought {
    numbering: AccountNumbering,
    ids: RoaringTreemap,
    accounts: RoaringTreemap,
}

impl Brought {
    /// None yet.
    pub fn new(numbering: AccountNumbering) -> Self {
        Self { numbering, ids: RoaringTreemap::new(), accounts: RoaringTreemap::new() }
    }

    /// Adds an id.
    pub fn add_id(&mut self, id: CustomerId) {
        self.ids.insert(id.get() as u64);
    }

    /// Adds an account.
    pub fn add_account(&mut self, account: &CustomerAccount) {
        self.accounts.extend(self.numbering.number(account));
    }

    pub(super) fn has_id(&self, id: i64) -> bool {
        self.ids.contains(id as u64)
    }

    pub(super) fn has_account(&self, account: &CustomerAccount) -> bool {
        self.numbering.number(account).is_some_and(|number| self.accounts.contains(number))
    }

    /// The last of the ids that follow this one without a gap; itself where the next one is free.
    pub(super) fn last_behind(&self, id: i64) -> i64 {
        (id..).find(|id| !self.has_id(id + 1)).unwrap_or(id)
    }
}
