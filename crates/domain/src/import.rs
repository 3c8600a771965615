//! Customers that come in from elsewhere: what becomes of each, given what there is already.

use std::time::Duration;

use crate::account::CustomerAccount;
use crate::attribute::Value;
use crate::changes::CustomerChanges;
use crate::customer::{ATTRIBUTES, Customer, CustomerId, NewCustomer};
use crate::rule::Violations;
use crate::timestamp::Timestamp;

/// A customer as it comes in. It is known by its id, or else by its account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// The id that it is to have.
    pub id: Option<CustomerId>,
    /// What is said of it; an account that is given among it.
    pub changes: CustomerChanges,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// When it was last changed.
    pub updated_at: Option<Timestamp>,
    /// Whether, and when, it was deleted; `None` where nothing is said of that.
    pub deleted_at: Option<Option<Timestamp>>,
}

/// What is done where another customer of that id or account is there already. One that has all that
/// comes in is no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnConflict {
    /// It is refused.
    #[default]
    Fail,
    /// It is left as it is.
    Skip,
    /// It is changed.
    Update,
}

/// What becomes of a customer that comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is new.
    Create(NewCustomer),
    /// This one is changed, so that it is as the other.
    Change(Customer, Customer),
    /// This one has all that comes in.
    Unchanged(CustomerId),
    /// This one differs, and is left as it is.
    Skip(CustomerId),
    /// It cannot come in.
    Refuse(Refusal),
}

/// Why a customer does not come in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is such a customer, and it differs.
    #[error("customer {id} is there already, and differs in {}", differing.join(", "))]
    Exists {
        /// Its id.
        id: CustomerId,
        /// The names of what differs.
        differing: Vec<String>,
    },
    /// The account is another customer's than the one that is known by the id.
    #[error("the account has already been taken by customer {id}")]
    AccountTaken {
        /// Whose it is.
        id: CustomerId,
    },
    /// It came in before, in the same import, and differs.
    #[error("customer {id} came in before, with something else in {}", differing.join(", "))]
    Repeated {
        /// Its id.
        id: CustomerId,
        /// The names of what differs.
        differing: Vec<String>,
    },
    /// There is such a customer, and it is deleted.
    #[error("customer {id} is deleted; restore it first")]
    Deleted {
        /// Its id.
        id: CustomerId,
    },
    /// It would have been changed last before it was created.
    #[error("updated_at must not be before created_at, {created_at}")]
    TimesCrossed {
        /// When it would have been created: as it is given or stored.
        created_at: Timestamp,
    },
    /// The customer would have been changed last in the future, by the clock of the import.
    #[error("updated_at must not be in the future, and it is {now} now")]
    InFuture {
        /// The time of the import.
        now: Timestamp,
    },
    /// What is missing for a new customer.
    #[error(transparent)]
    Incomplete(Violations),
}

impl Incoming {
    /// The account that is given.
    pub fn account(&self) -> Option<CustomerAccount> {
        CustomerAccount::new(self.text("customerAccount")?).ok()
    }

    /// The name that is given.
    pub fn name(&self) -> Option<&str> {
        self.text("name")
    }

