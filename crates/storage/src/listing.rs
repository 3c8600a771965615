//! Lists as SQL: which customers, in which order, from where on. The same on both databases, but for
//! the words of [`Dialect`].
//!
//! Everything that is filtered and sorted by stands in `customer_keys`, called `k` here.

use customers_domain::selection::{
    Filter, Order, Page, Selection, Sort, SortKey, SortValue, Stretch, Trashed, filter_key,
};
use customers_domain::{PhoneDigits, Value};

use crate::row::text_key;
use crate::sql::{Sql, Values};

/// In what the databases differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Chooses no index by the values that are asked for: it is told which ones not to use.
    Sqlite,
    /// Chooses by what it knows of the values.
    Postgres,
}

impl Dialect {
    /// A column that is not to be looked up in its index. For PostgreSQL to decide by itself.
    fn unindexed(self, column: &'static str) -> Sql {
        match self {
            Self::Sqlite => Sql::new("+k.").push(column),
            Self::Postgres => Sql::new("k.").push(column),
        }
    }

    /// That text occurs in a column.
    pub fn contains(self, column: &'static str, text: &str) -> Sql {
        let position = match self {
            Self::Sqlite => "instr(k.",
            Self::Postgres => "strpos(k.",
        };
        Sql::new(position).push(column).push(", ").bind(text).push(") > 0")
    }
}

/// What a list is read by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// Along the order, whose first key this is, leaving out what does not match.
    Order(SortKey),
    /// By the index of the filter at this position, sorting what it finds.
    Filter(usize),
}

/// The column of `customer_keys` that a key sorts by.
pub(crate) fn column(key: SortKey) -> &'static str {
    match key {
        SortKey::Id => "id",
        SortKey::Name => "name",
        SortKey::CustomerAccount => "customer_account",
        SortKey::CreatedAt => "created_at",
        SortKey::UpdatedAt => "updated_at",
    }
}

/// The positions of the filters that a list can be read by.
pub(crate) fn indexed(selection: &Selection) -> Vec<usize> {
    let is_indexed = |filter: &Filter| match filter {
        Filter::Attribute { any_of, .. } => any_of.len() == 1,
        Filter::Id(_) | Filter::Phone(_) | Filter::Nobody => true,
        Filter::CreatedFrom(_) | Filter::CreatedBefore(_) => true,
        Filter::UpdatedFrom(_) | Filter::UpdatedBefore(_) => true,
        Filter::Name(_) | Filter::Term(_) => false,
    };
    let filters = selection.filters.iter().enumerate();
    match selection.trashed {
        Trashed::Without => filters.filter(|(_, it)| is_indexed(it)).map(|(at, _)| at).collect(),
        // Deleted customers are in no index but one of their own.
        Trashed::With | Trashed::Only => Vec::new(),
    }
}

/// `WHERE`: what holds of the customers of a selection.
pub(crate) fn conditions(dialect: Dialect, selection: &Selection, route: Route) -> Sql {
    let filters = selection.filters.iter().enumerate();
    let filters = filters.map(|(at, filter)| {
        let by_index = match route {
            Route::Filter(position) => position == at,
            Route::Order(key) => is_about(filter, key),
        };
        condition(dialect, filter, by_index)
    });
    let trashed = match selection.trashed {
        Trashed::Without => Some(Sql::new("k.deleted_at IS NULL")),
        Trashed::With => None,
        Trashed::Only => Some(Sql::new("k.deleted_at IS NOT NULL")),
    };
    // Every part is a condition of its own.
    Sql::new(" WHERE ").join(trashed.into_iter().chain(filters).chain([Sql::new("1 = 1")]), " AND ")
}

/// Whether a filter is about what is sorted by, and so a range of its index.
fn is_about(filter: &Filter, key: SortKey) -> bool {
    match filter {
        Filter::CreatedFrom(_) | Filter::CreatedBefore(_) => key == SortKey::CreatedAt,
        Filter::UpdatedFrom(_) | Filter::UpdatedBefore(_) => key == SortKey::UpdatedAt,
        _ => false,
    }
}

