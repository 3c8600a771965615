//! Compares what stands beside the customers with the customers themselves: search keys, phone numbers,
//! the search index and the count of all. Bounded in memory: some customers at a time.

use std::collections::{BTreeSet, HashMap, HashSet};

use customers_domain::Customer;
use diesel::prelude::*;
use diesel::result::Error;

use crate::check::Finding;
use crate::listing::Dialect;
use crate::mending;
use crate::reading::Ask;
use crate::row::{CustomerRow, KeysRow, phones};
use crate::sql::Sql;
use crate::times::Times;

/// How many customers, or rows beside them, are compared at a time: a customer may be of 130 kB.
pub(crate) const BATCH: i64 = 250;

/// How many ids a finding names.
const NAMED: usize = 5;

/// What to do.
const CURE: &str = "run customers rebuild";

/// A connection that can be asked for what stands beside the customers.
pub(crate) trait Compare: Ask {
    /// The keys of the customers behind one id, up to another.
    fn keys(&mut self, after: i64, last: i64) -> QueryResult<Vec<KeysRow>>;

    /// The phone numbers that are described from `FROM` on, and whose they are.
    fn phones(&mut self, from: Sql) -> QueryResult<Vec<PhoneRow>>;
}

/// What some customers, in the order of their ids, lack.
#[derive(Default)]
pub(crate) struct Compared {
    /// How many customers these are.
    pub customers: usize,
    /// The id of the last of them.
    pub last: i64,
    /// The rows that stand for no customer.
    pub unreadable: Vec<i64>,
    /// The customers with a time out of range.
    pub times: Vec<i64>,
    /// The customers without keys, or with other keys than theirs.
    pub keys: Vec<i64>,
    /// The customers that lack phone numbers.
    pub phones: BTreeSet<i64>,
    /// The customers that are not in the search index.
    pub searched: Vec<i64>,
    /// How many of the phone numbers of all of them are there.
    pub phones_there: i64,
}

impl Compared {
    /// The customers that lack anything.
    pub fn lacking(&self) -> Vec<i64> {
        let mut lacking = self.phones.clone();
        lacking.extend(&self.keys);
        lacking.extend(&self.searched);
        lacking.into_iter().collect()
    }
}

/// Compares the next customers behind this id; `None` behind the last. To be run in a transaction, on one
/// state of the database.
pub(crate) fn compare(
    conn: &mut (impl Compare + ?Sized),
    after: i64,
) -> QueryResult<Option<Compared>> {
    let rows = conn.rows(
        Sql::new("FROM customers WHERE customers.id > ")
            .bind(after)
            .push(" ORDER BY customers.id LIMIT ")
            .bind(BATCH),
    )?;
    let Some(last) = rows.last().map(|row| row.id) else {
        return Ok(None);
    };
    let keys = conn.keys(after, last)?;
    let mut keys: HashMap<i64, KeysRow> = keys.into_iter().map(|keys| (keys.id, keys)).collect();
    let mut compared = Compared { customers: rows.len(), last, ..Compared::default() };
    let mut expected = Vec::new();
    for row in rows {
        let id = row.id;
        if row.has_unreadable_time() {
            compared.times.push(id);
        }
        let Ok(customer) = Customer::try_from(row) else {
            compared.unreadable.push(id);
            continue;
        };
        if keys.remove(&id) != Some(KeysRow::from(&customer)) {
            compared.keys.push(id);
        }
        expected.extend(phones(&customer).into_iter().map(|digits| (digits, id)));
    }
    let missing = missing_phones(conn, &expected)?;
    compared.phones_there = (expected.len() - missing.len()) as i64;
    compared.phones = missing.into_iter().collect();
    if conn.dialect() == Dialect::Sqlite {
        let not_searched = Sql::new("SELECT id FROM customers WHERE id > ")
            .bind(after)
            .push(" AND id <= ")
            .bind(last)
            .push(" AND NOT EXISTS (SELECT 1 FROM customer_search_docsize AS d WHERE d.id = ")
            .push("customers.id)");
        compared.searched = conn.numbers(not_searched)?;
    }
    Ok(Some(compared))
}

/// The customers of those of these phone numbers that are not there, one for each number.
fn missing_phones(
    conn: &mut (impl Compare + ?Sized),
    expected: &[(String, i64)],
) -> QueryResult<Vec<i64>> {
    let expected =
        serde_json::to_string(expected).map_err(|error| Error::SerializationError(error.into()))?;
    let (from, value) = match conn.dialect() {
        Dialect::Sqlite => ("json_each(", ") AS expected"),
        Dialect::Postgres => ("json_array_elements(CAST(", " AS json)) AS expected (value)"),
    };
    conn.numbers(
        Sql::new("SELECT CAST(value ->> 1 AS BIGINT) FROM ").push(from).bind(expected).push(value).push(
            " WHERE NOT EXISTS (SELECT 1 FROM customer_phones AS p WHERE p.digits = value ->> 0 \
             AND p.customer_id = CAST(value ->> 1 AS BIGINT))",
        ),
    )
}

