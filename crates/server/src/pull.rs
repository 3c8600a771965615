//! `customers pull`: brings in customers from a running system.

mod client;
mod place;

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use roaring::RoaringTreemap;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::Failure;
use crate::cli::PullFrom;
use crate::config::Database;
use crate::import::json::{Members, Objects};
use crate::intake::{self, Gauge, ReadError, Rows, Source};
use client::{Client, Credentials};
use place::{Keeper, Place, Size};

/// Brings in the customers that a system lists. Stopped by SIGINT or SIGTERM, it keeps what it has taken
/// in.
pub async fn run(database: &Database, from: PullFrom) -> Result<(), Failure> {
    let credentials =
        Credentials::new(from.token_file.as_deref(), from.email, from.password_file.as_deref())?;
    let client = Client::new(&from.url, credentials)?;
    let which = if from.with_deleted { "with deleted" } else { "live" };
    // A place in the list says nothing of a database that has not taken in what comes before it.
    let of = format!("{} {which} into {}", client.base(), database.url()?);
    let keeper = from.resume.map(|file| Keeper { file, of });
    let (place, size) = keeper.as_ref().map_or(Ok((Place::Start, None)), Keeper::place)?;
    let is_kept = keeper.is_some();
    let gauge = Arc::new(Gauge::default());
    let source = Source {
        name: client.base().to_owned(),
        file: None,
        unit: "customer",
        gauge: gauge.clone(),
        start_at: 0,
        may_repeat: true,
        may_be_empty: true,
        read: Box::new(move |rows| {
            let (per_page, with_deleted) = (from.per_page, from.with_deleted);
            Walk { client, keeper, per_page, with_deleted, gauge }.read(place, size, rows)
        }),
        go_on: Box::new(move |_| match is_kept {
            true => ": it goes on where it was".to_owned(),
            false => {
                ": it passes over what is there, and with --resume FILE it would go on where it was"
                    .to_owned()
            }
        }),
    };
    intake::run(database, from.how, true, move |_| Ok(source)).await
}

/// How often a list is walked through from its start where it moves meanwhile.
const MOST_WALKS: u32 = 5;

/// The most customers of a page. 500 are asked for.
const MOST_CUSTOMERS: usize = 10_000;

/// The longest cursor, in bytes. It becomes a part of a URL, and of what `--resume` keeps.
const LONGEST_CURSOR: usize = 8_000;

/// The most pages in a row without customers, in a list that goes on behind them.
const MOST_EMPTY_PAGES: u32 = 100;

/// A page of a list, by cursor or by number.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow, deserialize_with = "customers")]
    data: Vec<&'a RawValue>,
    /// `None` where the system does not know cursors, and `Some(None)` at the end.
    #[serde(default, deserialize_with = "given")]
    next_cursor: Option<Option<String>>,
    /// The same for the URL of the next page.
    #[serde(default, deserialize_with = "given")]
    next_page_url: Option<Option<String>>,
    total: Option<u64>,
    last_page: Option<u64>,
}

/// What is empty is as good as null.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    let given: Option<String> = Option::deserialize(deserializer)?;
    Ok(Some(given.filter(|it| !it.is_empty())))
}

/// Customers as they are written, as many as a page may have.
fn customers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<&'de RawValue>, D::Error> {
    struct Customers;

    impl<'de> Visitor<'de> for Customers {
        type Value = Vec<&'de RawValue>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an array of customers")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
            let mut customers = Vec::new();
            while let Some(customer) = array.next_element()? {
                if customers.len() == MOST_CUSTOMERS {
                    return Err(A::Error::custom(format!("it has more than {MOST_CUSTOMERS}")));
                }
                customers.push(customer);
            }
            Ok(customers)
        }
    }

    deserializer.deserialize_seq(Customers)
}

impl Page<'_> {
    /// Where the list goes on behind this page, which was found here.
    fn next(&self, place: &Place) -> Option<Place> {
        if let Some(next) = &self.next_cursor {
            return next.clone().map(Place::Cursor);
        }
        let number = place.number();
        let is_last = self.data.is_empty()
            || self.next_page_url == Some(None)
            || self.last_page.is_some_and(|last| number >= last);
        (!is_last).then_some(Place::Page(number + 1))
    }

    /// How long the list is. One by cursor does not move: a cursor names the customer behind which it goes on.
    fn size(&self) -> Option<Size> {
        let Self { total, last_page, .. } = *self;
        self.next_cursor.is_none().then_some(Size { total, last_page })
    }
}

