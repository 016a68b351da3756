//! A server as nginx.conf writes it. The text matters, not the address that it
//! stands for: `localhost:6000` has other points than `127.0.0.1:6000`.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::text::is_escape;

/// The text behind `server` in an upstream: `host:port`, `[address]:port` for
/// IPv6, or `unix:/path`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServerName(String);

/// Why a text names no server.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No port.
    #[error("{0:?} is not a port: give a number from 1 to 65535, without leading zeros")]
    Port(String),
    /// No host.
    #[error("{0:?} is not a host: give an IP address or a host name")]
    Host(String),
    /// A path that cannot stand in nginx.conf as it is.
    #[error("{0:?} is not the path of a socket: give unix:/PATH, without blanks and quotes")]
    Path(String),
    /// A socket has no port.
    #[error("a UNIX socket has no port: give - in its place")]
    PortOfSocket,
    /// A whole text without a port.
    #[error("{0:?} has no port: nginx's stream module wants host:port")]
    Portless(String),
}

impl ServerName {
    /// The server at `host`, which may be an IPv6 address with or without
    /// brackets, or `unix:/path` with `-` for the port.
    ///
    /// # Errors
    /// Where nginx could not take it.
    pub fn new(host: &str, port: &str) -> Result<ServerName, NameError> {
        if is_socket(host) {
            return if port == "-" { socket(host) } else { Err(NameError::PortOfSocket) };
        }
        let (open, close) = if host.parse::<Ipv6Addr>().is_ok() { ("[", "]") } else { ("", "") };
        ServerName::parse(&format!("{open}{host}{close}:{port}"))
    }

    /// As nginx.conf writes it.
    ///
    /// # Errors
    /// Where nginx could not take it, or only in a way that has another text.
    pub fn parse(text: &str) -> Result<ServerName, NameError> {
        if is_socket(text) {
            return socket(text);
        }
        let parts =
            text.rsplit_once(':').filter(|(host, _)| !host.starts_with('[') || host.ends_with(']'));
        let (host, port) = parts.ok_or_else(|| NameError::Portless(text.to_owned()))?;
        check_port(port)?;
        if is_host(host) {
            Ok(ServerName(text.to_owned()))
        } else {
            Err(NameError::Host(host.to_owned()))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What nginx hashes of it: the host, and the port, if it has one. The
    /// colon belongs to neither, the brackets of IPv6 to the host, and a
    /// socket's `unix:` to nothing.
    pub(super) fn hashed_parts(&self) -> (&[u8], &[u8]) {
        if is_socket(&self.0) {
            return (&self.0.as_bytes()[SOCKET.len()..], b"");
        }
        // Whatever was parsed has a port behind its last colon.
        self.0
            .rsplit_once(':')
            .map_or((self.0.as_bytes(), b""), |(host, port)| (host.as_bytes(), port.as_bytes()))
    }
}

/// A number of a port, as nginx.conf and people write it.
///
/// # Errors
/// Where it is none.
pub fn check_port(text: &str) -> Result<u16, NameError> {
    let port = text.parse().ok().filter(|&port: &u16| port > 0 && port.to_string() == text);
    port.ok_or_else(|| NameError::Port(text.to_owned()))
}

const SOCKET: &str = "unix:";

fn is_socket(text: &str) -> bool {
    text.get(..SOCKET.len()).is_some_and(|start| start.eq_ignore_ascii_case(SOCKET))
}

fn socket(text: &str) -> Result<ServerName, NameError> {
    let special =
        |c: char| c.is_whitespace() || c.is_control() || is_escape(c) || "\"'\\;{}$#".contains(c);
    let path = &text[SOCKET.len()..];
    if !path.starts_with('/') || path.contains(special) {
        return Err(NameError::Path(text.to_owned()));
    }
    Ok(ServerName(text.to_owned()))
}

fn is_host(text: &str) -> bool {
    if let Some(address) = text.strip_prefix('[') {
        return address.strip_suffix(']').is_some_and(|a| a.parse::<Ipv6Addr>().is_ok());
    }
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return text.parse::<Ipv4Addr>().is_ok();
    }
    // As in DNS, and with the underscore that containers' names have.
    let ends_well = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    ends_well(text.chars().next())
        && ends_well(text.trim_end_matches('.').chars().next_back())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for ServerName {
    type Error = NameError;

    fn try_from(text: String) -> Result<ServerName, NameError> {
        ServerName::parse(&text)
    }
}

impl From<ServerName> for String {
    fn from(name: ServerName) -> String {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn parts(host: &str, port: &str) -> (String, String, String) {
        let name = ServerName::new(host, port).unwrap();
        let (host, port) = name.hashed_parts();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (name.to_string(), text(host), text(port))
    }

    fn three(name: &str, host: &str, port: &str) -> (String, String, String) {
        (name.to_owned(), host.to_owned(), port.to_owned())
    }

    #[test]
    fn the_colon_is_in_neither_part() {
        assert_eq!(parts("127.0.0.1", "6000"), three("127.0.0.1:6000", "127.0.0.1", "6000"));
        assert_eq!(parts("chat_1.local", "1"), three("chat_1.local:1", "chat_1.local", "1"));
    }

    #[test]
    fn ipv6_gets_its_brackets_and_keeps_its_text() {
        assert_eq!(parts("::1", "6000"), three("[::1]:6000", "[::1]", "6000"));
        assert_eq!(parts("[0:0::1]", "6000"), three("[0:0::1]:6000", "[0:0::1]", "6000"));
        assert!(ServerName::parse("::1").is_err());
        assert!(ServerName::parse("[::1]").is_err());
    }

    #[test]
    fn a_socket_has_a_path_and_no_port() {
        assert_eq!(parts("unix:/run/a.sock", "-"), three("unix:/run/a.sock", "/run/a.sock", ""));
        assert_eq!(ServerName::new("unix:/run/a", "6000"), Err(NameError::PortOfSocket));
        for bad in ["unix:", "unix:a", "unix:/a b", "unix:/a;b", "unix:/$a"] {
            assert_eq!(ServerName::parse(bad), Err(NameError::Path(bad.to_owned())));
        }
    }

    #[test]
    fn a_bad_port_or_host_is_named() {
        for bad in ["0", "65536", "-1", "06000", "+6000", "x", "", " 1"] {
            let named = Err(NameError::Port(bad.to_owned()));
            assert_eq!(ServerName::new("127.0.0.1", bad), named);
        }
        for bad in ["", "300.1.1.1", "1.2.3", "a b", "a;b", "-a", "[::x]", "a\"", "{a", "é", "a:b"]
        {
            let named = Err(NameError::Host(bad.to_owned()));
            assert_eq!(ServerName::new(bad, "6000"), named);
        }
        assert_eq!(ServerName::parse("host"), Err(NameError::Portless("host".to_owned())));
    }
}
