//! Finds and mends times out of range, which are read as the nearest moment that can be read.

use customers_domain::Timestamp;
use diesel::QueryResult;

use crate::drift::Compare;
use crate::sql::Sql;

/// A table with times.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Times {
    Customers,
    History,
    Tokens,
    Users,
}

impl Times {
    fn table(self) -> &'static str {
        match self {
            Self::Customers => "customers",
            Self::History => "customer_history",
            Self::Tokens => "tokens",
            Self::Users => "users",
        }
    }

    fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Customers => &["created_at", "updated_at", "deleted_at"],
            Self::History => &["at"],
            Self::Tokens => &["created_at", "expires_at", "last_used_at"],
            Self::Users => &["created_at", "disabled_at"],
        }
    }

    /// Whether a row has a time out of range, as a condition.
    fn is_out_of_range(self) -> String {
        let [min, max] = [Timestamp::MIN, Timestamp::MAX].map(Timestamp::as_micros);
        let columns = self.columns().iter();
        let columns: Vec<_> =
            columns.map(|column| format!("{column} NOT BETWEEN {min} AND {max}")).collect();
        format!("({})", columns.join(" OR "))
    }

    /// Counts the rows with a time out of range.
    pub fn count(self, conn: &mut (impl Compare + ?Sized)) -> QueryResult<i64> {
        let (table, condition) = (self.table(), self.is_out_of_range());
        conn.number(Sql::new(format!("SELECT count(*) FROM {table} WHERE {condition}")))
    }

    /// Brings the times of these rows into range: of all, or of those whose number in a column is listed.
    pub fn mend(
        self,
        conn: &mut (impl Compare + ?Sized),
        only: Option<(&'static str, &[i64])>,
    ) -> QueryResult<()> {
        let [min, max] = [Timestamp::MIN, Timestamp::MAX].map(Timestamp::as_micros);
        let nearest = self.columns().iter().map(|column| {
            format!(
                "{column} = CASE WHEN {column} > {max} THEN {max} WHEN {column} < {min} THEN {min} \
                 ELSE {column} END"
            )
        });
        let nearest: Vec<_> = nearest.collect();
        let (table, condition) = (self.table(), self.is_out_of_range());
        let mut update =
            Sql::new(format!("UPDATE {table} SET {} WHERE {condition}", nearest.join(", ")));
        if let Some((column, numbers)) = only {
            update = update.push(" AND ").push(column).push(" IN (");
            update = update.list(numbers.iter().copied()).push(")").unique();
        }
        conn.execute(update)
    }
}
