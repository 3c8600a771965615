//! `customers pull`: brings in customers from a running system.

mod client;
mod place;

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::Failure;
use crate::cli::PullFrom;
use crate::config::Database;
use crate::import::json::{Members, Objects};
use crate::intake::{self, Gauge, ReadError, Rows, Source};
use client::{Client, Credentials};
use place::{Keeper, Place};

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
    let place = keeper.as_ref().map_or(Ok(Place::Start), Keeper::place)?;
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
            Walk { client, keeper, per_page, with_deleted, gauge }.read(place, rows)
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

/// A page of a list, by cursor or by number.
#[derive(Deserialize)]
struct Page {
    data: Vec<Box<RawValue>>,
    /// `None` where the system does not know cursors, and `Some(None)` at the end.
    #[serde(default, deserialize_with = "given")]
    next_cursor: Option<Option<String>>,
    /// The same for the URL of the next page.
    #[serde(default, deserialize_with = "given")]
    next_page_url: Option<Option<String>>,
    total: Option<u64>,
}

fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Page {
    /// Where the list goes on behind this page, which was found here.
    fn next(&self, place: &Place) -> Option<Place> {
        if let Some(next) = &self.next_cursor {
            return next.clone().map(Place::Cursor);
        }
        let number = match place {
            Place::Page(number) => *number,
            Place::Start | Place::Cursor(_) => 1,
        };
        let is_last = self.data.is_empty() || self.next_page_url == Some(None);
        (!is_last).then_some(Place::Page(number + 1))
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
    fn read(mut self, place: Place, rows: &mut Rows) -> Result<(), ReadError> {
        if let Some(warning) = self.client.warning() {
            rows.note(warning)?;
        }
        match &place {
            Place::Start => {}
            place => rows.note(format!("going on at {place}"))?,
        }
        let mut at = Some(place);
        let (mut columns, mut count) = (HashMap::new(), 0);
        while let Some(place) = at {
            let page = self.page(&place, rows)?;
            if place == Place::Start {
                let total = match page.total {
                    Some(total) => total,
                    None => self.count(rows)?,
                };
                self.gauge.set_length(total);
            }
            self.gauge.read(page.data.len() as u64);
            at = page.next(&place);
            if at.as_ref() == Some(&place) {
                return Err(ReadError::Unreadable(format!(
                    "its list never ends: behind {place} it goes on there again"
                )));
            }
            let mut sink = |found| rows.take(found);
            let mut objects = Objects::with(&mut sink, columns);
            for customer in page.data {
                count += 1;
                let read = Members::read(customer.get().as_bytes());
                let id = read.as_ref().ok().and_then(|members| members.get("id"));
                // An id says more than a number of no page in particular.
                let line = id.and_then(|id| id.get().parse().ok()).unwrap_or(count);
                objects.take(line, read)?;
            }
            columns = objects.into_columns();
            self.keep(at.clone(), rows)?;
        }
        Ok(())
    }

    /// Keeps how far it is, as soon as that is true.
    fn keep(&self, next: Option<Place>, rows: &mut Rows) -> Result<(), ReadError> {
        match (self.keeper.clone(), next) {
            (Some(keeper), Some(next)) if rows.is_nearly_full() => {
                rows.then(move || keeper.keep(&next))
            }
            (Some(keeper), None) => rows.then(move || keeper.forget()),
            _ => Ok(()),
        }
    }

    fn page(&mut self, place: &Place, rows: &Rows) -> Result<Page, ReadError> {
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
        let page = self.list(vec![("per_page", "1".to_owned())], rows)?;
        Ok(page.total.unwrap_or_default())
    }

    fn list(
        &mut self,
        mut query: Vec<(&'static str, String)>,
        rows: &Rows,
    ) -> Result<Page, ReadError> {
        if self.with_deleted {
            query.push(("filter[trashed]", "with".to_owned()));
        }
        let body = self.client.list(&query, rows)?;
        serde_json::from_slice(&body).map_err(|error| {
            ReadError::Unreadable(format!("what it answers is no page of customers: {error}"))
        })
    }
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
    }
}
