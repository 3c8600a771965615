//! The sequences that ids are drawn from. They fall behind their tables where these are filled from
//! elsewhere: logical replication copies rows, and no sequences.

use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};
use diesel::sql_types::BigInt;

use crate::sql::Sql;

/// A sequence that is this far behind is set, and else drawn from: others may draw meanwhile, and it must
/// not be set back.
const FAR: i64 = 10_000;

/// A sequence, and the table whose ids come from it.
pub(super) struct Sequence {
    pub table: &'static str,
    pub name: &'static str,
}

/// The sequence of the customers' ids.
pub(super) const CUSTOMERS: Sequence = Sequence { table: "customers", name: "customers_id" };

/// All sequences.
pub(super) const ALL: [Sequence; 3] = [
    CUSTOMERS,
    // The one that GENERATED AS IDENTITY makes has this name.
    Sequence { table: "customer_history", name: "customer_history_id_seq" },
    Sequence { table: "users", name: "users_id" },
];

impl Sequence {
    /// The last id that was drawn; 0 where none was.
    pub fn last(&self, conn: &mut PgConnection) -> QueryResult<i64> {
        let last = "SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM ";
        number(conn, Sql::new(last).push(self.name))
    }

    /// The highest id in the table; 0 where it is empty.
    pub fn highest(&self, conn: &mut PgConnection) -> QueryResult<i64> {
        number(conn, Sql::new("SELECT coalesce(max(id), 0) FROM ").push(self.table))
    }

    /// Lets the ids that are drawn go on behind this one.
    pub fn go_on_behind(&self, conn: &mut PgConnection, id: i64) -> QueryResult<()> {
        let mut last = self.last(conn)?;
        if id > last.saturating_add(FAR) {
            let set = Sql::new("SELECT setval('").push(self.name).push("', greatest(last_value, ");
            number(conn, set.bind(id).push(")) FROM ").push(self.name))?;
            return Ok(());
        }
        while last < id {
            let draw = Sql::new("SELECT max(nextval('").push(self.name);
            let draw = draw.push("')) FROM generate_series(1, ").bind(id - last).push(")");
            last = number(conn, draw)?;
        }
        Ok(())
    }
}

/// Whether a write has failed because an id was drawn that is in the history already. (That of a customer
/// is drawn beforehand, and another one is where it is taken.)
pub(super) fn is_behind(error: &Error) -> bool {
    matches!(error, Error::DatabaseError(DatabaseErrorKind::UniqueViolation, of)
        if of.constraint_name() == Some("customer_history_pkey"))
}

/// Lets every sequence that is behind its table go on behind it.
pub(super) fn catch_up(conn: &mut PgConnection) -> QueryResult<()> {
    for sequence in &ALL {
        let (last, highest) = (sequence.last(conn)?, sequence.highest(conn)?);
        if last < highest {
            log::warn!(
                table = sequence.table, last, highest;
                "the sequence of ids is behind its table, as after logical replication, and goes on behind it"
            );
            sequence.go_on_behind(conn, highest)?;
        }
    }
    Ok(())
}

fn number(conn: &mut PgConnection, query: Sql) -> QueryResult<i64> {
    query.typed::<BigInt>().get_result(conn)
}
