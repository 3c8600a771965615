//! Pages that go on from a place in the list, whatever is created meanwhile.

use std::fmt;

use actix_web::HttpResponse;
use actix_web::http::header;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use customers_domain::Customer;
use customers_domain::selection::{Order, SortValue};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::url::{PageUrl, link_header};
use super::{FilterTexts, ListUrl};
use crate::error::ApiError;
use crate::json::{self, Item, NoItems};
use crate::problem::Code;

/// Another layout of cursors gets another number.
const VERSION: u8 = 1;

/// Bytes of the check sum in front of what a cursor says.
const SUM: usize = 8;

/// What a cursor belongs to, so that it is of no use elsewhere.
pub(crate) struct ListDigest([u8; 32]);

impl ListDigest {
    /// The list of these filters in this order.
    pub fn of_list(filters: &FilterTexts, order: &Order) -> Self {
        let mut filters: Vec<_> = filters.iter().collect();
        filters.sort();
        let sorts: Vec<_> =
            order.sorts().iter().map(|sort| (sort.key.name(), sort.descending)).collect();
        Self::of(&("list", filters, sorts))
    }

    /// The history of a customer.
    pub fn of_history(customer: i64) -> Self {
        Self::of(&("history", customer))
    }

    fn of(list: &impl Serialize) -> Self {
        let json = serde_json::to_vec(list).expect("texts, numbers and booleans");
        Self(Sha256::digest(json).into())
    }

    fn sum(&self, said: &[u8]) -> [u8; SUM] {
        let digest = Sha256::new().chain_update([VERSION]).chain_update(self.0).chain_update(said);
        let mut sum = [0; SUM];
        sum.copy_from_slice(&digest.finalize()[..SUM]);
        sum
    }
}

/// A place in a list and where to go from there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// What stands at the place, for each key that the list is sorted by.
    pub place: Vec<SortValue>,
    /// Towards the beginning.
    pub backwards: bool,
}

impl Cursor {
    /// The cursor as clients see it: base64url of a check sum and of JSON.
    pub fn encode(&self, list: &ListDigest) -> String {
        let said = serde_json::to_vec(&(self.backwards, &self.place));
        let said = said.expect("texts, numbers and booleans");
        BASE64_URL_SAFE_NO_PAD.encode([&list.sum(&said)[..], &said].concat())
    }

    /// The cursor that is sent; `None` where it is empty, which is the beginning.
    ///
    /// # Errors
    ///
    /// 400 where it is not one that was given out for this list.
    pub fn decode(text: &str, list: &ListDigest) -> Result<Option<Self>, ApiError> {
        if text.is_empty() {
            return Ok(None);
        }
        let read = || {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
            let (sum, said) = bytes.split_at_checked(SUM)?;
            let (backwards, place) = serde_json::from_slice(said).ok()?;
            (sum == list.sum(said)).then_some(Self { place, backwards })
        };
        read().map(Some).ok_or_else(invalid_cursor)
    }
}

pub(crate) fn invalid_cursor() -> ApiError {
    ApiError::new(
        Code::InvalidCursor,
        "The cursor is not one of this list. Begin anew without it, and keep filters and sort.",
    )
}

/// The places that lead on from a page and back.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Around {
    pub next: Option<String>,
    pub previous: Option<String>,
}

impl Around {
    /// Those of a page that was gone to by this cursor. Of the customers that were found, which are
    /// one more than the page shows where the list goes on, only the page's stay.
    pub fn page(
        customers: &mut Vec<Customer>,
        per_page: u32,
        cursor: Option<&Cursor>,
        order: &Order,
        list: &ListDigest,
    ) -> Self {
        let backwards = cursor.is_some_and(|cursor| cursor.backwards);
        let goes_on = customers.len() > per_page as usize;
        if goes_on && backwards {
            customers.remove(0);
        }
        customers.truncate(per_page as usize);
        let beside = |customer: Option<&Customer>, backwards| {
            let place = order.place_of(customer?).values().to_vec();
            Some(Cursor { place, backwards }.encode(list))
        };
        // There is something where one came from.
        let has_next = goes_on || backwards;
        let has_previous = if backwards { goes_on } else { cursor.is_some() };
        Self {
            next: beside(customers.last().filter(|_| has_next), false),
            previous: beside(customers.first().filter(|_| has_previous), true),
        }
    }
}

/// The end of the URL of a page.
#[derive(Debug, Clone, Copy)]
struct Position<'a>(&'a str);

impl fmt::Display for Position<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cursor={}", self.0)
    }
}

type Url<'a> = PageUrl<'a, Position<'a>>;

/// A page of a list, with the cursors that lead on and back.
#[derive(Debug, Serialize)]
pub(crate) struct CursorPage<'a, T> {
    #[serde(skip)]
    items: &'a [T],
    data: NoItems,
    path: &'a str,
    per_page: u32,
    next_cursor: Option<&'a str>,
    next_page_url: Option<Url<'a>>,
    prev_cursor: Option<&'a str>,
    prev_page_url: Option<Url<'a>>,
}

