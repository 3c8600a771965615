//! The search as SQL: one bounded query for each rank.

use customers_domain::PhoneDigits;
use customers_domain::search::{MAX_HITS, SearchTerm, SearchWord};
use customers_domain::selection::Trashed;
use diesel::prelude::*;

use crate::listing::{Dialect, any, begins_with, has_any_number, occurs, phrase};
use crate::reading::Ask;
use crate::sql::Sql;

/// Beyond so many customers that begin with a term, it is faster to look for the first ones among all
/// than to sort those.
const MANY: i64 = 20_000;

/// What a search finds.
pub(crate) struct Hits {
    /// The best, in order.
    pub ids: Vec<i64>,
    /// How many there are, up to [`MAX_HITS`].
    pub total: usize,
}

/// The best hits of a term, as many as are needed, and how many there are.
///
/// Those of each rank are asked for together with those of the ranks before it, which are left out
/// here: all of these queries are ranges of one index then.
pub(crate) fn hits(
    conn: &mut impl Ask,
    term: &SearchTerm,
    trashed: Trashed,
    need: usize,
) -> QueryResult<Hits> {
    let search =
        Search { dialect: conn.dialect(), term, trashed, has_index: conn.has_search_index() };
    // With an index of all that is searched, to count is to find: they are not looked for twice.
    let found = match search.is_everywhere() {
        true => Some(conn.numbers(search.in_text(MAX_HITS))?),
        false => None,
    };
    let in_text = match &found {
        Some(ids) => ids.len(),
        None => conn.number(search.count_at_beginnings())? as usize,
    };
    let by_number = match search.by_number_only() {
        Some(query) => conn.numbers(query)?,
        None => Vec::new(),
    };
    let total = (in_text + by_number.len()).min(MAX_HITS);
    let need = need.min(total);
    let mut ids = Vec::new();
    if ids.len() < need {
        add(&mut ids, conn.numbers(search.of_account(need))?);
    }
    for column in ["customer_account", "name"] {
        if ids.len() < need {
            // PostgreSQL decides by itself which way is the shorter one.
            let is_many = search.dialect == Dialect::Sqlite
                && conn.number(search.count_beginning(column))? >= MANY;
            let beginning = search.beginning(column, is_many, need + ids.len());
            add(&mut ids, conn.numbers(beginning)?);
        }
    }
    if ids.len() < need {
        let mut rest = match found {
            Some(found) => found,
            None => conn.numbers(search.in_text(need + ids.len()))?,
        };
        rest.extend(by_number);
        rest.sort_unstable();
        add(&mut ids, rest);
    }
    ids.truncate(need);
    Ok(Hits { ids, total })
}

/// Adds those that are not there yet.
fn add(ids: &mut Vec<i64>, more: Vec<i64>) {
    let known: std::collections::HashSet<i64> = ids.iter().copied().collect();
    ids.extend(more.into_iter().filter(|id| !known.contains(id)));
}

struct Search<'a> {
    dialect: Dialect,
    term: &'a SearchTerm,
    trashed: Trashed,
    /// Whether there is an index of all that is searched.
    has_index: bool,
}

