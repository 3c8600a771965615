//! Numbered pages, as Laravel's `LengthAwarePaginator` draws them.

use std::fmt;

use actix_web::HttpResponse;
use actix_web::http::header;
use customers_domain::Customer;
use customers_domain::selection::Listing;
use serde::{Serialize, Serializer};

use super::url::{PageUrl, link_header};
use super::{ListQuery, ListUrl};
use crate::json::{self, NoItems};

/// How many pages the links name on each side of the current one.
const ON_EACH_SIDE: u64 = 3;

/// Up to so many pages all are named.
const FEW: u64 = ON_EACH_SIDE * 2 + 7;

/// The end of the URL of a page.
#[derive(Debug, Clone, Copy)]
struct Number(u64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "page={}", self.0)
    }
}

type Url<'a> = PageUrl<'a, Number>;

/// A page of a list, with all that leads to the others.
#[derive(Debug, Serialize)]
pub(crate) struct NumberedPage<'a> {
    #[serde(skip)]
    customers: &'a [Customer],
    current_page: u64,
    data: NoItems,
    first_page_url: Url<'a>,
    from: Option<u64>,
    last_page: u64,
    last_page_url: Url<'a>,
    links: Vec<Link<'a>>,
    next_page_url: Option<Url<'a>>,
    path: &'a str,
    per_page: u32,
    prev_page_url: Option<Url<'a>>,
    to: Option<u64>,
    total: u64,
}

/// A link to a page, or a gap between such links.
#[derive(Debug, Serialize)]
struct Link<'a> {
    url: Option<Url<'a>>,
    label: Label,
    page: Option<u64>,
    active: bool,
}

#[derive(Debug, Clone, Copy)]
enum Label {
    Previous,
    Page(u64),
    Gap,
    Next,
}

impl Serialize for Label {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Previous => serializer.serialize_str("&laquo; Previous"),
            Self::Page(number) => serializer.collect_str(number),
            Self::Gap => serializer.serialize_str("..."),
            Self::Next => serializer.serialize_str("Next &raquo;"),
        }
    }
}

impl<'a> NumberedPage<'a> {
    /// The page that was asked for.
    pub fn new(listing: &'a Listing, query: &ListQuery, url: &'a ListUrl) -> Self {
        let (current, per_page) = (query.page(), query.per_page());
        let end = listing.total.div_ceil(per_page.into()).max(1);
        let page = |number| url.with(Number(number));
        // Beyond the end, back is where there is something.
        let previous = (current > 1).then(|| (current - 1).min(end));
        let next = (current < end).then(|| current + 1);
        let first = query.part().skip + 1;
        let shown = listing.customers.len() as u64;
        Self {
            customers: &listing.customers,
            current_page: current,
            data: [],
            first_page_url: page(1),
            from: (shown > 0).then_some(first),
            // Clients stop where this is the current page, and some only there.
            last_page: end.max(current),
            last_page_url: page(end),
            links: links(current, end, previous, next, page),
            next_page_url: next.map(page),
            path: url.path(),
            per_page,
            prev_page_url: previous.map(page),
            to: (shown > 0).then(|| first + shown - 1),
            total: listing.total,
        }
    }

    /// The answer, with its `Link` header.
    pub fn into_response(self) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        let links = [
            ("first", Some(self.first_page_url)),
            ("prev", self.prev_page_url),
            ("next", self.next_page_url),
            ("last", Some(self.last_page_url)),
        ];
        if let Some(links) = link_header(&links) {
            response.insert_header((header::LINK, links));
        }
        response.content_type("application/json").body(json::page(&self, self.customers))
    }
}

fn links<'a>(
    current: u64,
    end: u64,
    previous: Option<u64>,
    next: Option<u64>,
    url: impl Fn(u64) -> Url<'a>,
) -> Vec<Link<'a>> {
    let step = |label, page: Option<u64>| Link { url: page.map(&url), label, page, active: false };
    let mut links = vec![step(Label::Previous, previous)];
    for (position, range) in windows(current, end).into_iter().enumerate() {
        if position > 0 {
            links.push(step(Label::Gap, None));
        }
        links.extend(range.map(|page| Link {
            url: Some(url(page)),
            label: Label::Page(page),
            page: Some(page),
            active: page == current,
        }));
    }
    links.push(step(Label::Next, next));
    links
}

/// The pages that are named: all where they are few, else the first two, the last two, and those
/// around the current one.
fn windows(current: u64, end: u64) -> Vec<std::ops::RangeInclusive<u64>> {
    let margin = ON_EACH_SIDE + 4;
    if end <= FEW {
        vec![1..=end]
    } else if current <= margin {
        vec![1..=margin + ON_EACH_SIDE, end - 1..=end]
    } else if current > end - margin {
        vec![1..=2, end - (margin + ON_EACH_SIDE - 1)..=end]
    } else {
        vec![1..=2, current - ON_EACH_SIDE..=current + ON_EACH_SIDE, end - 1..=end]
    }
}

#[cfg(test)]
mod tests {
    use super::windows;

    fn drawn(current: u64, end: u64) -> String {
        let ranges = windows(current, end).into_iter();
        let ranges =
            ranges.map(|range| range.map(|page| page.to_string()).collect::<Vec<_>>().join(" "));
        ranges.collect::<Vec<_>>().join(" … ")
    }

    #[test]
    fn links_are_drawn_as_laravel_draws_them() {
        assert_eq!(drawn(1, 1), "1");
        assert_eq!(drawn(9, 13), "1 2 3 4 5 6 7 8 9 10 11 12 13");
        assert_eq!(drawn(1, 14), "1 2 3 4 5 6 7 8 9 10 … 13 14");
        assert_eq!(drawn(7, 14), "1 2 3 4 5 6 7 8 9 10 … 13 14");
        assert_eq!(drawn(8, 14), "1 2 … 5 6 7 8 9 10 11 12 13 14");
        assert_eq!(drawn(8, 20), "1 2 … 5 6 7 8 9 10 11 … 19 20");
        assert_eq!(drawn(13, 20), "1 2 … 10 11 12 13 14 15 16 … 19 20");
        assert_eq!(drawn(14, 20), "1 2 … 11 12 13 14 15 16 17 18 19 20");
        assert_eq!(drawn(1000, 20), "1 2 … 11 12 13 14 15 16 17 18 19 20");
    }
}
