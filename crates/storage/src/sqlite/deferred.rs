//! What the writes of one transaction leave to be done once for all of them, before it is committed.
//!
//! The search index above all: it writes what it was given out at every savepoint, and each write has
//! one. Given the whole group at its end, it writes once.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::result::Error;

use crate::sql::Sql;

#[derive(Default)]
pub(super) struct Deferred {
    /// By customer, in whose order the index takes them best.
    searched: BTreeMap<i64, Searched>,
    totals: Totals,
}

/// What is searched of a customer from now on.
struct Searched {
    text: String,
    /// Whether nothing was before.
    is_new: bool,
}

/// How many customers there are more, or fewer.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Totals {
    pub live: i64,
    pub deleted: i64,
}

impl Deferred {
    /// The text of a new customer.
    pub fn searched(&mut self, id: i64, text: String) {
        self.searched.insert(id, Searched { text, is_new: true });
    }

    /// Another text of a customer.
    pub fn searched_anew(&mut self, id: i64, text: String) {
        let is_new = self.searched.get(&id).is_some_and(|before| before.is_new);
        self.searched.insert(id, Searched { text, is_new });
    }

    /// Counts customers.
    pub fn count(&mut self, totals: Totals) {
        self.totals.live += totals.live;
        self.totals.deleted += totals.deleted;
    }

    /// Adds what a later write leaves to be done.
    pub fn add(&mut self, later: Self) {
        for (id, Searched { text, is_new }) in later.searched {
            if is_new { self.searched(id, text) } else { self.searched_anew(id, text) }
        }
        self.count(later.totals);
    }

    /// Does it.
    pub fn apply(self, conn: &mut SqliteConnection) -> QueryResult<()> {
        let (new, changed): (Vec<_>, Vec<_>) =
            self.searched.into_iter().partition(|(_, searched)| searched.is_new);
        for (insert, rows) in [("INSERT", new), ("INSERT OR REPLACE", changed)] {
            if rows.is_empty() {
                continue;
            }
            let rows: Vec<_> = rows.into_iter().map(|(id, searched)| (id, searched.text)).collect();
            let rows =
                serde_json::to_string(&rows).map_err(|it| Error::SerializationError(it.into()))?;
            // In one statement: the index writes at the end of each, too.
            Sql::new(insert)
                .push(
                    " INTO customer_search (rowid, searched_text)
                     SELECT value ->> 0, value ->> 1 FROM json_each(",
                )
                .bind(rows)
                .push(")")
                .execute(conn)?;
        }
        let Totals { live, deleted } = self.totals;
        if self.totals != Totals::default() {
            Sql::new("UPDATE customer_totals SET live = live + ")
                .bind(live)
                .push(", deleted = deleted + ")
                .bind(deleted)
                .execute(conn)?;
        }
        Ok(())
    }
}
