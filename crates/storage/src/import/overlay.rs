//! What a dry run would have written, on top of what is there: a table that only this connection sees,
//! and that goes with it.

use customers_domain::Customer;
use diesel::prelude::*;

use super::{Changed, Load};
use crate::row::CustomerRow;
use crate::sql::Sql;

/// The table, as a source of rows of `customers`.
pub(super) const SOURCE: &str = "import_overlay AS customers";

/// Makes the table.
pub(super) fn create(conn: &mut dyn Load) -> QueryResult<()> {
    conn.execute(Sql::new(
        "CREATE TEMPORARY TABLE import_overlay AS SELECT * FROM customers LIMIT 0",
    ))?;
    for column in ["id", "account_key", "name"] {
        conn.execute(Sql::new(format!(
            "CREATE INDEX import_overlay_{column} ON import_overlay ({column})"
        )))?;
    }
    Ok(())
}

/// Keeps customers as they would be.
pub(super) fn store(
    conn: &mut dyn Load,
    created: &[Customer],
    changed: &[Changed],
) -> QueryResult<()> {
    for customer in created.iter().chain(changed.iter().map(|changed| &changed.after)) {
        let replaced = Sql::new("DELETE FROM import_overlay WHERE id = ");
        conn.execute(replaced.bind(customer.id.get()))?;
        let (names, values): (Vec<_>, Vec<_>) =
            CustomerRow::from(customer).binds().into_iter().unzip();
        let insert = format!("INSERT INTO import_overlay ({}) VALUES (", names.join(", "));
        conn.execute(Sql::new(insert).list(values).push(")"))?;
    }
    Ok(())
}
