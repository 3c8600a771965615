//! Where a request comes from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;
use ipnet::IpNet;

/// The proxies whose word is taken for where a request comes from: addresses and networks, such as
/// `10.0.0.0/8,192.0.2.7,2001:db8::/32`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

/// The text is no list of addresses and networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("give addresses and networks, split by commas, such as 10.0.0.0/8,192.0.2.7")]
pub struct InvalidTrustedProxies;

impl FromStr for TrustedProxies {
    type Err = InvalidTrustedProxies;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let network =
            |part: &str| part.parse().or_else(|_| part.parse::<IpAddr>().map(IpNet::from));
        let networks = parts.map(network).collect::<Result<_, _>>();
        networks.map(Self).map_err(|_| InvalidTrustedProxies)
    }
}

impl TrustedProxies {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The address that a request comes from: the peer's, unless that is a trusted proxy; then the
    /// last in `X-Forwarded-For` that is none, because what stands before it anybody can write.
    pub(crate) fn client_of(&self, request: &HttpRequest) -> IpAddr {
        let peer = request.peer_addr().map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.ip());
        self.client(peer, request.headers())
    }

    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        if !self.contains(client) {
            return client;
        }
        let lines: Vec<_> = headers.get_all("x-forwarded-for").collect();
        let lines = lines.iter().rev().map(|line| line.to_str().unwrap_or_default());
        for hop in lines.flat_map(|line| line.rsplit(',')) {
            // Who passed on what is no address is the last that is known.
            let Some(address) = address(hop.trim()) else { break };
            client = address;
            if !self.contains(client) {
                break;
            }
        }
        client
    }
}

/// An address, with or without a port behind it.
fn address(hop: &str) -> Option<IpAddr> {
    let bare = hop.parse::<IpAddr>().ok();
    let address = bare.or_else(|| hop.parse::<std::net::SocketAddr>().ok().map(|it| it.ip()));
    address.map(|address| address.to_canonical())
}

/// What counts as one client: an address of IPv4, or the 64 bits of one of IPv6 that name a
/// network, because whoever has one address there has them all.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let prefix = u128::from(address) & (u128::MAX << 64);
            IpAddr::V6(Ipv6Addr::from(prefix))
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn client(trusted: &str, peer: &str, forwarded_for: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded_for {
            let name = HeaderName::from_static("x-forwarded-for");
            headers.append(name, HeaderValue::from_str(line).unwrap());
        }
        let trusted: TrustedProxies = trusted.parse().unwrap();
        trusted.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        assert_eq!(client("", "127.0.0.1", &["192.0.2.1"]), "127.0.0.1");
        assert_eq!(client("10.0.0.0/8", "127.0.0.1", &["192.0.2.1"]), "127.0.0.1");
        assert_eq!(client("127.0.0.1", "127.0.0.1", &["192.0.2.1"]), "192.0.2.1");
        assert_eq!(client("127.0.0.0/8, ::1", "::1", &["2001:db8::1"]), "2001:db8::1");
        assert_eq!(client("127.0.0.1", "::ffff:127.0.0.1", &["192.0.2.1"]), "192.0.2.1");
        assert_eq!(client("127.0.0.1", "127.0.0.1", &[]), "127.0.0.1");
    }

    #[test]
    fn the_last_hop_that_is_no_proxy_is_the_client() {
        let client = |hops: &[&str]| client("127.0.0.1,10.0.0.0/8", "127.0.0.1", hops);
        assert_eq!(client(&["1.1.1.1, 192.0.2.1, 10.0.0.9"]), "192.0.2.1");
        assert_eq!(client(&["1.1.1.1", "192.0.2.1", "10.0.0.9,10.0.0.8"]), "192.0.2.1");
        assert_eq!(client(&["10.0.0.7, 10.0.0.8"]), "10.0.0.7");
        assert_eq!(client(&["192.0.2.1:4711"]), "192.0.2.1");
        assert_eq!(client(&["[2001:db8::1]:4711"]), "2001:db8::1");
        assert_eq!(client(&["1.1.1.1, nonsense, 10.0.0.8"]), "10.0.0.8");
        assert_eq!(client(&[""]), "127.0.0.1");
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_client() {
        let network = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(network("192.0.2.1"), "192.0.2.1");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }

    #[test]
    fn what_is_no_list_of_networks_is_refused() {
        for text in ["x", "10.0.0.0/33", "10.0.0.1;10.0.0.2", "example.com"] {
            assert_eq!(text.parse::<TrustedProxies>(), Err(InvalidTrustedProxies), "{text}");
        }
    }
}