/// What holds of a customer that a filter lets pass; by its index or not.
fn condition(dialect: Dialect, filter: &Filter, by_index: bool) -> Sql {
    let of = |column| match by_index {
        true => Sql::new("k.").push(column),
        false => dialect.unindexed(column),
    };
    let compare = |column, operator: &'static str, at: &customers_domain::Timestamp| {
        of(column).push(operator).bind(at.as_micros())
    };
    match filter {
        Filter::Id(ids) if ids.is_empty() => nobody(),
        Filter::Id(ids) => {
            of("id").one_of(Values::Numbers(ids.iter().map(|id| id.get()).collect()))
        }
        Filter::Attribute { any_of, .. } if any_of.is_empty() => nobody(),
        Filter::Attribute { attribute, any_of } => of(attribute.field).one_of(keys(any_of)),
        Filter::Name(texts) => any(texts.iter().map(|text| name_contains(dialect, text))),
        Filter::Phone(numbers) => has_any_number(numbers.iter(), of("id")),
        Filter::CreatedFrom(at) => compare("created_at", " >= ", at),
        Filter::CreatedBefore(at) => compare("created_at", " < ", at),
        Filter::UpdatedFrom(at) => compare("updated_at", " >= ", at),
        Filter::UpdatedBefore(at) => compare("updated_at", " < ", at),
        // Resolved to ids before; without that, it lets nobody pass.
        Filter::Term(_) | Filter::Nobody => nobody(),
    }
}

fn nobody() -> Sql {
    Sql::new("1 = 0")
}

/// That any of these holds; nobody's where there are none.
pub(crate) fn any(conditions: impl IntoIterator<Item = Sql>) -> Sql {
    let mut conditions: Vec<_> = conditions.into_iter().collect();
    // In pairs of pairs: SQLite takes no expression that is a thousand levels deep.
    while conditions.len() > 1 {
        let mut singles = std::mem::take(&mut conditions).into_iter();
        while let Some(one) = singles.next() {
            conditions.push(match singles.next() {
                Some(other) => Sql::new("(").append(one).push(" OR ").append(other).push(")"),
                None => one,
            });
        }
    }
    match conditions.pop() {
        Some(condition) => Sql::new("(").append(condition).push(")"),
        None => nobody(),
    }
}

