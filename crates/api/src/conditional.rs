//! Conditional requests (RFC 9110 §13): what the client knows of a customer.

use actix_web::http::header::{EntityTag, HeaderMap, HeaderName, IF_MATCH, IF_NONE_MATCH};
use customers_domain::{Customer, Precondition, RepositoryError, Revision, Revisions};

use crate::customers::answer::Representation;
use crate::error::ApiError;
use crate::etag::{self, Known};

/// The tags of an `If-Match` or `If-None-Match`.
enum Tags {
    Any,
    Listed(Vec<EntityTag>),
}

impl Tags {
    /// The tags of this header, if it is there. The framework's own reading leaves out what is
    /// malformed, and a condition without it is another condition.
    fn in_header(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Self>, ApiError> {
        let malformed = || {
            ApiError::malformed(format!(
                "The header {name} must be * or a list of entity tags in quotes."
            ))
        };
        let mut items = Vec::new();
        for value in headers.get_all(name) {
            let value = value.to_str().map_err(|_| malformed())?;
            let mut in_quotes = false;
            let is_comma = |c| {
                in_quotes ^= c == '"';
                c == ',' && !in_quotes
            };
            items.extend(value.split(is_comma).map(str::trim).filter(|item| !item.is_empty()));
        }
        match items[..] {
            [] if !headers.contains_key(name) => Ok(None),
            [] => Err(malformed()),
            ["*"] => Ok(Some(Self::Any)),
            _ => {
                let tags = items.into_iter().map(str::parse).collect::<Result<_, _>>();
                tags.map(|tags| Some(Self::Listed(tags))).map_err(|_| malformed())
            }
        }
    }

    fn is_any(&self, test: impl Fn(&EntityTag) -> bool) -> bool {
        match self {
            Self::Any => false,
            Self::Listed(tags) => tags.iter().any(test),
        }
    }

    /// The revisions that `revision` finds in the tags.
    fn revisions(&self, revision: impl Fn(&EntityTag) -> Option<Revision>) -> Revisions {
        match self {
            Self::Any => Revisions::Any,
            Self::Listed(tags) => Revisions::OneOf(tags.iter().filter_map(revision).collect()),
        }
    }
}

/// The `If-Match` and `If-None-Match` of a write.
pub(crate) struct Conditions {
    expected: Option<Tags>,
    excluded: Option<Tags>,
}

impl Conditions {
    /// Reads the conditions in the headers.
    ///
    /// # Errors
    ///
    /// 400 where one of the headers is malformed: a write must not lose its condition.
    pub fn in_headers(headers: &HeaderMap) -> Result<Self, ApiError> {
        Ok(Self {
            expected: Tags::in_header(headers, &IF_MATCH)?,
            excluded: Tags::in_header(headers, &IF_NONE_MATCH)?,
        })
    }

    /// Returns the precondition of the write. `read` returns the customer as it is. It is awaited only
    /// where a tag is the hash of a body, which says nothing without the body. The write tests the
    /// revision that was read, so that a change made in between is noticed.
    pub async fn precondition(
        &self,
        representation: Representation,
        read: impl Future<Output = Result<Option<Customer>, RepositoryError>>,
    ) -> Result<Precondition, ApiError> {
        let is_hash = |tag: &EntityTag| matches!(Known::of(tag.tag()), Known::Body(_));
        let has_hash = |tags: &Option<Tags>| tags.as_ref().is_some_and(|it| it.is_any(is_hash));
        let hashed = match has_hash(&self.expected) || has_hash(&self.excluded) {
            true => read.await?,
            false => None,
        };
        let of_body = |hash| {
            let hashed = hashed.as_ref().filter(|customer| etag::is_hash_of(hash, customer));
            hashed.map(Customer::revision)
        };
        // Weak tags never match (RFC 9110 §13.1.1). Another release may show the same revision in
        // another shape: the client expects the customer, not the bytes.
        let expected = |tag: &EntityTag| match Known::of(tag.tag()) {
            _ if tag.weak => None,
            Known::Revision(revision, _) => Some(revision),
            Known::Body(hash) => of_body(hash),
            Known::Nothing => None,
        };
        let excluded = |tag: &EntityTag| match Known::of(tag.tag()) {
            Known::Revision(revision, shape) => {
                (shape == representation.shape()).then_some(revision)
            }
            Known::Body(hash) => of_body(hash),
            Known::Nothing => None,
        };
        Ok(Precondition {
            expected: self.expected.as_ref().map(|tags| tags.revisions(expected)),
            excluded: self.excluded.as_ref().map(|tags| tags.revisions(excluded)),
        })
    }
}

/// Whether the client has the customer already, by `If-None-Match`. A malformed one is ignored: the
/// client gets all.
pub(crate) fn is_known(
    headers: &HeaderMap,
    customer: &Customer,
    representation: Representation,
) -> bool {
    match Tags::in_header(headers, &IF_NONE_MATCH) {
        Ok(Some(Tags::Any)) => true,
        Ok(Some(tags)) => {
            let current = representation.tag(customer);
            tags.is_any(|tag| tag.weak_eq(&current))
        }
        Ok(None) | Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn listed(value: &str) -> Option<Vec<EntityTag>> {
        let headers =
            HeaderMap::from_iter([(IF_MATCH, HeaderValue::from_bytes(value.as_bytes()).ok()?)]);
        match Tags::in_header(&headers, &IF_MATCH).ok()?? {
            Tags::Any => None,
            Tags::Listed(tags) => Some(tags),
        }
    }

    #[test]
    fn a_comma_may_stand_in_a_tag() {
        assert_eq!(listed("\"a,b\",, W/\"\"").unwrap().len(), 2);
        for malformed in ["a", "\"a", "\"a\" \"b\"", "\"a, \"b\"", "\"a\", *", ",", ""] {
            assert!(listed(malformed).is_none(), "{malformed}");
        }
    }

    proptest! {
        #[test]
        fn tags_are_read_as_they_are_listed(tags in vec(("(W/)?", "[!#-~]{0,9}"), 1..6), comma in " *, *") {
            let tags: Vec<_> =
                tags.iter().map(|(weak, opaque)| format!("{weak}\"{opaque}\"")).collect();
            let read = listed(&tags.join(&comma)).map(|read| {
                read.iter().map(EntityTag::to_string).collect::<Vec<_>>()
            });
            prop_assert_eq!(read, Some(tags));
        }

        #[test]
        fn no_header_is_too_odd(value in "\\PC*") {
            listed(&value);
        }
    }
}