/// What a walk has seen, so that it ends where the list does not.
#[derive(Default)]
struct Seen {
    cursors: HashSet<String>,
    ids: RoaringTreemap,
    /// Hashes of pages without ids.
    pages: HashSet<u64>,
    /// The pages without customers since the last one with some.
    empty_pages: u32,
}

impl Seen {
    /// Adds a page that was found here.
    ///
    /// # Errors
    ///
    /// What of it was seen before.
    fn add(&mut self, place: &Place, ids: &[u64], page: &Page<'_>) -> Result<(), String> {
        if let Place::Cursor(cursor) = place
            && !self.cursors.insert(cursor.clone())
        {
            return Err(format!("{place} comes a second time"));
        }
        if page.data.is_empty() {
            self.empty_pages += 1;
            return match self.empty_pages <= MOST_EMPTY_PAGES {
                true => Ok(()),
                false => Err(format!("the {MOST_EMPTY_PAGES} pages before {place} are empty")),
            };
        }
        self.empty_pages = 0;
        let is_new = if ids.len() == page.data.len() {
            // A customer may have moved here from another page, but not all of them.
            ids.iter().filter(|id| self.ids.insert(**id)).count() > 0
        } else {
            let mut hasher = DefaultHasher::new();
            page.data.iter().for_each(|customer| customer.get().hash(&mut hasher));
            self.pages.insert(hasher.finish())
        };
        match is_new {
            true => Ok(()),
            false => Err(format!("at {place} there are only customers of pages before it")),
        }
    }
}

/// A walk through all pages.
struct Walk {
    client: Client,
    keeper: Option<Keeper>,
    per_page: u16,
    with_deleted: bool,
    gauge: Arc<Gauge>,
}

impl Walk {
    /// Reads all pages from a place on, up to which the list had this size. Where a list with numbered pages
    /// moves meanwhile, or has moved since, it is read again from its start until it does not.
    fn read(
        mut self,
        mut place: Place,
        size: Option<Size>,
        rows: &mut Rows,
    ) -> Result<(), ReadError> {
        if let Some(warning) = self.client.warning() {
            rows.note(warning)?;
        }
        match &place {
            Place::Start => {}
            place => rows.note(format!("going on at {place}"))?,
        }
        let mut columns = HashMap::new();
        let mut size = size;
        // What is known of pages that another run has read.
        let mut has_moved = matches!(place, Place::Page(_)) && size.is_none();
        for walks in 1..=MOST_WALKS {
            if !self.walk(place, size, has_moved, &mut columns, rows)? {
                return self.keep(None, None, rows);
            }
            if walks < MOST_WALKS {
                rows.note("the list changed while it was read; it is read again".to_owned())?;
            }
            (place, size, has_moved) = (Place::Page(1), None, false);
        }
        // There is no place to go on at.
        self.keep(None, None, rows)?;
        Err(ReadError::Changed)
    }

    /// Reads the pages from a place on; whether the list has moved meanwhile.
    fn walk(
        &mut self,
        place: Place,
        mut size: Option<Size>,
        mut has_moved: bool,
        columns: &mut HashMap<String, usize>,
        rows: &mut Rows,
    ) -> Result<bool, ReadError> {
        let (mut seen, mut count, mut furthest) = (Seen::default(), 0, place.number());
        let mut at = Some(place);
        while let Some(place) = at {
            let body = self.page(&place, rows)?;
            let page = parsed(&body)?;
            if place == Place::Start {
                let total = match page.total {
                    Some(total) => total,
                    None => self.count(rows)?,
                };
                self.gauge.set_length(total);
            }
            let now = page.size();
            let moves = now.is_some() && size.is_some() && now != size;
            (size, has_moved) = (now, has_moved || moves);
            // What was to be on this page may be on the one before it by now. Each page sends back once, so
            // that the walk comes to an end.
            if moves && place.number() > furthest {
                furthest = place.number();
                seen = Seen::default();
                at = Some(Place::Page(furthest - 1));
                continue;
            }
            furthest = furthest.max(place.number());
            at = page.next(&place);
            let members: Vec<_> =
                page.data.iter().map(|it| Members::read(it.get().as_bytes())).collect();
            let ids: Vec<Option<u64>> = members.iter().map(id).collect();
            let known: Vec<_> = ids.iter().copied().flatten().collect();
            seen.add(&place, &known, &page).map_err(never_ends)?;
            if let Some(Place::Cursor(cursor)) = &at
                && cursor.len() > LONGEST_CURSOR
            {
                return Err(ReadError::Unreadable(format!(
                    "behind {place} it goes on at a cursor of more than {LONGEST_CURSOR} bytes"
                )));
            }
            if let Some(Place::Cursor(cursor)) = &at
                && seen.cursors.contains(cursor)
            {
                return Err(never_ends(format!(
                    "behind {place} it goes on at the cursor {cursor}"
                )));
            }
            self.gauge.read(page.data.len() as u64);
            let mut sink = |found| rows.take(found);
            let mut objects = Objects::with(&mut sink, std::mem::take(columns));
            for (read, id) in members.into_iter().zip(ids) {
                count += 1;
                // An id says more than a number of no page in particular.
                objects.take(id.unwrap_or(count), read)?;
            }
            *columns = objects.into_columns();
            if at.is_some() {
                self.keep(at.clone(), size.filter(|_| !has_moved), rows)?;
            }
        }
        Ok(has_moved)
    }

