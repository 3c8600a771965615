//! What a list is asked for: which customers, in which order, and which part of them.

mod cursor;
pub(crate) mod filters;
mod page;
#[cfg(test)]
mod properties;
mod url;

use actix_web::HttpRequest;
use customers_domain::lenient::is_integer;
use customers_domain::selection::Page;
use indexmap::IndexMap;

pub(crate) use cursor::{Around, Cursor, CursorPage, ListDigest, invalid_cursor};
pub(crate) use page::NumberedPage;
pub(crate) use url::ListUrl;

use crate::error::ApiError;
use crate::input::{decode_pair, split_pairs};

/// How many a page shows unless asked for otherwise.
pub(crate) const DEFAULT_PER_PAGE: u32 = 20;

/// The most that a page shows.
pub(crate) const MAX_PER_PAGE: u32 = 500;

/// The last page that there may be: JSON readers hold no larger number exactly.
pub(crate) const MAX_PAGE: i64 = (1 << 53) - 1;

/// What is sent for each filter, by the name in its brackets: several texts where it is an array.
pub(crate) type FilterTexts = IndexMap<String, Vec<String>>;

/// The query of a list, as it was sent.
#[derive(Debug, Default)]
pub(crate) struct ListQuery {
    pub filters: FilterTexts,
    pub sort: String,
    per_page: String,
    page: String,
    pagination: String,
    cursor: Option<String>,
    /// What is asked for on every page, encoded: each with an ampersand behind it.
    kept: String,
}

impl ListQuery {
    /// Reads the query of a request. Of a repeated parameter the last counts, and other parameters
    /// do not.
    ///
    /// # Errors
    ///
    /// 400 where it is not UTF-8.
    pub fn of(request: &HttpRequest) -> Result<Self, ApiError> {
        let mut query = Self::default();
        for pair in split_pairs(request.query_string().as_bytes()) {
            let (name, value) = decode_pair(pair)?;
            match name.as_str() {
                "sort" => query.sort = value,
                "per_page" => query.per_page = value,
                "page" => query.page = value,
                "pagination" => query.pagination = value,
                "cursor" => query.cursor = Some(value),
                "term" => {}
                // A filter without a name is none that there is.
                "filter" if value.trim().is_empty() => continue,
                "filter" => query.filter("", value),
                name => match name.strip_prefix("filter[") {
                    Some(filter) => query.filter(filter, value),
                    None => continue,
                },
            }
            if !matches!(name.as_str(), "page" | "pagination" | "cursor") {
                url::push_encoded(&mut query.kept, pair);
                query.kept.push('&');
            }
        }
        Ok(query)
    }

    /// Adds a filter of this name, up to its closing bracket. `name][]` and `name][0]` are one of
    /// several texts, as PHP and others write arrays.
    pub fn filter(&mut self, name: &str, value: String) {
        let name = name.strip_suffix(']').unwrap_or(name);
        match name.split_once("][") {
            Some((name, index)) if index.bytes().all(|b| b.is_ascii_digit()) => {
                self.filters.entry(name.to_owned()).or_default().push(value);
            }
            _ => {
                self.filters.insert(name.to_owned(), vec![value]);
            }
        }
    }

    /// How many customers are shown at most; 20 where it is nonsense that was asked for.
    pub fn per_page(&self) -> u32 {
        match positive(&self.per_page) {
            Some(number) => number.min(MAX_PER_PAGE.into()) as u32,
            None => DEFAULT_PER_PAGE,
        }
    }

    /// The number of the page; 1 where it is nonsense that was asked for.
    pub fn page(&self) -> u64 {
        positive(&self.page).filter(|number| *number <= MAX_PAGE as u64).unwrap_or(1)
    }

    /// The part of the list that is on the page.
    pub fn part(&self) -> Page {
        let take = self.per_page();
        Page { skip: (self.page() - 1).saturating_mul(take.into()), take }
    }

    /// The cursor, empty at the beginning; `None` where pages are numbered.
    pub fn cursor(&self) -> Option<&str> {
        match &self.cursor {
            Some(cursor) => Some(cursor),
            None => self.pagination.trim().eq_ignore_ascii_case("cursor").then_some(""),
        }
    }
}

/// A whole number from 1 on; one that 64 bits do not hold is the largest that they do.
fn positive(text: &str) -> Option<u64> {
    let text = text.trim();
    let is_positive = is_integer(text) && text != "0" && !text.starts_with('-');
    is_positive.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn query(text: &str) -> ListQuery {
        let request = TestRequest::with_uri(&format!("/?{text}")).to_http_request();
        ListQuery::of(&request).unwrap()
    }

    #[test]
    fn nonsense_counts_as_nothing_and_too_much_as_the_most() {
        for (text, page, per_page) in [
            ("", 1, 20),
            ("page=3&per_page=50", 3, 50),
            ("page=+7&per_page=%201", 7, 1),
            ("page=0&per_page=0", 1, 20),
            ("page=-1&per_page=-5", 1, 20),
            ("page=1.5&per_page=ten", 1, 20),
            ("page[]=2&per_page[]=3", 1, 20),
            ("page=x&page=4", 4, 20),
            ("page=9007199254740991&per_page=501", MAX_PAGE as u64, 500),
            ("page=9007199254740992&per_page=99999999999999999999999", 1, 500),
            ("page=99999999999999999999999&per_page=4294967297", 1, 500),
        ] {
            let query = query(text);
            assert_eq!((query.page(), query.per_page()), (page, per_page), "{text}");
        }
        let far = query("page=9007199254740991&per_page=500").part();
        assert_eq!(far, Page { skip: 9_007_199_254_740_990 * 500, take: 500 });
    }

    #[test]
    fn filters_are_named_in_brackets_however_these_are_written() {
        let filters = query("filter[a]=1&filter%5Bb%5D=2&filter[c][]=3&filter[c][7]=4&filter[a]=5");
        let filters: Vec<_> = filters.filters.into_iter().collect();
        let texts = |texts: &[&str]| texts.iter().map(|text| text.to_string()).collect::<Vec<_>>();
        assert_eq!(
            filters,
            [
                ("a".into(), texts(&["5"])),
                ("b".into(), texts(&["2"])),
                ("c".into(), texts(&["3", "4"])),
            ]
        );
        let odd = query("filter[a][b]=1&filter=2&filter[c=3").filters;
        assert_eq!(odd.keys().collect::<Vec<_>>(), ["a][b", "", "c"]);
        assert!(query("filter=").filters.is_empty());
    }

    #[test]
    fn a_cursor_or_the_wish_for_one_is_no_numbered_page() {
        assert_eq!(query("page=2").cursor(), None);
        assert_eq!(query("pagination=offset").cursor(), None);
        assert_eq!(query("pagination=Cursor").cursor(), Some(""));
        assert_eq!(query("cursor=abc").cursor(), Some("abc"));
    }

    #[test]
    fn what_makes_the_list_is_kept_and_nothing_else() {
        let query = query(
            "filter[name]=%C3%A9+a&page=2&x=y&sort=-name&cursor=c&per_page=5&pagination=cursor",
        );
        assert_eq!(query.kept, "filter%5Bname%5D=%C3%A9+a&sort=-name&per_page=5&");
    }
}
