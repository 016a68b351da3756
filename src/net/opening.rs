//! How a connection comes to be: at once, or once its proxy has said for whom
//! it connects.
//!
//! Thread: the reactor's.
//! Invariants:
//! - A connection of a trusted proxy is nobody's until its PROXY header is
//!   whole: the handler is not told of it, nor of its end.
//! - Whether a header is awaited depends on the TCP peer alone, never on what
//!   the connection sends.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use log::{debug, error, info};
use mio::Interest;
use mio::net::TcpStream;

use super::connection::{Connection, Phase, token};
use super::core::Core;
use super::proxy_header::{self, Parsed, ProxyHeaderError};
use super::{CloseReason, ConnId};

/// What has come of a connection's PROXY header.
pub(super) enum Introduction {
    Incomplete,
    /// The connection is open. Bytes of the input that the header took.
    Done {
        peer: SocketAddr,
        consumed: usize,
    },
    /// The connection is closed.
    Refused,
}

impl Core {
    /// Owns a connection from now on. Says which it is if the handler is to be
    /// told now. `None`: its PROXY header is awaited, or it could not be
    /// watched, or the reactor is ending.
    pub(super) fn open(&mut self, mut stream: TcpStream, peer: SocketAddr) -> Option<ConnId> {
        if self.shutdown_at.is_some() {
            return None;
        }
        let Some(serial) = self.serials.take() else {
            if let Some(more) = self.telling.refused.take(self.now) {
                error!(target: "reactor", "peer={peer} refused: this reactor has no place left{more}");
            }
            return None;
        };
        let id = ConnId { reactor: self.index, serial };
        let registry = self.poll.registry();
        if let Err(e) = registry.register(&mut stream, token(serial), Interest::READABLE) {
            error!(target: "reactor", "conn={id} peer={peer} cannot be watched: err={e}");
            self.serials.give_back(serial);
            return None;
        }
        let mut connection = Connection::new(stream, peer, &self.config, self.now);
        let trusted = self.config.trusted_proxies.as_ref();
        let of_proxy = trusted.is_some_and(|trusted| trusted.contains(peer.ip()));
        if of_proxy {
            let deadline = self.now + self.config.proxy_header_timeout;
            connection.phase = Phase::AwaitingHeader { deadline: deadline.into() };
        }
        connection.told_open = !of_proxy;
        self.connections.insert(serial, connection);
        self.arm(serial);
        (!of_proxy).then_some(id)
    }

    /// Looks for the PROXY header of a connection that awaits it at the start
    /// of `input`, which is everything it has sent.
    pub(super) fn introduce(&mut self, id: ConnId, input: &[u8]) -> Introduction {
        let now = self.now;
        let (address, consumed) = match proxy_header::parse(input) {
            Parsed::Incomplete => return Introduction::Incomplete,
            Parsed::Header { address, consumed } => (address, consumed),
            Parsed::Invalid(why) => {
                self.close(id, CloseReason::ProxyHeader(why));
                return Introduction::Refused;
            }
        };
        let Some(conn) = self.get(id) else { return Introduction::Refused };
        let proxy = conn.peer;
        let peer = address.unwrap_or(proxy.into());
        debug!(target: "reactor", "conn={id} peer={peer} comes by way of proxy={proxy}");
        conn.peer = peer.into();
        conn.by_proxy = true;
        conn.told_open = true;
        conn.phase = Phase::Open;
        // The time that the header took is not the client's silence.
        conn.quiet_since = now.into();
        self.arm(id.serial);
        Introduction::Done { peer, consumed }
    }

    /// The peer's end came before the header was whole.
    pub(super) fn close_unintroduced(&mut self, id: ConnId) {
        let Some(conn) = self.get(id) else { return };
        // A load balancer that only looks whether somebody listens.
        let reason = match conn.inbound.len() {
            0 => CloseReason::PeerClosed,
            _ => CloseReason::ProxyHeader(ProxyHeaderError::Unfinished),
        };
        self.close(id, reason);
    }

    /// At a shutdown: the handler cannot finish what it does not know.
    pub(super) fn close_all_unintroduced(&mut self) {
        for id in self.ids_of(Connection::awaits_header) {
            self.close(id, CloseReason::Shutdown);
        }
    }

    /// Says why a PROXY header was not taken: as a rule the proxy and this
    /// server are configured differently. `first` are the first bytes of a
    /// connection, and of no dialect.
    pub(super) fn hint_at_stray_header(&mut self, id: ConnId, first: &[u8]) {
        let Some(conn) = self.peek(id) else { return };
        // Behind a proxy's own header it is a client's invention.
        if conn.by_proxy || !proxy_header::looks_like_header(first) {
            return;
        }
        let peer = conn.peer;
        let why = match &self.config.trusted_proxies {
            Some(_) => "which is not among --trusted-proxies",
            None => "but --proxy-protocol is off",
        };
        match self.telling.stray_headers.take(self.now) {
            Some(more) => {
                info!(target: "reactor", "conn={id} a PROXY header from peer={peer}, {why}{more}");
            }
            None => debug!(target: "reactor", "conn={id} a PROXY header from peer={peer}, {why}"),
        }
    }
}

impl Connection {
    /// Whether its PROXY header has yet to come.
    pub(super) fn awaits_header(&self) -> bool {
        matches!(self.phase, Phase::AwaitingHeader { .. })
    }

    /// Whether what it sends is looked at.
    pub(super) fn is_heard(&self) -> bool {
        self.awaits_header() || (self.is_open() && !self.paused)
    }

    /// Why it ends if its header is not whole at the deadline.
    pub(super) fn header_deadline(
        &self,
        deadline: Instant,
        timeout: Duration,
    ) -> (Instant, Option<CloseReason>) {
        let reason = match self.inbound.len() {
            0 => CloseReason::Idle(timeout),
            _ => CloseReason::ProxyHeader(ProxyHeaderError::Unfinished),
        };
        (deadline, Some(reason))
    }
}