impl Search<'_> {
    /// Those whose account is the term.
    fn of_account(&self, take: usize) -> Sql {
        self.of_keys()
            .push(" AND k.customer_account = ")
            .bind(self.term.whole())
            .append(limit(take))
    }

    /// How many have a name or an account that begins with the term, as far as it matters.
    fn count_beginning(&self, column: &'static str) -> Sql {
        Sql::new("SELECT count(*) FROM (")
            .append(self.of_keys())
            .push(" AND ")
            .append(begins_with(self.column(column, true), self.term.whole()))
            .push(" LIMIT ")
            .bind(MANY)
            .push(") AS counted")
            .unique()
    }

    /// Those whose name or account begins with the term.
    fn beginning(&self, column: &'static str, is_many: bool, take: usize) -> Sql {
        let begins = begins_with(self.column(column, !is_many), self.term.whole());
        self.of_keys()
            .push(" AND ")
            .append(begins)
            .append(limit_by(self.column("id", is_many), take))
    }

    /// How many have all words at beginnings, as far as it matters.
    fn count_at_beginnings(&self) -> Sql {
        let found = self.at_beginnings("", MAX_HITS);
        Sql::new("SELECT count(*) FROM (").append(found).push(") AS counted").unique()
    }

    /// Those that have all words in what is searched.
    fn in_text(&self, take: usize) -> Sql {
        match (self.is_everywhere(), self.dialect) {
            // By the index's own order, which needs no sorting.
            (true, Dialect::Sqlite) => {
                self.everywhere().append(limit_by(Sql::new("customer_search.rowid"), take))
            }
            (true, Dialect::Postgres) => self.everywhere().append(limit(take)),
            (false, Dialect::Sqlite) => self.at_beginnings(" ORDER BY +k.id", take),
            (false, Dialect::Postgres) => self.at_beginnings(" ORDER BY k.id", take),
        }
    }

    /// Those in which all words occur, by the index of the long ones.
    fn everywhere(&self) -> Sql {
        let (long, short): (Vec<_>, Vec<_>) =
            self.term.words().iter().partition(|word| word.is_long());
        let found = match self.dialect {
            Dialect::Sqlite => {
                let phrases: Vec<_> = long.iter().map(|word| phrase(&word.text)).collect();
                Sql::new(
                    "SELECT k.id FROM customer_search CROSS JOIN customer_keys AS k
                     ON k.id = customer_search.rowid WHERE customer_search MATCH ",
                )
                .bind(phrases.join(" AND "))
                .append(self.are_shown())
            }
            Dialect::Postgres => {
                let occur = long.iter().map(|word| occurs(Dialect::Postgres, &word.text));
                self.of_keys().push(" AND ").join(occur, " AND ")
            }
        };
        found.append(self.and_in_text(short))
    }

    /// Those whose name or account begins with each word, or one of them with the whole term: by the
    /// index of names and by that of accounts, as no index finds what is in the one or the other.
    fn at_beginnings(&self, order: &'static str, take: usize) -> Sql {
        let mut words: Vec<_> = self.term.words().iter().collect();
        words.sort_by_key(|word| word.text.len());
        let longest = words.pop().map_or("", |word| word.text.as_str());
        let with_all_words = (longest, self.and_in_text(words));
        let with_whole_term = (self.term.whole(), Sql::default());
        let take = i64::try_from(take).unwrap_or(i64::MAX);
        let parts =
            [with_all_words, with_whole_term].into_iter().flat_map(|(beginning, others)| {
                ["name", "customer_account"].map(|column| {
                    Sql::new("SELECT * FROM (")
                        .append(self.of_keys())
                        .push(" AND ")
                        .append(begins_with(self.column(column, true), beginning))
                        .append(others.clone())
                        .push(order)
                        .push(" LIMIT ")
                        .bind(take)
                        .push(") AS part")
                })
            });
        Sql::new("SELECT id FROM (")
            .join(parts, " UNION ")
            .push(") AS parts ORDER BY id LIMIT ")
            .bind(take)
            .unique()
    }

    fn and_in_text<'w>(&self, words: impl IntoIterator<Item = &'w SearchWord>) -> Sql {
        let conditions =
            words.into_iter().map(|word| Sql::new(" AND ").append(self.is_in_text(word)));
        Sql::default().join(conditions, "")
    }

    /// Those that are found by a phone number only; `None` where the term has none.
    fn by_number_only(&self) -> Option<Sql> {
        let words = self.term.words();
        let numbers: Vec<&PhoneDigits> = words
            .iter()
            .filter_map(|word| word.number.as_ref())
            .chain(self.term.number())
            .collect();
        if numbers.is_empty() {
            return None;
        }
        let has = |number| has_any_number([number], Sql::new("k.id"));
        let all_words = Sql::new("(")
            .join(
                words.iter().map(|word| {
                    any([self.is_in_text(word)].into_iter().chain(word.number.as_ref().map(has)))
                }),
                " AND ",
            )
            .push(")");
        let whole = self.term.number().map(has);
        let in_text = words.iter().map(|word| self.is_in_text(word));
        Some(
            self.of_keys()
                .push(" AND ")
                .append(has_any_number(numbers, Sql::new("k.id")))
                .push(" AND ")
                .append(any([all_words].into_iter().chain(whole)))
                .push(" AND NOT (")
                .join(in_text, " AND ")
                .push(") AND NOT ")
                .append(begins(self.term.whole()))
                .append(limit(MAX_HITS)),
        )
    }

    /// That a word occurs in what is searched; where none is long enough to be looked for everywhere,
    /// that the name or the account begins with it.
    fn is_in_text(&self, word: &SearchWord) -> Sql {
        if self.is_everywhere() {
            return self.dialect.contains("searched_text", &word.text);
        }
        begins(&word.text)
    }

    fn is_everywhere(&self) -> bool {
        self.has_index && self.term.has_long_word()
    }

    fn of_keys(&self) -> Sql {
        Sql::new("SELECT k.id FROM customer_keys AS k WHERE 1 = 1").append(self.are_shown())
    }

    fn are_shown(&self) -> Sql {
        Sql::new(match self.trashed {
            Trashed::Without => " AND k.deleted_at IS NULL",
            Trashed::With => "",
            Trashed::Only => " AND k.deleted_at IS NOT NULL",
        })
    }

    /// A column to look up in its index, or not to; PostgreSQL decides that by itself.
    fn column(&self, name: &'static str, by_index: bool) -> Sql {
        match self.dialect {
            Dialect::Sqlite if !by_index => Sql::new("+k.").push(name),
            _ => Sql::new("k.").push(name),
        }
    }
}

/// That the name or the account begins with text.
fn begins(text: &str) -> Sql {
    any(["name", "customer_account"].map(|column| begins_with(Sql::new("k.").push(column), text)))
}

/// The first so many by id.
fn limit(take: usize) -> Sql {
    limit_by(Sql::new("k.id"), take)
}

fn limit_by(id: Sql, take: usize) -> Sql {
    let take = i64::try_from(take).unwrap_or(i64::MAX);
    Sql::new(" ORDER BY ").append(id).push(" LIMIT ").bind(take).unique()
}
