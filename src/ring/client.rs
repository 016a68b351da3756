//! A client, and the key by which nginx hashes it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::server_name::{NameError, check_port};

/// What of a client is hashed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum KeyForm {
    /// `$remote_addr`: all clients of one address have one server.
    #[default]
    Addr,
    /// `$remote_addr:$remote_port`: each connection for itself.
    AddrPort,
}

impl KeyForm {
    /// Both of them.
    pub const ALL: [KeyForm; 2] = [KeyForm::Addr, KeyForm::AddrPort];

    /// As it stands in nginx.conf behind `hash`.
    pub fn nginx_text(self) -> &'static str {
        match self {
            KeyForm::Addr => "$remote_addr",
            KeyForm::AddrPort => "$remote_addr:$remote_port",
        }
    }
}

impl fmt::Display for KeyForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KeyForm::Addr => "addr",
            KeyForm::AddrPort => "addr-port",
        })
    }
}

/// Where a client connects from, as nginx sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// Its address.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
}

/// Why two words are no client.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// nginx never sees a name.
    #[error("{0:?} is not an IP address: nginx goes by a client's address, so give that")]
    Address(String),
    /// No port.
    #[error(transparent)]
    Port(#[from] NameError),
}

impl Client {
    /// From the words `host port`.
    ///
    /// # Errors
    /// Where nginx could have no such client.
    pub fn parse(host: &str, port: &str) -> Result<Client, ClientError> {
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let address = match bare {
            Some(bare) => bare.parse::<Ipv6Addr>().map(IpAddr::V6),
            None => host.parse::<IpAddr>(),
        };
        let address = address.map_err(|_| ClientError::Address(host.to_owned()))?;
        Ok(Client { address, port: check_port(port)? })
    }

    /// The text that nginx hashes.
    pub fn key(self, form: KeyForm) -> String {
        let address = match self.address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => remote_addr(address),
        };
        match form {
            KeyForm::Addr => address,
            KeyForm::AddrPort => format!("{address}:{}", self.port),
        }
    }
}

/// `$remote_addr` of an IPv6 client. As everybody writes it, but for addresses
/// that begin with 96 zero bits: nginx ends those with an IPv4 address.
fn remote_addr(address: Ipv6Addr) -> String {
    let bytes = address.octets();
    let ends_as_ipv4 = bytes[..12] == [0; 12]
        && if bytes[12..14] == [0, 0] { bytes[14] != 0 && bytes[15] != 1 } else { true };
    if ends_as_ipv4 {
        format!("::{}", Ipv4Addr::new(bytes[12], bytes[13], bytes[14], bytes[15]))
    } else {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn key(host: &str, form: KeyForm) -> String {
        Client::parse(host, "5000").unwrap().key(form)
    }

    #[test]
    fn a_key_is_the_address_or_address_and_port() {
        assert_eq!(key("10.0.0.7", KeyForm::Addr), "10.0.0.7");
        assert_eq!(key("10.0.0.7", KeyForm::AddrPort), "10.0.0.7:5000");
        assert_eq!(key("::1", KeyForm::AddrPort), "::1:5000");
    }

    #[test]
    fn an_ipv6_client_is_written_as_nginx_does() {
        for (typed, key_text) in [
            ("[2001:DB8:0:0:0:0:0:7]", "2001:db8::7"),
            ("2001:db8:0:1:0:0:0:7", "2001:db8:0:1::7"),
            ("2001:0:0:1:0:0:7:8", "2001::1:0:0:7:8"),
            ("2001:db8:0:1:1:1:1:7", "2001:db8:0:1:1:1:1:7"),
            ("::ffff:10.0.0.7", "::ffff:10.0.0.7"),
            ("::1", "::1"),
            ("::", "::"),
            ("::10.0.0.7", "::10.0.0.7"),
            ("::1234", "::0.0.18.52"),
        ] {
            assert_eq!(key(typed, KeyForm::Addr), key_text);
        }
    }

    #[test]
    fn a_name_and_a_bad_port_are_no_client() {
        for bad in ["localhost", "", "1.2.3", "[1.2.3.4]", "[::1", "1.2.3.4 "] {
            assert_eq!(Client::parse(bad, "5000"), Err(ClientError::Address(bad.to_owned())));
        }
        assert!(Client::parse("10.0.0.7", "0").is_err());
        assert!(Client::parse("10.0.0.7", "70000").is_err());
    }
}