    /// Keeps how far it is, as soon as that is true.
    fn keep(
        &self,
        next: Option<Place>,
        size: Option<Size>,
        rows: &mut Rows,
    ) -> Result<(), ReadError> {
        match (self.keeper.clone(), next) {
            (Some(keeper), Some(next)) if rows.is_nearly_full() => {
                rows.then(move || keeper.keep(&next, size))
            }
            (Some(keeper), None) => rows.then(move || keeper.forget()),
            _ => Ok(()),
        }
    }

    fn page(&mut self, place: &Place, rows: &Rows) -> Result<Vec<u8>, ReadError> {
        let mut query = vec![("per_page", self.per_page.to_string())];
        match place {
            Place::Start => query.push(("pagination", "cursor".to_owned())),
            Place::Cursor(cursor) => {
                query.push(("pagination", "cursor".to_owned()));
                query.push(("cursor", cursor.clone()));
            }
            Place::Page(number) => query.push(("page", number.to_string())),
        }
        self.list(query, rows)
    }

    /// How many customers there are.
    fn count(&mut self, rows: &Rows) -> Result<u64, ReadError> {
        let body = self.list(vec![("per_page", "1".to_owned())], rows)?;
        Ok(parsed(&body)?.total.unwrap_or_default())
    }

    fn list(
        &mut self,
        mut query: Vec<(&'static str, String)>,
        rows: &Rows,
    ) -> Result<Vec<u8>, ReadError> {
        if self.with_deleted {
            query.push(("filter[trashed]", "with".to_owned()));
        }
        self.client.list(&query, rows)
    }
}

fn parsed(body: &[u8]) -> Result<Page<'_>, ReadError> {
    serde_json::from_slice(body).map_err(|error| {
        ReadError::Unreadable(format!("what it answers is no page of customers: {error}"))
    })
}

/// The id of a customer, where it has one.
fn id(customer: &Result<Members, String>) -> Option<u64> {
    customer.as_ref().ok()?.get("id")?.get().parse().ok()
}

fn never_ends(why: String) -> ReadError {
    ReadError::Unreadable(format!("its list never ends: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(page: &str, place: Place) -> Option<Place> {
        serde_json::from_str::<Page>(page).expect("a page").next(&place)
    }

    #[test]
    fn a_page_tells_where_the_next_one_is() {
        let cursor = |text: &str| Place::Cursor(text.to_owned());
        assert_eq!(next(r#"{"data":[],"next_cursor":"b"}"#, cursor("a")), Some(cursor("b")));
        assert_eq!(next(r#"{"data":[{}],"next_cursor":null}"#, cursor("a")), None);
        // A system that does not know cursors has answered with the first page.
        let numbered = r#"{"data":[{}],"current_page":1,"next_page_url":"http://x/?page=2"}"#;
        assert_eq!(next(numbered, Place::Start), Some(Place::Page(2)));
        assert_eq!(next(r#"{"data":[{}]}"#, Place::Page(7)), Some(Place::Page(8)));
        assert_eq!(next(r#"{"data":[{}],"next_page_url":null}"#, Place::Page(7)), None);
        assert_eq!(next(r#"{"data":[]}"#, Place::Page(7)), None);
        assert_eq!(next(r#"{"data":[{}],"next_page_url":""}"#, Place::Page(7)), None);
        assert_eq!(next(r#"{"data":[{}],"next_cursor":""}"#, cursor("a")), None);
        assert_eq!(next(r#"{"data":[{}],"last_page":7}"#, Place::Page(7)), None);
        assert_eq!(next(r#"{"data":[{}],"last_page":8}"#, Place::Page(7)), Some(Place::Page(8)));
    }
}