impl<'a, T: Item> CursorPage<'a, T> {
    /// The page of these entries.
    pub fn new(items: &'a [T], per_page: u32, around: &'a Around, url: &'a ListUrl) -> Self {
        let page = |cursor: &'a str| url.with(Position(cursor));
        let [next, previous] = [&around.next, &around.previous].map(Option::as_deref);
        Self {
            items,
            data: [],
            path: url.path(),
            per_page,
            next_cursor: next,
            next_page_url: next.map(page),
            prev_cursor: previous,
            prev_page_url: previous.map(page),
        }
    }

    /// The answer, with its `Link` header.
    pub fn into_response(self) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        let links = [("prev", self.prev_page_url), ("next", self.next_page_url)];
        if let Some(links) = link_header(&links) {
            response.insert_header((header::LINK, links));
        }
        response.content_type("application/json").body(json::page(&self, self.items))
    }
}

#[cfg(test)]
mod tests {
    use customers_domain::selection::{Sort, SortKey};
    use customers_domain::{CustomerAccount, CustomerDetails, CustomerId, NewCustomer, Timestamp};

    use super::*;

    fn list(filter: &str, order: &Order) -> ListDigest {
        ListDigest::of_list(&[("name".to_owned(), vec![filter.to_owned()])].into(), order)
    }

    #[test]
    fn a_cursor_is_of_use_only_as_it_was_given_out_and_where() {
        let order = Order::default();
        let here = list("a", &order);
        let cursor = Cursor {
            place: vec![SortValue::Text("é\"".into()), SortValue::Number(-7)],
            backwards: true,
        };
        let text = cursor.encode(&here);
        assert_eq!(Cursor::decode(&text, &here).unwrap(), Some(cursor));
        assert_eq!(Cursor::decode("", &here).unwrap(), None);

        let by_name = Order::new([Sort { key: SortKey::Name, descending: false }]);
        for elsewhere in [list("b", &order), list("a", &by_name), ListDigest::of_history(1)] {
            assert!(Cursor::decode(&text, &elsewhere).is_err());
        }
        for (at, c) in text.char_indices() {
            let other = if c == 'A' { 'B' } else { 'A' };
            let altered = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            assert!(Cursor::decode(&altered, &here).is_err(), "{altered}");
        }
        let (cut, longer) = (&text[..text.len() - 1], format!("{text}A"));
        for other in ["A", "====", "é", cut, &longer, &"A".repeat(10_000)] {
            assert_eq!(Cursor::decode(other, &here).unwrap_err().code, Code::InvalidCursor);
        }
    }

    #[test]
    fn the_order_of_filters_makes_no_other_list() {
        let filters = |names: [&str; 2]| {
            let filters = names.map(|name| (name.to_owned(), vec![name.to_owned()]));
            ListDigest::of_list(&filters.into(), &Order::default()).0
        };
        assert_eq!(filters(["a", "b"]), filters(["b", "a"]));
    }

    #[test]
    fn pages_lead_on_where_there_is_more_and_back_where_one_came_from() {
        let customer = |id| {
            let new = NewCustomer::from(CustomerDetails {
                name: "A".into(),
                ..CustomerDetails::default()
            });
            let account = CustomerAccount::new("a").unwrap();
            new.into_customer(CustomerId::new(id).unwrap(), account, Timestamp::now())
        };
        let order = Order::default();
        let here = list("a", &order);
        let walk = |ids: &[i64], cursor: Option<bool>| {
            let mut customers: Vec<_> = ids.iter().copied().map(customer).collect();
            let cursor = cursor.map(|backwards| Cursor { place: vec![], backwards });
            let around = Around::page(&mut customers, 2, cursor.as_ref(), &order, &here);
            let ids: Vec<_> = customers.iter().map(|customer| customer.id.get()).collect();
            let place = |cursor: Option<String>| match cursor {
                Some(text) => match &Cursor::decode(&text, &here).unwrap().unwrap().place[..] {
                    [SortValue::Number(id)] => Some(*id),
                    other => panic!("{other:?}"),
                },
                None => None,
            };
            (ids, place(around.previous), place(around.next))
        };
        assert_eq!(walk(&[1, 2, 3], None), (vec![1, 2], None, Some(2)));
        assert_eq!(walk(&[1, 2], None), (vec![1, 2], None, None));
        assert_eq!(walk(&[3, 4, 5], Some(false)), (vec![3, 4], Some(3), Some(4)));
        assert_eq!(walk(&[3], Some(false)), (vec![3], Some(3), None));
        assert_eq!(walk(&[1, 2, 3], Some(true)), (vec![2, 3], Some(2), Some(3)));
        assert_eq!(walk(&[1, 2], Some(true)), (vec![1, 2], None, Some(2)));
        assert_eq!(walk(&[], Some(true)), (vec![], None, None));
    }
}
