//! Whom a load is sent to.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::str::FromStr;
use std::time::Duration;

use super::http::AnswerReader;
use super::message::Response;
use crate::host::Obstacle;

/// Stands for a request's number in a URL.
const NUMBER: &str = "{id}";

/// What it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Http,
    Redis,
}

/// A server's address, and what it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    protocol: Protocol,
    /// One at least: a name may have several.
    addresses: Vec<SocketAddr>,
    authority: String,
    path: String,
}

impl Endpoint {
    /// A path for each request, of whoever listens there.
    pub(super) fn numbered(address: SocketAddr) -> Self {
        Self {
            protocol: Protocol::Http,
            addresses: vec![address],
            authority: address.to_string(),
            path: format!("/{NUMBER}"),
        }
    }

    /// Keys and values of a Redis server there.
    pub fn redis(address: SocketAddr) -> Self {
        Self {
            protocol: Protocol::Redis,
            addresses: vec![address],
            authority: address.to_string(),
            path: String::new(),
        }
    }

    /// Where it listens; the first place to try where a name has several.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Connects to the first of its addresses that answers, which is its only one from then
    /// on.
    pub(super) fn connect(&mut self, timeout: Duration) -> io::Result<TcpStream> {
        let mut refused = None;
        for address in &self.addresses {
            match TcpStream::connect_timeout(address, timeout) {
                Ok(stream) => {
                    self.addresses = vec![*address];
                    return Ok(stream);
                }
                Err(error) => refused = Some(error),
            }
        }
        Err(refused.expect("there is an address"))
    }

    /// Whether somebody listens at one of its addresses.
    pub fn is_served(&self) -> bool {
        TcpStream::connect(&self.addresses[..]).is_ok()
    }

    /// Whether it is on this machine.
    pub fn is_local(&self) -> bool {
        self.elsewhere().is_none()
    }

    /// One of its addresses that is not of this machine.
    fn elsewhere(&self) -> Option<&SocketAddr> {
        let mut addresses = self.addresses.iter();
        addresses.find(|address| !address.ip().is_loopback())
    }

    /// Refuses a server on another machine.
    pub fn must_be_local(self) -> Result<Self, Obstacle> {
        let Some(address) = self.elsewhere() else {
            return Ok(self);
        };
        Err(Obstacle::new(
            format!("{self} is {}, another machine", address.ip()),
            "where it is yours to load, say so: --remote",
        ))
    }

    /// What reads its answers.
    pub(super) fn answers(&self) -> AnswerReader<Response> {
        match self.protocol {
            Protocol::Http => AnswerReader::default(),
            Protocol::Redis => AnswerReader::of_redis(),
        }
    }

    /// The request of this number, whole.
    pub(super) fn write_request(&self, number: u64, out: &mut Vec<u8>) {
        if self.protocol == Protocol::Redis {
            return super::redis::write_request(number, out);
        }
        out.extend_from_slice(b"GET ");
        let mut rest = self.path.as_str();
        while let Some((before, after)) = rest.split_once(NUMBER) {
            out.extend_from_slice(before.as_bytes());
            out.extend_from_slice(number.to_string().as_bytes());
            rest = after;
        }
        out.extend_from_slice(rest.as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
        out.extend_from_slice(self.authority.as_bytes());
        out.extend_from_slice(b"\r\n\r\n");
    }
}

impl FromStr for Endpoint {
    type Err = Obstacle;

