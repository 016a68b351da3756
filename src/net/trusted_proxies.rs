//! Whose PROXY headers are believed.
//!
//! Thread: plain data, any.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};

/// Addresses and networks of proxies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Whether a connection from `ip` is a trusted proxy's. An IPv4 peer of a
    /// socket that serves both families counts as IPv4.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.0.iter().any(|network| network.contains(&ip))
    }
}

impl FromStr for TrustedProxies {
    type Err = String;

    /// Addresses and networks, with commas between them.
    fn from_str(list: &str) -> Result<Self, String> {
        list.split(',').map(|entry| network(entry.trim())).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for TrustedProxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, network) in self.0.iter().enumerate() {
            let comma = if number > 0 { ", " } else { "" };
            let whole = network.prefix_len() == network.max_prefix_len();
            match whole {
                true => write!(f, "{comma}{}", network.addr())?,
                false => write!(f, "{comma}{network}")?,
            }
        }
        Ok(())
    }
}

fn network(entry: &str) -> Result<IpNet, String> {
    let parsed = match entry.parse::<IpAddr>() {
        Ok(address) => Ok(IpNet::from(address)),
        Err(_) => entry.parse::<IpNet>(),
    };
    match parsed {
        Ok(network) => Ok(plain(network)),
        Err(_) => Err(format!(
            "'{entry}' is neither an address nor a network; write 10.0.0.1, 10.0.0.0/8, ::1 or \
             fd00::/8, with commas between several"
        )),
    }
}

/// IPv4 that is written as IPv6 (::ffff:10.0.0.1) is IPv4.
fn plain(network: IpNet) -> IpNet {
    const MAPPED_BITS: u8 = 96;
    if let IpNet::V6(v6) = network
        && let Some(v4) = v6.addr().to_ipv4_mapped()
        && let Some(bits) = v6.prefix_len().checked_sub(MAPPED_BITS)
        && let Ok(v4) = Ipv4Net::new(v4, bits)
    {
        return v4.into();
    }
    network
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusted(list: &str, ip: &str) -> bool {
        list.parse::<TrustedProxies>().unwrap().contains(ip.parse().unwrap())
    }

    #[test]
    fn addresses_and_networks_of_both_families_are_trusted() {
        let list = "127.0.0.1, ::1,10.1.0.0/16,fd00::/8,::ffff:192.0.2.0/120";
        for ip in [
            "127.0.0.1",
            "::1",
            "10.1.255.255",
            "fdff::1",
            "192.0.2.9",
            "::ffff:127.0.0.1",
            "::ffff:10.1.2.3",
        ] {
            assert!(trusted(list, ip), "{ip}");
        }
        for ip in ["127.0.0.2", "::2", "10.2.0.0", "fe80::1", "192.0.3.0", "::7f00:1"] {
            assert!(!trusted(list, ip), "{ip}");
        }
        assert!(trusted("0.0.0.0/0", "203.0.113.9"));
        assert!(!trusted("0.0.0.0/0", "::1"));
        assert!(trusted("10.1.2.3/8", "10.9.9.9"), "a network by the address of one of it");
    }

    #[test]
    fn what_is_neither_is_refused_with_a_sentence() {
        for bad in [
            "",
            "localhost",
            "10.0.0.0/33",
            "10.0.0.1,",
            "10.0.0.1;10.0.0.2",
            "::1/129",
            "10.0.0.1:80",
        ] {
            let why = bad.parse::<TrustedProxies>().unwrap_err();
            assert!(why.contains("neither an address nor a network"), "{bad}: {why}");
        }
    }

    #[test]
    fn it_is_shown_as_it_may_be_written() {
        let list = "127.0.0.1, ::1, 10.0.0.0/8";
        assert_eq!(list.parse::<TrustedProxies>().unwrap().to_string(), list);
    }
}
