//! The address of a client in 20 bytes instead of 32: without the scope and
//! the flow of IPv6, which say nothing beyond this machine.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// An IP address and a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    ip: IpAddr,
    port: u16,
}

impl Address {
    /// Whose it is.
    pub fn ip(self) -> IpAddr {
        self.ip
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Address {
        Address { ip: address.ip(), port: address.port() }
    }
}

impl From<Address> for SocketAddr {
    fn from(Address { ip, port }: Address) -> SocketAddr {
        SocketAddr::new(ip, port)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::from(*self).fmt(f)
    }
}
