//! What the writes of one transaction leave to be done once for all of them, before it is committed.
//!
//! The search index above all: it writes what it was given out at every savepoint, and each write has
//! one. Given the whole group at its end, it writes once.

use std::collections::BTreeMap;

use diesel::prelude::*;

use super::search_index;
use crate::mending::{self, Mended};
use crate::sql::Sql;

#[derive(Default)]
pub(super) struct Deferred {
    /// By customer, in whose order the index takes them best.
    searched: BTreeMap<i64, Searched>,
    totals: Totals,
    mended: Vec<Mended>,
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
        self.mended.extend(later.mended);
    }

    /// Notes what a write has mended.
    pub fn mended(&mut self, mended: Mended) {
        self.mended.push(mended);
    }

    /// Does it, and returns what was mended, to be told when all is committed.
    pub fn apply(mut self, conn: &mut SqliteConnection) -> QueryResult<Vec<Mended>> {
        let (new, changed): (Vec<_>, Vec<_>) =
            self.searched.iter().partition(|(_, searched)| searched.is_new);
        fn text<'a>((id, searched): (&i64, &'a Searched)) -> (i64, &'a str) {
            (*id, &searched.text)
        }
        if !new.is_empty() {
            search_index::added(new.into_iter().map(text))?.execute(conn)?;
        }
        if !changed.is_empty() {
            search_index::replaced(changed.into_iter().map(text))?.execute(conn)?;
        }
        let Totals { live, deleted } = self.totals;
        if self.totals != Totals::default() {
            let counted = Sql::new("UPDATE customer_totals SET live = live + ")
                .bind(live)
                .push(", deleted = deleted + ")
                .bind(deleted)
                .push(" WHERE slot = 0")
                .execute(conn)?;
            if counted == 0 {
                mending::correct_totals(conn)?;
                self.mended(Mended::Totals);
            }
        }
        Ok(self.mended)
    }
}
