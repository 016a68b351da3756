//! What a handler acts through.
//!
//! Thread: the reactor's; it lives for one callback.
//! Invariants: nothing here calls the handler. What is done to a connection
//! takes effect at once or at the end of the turn; what the handler has to
//! hear of it comes from the loop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::core::Core;
use super::outbound::Payload;
use super::{CloseReason, ConnId};

/// A reactor, as its handler sees it. An id of a connection that is gone is
/// never an error: the call does nothing.
pub struct Io<'a> {
    core: &'a mut Core,
}

impl<'a> Io<'a> {
    pub(super) fn new(core: &'a mut Core) -> Self {
        Self { core }
    }

    /// Frames a payload in the connection's dialect and queues it for the end
    /// of the turn. Returns where the frame ends in the connection's outgoing
    /// byte stream: [`Handler::on_written`](super::Handler::on_written) with
    /// that offset or a greater one says that the socket has taken it.
    ///
    /// `None`: nothing was queued, because the connection is gone or takes no
    /// more, has not said yet which dialect it speaks, is a slow reader (and
    /// closed for it), or because its dialect cannot carry such a payload. Of a
    /// bare connection also because about a second's worth of objects waits for
    /// its pace already: it stays open, and `on_written` follows.
    pub fn send(&mut self, conn: ConnId, payload: &[u8]) -> Option<u64> {
        self.core.send(conn, &Payload::Borrowed(payload), false)
    }

    /// The same for the answer to a request: where a peer's objects leave at a
    /// pace it finds room behind a second's worth of others.
    pub fn send_answer(&mut self, conn: ConnId, payload: &[u8]) -> Option<u64> {
        self.core.send(conn, &Payload::Borrowed(payload), true)
    }

    /// The same for a payload that goes to many: a large one is not copied.
    pub fn send_shared(&mut self, conn: ConnId, payload: &Arc<[u8]>) -> Option<u64> {
        self.core.send(conn, &Payload::Shared(payload), false)
    }

    /// Where what is queued for the connection ends in its outgoing stream.
    #[must_use]
    pub fn queued_to(&self, conn: ConnId) -> Option<u64> {
        self.core.peek(conn).map(|c| c.accepted + c.outbound.len() as u64)
    }

    /// Whether the connection speaks the bare dialect.
    #[must_use]
    pub fn speaks_bare(&self, conn: ConnId) -> bool {
        self.core.peek(conn).is_some_and(|c| c.pacing.is_some())
    }

    /// Whether its pace has room for another object; `on_written` follows where
    /// it has not.
    #[must_use]
    pub fn has_room(&self, conn: ConnId) -> bool {
        let is_full = |c: &Connection| c.pacing.as_ref().is_some_and(|pacing| pacing.is_full());
        !self.core.peek(conn).is_some_and(is_full)
    }

    /// Writes what is queued now instead of at the end of the turn. Says how
    /// far the socket has come, if that is news; `on_written` is then not
    /// called for it again.
    pub fn flush(&mut self, conn: ConnId) -> Option<u64> {
        self.core.peek(conn)?;
        self.core.flush(conn.serial).map(|(_, offset)| offset)
    }

    /// Bytes that wait for the connection's socket, headers included.
    #[must_use]
    pub fn queued_bytes(&self, conn: ConnId) -> usize {
        self.core.peek(conn).map_or(0, |c| c.outbound.len())
    }

    /// Frees the connection at the end of this turn, dropping what is queued;
    /// `on_close` follows. The first reason stands.
    pub fn close(&mut self, conn: ConnId, reason: CloseReason) {
        self.core.close(conn, reason);
    }

    /// Takes no more frames of the connection, writes what is queued within
    /// the write timeout, shuts down the writing side, waits for the peer to
    /// close (at most the linger timeout), then closes. The first reason
    /// stands; a [`close`](Self::close) still cuts it short.
    pub fn finish(&mut self, conn: ConnId, reason: CloseReason) {
        self.core.finish(conn, reason);
    }

    /// Takes back [`Flow::Pause`](super::Flow::Pause). No frame comes before
    /// the present callback has returned.
    pub fn resume(&mut self, conn: ConnId) {
        self.core.resume(conn, false);
    }

    /// The same for a connection that has asked for more than its share: it
    /// comes after the others.
    pub fn resume_in_no_hurry(&mut self, conn: ConnId) {
        self.core.resume(conn, true);
    }

    /// How long the connection may be silent; `None`: for ever.
    pub fn set_idle_timeout(&mut self, conn: ConnId, timeout: Option<Duration>) {
        self.core.set_idle_timeout(conn, timeout);
    }

    /// Has `on_timer` called with `key`, once, at `at` or soon after. A time
    /// in the past means the next turn.
    pub fn set_timer(&mut self, at: Instant, key: u64) {
        self.core.timers.push(at, key);
    }

    /// The time of this turn.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.core.now
    }

    /// The connection's other end, as [`on_open`](super::Handler::on_open) told.
    #[must_use]
    pub fn peer(&self, conn: ConnId) -> Option<SocketAddr> {
        self.core.peek(conn).map(|c| c.peer.into())
    }

    /// Every connection that was opened and is not closed, in no order; those
    /// that finish are among them.
    #[must_use]
    pub fn connections(&self) -> Vec<ConnId> {
        self.core.ids_of(|c| c.told_open && !c.is_closing())
    }

    /// The connection with this count, whether the handler was told of it or not.
    #[cfg(test)]
    pub(super) fn nth(&self, count: u64) -> Option<ConnId> {
        self.core.ids_of(|_| true).into_iter().find(|id| id.serial.count() == count)
    }

    /// Alarms in the heap, stale ones among them.
    #[cfg(test)]
    pub(super) fn alarms(&self) -> usize {
        self.core.alarms.len()
    }

    /// Memory that waits in the pool.
    #[cfg(test)]
    pub(super) fn pooled_bytes(&self) -> usize {
        self.core.pool.kept_bytes()
    }

    /// Memory that the connection's buffers take.
    #[cfg(test)]
    pub(super) fn held_bytes(&self, conn: ConnId) -> usize {
        self.core.peek(conn).map_or(0, |c| c.inbound.held_bytes() + c.outbound.held_bytes())
    }

    /// Whether the poll watches for the connection's writability.
    #[cfg(test)]
    pub(super) fn write_interest(&self, conn: ConnId) -> bool {
        self.core.peek(conn).is_some_and(|c| c.write_interest)
    }
}
