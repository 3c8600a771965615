//! Lists and searches, as they are read from a connection: the same on both databases.

use customers_domain::search::{MAX_HITS, SearchTerm};
use customers_domain::selection::{Filter, Listing, Order, Page, Selection, Stretch, Trashed};
use customers_domain::{Customer, CustomerId};
use diesel::prelude::*;

use crate::listing::{self, Dialect, Route};
use crate::row::{CustomerRow, unreadable};
use crate::searching::{self, Hits};
use crate::sql::Sql;

/// A connection that can be asked. What is asked for here takes several queries, which are to be run
/// in one transaction, on one state of the database.
pub(crate) trait Ask {
    fn dialect(&self) -> Dialect;

    /// Whether there is an index of all that is searched. Without, words are looked for at the
    /// beginning of names and accounts only.
    fn has_search_index(&self) -> bool;

    /// The numbers that a query finds.
    fn numbers(&mut self, query: Sql) -> QueryResult<Vec<i64>>;

    /// The texts that a query finds.
    fn texts(&mut self, query: Sql) -> QueryResult<Vec<String>>;

    /// The customers whose rows are described from `FROM` on, this many at most. Rows that cannot be read
    /// are left out.
    fn readable(&mut self, from: Sql, at_most: usize) -> QueryResult<Readable>;

    /// The same, but fails where a row cannot be read.
    fn customers(&mut self, from: Sql, at_most: usize) -> QueryResult<Vec<Customer>> {
        let found = self.readable(from, at_most)?;
        match found.left_out {
            0 => Ok(found.customers),
            _ => Err(unreadable()),
        }
    }

    /// The rows of customers that are described from `FROM` on.
    fn rows(&mut self, from: Sql) -> QueryResult<Vec<CustomerRow>>;

    /// Runs a statement that finds nothing.
    fn execute(&mut self, statement: Sql) -> QueryResult<()>;

    /// Ends the transaction and begins another one, where waiting in the same one would make others wait.
    fn begin_again(&mut self) -> QueryResult<()> {
        Ok(())
    }

    /// The number that a query finds.
    fn number(&mut self, query: Sql) -> QueryResult<i64> {
        let found = self.numbers(query)?;
        found.first().copied().ok_or(diesel::result::Error::NotFound)
    }
}

/// The customers of some rows.
pub(crate) struct Readable {
    pub customers: Vec<Customer>,
    /// How many of the rows cannot be read.
    pub left_out: usize,
}

impl Readable {
    /// None yet, of this many at most.
    pub fn with_capacity(at_most: usize) -> Self {
        Self { customers: Vec::with_capacity(at_most), left_out: 0 }
    }

    /// Adds the customer of a row. One that cannot be read is named in the log, and fails no list.
    pub fn add(&mut self, row: CustomerRow) {
        let id = row.id;
        match row.try_into() {
            Ok(customer) => self.customers.push(customer),
            Err(_) => {
                log::error!("customer {id} cannot be read: see customers check");
                self.left_out += 1;
            }
        }
    }
}

/// The customers of these rows, this many at most.
pub(crate) fn collect(
    rows: impl Iterator<Item = QueryResult<CustomerRow>>,
    at_most: usize,
) -> QueryResult<Readable> {
    let mut found = Readable::with_capacity(at_most);
    for row in rows {
        found.add(row?);
    }
    Ok(found)
}

/// The customers on a page, and how many there are.
pub(crate) fn list(
    conn: &mut impl Ask,
    selection: Selection,
    order: &Order,
    page: Page,
) -> QueryResult<Listing> {
    let selection = resolved(conn, selection)?;
    let dialect = conn.dialect();
    let need = page.skip.saturating_add(page.take.into());
    let Routes { list, count } = routes(conn, &selection, order, need)?;
    let total = how_many(conn, &selection, count)?;
    let customers = match page.skip < total {
        true => {
            let from = listing::page(dialect, &selection, order, list, page);
            conn.readable(from, page.take as usize)?.customers
        }
        false => Vec::new(),
    };
    Ok(Listing { customers, total })
}

/// The customers of a stretch, in the list's order.
pub(crate) fn walk(
    conn: &mut impl Ask,
    selection: Selection,
    order: &Order,
    stretch: &Stretch,
) -> QueryResult<Vec<Customer>> {
    let selection = resolved(conn, selection)?;
    let Routes { list, .. } = routes(conn, &selection, order, stretch.take.into())?;
    read_stretch(conn, &selection, order, list, stretch)
}

/// The customers of a stretch. It ends before `take` only at the end of the list: where rows cannot be
/// read, those behind them take their places.
fn read_stretch(
    conn: &mut impl Ask,
    selection: &Selection,
    order: &Order,
    route: Route,
    stretch: &Stretch,
) -> QueryResult<Vec<Customer>> {
    let take = stretch.take as usize;
    let mut wider = stretch.clone();
    loop {
        let from = listing::stretch(conn.dialect(), selection, order, route, &wider);
        let Readable { mut customers, left_out } = conn.readable(from, wider.take as usize)?;
        if customers.len() >= take || customers.len() + left_out < wider.take as usize {
            let surplus = customers.len().saturating_sub(take);
            match stretch.backwards {
                true => drop(customers.drain(..surplus)),
                false => customers.truncate(take),
            }
            return Ok(customers);
        }
        wider.take = wider.take.saturating_mul(2);
    }
}

