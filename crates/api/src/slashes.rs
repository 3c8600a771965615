//! Which slashes of a path are none: repeated ones, and those at its end. Encoded ones always are.

use actix_web::dev::{ServiceRequest, Url};
use actix_web::http::Uri;

/// Takes slashes that mean nothing out of the path, which routing then takes as if they had never been
/// there. The framework's own middleware does so with a regular expression on every request, hardly
/// one of which has any.
pub(crate) fn ignore_meaningless(request: &mut ServiceRequest) {
    if let Some(uri) = without_meaningless(request.uri()) {
        request.match_info_mut().set(Url::new(uri.clone()));
        request.head_mut().uri = uri;
    }
}

/// The URL without slashes that mean nothing; `None` where it has none.
fn without_meaningless(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    if !path.contains("//") && (!path.ends_with('/') || path == "/") {
        return None;
    }
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    let mut plain: String = segments.flat_map(|segment| ["/", segment]).collect();
    if plain.is_empty() {
        plain.push('/');
    }
    if let Some(query) = uri.query() {
        plain.extend(["?", query]);
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(plain.parse().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_slashes_and_those_at_the_end_mean_nothing() {
        let plain = |uri: &str| without_meaningless(&uri.parse().unwrap()).map(|it| it.to_string());
        for (uri, expected) in [
            ("//a///b//?c=//", "/a/b?c=//"),
            ("/a/", "/a"),
            ("///", "/"),
            ("/?a", "/?a"),
            ("http://host//a/", "http://host/a"),
        ] {
            let expected = Some(expected.to_owned()).filter(|expected| expected != uri);
            assert_eq!(plain(uri), expected, "{uri}");
        }
        for uri in ["/", "/a/b", "/a%2F", "/a?b=//", "http://host/a"] {
            assert_eq!(plain(uri), None, "{uri}");
        }
    }
}