/// Rows of no customer, in one of the tables beside them.
#[derive(Clone, Copy)]
pub(crate) enum Beside {
    Keys,
    /// SQLite's.
    SearchIndex,
}

impl Beside {
    /// Where their ids stand.
    fn ids(self) -> &'static str {
        match self {
            Self::Keys => "customer_keys",
            Self::SearchIndex => "customer_search_docsize",
        }
    }

    /// The next ids of no customer behind this one.
    pub fn strays(self, conn: &mut (impl Compare + ?Sized), after: i64) -> QueryResult<Vec<i64>> {
        conn.numbers(
            Sql::new("SELECT id FROM ")
                .push(self.ids())
                .push(" AS beside WHERE id > ")
                .bind(after)
                .push(" AND NOT EXISTS (SELECT 1 FROM customers WHERE customers.id = beside.id)")
                .push(" ORDER BY id LIMIT ")
                .bind(BATCH),
        )
    }

    /// Removes the rows of these ids that are still of no customer.
    pub fn remove(self, conn: &mut (impl Compare + ?Sized), strays: &[i64]) -> QueryResult<()> {
        let (table, id) = match self {
            Self::Keys => ("customer_keys", "id"),
            Self::SearchIndex => ("customer_search", "rowid"),
        };
        conn.execute(
            Sql::new(format!("DELETE FROM {table} WHERE {id} IN ("))
                .list(strays.iter().copied())
                .push(format!(
                    ") AND NOT EXISTS (SELECT 1 FROM customers WHERE customers.id = {table}.{id})"
                ))
                .unique(),
        )
    }
}

/// A row of `customer_phones`.
pub(crate) type PhoneRow = (String, i64);

/// The next rows of phone numbers, and those of them that are not of their customer.
pub(crate) struct Phones {
    pub last: PhoneRow,
    pub strays: Vec<PhoneRow>,
}

/// Looks through the phone numbers behind this one; `None` behind the last.
pub(crate) fn stray_phones(
    conn: &mut (impl Compare + ?Sized),
    after: &PhoneRow,
) -> QueryResult<Option<Phones>> {
    let rows = conn.phones(
        Sql::new("FROM customer_phones WHERE (digits, customer_id) > (")
            .bind(after.0.as_str())
            .push(", ")
            .bind(after.1)
            .push(") ORDER BY digits, customer_id LIMIT ")
            .bind(BATCH),
    )?;
    let Some(last) = rows.last().cloned() else {
        return Ok(None);
    };
    Ok(Some(Phones { last, strays: strays_of(conn, rows, "")? }))
}

/// Those of these phone numbers that are not of their customers, which are read with these words behind
/// the query.
pub(crate) fn strays_of(
    conn: &mut (impl Compare + ?Sized),
    rows: Vec<PhoneRow>,
    behind: &'static str,
) -> QueryResult<Vec<PhoneRow>> {
    let customers = conn.rows(with_ids(rows.iter().map(|(_, id)| *id)).push(behind).unique())?;
    let mut theirs = HashSet::new();
    let mut unreadable = HashSet::new();
    for row in customers {
        let id = row.id;
        match Customer::try_from(row) {
            Ok(customer) => {
                theirs.extend(phones(&customer).into_iter().map(|digits| (digits, id)));
            }
            Err(_) => drop(unreadable.insert(id)),
        }
    }
    let is_stray = |row: &PhoneRow| !theirs.contains(row) && !unreadable.contains(&row.1);
    Ok(rows.into_iter().filter(is_stray).collect())
}

/// The customers of these ids, from `FROM` on.
pub(crate) fn with_ids(ids: impl Iterator<Item = i64>) -> Sql {
    let ids: BTreeSet<i64> = ids.collect();
    Sql::new("FROM customers WHERE customers.id IN (").list(ids).push(")")
}

/// Removes phone numbers.
pub(crate) fn remove_phones(
    conn: &mut (impl Compare + ?Sized),
    strays: Vec<PhoneRow>,
) -> QueryResult<()> {
    if strays.is_empty() {
        return Ok(());
    }
    let rows = strays
        .into_iter()
        .map(|(digits, id)| Sql::new("(").bind(digits).push(", ").bind(id).push(")"));
    let remove = Sql::new("DELETE FROM customer_phones WHERE (digits, customer_id) IN (VALUES ");
    conn.execute(remove.join(rows, ", ").push(")").unique())
}

/// Some ids, of which the first are named.
#[derive(Default)]
struct Ids {
    count: usize,
    first: Vec<i64>,
}

impl Ids {
    fn add(&mut self, ids: impl IntoIterator<Item = i64>) {
        for id in ids {
            self.count += 1;
            if self.first.len() < NAMED {
                self.first.push(id);
            }
        }
    }

