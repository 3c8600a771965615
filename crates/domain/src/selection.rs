//! Which customers a list shows, and in which order.

use crate::attribute::{Attribute, Value};
use crate::customer::{Customer, CustomerId};
use crate::fold::fold;
use crate::phone::PhoneDigits;
use crate::search::SearchTerm;
use crate::timestamp::Timestamp;

/// Names and accounts are sorted by so many characters of their folded form.
const SORTED_CHARS: usize = 255;

/// Which customers: those that all filters let pass.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// All must let a customer pass.
    pub filters: Vec<Filter>,
    /// Whether deleted customers are shown.
    pub trashed: Trashed,
}

/// Whether deleted customers are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trashed {
    /// Only those that are not deleted.
    #[default]
    Without,
    /// Both.
    With,
    /// Only deleted ones.
    Only,
}

/// What customers are listed by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// One of these ids; none where there are none.
    Id(Vec<CustomerId>),
    /// One of these values, [as they are compared](filter_key).
    Attribute {
        /// One that is [filtered](Attribute::filtered).
        attribute: &'static Attribute,
        /// The values, at least one unless nobody matches.
        any_of: Vec<Value<'static>>,
    },
    /// A name in which one of these [folded](fold) texts occurs.
    Name(Vec<String>),
    /// A phone, mobile phone or fax number that [matches](PhoneDigits::matches) one of these.
    Phone(Vec<PhoneDigits>),
    /// Created at this moment or later.
    CreatedFrom(Timestamp),
    /// Created before this moment.
    CreatedBefore(Timestamp),
    /// Last changed at this moment or later.
    UpdatedFrom(Timestamp),
    /// Last changed before this moment.
    UpdatedBefore(Timestamp),
    /// One of the [best hits](crate::search::MAX_HITS) of a search.
    Term(SearchTerm),
    /// Nobody.
    Nobody,
}

/// A value as it is compared: text [folded](fold).
pub fn filter_key(value: Value<'_>) -> Value<'static> {
    match value {
        Value::Text(text) => Value::Text(fold(&text).into()),
        value => value.into_owned(),
    }
}

/// Folded text as it is sorted: the first 255 characters.
pub fn sort_key(folded: &str) -> &str {
    folded.char_indices().nth(SORTED_CHARS).map_or(folded, |(end, _)| &folded[..end])
}

/// What customers are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SortKey {
    /// The number.
    Id,
    /// The folded name.
    Name,
    /// The folded account.
    CustomerAccount,
    /// When it was created.
    CreatedAt,
    /// When it was last changed.
    UpdatedAt,
}

impl SortKey {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Id, Self::Name, Self::CustomerAccount, Self::CreatedAt, Self::UpdatedAt];

    /// The name that clients use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Name => "name",
            Self::CustomerAccount => "customerAccount",
            Self::CreatedAt => "created_at",
            Self::UpdatedAt => "updated_at",
        }
    }

    fn of(self, customer: &Customer) -> SortValue {
        let text = |text: &str| SortValue::Text(sort_key(&fold(text)).to_owned());
        match self {
            Self::Id => SortValue::Number(customer.id.get()),
            Self::Name => text(&customer.details.name),
            Self::CustomerAccount => text(customer.account.as_str()),
            Self::CreatedAt => SortValue::Number(customer.created_at.as_micros()),
            Self::UpdatedAt => SortValue::Number(customer.updated_at.as_micros()),
        }
    }
}

/// A key and its direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sort {
    /// By what.
    pub key: SortKey,
    /// From the last to the first.
    pub descending: bool,
}

/// In which order: by each of these in turn. The last is the id, so that no two customers stand at
/// the same place, in the direction of the one before it unless it is said otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order(Vec<Sort>);