/// The values of one attribute as they are stored for comparing. An absent one is equal to none.
fn keys(values: &[Value<'static>]) -> Values {
    let (mut numbers, mut texts, mut booleans) = (Vec::new(), Vec::new(), Vec::new());
    for value in values {
        match filter_key(value.clone()) {
            Value::Text(text) => texts.push(text_key(&text)),
            Value::Integer(number) => numbers.push(number.into()),
            Value::Boolean(boolean) => booleans.push(boolean),
            Value::Null => {}
        }
    }
    match (numbers.is_empty(), booleans.is_empty()) {
        (false, _) => Values::Numbers(numbers),
        (_, false) => Values::Booleans(booleans),
        _ => Values::Texts(texts),
    }
}

fn name_contains(dialect: Dialect, text: &str) -> Sql {
    let contains = dialect.contains("name", text);
    if !is_indexable(text) {
        return contains;
    }
    // What is in the name is in the text that is searched.
    Sql::new("(").append(occurs(dialect, text)).push(" AND ").append(contains).push(")")
}

/// Whether the index of all that is searched can tell where text occurs.
pub(crate) fn is_indexable(text: &str) -> bool {
    text.chars().filter(|c| c.is_alphanumeric()).nth(2).is_some() && !text.contains('\n')
}

/// That text occurs in what is searched, by its index.
pub(crate) fn occurs(dialect: Dialect, text: &str) -> Sql {
    match dialect {
        Dialect::Sqlite => {
            Sql::new("k.id IN (SELECT rowid FROM customer_search WHERE customer_search MATCH ")
                .bind(phrase(text))
                .push(")")
        }
        Dialect::Postgres => Sql::new("k.searched_text LIKE ").bind(like(text)),
    }
}

/// Text as a phrase of SQLite's FTS5.
pub(crate) fn phrase(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// Text as a pattern for `LIKE` that it matches wherever it occurs.
fn like(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// That a customer, of this id, has a number that matches one of these.
pub(crate) fn has_any_number<'a>(
    numbers: impl IntoIterator<Item = &'a PhoneDigits>,
    id: Sql,
) -> Sql {
    let mut ends = Vec::new();
    let mut longer = Vec::new();
    for number in numbers {
        ends.extend(number.reversed_ends());
        if number.is_suffix() {
            // Behind the digits comes the colon.
            let reversed = number.reversed();
            let end = format!("{reversed}:");
            longer.push(Sql::new("digits > ").bind(reversed).push(" AND digits < ").bind(end));
        }
    }
    let shorter = Sql::new("digits").one_of(Values::Texts(ends));
    let matching = any([shorter].into_iter().chain(longer));
    id.push(" IN (SELECT customer_id FROM customer_phones WHERE ").append(matching).push(")")
}

/// That a column begins with text.
pub(crate) fn begins_with(column: Sql, text: &str) -> Sql {
    let from = Sql::default().append(column.clone()).push(" >= ").bind(text);
    match successor(text) {
        Some(end) => from.push(" AND ").append(column).push(" < ").bind(end),
        None => from,
    }
}

/// The first text behind all that begin with this one; `None` where there is none.
fn successor(text: &str) -> Option<String> {
    let mut chars: Vec<char> = text.chars().collect();
    while let Some(last) = chars.pop() {
        // The one behind U+D7FF is U+E000.
        let next = (last as u32 + 1..=char::MAX as u32).find_map(char::from_u32);
        if let Some(next) = next {
            return Some(chars.into_iter().chain([next]).collect());
        }
    }
    None
}

/// `ORDER BY` of columns of `k`; or of the same columns of a subquery of this name.
fn order_by(order: &Order, from: &'static str, backwards: bool) -> Sql {
    let sorts = order.sorts().iter().map(|Sort { key, descending }| {
        let direction = if *descending != backwards { " DESC" } else { "" };
        Sql::new(from).push(column(*key)).push(direction)
    });
    Sql::new(" ORDER BY ").join(sorts, ", ")
}

/// The columns of `k` that an order needs, the id last.
fn sorted_columns(order: &Order) -> Sql {
    let columns = order.sorts().iter().map(|sort| Sql::new("k.").push(column(sort.key)));
    Sql::default().join(columns, ", ")
}

/// `SELECT count(*)` of the customers of a selection.
pub(crate) fn count(dialect: Dialect, selection: &Selection, route: Route) -> Sql {
    Sql::new("SELECT count(*) FROM customer_keys AS k")
        .append(conditions(dialect, selection, route))
}

/// The same, but no further than to a limit.
pub(crate) fn count_to(dialect: Dialect, selection: &Selection, route: Route, limit: i64) -> Sql {
    Sql::new("SELECT count(*) FROM (SELECT 1 FROM customer_keys AS k")
        .append(conditions(dialect, selection, route))
        .push(" LIMIT ")
        .bind(limit)
        .push(") AS counted")
}

/// The rows of a page, from `FROM` on: first the keys of its customers, then the customers.
pub(crate) fn page(
    dialect: Dialect,
    selection: &Selection,
    order: &Order,
    route: Route,
    page: Page,
) -> Sql {
    let conditions = conditions(dialect, selection, route);
    customers_of(page_keys(conditions, order, page), order)
}

/// How many customers there are, beside the rows of [`counted_page`].
pub(crate) const COUNTED: &str = "counted.total";

/// The same beside how many there are, which another query finds: no rows where these are no more than
/// the page skips, and then none is looked for. In the words of PostgreSQL.
pub(crate) fn counted_page(
    selection: &Selection,
    order: &Order,
    route: Route,
    page: Page,
    total: Sql,
) -> Sql {
    let conditions = conditions(Dialect::Postgres, selection, route);
    let conditions = conditions.push(" AND counted.total > ").bind(skip(page));
    Sql::new("FROM (")
        .append(total)
        .push(") AS counted (total) CROSS JOIN LATERAL (")
        .append(page_keys(conditions, order, page))
        .push(PAGE_OF_CUSTOMERS)
        .append(order_by(order, "page.", false))
}

fn page_keys(conditions: Sql, order: &Order, page: Page) -> Sql {
    Sql::new("SELECT ")
        .append(sorted_columns(order))
        .push(" FROM customer_keys AS k")
        .append(conditions)
        .append(order_by(order, "k.", false))
        .push(" LIMIT ")
        .bind(i64::from(page.take))
        .push(" OFFSET ")
        .bind(skip(page))
}

fn skip(page: Page) -> i64 {
    i64::try_from(page.skip).unwrap_or(i64::MAX)
}

/// The rows of a stretch, from `FROM` on.
///
/// What stands behind a place is, for each key, what has the same keys before it and a later one
/// here. Each of these parts is one range of an index, where their union would be none.
pub(crate) fn stretch(
    dialect: Dialect,
    selection: &Selection,
    order: &Order,
    route: Route,
    Stretch { from, backwards, take }: &Stretch,
) -> Sql {
    let part = |behind: Sql| {
        Sql::new("SELECT ")
            .append(sorted_columns(order))
            .push(" FROM customer_keys AS k")
            .append(conditions(dialect, selection, route))
            .append(behind)
            .append(order_by(order, "k.", *backwards))
            .push(" LIMIT ")
            .bind(i64::from(*take))
    };
    let Some(place) = from else {
        return customers_of(part(Sql::default()), order);
    };
    let places: Vec<_> = order.sorts().iter().zip(place.values()).collect();
    let parts = (0..places.len()).rev().map(|at| {
        let same = places[..at].iter().map(|(sort, value)| of_key(sort, " = ", value));
        let (sort, value) = places[at];
        let operator = if sort.descending != *backwards { " < " } else { " > " };
        let conditions = same.chain([of_key(sort, operator, value)]);
        Sql::new("SELECT * FROM (")
            .append(part(Sql::new(" AND ").join(conditions, " AND ")))
            .push(") AS part")
    });
    let keys = Sql::new("SELECT * FROM (")
        .join(parts, " UNION ALL ")
        .push(") AS parts")
        .append(order_by(order, "parts.", *backwards))
        .push(" LIMIT ")
        .bind(i64::from(*take));
    customers_of(keys, order)
}

fn of_key(sort: &Sort, operator: &'static str, value: &SortValue) -> Sql {
    let compared = Sql::new("k.").push(column(sort.key)).push(operator);
    match value {
        SortValue::Number(number) => compared.bind(*number),
        SortValue::Text(text) => compared.bind(text.as_str()),
    }
}

/// Behind the keys of a page: its customers. SQLite reads what stands in front of `CROSS JOIN` first.
const PAGE_OF_CUSTOMERS: &str = ") AS page CROSS JOIN customers WHERE customers.id = page.id";

/// The customers of these keys, in order.
fn customers_of(keys: Sql, order: &Order) -> Sql {
    Sql::new("FROM (").append(keys).push(PAGE_OF_CUSTOMERS).append(order_by(order, "page.", false))
}

/// The customers of these ids, from `FROM` on, in no order.
pub(crate) fn customers_with(ids: &[i64]) -> Sql {
    Sql::new("FROM customers WHERE customers.id").one_of(Values::Numbers(ids.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_take_every_character_as_it_is() {
        assert_eq!(like(r"5%_\"), r"%5\%\_\\%");
        assert_eq!(phrase(r#"a"b"#), r#""a""b""#);
    }

    #[test]
    fn the_successor_of_a_prefix_is_behind_all_that_begin_with_it() {
        assert_eq!(successor("ab").as_deref(), Some("ac"));
        assert_eq!(successor("a\u{10FFFF}").as_deref(), Some("b"));
        assert_eq!(successor("\u{D7FF}").as_deref(), Some("\u{E000}"));
        assert_eq!(successor("\u{10FFFF}"), None);
    }
}