    fn text(&self, name: &str) -> Option<&str> {
        match self.changes.iter().find(|(attribute, _)| attribute.name == name)? {
            (_, Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// What becomes of it now where this customer has its id, and this one its account. What
    /// `came_before`, in the same import, is not changed again: the import would change it back and
    /// forth each time.
    pub fn onto(
        &self,
        of_id: Option<&Customer>,
        of_account: Option<&Customer>,
        on_conflict: OnConflict,
        now: Timestamp,
        came_before: impl Fn(CustomerId) -> bool,
    ) -> Verdict {
        let refuse = |id, refusal| match on_conflict {
            OnConflict::Skip => Verdict::Skip(id),
            _ => Verdict::Refuse(refusal),
        };
        if let (Some(created_at), Some(updated_at)) = (self.created_at, self.updated_at)
            && let Err(crossed) = in_order(created_at, updated_at)
        {
            return Verdict::Refuse(crossed);
        }
        let before = match (of_id, of_account) {
            (Some(known), other) => match other.filter(|other| other.id != known.id) {
                Some(other) => return refuse(other.id, Refusal::AccountTaken { id: other.id }),
                None => known,
            },
            (None, Some(other)) if self.id.is_some() => {
                return refuse(other.id, Refusal::AccountTaken { id: other.id });
            }
            (None, Some(known)) => known,
            (None, None) => {
                let new = self.changes.new_customer().map_err(Refusal::Incomplete);
                let (created_at, updated_at) = self.times(now);
                let times = || in_order(created_at, updated_at).and(in_past(updated_at, now));
                return match new.and_then(|new| times().map(|()| new)) {
                    Ok(new) => Verdict::Create(new),
                    Err(refusal) => Verdict::Refuse(refusal),
                };
            }
        };
        let mut after = self.applied_to(before);
        let differing: Vec<_> =
            after.changes_since(Some(before)).into_iter().map(|change| change.name).collect();
        if differing.is_empty() {
            return Verdict::Unchanged(before.id);
        }
        if came_before(before.id) {
            return refuse(before.id, Refusal::Repeated { id: before.id, differing });
        }
        if before.deleted_at.is_some() && self.deleted_at.is_none() {
            return refuse(before.id, Refusal::Deleted { id: before.id });
        }
        if on_conflict != OnConflict::Update {
            return refuse(before.id, Refusal::Exists { id: before.id, differing });
        }
        let next = now.max(before.updated_at.saturating_add(Duration::from_micros(1)));
        // A later moment than before, so that a query for recent changes finds the customer.
        let given = self.updated_at.filter(|at| *at > before.updated_at);
        after.updated_at = given.unwrap_or(next);
        let in_past = given.map_or(Ok(()), |given| in_past(given, now));
        match in_order(after.created_at, after.updated_at).and(in_past) {
            Ok(()) => Verdict::Change(before.clone(), after),
            Err(crossed) => Verdict::Refuse(crossed),
        }
    }

    /// The customer with all that comes in, but when it was last changed.
    pub fn applied_to(&self, before: &Customer) -> Customer {
        let mut after = before.clone();
        self.changes.apply(&mut after);
        // Known by its account, it keeps the spelling of that.
        if self.id.is_none() && after.account.key() == before.account.key() {
            after.account = before.account.clone();
        }
        if let Some(deleted_at) = self.deleted_at {
            after.deleted_at = deleted_at;
        }
        after.created_at = self.created_at.unwrap_or(before.created_at);
        after
    }

    /// When a new customer is created and was last changed: now, or when it was changed where nothing
    /// but that is told.
    fn times(&self, now: Timestamp) -> (Timestamp, Timestamp) {
        let updated_at = self.updated_at.unwrap_or(now);
        (self.created_at.unwrap_or(now.min(updated_at)), updated_at)
    }

    /// The customer that it becomes under this id and account.
    pub fn create(
        &self,
        new: NewCustomer,
        id: CustomerId,
        account: CustomerAccount,
        now: Timestamp,
    ) -> Customer {
        let mut customer = new.into_customer(id, account, now);
        (customer.created_at, customer.updated_at) = self.times(now);
        customer.deleted_at = self.deleted_at.flatten();
        customer
    }

    /// Whether a customer has all that comes in: what has no id and no account is known by that. Where nothing
    /// is said of whether it is deleted, it may be.
    pub fn is_had_by(&self, customer: &Customer) -> bool {
        self.applied_to(customer) == *customer
    }
}

/// How far `updated_at` may be in the future, because the clocks of two systems differ.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// A customer that was changed in the future would have its next revisions right behind that moment. A
/// restored backup would then give the same revisions to other states.
fn in_past(updated_at: Timestamp, now: Timestamp) -> Result<(), Refusal> {
    match updated_at <= now.saturating_add(CLOCK_TOLERANCE) {
        true => Ok(()),
        false => Err(Refusal::InFuture { now }),
    }
}

/// Nobody is changed before being created.
fn in_order(created_at: Timestamp, updated_at: Timestamp) -> Result<(), Refusal> {
    match created_at <= updated_at {
        true => Ok(()),
        false => Err(Refusal::TimesCrossed { created_at }),
    }
}

/// The attributes that may come in, and what is beside them only here: `id`, `created_at`, `updated_at`
/// and `deleted_at`.
pub fn names() -> impl Iterator<Item = &'static str> {
    let attributes = ATTRIBUTES.iter().map(|attribute| attribute.name);
    ["id"].into_iter().chain(attributes).chain(["created_at", "updated_at", "deleted_at"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::Attribute;
    use crate::customer::CustomerDetails;

    fn time(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros).unwrap()
    }

    fn incoming(values: &[(&str, &'static str)]) -> Incoming {
        let value = |(name, text): &(&str, &'static str)| {
            (Attribute::named(name).unwrap(), Ok(Value::Text((*text).into())))
        };
        Incoming {
            id: None,
            changes: CustomerChanges::from_values(values.iter().map(value)).unwrap(),
            created_at: None,
            updated_at: None,
            deleted_at: None,
        }
    }

    fn customer(id: i64, account: &str) -> Customer {
        let new =
            NewCustomer::from(CustomerDetails { name: "A".into(), ..CustomerDetails::default() });
        let account = CustomerAccount::new(account).unwrap();
        new.into_customer(CustomerId::new(id).unwrap(), account, time(5))
    }

    fn id(number: i64) -> CustomerId {
        CustomerId::new(number).unwrap()
    }

    #[test]
    fn what_is_not_there_is_created_with_the_times_it_had() {
        let mut new = incoming(&[("name", "A")]);
        new.created_at = Some(time(1));
        new.deleted_at = Some(Some(time(3)));
        let Verdict::Create(defaults) = new.onto(None, None, OnConflict::Fail, time(9), |_| false)
        else {
            panic!()
        };
        let account = CustomerAccount::new("CL1").unwrap();
        let made = new.create(defaults, id(1), account, time(9));
        assert_eq!((made.created_at, made.updated_at), (time(1), time(9)));
        assert_eq!(made.deleted_at, Some(time(3)));
        let nameless =
            incoming(&[("phone", "1")]).onto(None, None, OnConflict::Update, time(9), |_| false);
        let Verdict::Refuse(Refusal::Incomplete(missing)) = nameless else { panic!() };
        assert_eq!(missing.to_string(), "name is required");
    }

    #[test]
    fn one_that_has_it_all_is_no_conflict() {
        let there = customer(7, "CL7");
        for on_conflict in [OnConflict::Fail, OnConflict::Skip, OnConflict::Update] {
            let same = incoming(&[("name", "A"), ("customerAccount", "cl7")]);
            let verdict = same.onto(None, Some(&there), on_conflict, time(9), |_| false);
            assert_eq!(verdict, Verdict::Unchanged(id(7)), "{on_conflict:?}");
        }
    }

    #[test]
    fn when_it_was_created_is_part_of_what_comes_in() {
        let there = customer(7, "CL7");
        let mut row = incoming(&[("name", "A"), ("customerAccount", "CL7")]);
        row.created_at = Some(time(4));
        let onto = |row: &Incoming, there: &Customer, how| {
            row.onto(None, Some(there), how, time(9), |_| false)
        };
        let refused = Refusal::Exists { id: id(7), differing: vec!["created_at".into()] };
        assert_eq!(onto(&row, &there, OnConflict::Fail), Verdict::Refuse(refused));
        let Verdict::Change(_, after) = onto(&row, &there, OnConflict::Update) else { panic!() };
        assert_eq!(after.created_at, time(4));
        assert_eq!(onto(&row, &after, OnConflict::Update), Verdict::Unchanged(id(7)));
    }

    #[test]
    fn without_id_and_account_a_deleted_one_is_known_unless_something_else_is_said() {
        let live = customer(7, "CL7");
        let deleted = Customer { deleted_at: Some(time(6)), ..live.clone() };
        let mut row = incoming(&[("name", "A")]);
        for (said, is_live, is_deleted) in [
            (None, true, true),
            (Some(None), true, false),
            (Some(Some(time(6))), false, true),
            (Some(Some(time(7))), false, false),
        ] {
            row.deleted_at = said;
            let is_had = (row.is_had_by(&live), row.is_had_by(&deleted));
            assert_eq!(is_had, (is_live, is_deleted), "{said:?}");
        }
    }

    #[test]
    fn one_that_differs_is_left_or_changed_as_asked_for() {
        let there = customer(7, "CL7");
        let mut other = incoming(&[("phone", "1"), ("customerAccount", "cl7")]);
        let onto = |other: &Incoming, on_conflict| {
            other.onto(None, Some(&there), on_conflict, time(9), |_| false)
        };
        let refused = Refusal::Exists { id: id(7), differing: vec!["phone".into()] };
        assert_eq!(onto(&other, OnConflict::Fail), Verdict::Refuse(refused));
        assert_eq!(onto(&other, OnConflict::Skip), Verdict::Skip(id(7)));
        for (given, is_taken) in [(time(6), true), (time(4), false)] {
            other.updated_at = Some(given);
            let Verdict::Change(before, after) = onto(&other, OnConflict::Update) else { panic!() };
            assert_eq!(before, there);
            assert_eq!(
                (after.details.phone.as_deref(), after.account.as_str()),
                (Some("1"), "CL7")
            );
            assert_eq!(after.updated_at == given, is_taken);
            assert!(after.updated_at > there.updated_at);
        }
    }

    #[test]
    fn one_that_came_before_is_not_changed_again() {
        let there = customer(7, "CL7");
        let again = |name, on_conflict| {
            let row = incoming(&[("name", name), ("customerAccount", "CL7")]);
            row.onto(None, Some(&there), on_conflict, time(9), |it| it == id(7))
        };
        let repeated = Refusal::Repeated { id: id(7), differing: vec!["name".into()] };
        assert_eq!(again("B", OnConflict::Update), Verdict::Refuse(repeated.clone()));
        assert_eq!(again("B", OnConflict::Fail), Verdict::Refuse(repeated));
        assert_eq!(again("B", OnConflict::Skip), Verdict::Skip(id(7)));
        assert_eq!(again("A", OnConflict::Update), Verdict::Unchanged(id(7)));
    }

    #[test]
    fn an_account_is_not_taken_from_another() {
        let (seven, eight) = (customer(7, "CL7"), customer(8, "CL8"));
        let mut row = incoming(&[("name", "A"), ("customerAccount", "CL8")]);
        row.id = Some(id(7));
        for known in [Some(&seven), None] {
            let verdict = row.onto(known, Some(&eight), OnConflict::Update, time(9), |_| false);
            assert_eq!(verdict, Verdict::Refuse(Refusal::AccountTaken { id: id(8) }));
        }
        // Known by its id, it may have another account.
        let Verdict::Change(_, after) =
            row.onto(Some(&seven), None, OnConflict::Update, time(9), |_| false)
        else {
            panic!()
        };
        assert_eq!(after.account.as_str(), "CL8");
    }

    #[test]
    fn none_is_changed_before_it_was_created() {
        let there = customer(7, "CL7");
        let mut row = incoming(&[("name", "B"), ("customerAccount", "CL7")]);
        let mut verdict = |created_at: Option<i64>, updated_at: Option<i64>, known| {
            (row.created_at, row.updated_at) = (created_at.map(time), updated_at.map(time));
            match row.onto(None, known, OnConflict::Update, time(9), |_| false) {
                Verdict::Refuse(Refusal::TimesCrossed { created_at }) => Some(created_at),
                Verdict::Create(_) | Verdict::Change(..) => None,
                other => panic!("{other:?}"),
            }
        };
        for known in [None, Some(&there)] {
            assert_eq!(verdict(Some(4), Some(3), known), Some(time(4)));
            assert_eq!(verdict(Some(4), Some(4), known), None);
            assert_eq!(verdict(Some(8), None, known), None);
            // Against what it is unless it is given.
            assert_eq!(verdict(Some(10), None, known), Some(time(10)));
        }
        // What came without one was created when it was changed.
        assert_eq!(verdict(None, Some(8), None), None);
        // What is there was changed later.
        assert_eq!(verdict(None, Some(3), Some(&there)), None);
        (row.created_at, row.updated_at) = (None, Some(time(8)));
        let new =
            NewCustomer::from(CustomerDetails { name: "B".into(), ..CustomerDetails::default() });
        let made = row.create(new, id(8), CustomerAccount::new("CL8").unwrap(), time(9));
        assert_eq!((made.created_at, made.updated_at), (time(8), time(8)));
    }

    #[test]
    fn a_change_in_the_future_is_refused() {
        let now = time(1_000_000_000);
        let latest = now.saturating_add(CLOCK_TOLERANCE);
        let there = customer(7, "CL7");
        let mut row = incoming(&[("name", "B"), ("customerAccount", "CL7")]);
        for known in [None, Some(&there)] {
            row.updated_at = Some(latest);
            let verdict = row.onto(None, known, OnConflict::Update, now, |_| false);
            assert!(matches!(verdict, Verdict::Create(_) | Verdict::Change(..)), "{verdict:?}");
            row.updated_at = Some(latest.saturating_add(Duration::from_micros(1)));
            let verdict = row.onto(None, known, OnConflict::Update, now, |_| false);
            assert_eq!(verdict, Verdict::Refuse(Refusal::InFuture { now }));
        }
        // A customer that came in before this was refused is unchanged, and changes without a time.
        let there = Customer { updated_at: time(2_000_000_000), ..customer(7, "CL7") };
        let mut row = incoming(&[("name", "A"), ("customerAccount", "CL7")]);
        row.updated_at = Some(there.updated_at);
        let verdict = row.onto(None, Some(&there), OnConflict::Update, now, |_| false);
        assert_eq!(verdict, Verdict::Unchanged(id(7)));
        let mut row = incoming(&[("name", "B"), ("customerAccount", "CL7")]);
        row.updated_at = None;
        let verdict = row.onto(None, Some(&there), OnConflict::Update, now, |_| false);
        assert!(matches!(verdict, Verdict::Change(..)), "{verdict:?}");
    }

    #[test]
    fn a_deleted_one_comes_back_only_where_that_is_said() {
        let there = Customer { deleted_at: Some(time(6)), ..customer(7, "CL7") };
        let mut row = incoming(&[("name", "B"), ("customerAccount", "CL7")]);
        let verdict = row.onto(None, Some(&there), OnConflict::Update, time(9), |_| false);
        assert_eq!(verdict, Verdict::Refuse(Refusal::Deleted { id: id(7) }));
        row.deleted_at = Some(None);
        let Verdict::Change(_, after) =
            row.onto(None, Some(&there), OnConflict::Update, time(9), |_| false)
        else {
            panic!()
        };
        assert_eq!(after.deleted_at, None);
    }
}
