//! What a write makes of a customer: the same on both databases.

use std::time::Duration;

use customers_domain::history::Action;
use customers_domain::{Customer, CustomerChanges, Precondition, Timestamp, Write, WriteError};

use crate::error::Abort;
use crate::row::{CustomerRow, KeysRow, NewHistoryRow, phones};

/// A write to an existing customer.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Update(CustomerChanges),
    Delete,
    Restore,
    Erase,
}

impl Change {
    /// The change that has made one of the other, for whoever has made it already.
    pub fn between(before: &Customer, after: &Customer) -> Self {
        match (before.deleted_at, after.deleted_at) {
            (None, Some(_)) => Self::Delete,
            (Some(_), None) => Self::Restore,
            _ => Self::Update(CustomerChanges::default()),
        }
    }

    fn action(&self) -> Action {
        match self {
            Self::Update(_) => Action::Updated,
            Self::Delete => Action::Deleted,
            Self::Restore => Action::Restored,
            Self::Erase => Action::Erased,
        }
    }

    /// What becomes of the customer at this moment: the same where it makes no difference.
    ///
    /// # Errors
    ///
    /// Refused where there is no such customer for it, and where the precondition does not hold.
    pub fn of(
        &self,
        before: &Customer,
        write: &Write,
        now: Timestamp,
    ) -> Result<Customer, Abort<WriteError>> {
        if before.deleted_at.is_some() && matches!(self, Self::Update(_) | Self::Delete) {
            return Err(Abort::Refused(WriteError::NotFound));
        }
        check(&write.precondition, Some(before))?;
        let mut after = before.clone();
        // Later than the change before, whatever the clock says, up to the latest moment there is.
        let now = now.max(before.updated_at.saturating_add(Duration::from_micros(1)));
        match self {
            Self::Update(changes) => changes.apply(&mut after),
            Self::Delete => after.deleted_at = Some(now),
            Self::Restore => after.deleted_at = None,
            Self::Erase => after = before.erased(),
        }
        // There is more to erase than a customer shows.
        if after != *before || matches!(self, Self::Erase) {
            after.updated_at = now;
        }
        Ok(after)
    }
}

/// Refuses where the precondition does not hold.
pub(crate) fn check(
    precondition: &Precondition,
    customer: Option<&Customer>,
) -> Result<(), Abort<WriteError>> {
    match precondition.holds(customer) {
        true => Ok(()),
        false => Err(Abort::Refused(WriteError::PreconditionFailed)),
    }
}

/// The rows of a customer that is created.
pub(crate) struct Creation {
    pub row: CustomerRow,
    pub keys: KeysRow,
    pub phones: Vec<String>,
    pub history: NewHistoryRow,
    /// Whether it is not deleted, as it may be where it comes from elsewhere.
    pub is_live: bool,
}

impl Creation {
    pub fn new(customer: &Customer, write: &Write) -> Self {
        Self {
            row: CustomerRow::from(customer),
            keys: KeysRow::from(customer),
            phones: phones(customer),
            history: NewHistoryRow::new(Action::Created, None, customer, write),
            is_live: customer.deleted_at.is_none(),
        }
    }
}

/// The rows of a customer that is changed.
pub(crate) struct Difference {
    pub row: CustomerRow,
    pub keys: KeysRow,
    /// The time of the last change as it is stored.
    pub stored_at: i64,
    /// Whether other keys than the time of the last change differ.
    pub has_other_keys: bool,
    /// Whether something else is searched than before.
    pub has_other_text: bool,
    /// Whether it has another account, by its key.
    pub has_other_account: bool,
    pub removed_phones: Vec<String>,
    /// All that it has. Those that it had before are there already, or are put back.
    pub phones: Vec<String>,
    /// How many of them it did not have before.
    pub added_phones: usize,
    pub history: NewHistoryRow,
    /// By how many there are more live customers, and fewer deleted ones.
    pub live: i64,
}

impl Difference {
    /// What the change has made of the customer that was stored so.
    pub fn new(
        change: &Change,
        stored: &CustomerRow,
        before: &Customer,
        after: &Customer,
        write: &Write,
    ) -> diesel::QueryResult<Self> {
        let [old, new] = [before, after].map(phones);
        let row = CustomerRow::from(after);
        let history = NewHistoryRow::new(change.action(), Some(before), after, write);
        let (row, history) = match change {
            Change::Erase => (row, history.without_values()?),
            _ => (row.keeping_unknown(stored)?, history),
        };
        let keys = KeysRow::from(after);
        let mut old_keys = KeysRow::from(before);
        old_keys.updated_at = keys.updated_at;
        let is_live = |customer: &Customer| i64::from(customer.deleted_at.is_none());
        Ok(Self {
            stored_at: stored.updated_at,
            has_other_keys: keys != old_keys,
            has_other_text: keys.searched_text != old_keys.searched_text,
            has_other_account: row.account_key != stored.account_key,
            added_phones: new.iter().filter(|phone| !old.contains(phone)).count(),
            removed_phones: old.into_iter().filter(|phone| !new.contains(phone)).collect(),
            phones: new,
            history,
            live: is_live(after) - is_live(before),
            row,
            keys,
        })
    }
}
