//! An entry of the history and its row.

use customers_domain::history::{Action, Change, HistoryEntry};
use customers_domain::{Customer, Value, Write};
use diesel::prelude::*;
use diesel::result::Error;
use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::{Map, json};

use super::{corrupt, readable};
use crate::schema::customer_history;
use crate::sql::Sql;

/// A row of `customer_history`, to be written.
#[derive(Clone, Insertable)]
#[diesel(table_name = customer_history)]
#[diesel(treat_none_as_default_value = false)]
pub(crate) struct NewHistoryRow {
    pub customer_id: i64,
    pub at: i64,
    pub actor: String,
    pub action: &'static str,
    pub request_id: String,
    pub changes: String,
}

impl NewHistoryRow {
    /// What was done to the customer, which is `before` and `after` it; there is no `before` where
    /// it was created. It is done at the customer's own time of its last change.
    pub fn new(action: Action, before: Option<&Customer>, after: &Customer, write: &Write) -> Self {
        let changes: Map<_, _> = after
            .changes_since(before)
            .into_iter()
            .map(|Change { name, from, to }| (name, json!({ "from": from, "to": to })))
            .collect();
        Self {
            customer_id: after.id.get(),
            at: after.updated_at.as_micros(),
            actor: write.actor.clone(),
            action: action.as_str(),
            request_id: write.request_id.clone(),
            changes: serde_json::Value::Object(changes).to_string(),
        }
    }

    /// The row that tells what was changed, but no values.
    pub fn without_values(self) -> Result<Self, Error> {
        Ok(Self { changes: without_values(&self.changes)?, ..self })
    }
}

/// The changes in a row, of which only the names are left; none where they cannot be read.
pub(crate) fn without_values(changes: &str) -> Result<String, Error> {
    let mut changes: Map<String, serde_json::Value> =
        serde_json::from_str(changes).unwrap_or_default();
    changes.values_mut().for_each(|change| *change = json!({ "from": null, "to": null }));
    Ok(serde_json::Value::Object(changes).to_string())
}

/// A change as it is stored, behind the name of what is changed.
#[derive(Deserialize)]
struct Sides<'a> {
    #[serde(borrow)]
    from: Value<'a>,
    #[serde(borrow)]
    to: Value<'a>,
}

/// A row of `customer_history`, to be read.
#[derive(Queryable, Selectable)]
#[diesel(table_name = customer_history)]
pub(crate) struct HistoryRow {
    id: i64,
    at: i64,
    actor: String,
    action: String,
    request_id: String,
    changes: String,
}

impl HistoryRow {
    /// The entries of a customer before this one, the newest first.
    pub fn select_text(customer_id: i64, before: i64, take: u32) -> Sql {
        Sql::new(
            "SELECT id, at, actor, action, request_id, changes FROM customer_history
             WHERE customer_id = ",
        )
        .bind(customer_id)
        .push(" AND id < ")
        .bind(before)
        .push(" ORDER BY id DESC LIMIT ")
        .bind(i64::from(take))
    }

    /// Reads a row of [`HistoryRow::select_text`].
    ///
    /// # Errors
    ///
    /// Where a column holds something else than this.
    pub fn from_columns(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            at: row.get(1)?,
            actor: row.get(2)?,
            action: row.get(3)?,
            request_id: row.get(4)?,
            changes: row.get(5)?,
        })
    }
}

impl TryFrom<HistoryRow> for HistoryEntry {
    type Error = Error;

    fn try_from(row: HistoryRow) -> Result<Self, Self::Error> {
        let HistoryRow { id, at, actor, action, request_id, changes } = row;
        // The entry is told without its changes where these cannot be read: a history has no gaps.
        let changes: IndexMap<String, Sides<'_>> =
            serde_json::from_str(&changes).unwrap_or_else(|_| {
                log::error!("the changes of entry {id} of the history cannot be read");
                IndexMap::new()
            });
        let change = |(name, Sides { from, to }): (String, Sides<'_>)| Change {
            name,
            from: from.into_owned(),
            to: to.into_owned(),
        };
        Ok(Self {
            id,
            at: readable(at, format_args!("entry {id} of the history")),
            actor,
            action: action.parse::<Action>().map_err(corrupt)?,
            request_id,
            changes: changes.into_iter().map(change).collect(),
        })
    }
}