    /// From a URL; `{id}` in its path stands for the number of a request.
    fn from_str(url: &str) -> Result<Self, Obstacle> {
        let bad = |why: &str| {
            Obstacle::new(
                format!("{url:?} {why}"),
                "name it as in --url http://127.0.0.1:8080/path",
            )
        };
        if url.starts_with("https:") {
            return Err(bad("wants TLS, which is not spoken here"));
        }
        let rest = url
            .strip_prefix("http://")
            .ok_or_else(|| bad("is no http:// URL"))?;
        let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        let path = path.split('#').next().unwrap_or_default();
        if url.bytes().any(|b| b.is_ascii_control() || b == b' ') {
            return Err(bad("holds a space or a control character"));
        }
        if authority.contains('@') {
            return Err(bad("holds a user name, which is not sent"));
        }
        // What follows the last bracket: an IPv6 address has colons of its own.
        let after = authority
            .rsplit_once(']')
            .map_or(authority, |(_, after)| after);
        let socket = match after.contains(':') {
            true => authority.to_owned(),
            false => format!("{authority}:80"),
        };
        let addresses: Vec<SocketAddr> = socket
            .to_socket_addrs()
            .map_err(|error| bad(&format!("names no server: {error}")))?
            .collect();
        if addresses.is_empty() {
            return Err(bad("names no server"));
        }
        Ok(Self {
            protocol: Protocol::Http,
            addresses,
            authority: authority.to_owned(),
            path: match path.strip_prefix('/') {
                Some(_) => path.to_owned(),
                None => format!("/{path}"),
            },
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.protocol {
            Protocol::Http => "http",
            Protocol::Redis => "redis",
        };
        write!(f, "{scheme}://{}{}", self.authority, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(url: &str) -> String {
        let mut out = Vec::new();
        url.parse::<Endpoint>().unwrap().write_request(7, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_url_gives_an_address_and_a_request() {
        assert_eq!(
            request("http://127.0.0.1:81/a/{id}?b={id}#c"),
            "GET /a/7?b=7 HTTP/1.1\r\nHost: 127.0.0.1:81\r\n\r\n"
        );
        assert_eq!(
            request("http://127.0.0.1?x"),
            "GET /?x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        );
        let six: Endpoint = "http://[::1]".parse().unwrap();
        assert_eq!(six.address(), "[::1]:80".parse().unwrap());
        assert!(six.is_local());
        assert_eq!(six.to_string(), "http://[::1]/");
    }

    /// As `localhost` is ::1 and 127.0.0.1, and its server one of them.
    #[test]
    fn a_name_is_tried_at_all_its_addresses() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut target = Endpoint {
            addresses: vec![
                SocketAddr::new([127, 0, 0, 2].into(), address.port()),
                address,
            ],
            ..Endpoint::numbered(address)
        };
        assert!(target.is_served() && target.is_local());
        target.connect(Duration::from_secs(1)).unwrap();
        assert_eq!(target.address(), address);
        // A port that the kernel gives to nobody: that of the listener it may.
        let mut gone = Endpoint::numbered("127.0.0.1:9".parse().unwrap());
        assert!(!gone.is_served());
        assert!(gone.connect(Duration::from_secs(1)).is_err());
        target.addresses.push("192.0.2.1:80".parse().unwrap());
        assert!(target.must_be_local().is_err());
    }

    #[test]
    fn another_machine_must_be_spelt_out() {
        let target: Endpoint = "http://192.0.2.1/".parse().unwrap();
        let obstacle = target.must_be_local().unwrap_err();
        assert!(obstacle.remedy.contains("--remote"), "{obstacle}");
        let here: Endpoint = "http://127.1.2.3/".parse().unwrap();
        assert!(here.must_be_local().is_ok());
    }

    #[test]
    fn what_is_no_url_is_named() {
        for (url, said) in [
            ("127.0.0.1:80", "no http:// URL"),
            ("https://127.0.0.1", "TLS"),
            ("http://", "names no server"),
            ("http://127.0.0.1:port/", "names no server"),
            ("http://127.0.0.1:70000/", "names no server"),
            ("http://127.0.0.1/a b", "space"),
            ("http://127.0.0.1/a\r\nX: y", "control"),
            ("http://me@127.0.0.1/", "user name"),
        ] {
            let obstacle = url.parse::<Endpoint>().unwrap_err();
            assert!(obstacle.why.contains(said), "{obstacle}");
        }
    }
}
