//! What happened to a customer is asked for.

use actix_web::{HttpRequest, HttpResponse, get};
use customers_domain::history::{Action, Change, HistoryEntry};
use customers_domain::selection::SortValue;
use customers_domain::{CustomerRepository, Timestamp, Value};
use serde::{Serialize, Serializer};

use super::PATH;
use super::path::IdPath;
use crate::auth::MayWrite;
use crate::error::ApiError;
use crate::json::{self, Item};
use crate::large_answers::LargeAnswers;
use crate::listing::{Around, Cursor, CursorPage, ListDigest, ListQuery, ListUrl, invalid_cursor};
use crate::openapi::{CursorParameters, CustomerPath, HistoryFailures, HistoryTold};
use crate::{Settings, Shared};

/// Tells what happened to a customer
///
/// The newest first, of deleted customers too: who changed which attributes from what to what, when,
/// and by which request.
#[utoipa::path(
    operation_id = "getCustomerHistory",
    tag = "customers",
    security(("token" = [])),
    params(CustomerPath, CursorParameters),
    responses(HistoryTold, HistoryFailures),
)]
#[get("/customers/{customer}/history")]
pub(crate) async fn history(
    _: MayWrite,
    customers: Shared<dyn CustomerRepository>,
    settings: Shared<Settings>,
    large: Shared<LargeAnswers>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let query = ListQuery::of(&request)?;
    let path = IdPath::of(&request, 1);
    let id = path.id().ok_or_else(|| path.not_found())?;
    let list = ListDigest::of_history(id.get());
    let before = match Cursor::decode(query.cursor().unwrap_or_default(), &list)? {
        Some(cursor) => match cursor.place[..] {
            [SortValue::Number(before)] => Some(before),
            _ => return Err(invalid_cursor()),
        },
        None => None,
    };
    let per_page = query.per_page();
    large.admit(per_page).await?;
    // One more tells whether there are more.
    let entries = customers.history(id, before, per_page + 1).await?;
    let entries = entries.ok_or_else(|| path.not_found())?;
    let shown = &entries[..entries.len().min(per_page as usize)];
    let next = shown.last().filter(|_| shown.len() < entries.len()).map(|last| {
        Cursor { place: vec![SortValue::Number(last.id)], backwards: false }.encode(&list)
    });
    let shown: Vec<_> = shown.iter().map(Entry::of).collect();
    let path = format!("{PATH}/{id}/history");
    let url = ListUrl::new(&settings.location, &request, &path, &query);
    let around = Around { next, previous: None };
    let page = CursorPage::new(&shown, per_page, &around, &url).into_response();
    drop(entries);
    large.count(page).await
}

/// An entry of the history, as it is answered.
#[derive(Serialize)]
pub(crate) struct Entry<'a> {
    id: i64,
    at: Timestamp,
    actor: &'a str,
    action: Action,
    request_id: &'a str,
    #[serde(serialize_with = "by_name")]
    changes: &'a [Change],
}

impl<'a> Entry<'a> {
    pub fn of(entry: &'a HistoryEntry) -> Self {
        let HistoryEntry { id, at, actor, action, request_id, changes } = entry;
        Self { id: *id, at: *at, actor, action: *action, request_id, changes }
    }
}

impl Item for Entry<'_> {
    fn write(&self, json: &mut Vec<u8>) {
        json::value(self, json);
    }
}

/// What an attribute was and is.
#[derive(Serialize)]
struct FromTo<'a> {
    from: &'a Value<'static>,
    to: &'a Value<'static>,
}

fn by_name<S: Serializer>(changes: &&[Change], serializer: S) -> Result<S::Ok, S::Error> {
    serializer
        .collect_map(changes.iter().map(|Change { name, from, to }| (name, FromTo { from, to })))
}
