//! Conditional requests (RFC 9110 §13): what the client knows of a customer.

use actix_web::http::header::{EntityTag, HeaderMap, HeaderName, IF_MATCH, IF_NONE_MATCH};
use customers_domain::Precondition;

use crate::customers::answer::Representation;
use crate::error::ApiError;

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

    /// Whether they name what there is, by this comparison; `None` where there is nothing.
    fn name(&self, current: Option<&EntityTag>, same: fn(&EntityTag, &EntityTag) -> bool) -> bool {
        match (self, current) {
            (_, None) => false,
            (Self::Any, Some(_)) => true,
            (Self::Listed(tags), Some(current)) => tags.iter().any(|tag| same(tag, current)),
        }
    }
}

/// What must hold of a customer for a write to be made, by `If-Match` and `If-None-Match`.
///
/// # Errors
///
/// 400 where one of the headers is malformed: a write must not lose its condition.
pub(crate) fn precondition(
    headers: &HeaderMap,
    representation: Representation,
) -> Result<Option<Precondition>, ApiError> {
    let expected = Tags::in_header(headers, &IF_MATCH)?;
    let refused = Tags::in_header(headers, &IF_NONE_MATCH)?;
    if expected.is_none() && refused.is_none() {
        return Ok(None);
    }
    Ok(Some(Precondition::new(move |customer| {
        let current = customer.map(|customer| representation.tag(customer));
        let current = current.as_ref();
        expected.as_ref().is_none_or(|tags| tags.name(current, EntityTag::strong_eq))
            && !refused.as_ref().is_some_and(|tags| tags.name(current, EntityTag::weak_eq))
    })))
}

/// Whether the client has what has this tag already, by `If-None-Match`. A malformed one is ignored:
/// the client gets all.
pub(crate) fn is_known(headers: &HeaderMap, tag: &EntityTag) -> bool {
    let tags = Tags::in_header(headers, &IF_NONE_MATCH).ok().flatten();
    tags.is_some_and(|tags| tags.name(Some(tag), EntityTag::weak_eq))
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