impl Order {
    /// The order by these keys, and then by id.
    pub fn new(sorts: impl IntoIterator<Item = Sort>) -> Self {
        let mut order: Vec<Sort> = Vec::new();
        for sort in sorts {
            // A key that is there already decides nothing, and nothing is left to decide after the id.
            let is_decided = |it: &Sort| it.key == sort.key || it.key == SortKey::Id;
            if !order.iter().any(is_decided) {
                order.push(sort);
            }
        }
        if order.last().is_none_or(|last| last.key != SortKey::Id) {
            let descending = order.last().is_some_and(|last| last.descending);
            order.push(Sort { key: SortKey::Id, descending });
        }
        Self(order)
    }

    /// The keys, the id last.
    pub fn sorts(&self) -> &[Sort] {
        &self.0
    }

    /// Where a customer stands.
    pub fn place_of(&self, customer: &Customer) -> Place {
        Place(self.0.iter().map(|sort| sort.key.of(customer)).collect())
    }

    /// The place of these values; `None` where no customer can stand there: where they are not of the
    /// keys' kinds, or text holds a control character.
    pub fn place(&self, values: Vec<SortValue>) -> Option<Place> {
        let fits = |(sort, value): (&Sort, &SortValue)| match (sort.key, value) {
            (SortKey::Name | SortKey::CustomerAccount, SortValue::Text(text)) => {
                !text.contains(char::is_control)
            }
            (SortKey::Id | SortKey::CreatedAt | SortKey::UpdatedAt, SortValue::Number(_)) => true,
            _ => false,
        };
        let fit = values.len() == self.0.len() && self.0.iter().zip(&values).all(fits);
        fit.then_some(Place(values))
    }
}

/// By id.
impl Default for Order {
    fn default() -> Self {
        Self::new([])
    }
}

/// A place in an [`Order`]: a value for each of its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(Vec<SortValue>);

impl Place {
    /// The values, in the order of the keys.
    pub fn values(&self) -> &[SortValue] {
        &self.0
    }
}

/// The value of a [`SortKey`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(untagged))]
pub enum SortValue {
    /// An id, or microseconds since 1970.
    Number(i64),
    /// Folded text.
    Text(String),
}

/// The part of a list that is shown, counted from its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// How many customers stand before it.
    pub skip: u64,
    /// How many it shows at most.
    pub take: u32,
}

/// The customers of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Those on the page, in order.
    pub customers: Vec<Customer>,
    /// How many there are on all pages, at the moment of the answer.
    pub total: u64,
}

/// The part of a list that is shown, beginning behind a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// Behind this place; from the beginning, or the end, where there is none.
    pub from: Option<Place>,
    /// Towards the beginning. The customers still come in the list's order.
    pub backwards: bool,
    /// How many customers at most.
    pub take: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_ends_with_the_id() {
        let sort = |key, descending| Sort { key, descending };
        let order = |sorts: &[Sort]| Order::new(sorts.iter().copied()).0;
        let (id, name) = (SortKey::Id, SortKey::Name);
        assert_eq!(order(&[]), [sort(id, false)]);
        assert_eq!(order(&[sort(name, true)]), [sort(name, true), sort(id, true)]);
        assert_eq!(
            order(&[
                sort(name, true),
                sort(name, false),
                sort(id, false),
                sort(SortKey::CreatedAt, true)
            ]),
            [sort(name, true), sort(id, false)]
        );
    }

    #[test]
    fn a_place_has_a_value_for_each_key() {
        let order = Order::new([Sort { key: SortKey::Name, descending: false }]);
        let [text, number] = [SortValue::Text("a".into()), SortValue::Number(1)];
        assert!(order.place(vec![text.clone(), number.clone()]).is_some());
        assert_eq!(order.place(vec![number.clone(), text.clone()]), None);
        assert_eq!(order.place(vec![text]), None);
        assert_eq!(order.place(vec![SortValue::Text("a\u{0}".into()), number]), None);
    }

    #[test]
    fn sorted_text_is_cut_between_characters() {
        assert_eq!(sort_key(&"é".repeat(300)).chars().count(), 255);
        assert_eq!(sort_key("abc"), "abc");
    }
}
