//! An entry of the history and its row.

use customers_domain::history::{Action, Change, HistoryEntry};
use customers_domain::{Customer, Value, Write};
use diesel::prelude::*;
use diesel::result::Error;
use serde_json::{Map, json};

use super::{corrupt, timestamp, value};
use crate::schema::customer_history;

/// A row of `customer_history`, to be written.
#[derive(Insertable)]
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

impl TryFrom<HistoryRow> for HistoryEntry {
    type Error = Error;

    fn try_from(row: HistoryRow) -> Result<Self, Self::Error> {
        let HistoryRow { id, at, actor, action, request_id, changes } = row;
        let changes: Map<String, serde_json::Value> =
            serde_json::from_str(&changes).map_err(corrupt)?;
        let change = |(name, mut change): (String, serde_json::Value)| {
            let mut side = |side: &str| -> Result<Value<'static>, Error> {
                value(change.get_mut(side).map(serde_json::Value::take).unwrap_or_default())
            };
            let (from, to) = (side("from")?, side("to")?);
            Ok(Change { name, from, to })
        };
        Ok(Self {
            id,
            at: timestamp(at)?,
            actor,
            action: action.parse::<Action>().map_err(corrupt)?,
            request_id,
            changes: changes.into_iter().map(change).collect::<Result<_, Error>>()?,
        })
    }
}
