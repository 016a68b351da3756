//! Where the server is, and why it cannot be had.

use std::io;

use super::ending::unreachable_because;
use super::tls::{Tls, TlsError};

/// Where the server is, and how to speak with it.
#[derive(Debug, Clone)]
pub struct Target {
    /// An IP address or a host name.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// How to know the server; `None`: without TLS.
    pub tls: Option<Tls>,
}

impl Target {
    pub(super) fn unreachable(&self, source: io::Error) -> ConnectError {
        ConnectError::Unreachable { host: self.host.clone(), port: self.port, source }
    }

    pub(super) fn no_tls(&self, source: TlsError) -> ConnectError {
        ConnectError::NoTls { host: self.host.clone(), port: self.port, source }
    }
}

/// Why there is no connection; reads as a sentence.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answers at that address.
    #[error(
        "Cannot reach {host} port {port}: {}. \
         Check the address, and that a ChatServer is running there.",
        unreachable_because(.source)
    )]
    Unreachable {
        /// The host as given.
        host: String,
        /// The port as given.
        port: u16,
        /// What the system says.
        source: io::Error,
    },
    /// Somebody answers, but not as it was asked for.
    #[error("No TLS with {host} port {port}: {source}.")]
    NoTls {
        /// The host as given.
        host: String,
        /// The port as given.
        port: u16,
        /// What went wrong, and what to do.
        source: TlsError,
    },
    /// This machine is at its limits.
    #[error("This machine cannot start another thread: {0}.")]
    Thread(#[from] io::Error),
}
