//! The URLs of the other pages of a list.

use std::fmt;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderValue;
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};
use serde::{Serialize, Serializer};

use super::ListQuery;
use crate::origin::Location;

/// What may not stand in a query as it is (RFC 3986 §3.4). A percent sign may: what is encoded stays
/// encoded.
const ENCODED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The longest `Link` header, in bytes: readers of HTTP give up on long lines.
const MAX_LINK: usize = 8_000;

pub(super) fn push_encoded(query: &mut String, pair: &[u8]) {
    query.extend(percent_encode(pair, ENCODED));
}

/// The URLs of a list: all but what they say of the page.
#[derive(Debug)]
pub(crate) struct ListUrl {
    /// The URL up to where the page is named.
    start: String,
    /// How much of it is the path.
    path: usize,
}

impl ListUrl {
    /// Those of the list of this path that is asked for so.
    pub fn new(location: &Location, request: &HttpRequest, path: &str, query: &ListQuery) -> Self {
        let mut start = location.origin(request) + path;
        let path = start.len();
        start.push('?');
        start.push_str(&query.kept);
        Self { start, path }
    }

    /// The same of pages by cursor, of a list that has numbered ones, too.
    pub fn by_cursor(mut self) -> Self {
        self.start.push_str("pagination=cursor&");
        self
    }

    /// The URL without a query.
    pub fn path(&self) -> &str {
        &self.start[..self.path]
    }

    /// The URL of a page, which ends with this.
    pub fn with<P: fmt::Display>(&self, page: P) -> PageUrl<'_, P> {
        PageUrl { list: self, page }
    }
}

/// The URL of a page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageUrl<'a, P> {
    list: &'a ListUrl,
    page: P,
}

impl<P: fmt::Display> fmt::Display for PageUrl<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.list.start)?;
        self.page.fmt(f)
    }
}

impl<P: fmt::Display> Serialize for PageUrl<'_, P> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A `Link` header (RFC 8288) of these relations; `None` where there are none, or where it would be
/// longer than readers take.
pub(super) fn link_header<P: fmt::Display>(
    links: &[(&str, Option<PageUrl<'_, P>>)],
) -> Option<HeaderValue> {
    use std::fmt::Write;
    let mut header = String::new();
    for (relation, url) in links {
        if let Some(url) = url {
            let comma = if header.is_empty() { "" } else { ", " };
            write!(header, "{comma}<{url}>; rel=\"{relation}\"").ok()?;
        }
    }
    let header = Some(header).filter(|header| (1..=MAX_LINK).contains(&header.len()))?;
    HeaderValue::try_from(header).ok()
}