/// A walk along a whole list, from its beginning, in one transaction: how it is read is found out once.
pub(crate) struct Walk {
    selection: Selection,
    order: Order,
    route: Route,
    stretch: Stretch,
    is_over: bool,
}

impl Walk {
    /// A walk that passes so many customers with each step; and how many it passes in all.
    pub fn begin(
        conn: &mut impl Ask,
        selection: Selection,
        order: Order,
        take: u32,
    ) -> QueryResult<(Self, u64)> {
        let selection = resolved(conn, selection)?;
        let Routes { list, count } = routes(conn, &selection, &order, take.into())?;
        let total = how_many(conn, &selection, count)?;
        let stretch = Stretch { from: None, backwards: false, take };
        Ok((Self { selection, order, route: list, stretch, is_over: false }, total))
    }

    /// The next customers; none at the end.
    pub fn next(&mut self, conn: &mut impl Ask) -> QueryResult<Vec<Customer>> {
        if self.is_over {
            return Ok(Vec::new());
        }
        let Self { selection, order, route, stretch, .. } = self;
        let customers = read_stretch(conn, selection, order, *route, stretch)?;
        self.is_over = customers.len() < stretch.take as usize;
        stretch.from = customers.last().map(|last| order.place_of(last));
        Ok(customers)
    }
}

/// The customers on a page of a search, and how many it has found.
pub(crate) fn search(conn: &mut impl Ask, term: &SearchTerm, page: Page) -> QueryResult<Listing> {
    let need = page.skip.saturating_add(page.take.into()).min(MAX_HITS as u64) as usize;
    let Hits { ids, total } = searching::hits(conn, term, Trashed::Without, need)?;
    let skip = page.skip.min(ids.len() as u64) as usize;
    let ids = &ids[skip..];
    let mut customers = match ids.is_empty() {
        true => Vec::new(),
        false => conn.readable(listing::customers_with(ids), ids.len())?.customers,
    };
    customers.sort_by_cached_key(|it| ids.iter().position(|id| *id == it.id.get()));
    Ok(Listing { customers, total: total as u64 })
}

/// The selection with searches replaced by what they find.
fn resolved(conn: &mut impl Ask, mut selection: Selection) -> QueryResult<Selection> {
    for filter in &mut selection.filters {
        if let Filter::Term(term) = filter {
            let hits = searching::hits(conn, term, selection.trashed, MAX_HITS)?;
            *filter = Filter::Id(hits.ids.into_iter().filter_map(CustomerId::new).collect());
        }
    }
    Ok(selection)
}

/// How many customers are in a selection, counted along this way.
fn how_many(conn: &mut impl Ask, selection: &Selection, route: Route) -> QueryResult<u64> {
    let total = conn.number(total_of(conn.dialect(), selection, route))?;
    Ok(u64::try_from(total).unwrap_or(0))
}

/// The number of the customers in a selection, counted along this way.
pub(crate) fn total_of(dialect: Dialect, selection: &Selection, route: Route) -> Sql {
    match selection.filters.is_empty() {
        true => total(selection.trashed),
        false => listing::count(dialect, selection, route).unique(),
    }
}

/// How many customers there are, by the count that is kept of them.
fn total(trashed: Trashed) -> Sql {
    Sql::new(match trashed {
        Trashed::Without => "SELECT CAST(sum(live) AS BIGINT) FROM customer_totals",
        Trashed::With => "SELECT CAST(sum(live + deleted) AS BIGINT) FROM customer_totals",
        Trashed::Only => "SELECT CAST(sum(deleted) AS BIGINT) FROM customer_totals",
    })
}

/// What a list, and the count of it, are read by.
struct Routes {
    list: Route,
    count: Route,
}

/// Chooses what to read by so that as few customers as possible are looked at.
///
/// Of `m` matches among `n` customers, so many that are needed stand among the first `need * n / m` of
/// the order, and the index of the filter finds `m`. Both are the same where `m` is the root of
/// `need * n`: no filter has to be counted any further than that.
fn routes(
    conn: &mut impl Ask,
    selection: &Selection,
    order: &Order,
    need: u64,
) -> QueryResult<Routes> {
    let along = Route::Order(order.sorts()[0].key);
    let indexed = listing::indexed(selection);
    if conn.dialect() == Dialect::Postgres || indexed.is_empty() {
        return Ok(Routes { list: along, count: along });
    }
    let is_in_order = |at: usize| {
        along == Route::Order(customers_domain::selection::SortKey::Id)
            && matches!(selection.filters[at], Filter::Attribute { .. })
    };
    if let [only] = *indexed
        && is_in_order(only)
    {
        return Ok(Routes { list: Route::Filter(only), count: Route::Filter(only) });
    }
    let all = u64::try_from(conn.number(total(selection.trashed))?).unwrap_or(0);
    let limit = need.saturating_mul(all).isqrt().saturating_add(need).min(1 << 40) as i64;
    let mut best = (limit, Route::Filter(indexed[0]));
    for at in indexed {
        let alone =
            Selection { filters: vec![selection.filters[at].clone()], trashed: selection.trashed };
        let counted = conn
            .number(listing::count_to(conn.dialect(), &alone, Route::Filter(0), best.0).unique())?;
        if counted < best.0 {
            best = (counted, Route::Filter(at));
        }
    }
    let (matches, count) = best;
    Ok(Routes { list: if matches < limit { count } else { along }, count })
}