    /// How many of what, by their ids; nothing where there are none.
    fn told(&self, what: &str) -> Option<String> {
        let first: Vec<_> = self.first.iter().map(i64::to_string).collect();
        let more = if self.count > self.first.len() { ", …" } else { "" };
        (self.count > 0).then(|| format!("{what}: {} (id {}{more})", self.count, first.join(", ")))
    }
}

/// Compares all customers. To be run in a transaction, on one state of the database.
pub(crate) fn findings(conn: &mut (impl Compare + ?Sized)) -> QueryResult<Vec<Finding>> {
    let [mut unreadable, mut times, mut keys, mut phones, mut searched] = <[Ids; 5]>::default();
    let (mut customers, mut phones_there, mut after) = (0, 0, 0);
    while let Some(compared) = compare(conn, after)? {
        customers += compared.customers;
        after = compared.last;
        phones_there += compared.phones_there;
        unreadable.add(compared.unreadable);
        times.add(compared.times);
        keys.add(compared.keys);
        phones.add(compared.phones);
        searched.add(compared.searched);
    }
    let mut findings = Vec::new();
    let unreadable = unreadable.told("customers that cannot be read");
    findings.extend(unreadable.map(|text| Finding::bad("customers", text)));

    let [tokens, users] = [Times::Tokens.count(conn)?, Times::Users.count(conn)?];
    findings.push(finding(
        "times",
        "every time is in range".to_owned(),
        [
            times.told("customers with a time out of range"),
            (tokens + users > 0)
                .then(|| format!("tokens and users with a time out of range: {}", tokens + users)),
        ],
    ));

    let stray_keys = strays(conn, Beside::Keys)?;
    findings.push(finding(
        "keys",
        format!("every customer has its search keys, of {customers}"),
        [
            keys.told("customers without their search keys"),
            stray_keys.told("search keys of no customer"),
        ],
    ));

    let mut stray_numbers = Ids::default();
    if conn.number(Sql::new("SELECT count(*) FROM customer_phones"))? != phones_there {
        let mut after = PhoneRow::default();
        while let Some(Phones { last, strays }) = stray_phones(conn, &after)? {
            stray_numbers.add(strays.into_iter().map(|(_, id)| id));
            after = last;
        }
    }
    findings.push(finding(
        "phones",
        format!("every phone number can be found, of {phones_there}"),
        [
            phones.told("customers not found by a phone number"),
            stray_numbers.told("phone numbers of no customer, or of another"),
        ],
    ));

    let live = mending::off_by(conn, "live", "IS NULL")?;
    let deleted = mending::off_by(conn, "deleted", "IS NOT NULL")?;
    let off = (live, deleted) != (0, 0);
    findings.push(finding(
        "totals",
        "the count of all customers is right".to_owned(),
        [
            off.then(|| format!("the count of all customers is off by {}", -live)),
            off.then(|| format!("the count of deleted ones by {}", -deleted)),
        ],
    ));

    if conn.dialect() == Dialect::Sqlite {
        let stray_texts = strays(conn, Beside::SearchIndex)?;
        findings.push(finding(
            "search",
            "every customer is in the search index".to_owned(),
            [
                searched.told("customers not in the search index"),
                stray_texts.told("entries of the search index of no customer"),
            ],
        ));
    }
    Ok(findings)
}

fn strays(conn: &mut (impl Compare + ?Sized), beside: Beside) -> QueryResult<Ids> {
    let mut strays = Ids::default();
    let mut after = i64::MIN;
    loop {
        let next = beside.strays(conn, after)?;
        let Some(last) = next.last() else { return Ok(strays) };
        after = *last;
        strays.add(next);
    }
}

fn finding(subject: &'static str, good: String, wrong: [Option<String>; 2]) -> Finding {
    let wrong: Vec<_> = wrong.into_iter().flatten().collect();
    match wrong.is_empty() {
        true => Finding::good(subject, good),
        false => Finding::doubtful(subject, format!("{}; {CURE}", wrong.join("; "))),
    }
}

/// Reads customers to be mended, and keeps others from changing them until the transaction ends.
pub(crate) fn locked(
    conn: &mut (impl Compare + ?Sized),
    ids: impl Iterator<Item = i64>,
) -> QueryResult<Vec<Customer>> {
    let from = with_ids(ids).push(" ORDER BY customers.id").push(for_update(conn)).unique();
    let rows: Vec<CustomerRow> = conn.rows(from)?;
    // What cannot be read is not mended, and is told by `check`.
    Ok(rows.into_iter().filter_map(|row| Customer::try_from(row).ok()).collect())
}

/// Behind a query of customers that are to stay as they are until the transaction ends.
pub(crate) fn for_update(conn: &(impl Compare + ?Sized)) -> &'static str {
    match conn.dialect() {
        // Where nobody else writes.
        Dialect::Sqlite => "",
        Dialect::Postgres => " FOR UPDATE",
    }
}
