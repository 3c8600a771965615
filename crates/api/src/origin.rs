//! Where this service is found from outside: what the URLs in answers begin with.

use std::net::SocketAddr;
use std::str::FromStr;

use actix_web::HttpRequest;
use actix_web::http::header;
use actix_web::http::uri::{Authority, Uri};

/// The URL under which clients reach the service, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(String);

impl PublicUrl {
    /// Whether clients speak TLS, be it with the service or with a proxy before it.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }
}

/// The text is no such URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a public URL is http:// or https:// with a host and maybe a path, such as \
     https://customers.example, without user, query and fragment"
)]
pub struct InvalidPublicUrl;

impl FromStr for PublicUrl {
    type Err = InvalidPublicUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: Uri = text.parse().map_err(|_| InvalidPublicUrl)?;
        let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
        let has_host = uri.authority().is_some_and(is_host);
        // The parser drops fragments, and takes bytes that belong encoded.
        let is_plain = text.bytes().all(|b| b.is_ascii_graphic() && !b"\"#<>?\\^`{|}".contains(&b));
        if is_web && has_host && is_plain {
            Ok(Self(text.trim_end_matches('/').to_owned()))
        } else {
            Err(InvalidPublicUrl)
        }
    }
}

/// Where clients find the service.
#[derive(Debug, Clone)]
pub struct Location {
    /// The URL that an administrator has set, if any.
    pub public_url: Option<PublicUrl>,
    /// Whether the service itself speaks TLS.
    pub is_secure: bool,
    /// The address that the service listens on.
    pub address: SocketAddr,
}

impl Location {
    /// Returns what the URLs in the answer to a request begin with: the public URL where one is set,
    /// else the host that the client named, else the address that the service listens on.
    pub(crate) fn origin(&self, request: &HttpRequest) -> String {
        if let Some(PublicUrl(url)) = &self.public_url {
            return url.clone();
        }
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        let host: Option<Authority> = host.and_then(|host| host.parse().ok()).filter(is_host);
        let scheme = if self.is_secure { "https" } else { "http" };
        // In the absolute form of a request's target (RFC 9112 §3.2.2) it decides.
        match request.uri().authority().filter(|authority| is_host(authority)).or(host.as_ref()) {
            Some(host) => format!("{scheme}://{host}"),
            None => format!("{scheme}://{}", self.address),
        }
    }
}

/// A host and maybe a port, and nothing else.
pub(crate) fn is_host(authority: &Authority) -> bool {
    let host = authority.host();
    !host.is_empty()
        && (authority.as_str() == host || authority.port_u16().is_some())
        && !authority.as_str().contains('@')
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn location(public_url: Option<PublicUrl>) -> Location {
        Location { public_url, is_secure: false, address: ([127, 0, 0, 1], 8080).into() }
    }

    #[test]
    fn a_public_url_has_a_scheme_a_host_and_maybe_a_path() {
        for (text, kept) in [
            ("https://customers.example", "https://customers.example"),
            ("http://[::1]:8080/", "http://[::1]:8080"),
            ("https://example.com/registry//", "https://example.com/registry"),
        ] {
            assert_eq!(text.parse(), Ok(PublicUrl(kept.into())));
        }
        for text in [
            "",
            "customers.example",
            "/registry",
            "ftp://example.com",
            "https://",
            "https://example.com?x=y",
            "https://example.com/#top",
            "https://user:secret@example.com",
            "https://example.com:port",
            "https://exam ple.com",
            "https://example.com/\u{e9}",
        ] {
            assert_eq!(text.parse::<PublicUrl>(), Err(InvalidPublicUrl), "{text}");
        }
    }

    #[test]
    fn the_host_is_the_clients_where_it_is_one() {
        let origin = |host: &[u8]| {
            let request = TestRequest::default().insert_header((header::HOST, host));
            location(None).origin(&request.to_http_request())
        };
        for host in ["example.com", "example.com:8443", "10.0.0.1:80", "[::1]:8080"] {
            assert_eq!(origin(host.as_bytes()), format!("http://{host}"));
        }
        let own = origin(b"");
        assert!(own.starts_with("http://"));
        for host in [
            &b"example.com/evil"[..],
            b"a b",
            b"evil@example.com",
            b"example.com:x",
            b"\"><script>",
            b"\xff",
        ] {
            assert_eq!(origin(host), own, "{host:?}");
        }
    }

    #[test]
    fn a_public_url_goes_before_the_host() {
        let url: PublicUrl = "https://customers.example/a".parse().unwrap();
        let request = TestRequest::default().insert_header((header::HOST, "other.example"));
        let origin = location(Some(url)).origin(&request.to_http_request());
        assert_eq!(origin, "https://customers.example/a");
    }
}
