//! A gateway's side of limits: who may stay connected, and how fast a
//! connection may ask.
//!
//! Thread: its reactor's.

use std::net::SocketAddr;

use log::debug;

use super::admission::Admitted;
use super::gateway::{Gateway, Timer, timer_key};
use super::pace::TooFast;
use super::peer::Peer;
use super::requests::Again;
use crate::net::{CloseReason, ConnId, Flow, Io};
use crate::protocol::{Errno, Refusal, reply};
use crate::service::throttle::Source;

/// Pauses are of so many lengths, the longest half as long again.
const SPREAD: u64 = 64;

impl Gateway {
    /// Counts a new connection in. `None`: there are too many by far.
    /// Otherwise whether it may do anything but hear that it is one too many.
    pub(super) fn admit(
        &mut self,
        io: &mut Io<'_>,
        conn: ConnId,
        address: SocketAddr,
    ) -> Option<bool> {
        let admitted = self.admission.enter(address.ip());
        if admitted != Admitted::Yes {
            let line = format_args!("throttled connections peer={address}");
            self.service.throttle().audit(address.ip(), line);
        }
        match admitted {
            Admitted::Yes => Some(true),
            Admitted::TellTooMany => Some(false),
            Admitted::No => {
                io.close(conn, CloseReason::Handler("too many connections"));
                None
            }
        }
    }

    /// Notes that a connection only waits, if nobody is logged in on it and it
    /// has nothing under way.
    pub(super) fn waits(&mut self, io: &mut Io<'_>, conn: ConnId) {
        let idle = |peer: &&Peer| peer.feed.is_none() && peer.is_answered();
        let Some(peer) = self.peers.get(conn.serial).filter(idle) else { return };
        let source = Source::of(peer.address.ip());
        if let Some(serial) = self.lobby.enter(conn.serial, source) {
            let longest = ConnId { serial, ..conn };
            debug!(target: "gateway", "conn={longest} gives way: too many are not logged in");
            let why = "too many connections wait to log in: try again in a moment";
            self.turn_away(io, longest, why);
        }
    }

    /// Closes a connection, with an ERROR_MSG where it has said how it speaks.
    pub(super) fn turn_away(&mut self, io: &mut Io<'_>, conn: ConnId, why: &'static str) {
        let refusal = Refusal::new(Errno::SlowDown, why);
        if io.speaks_bare(conn) {
            // It would not understand.
            return io.finish(conn, CloseReason::Handler(why));
        }
        match io.send(conn, &reply::error(None, &refusal)) {
            Some(_) => io.finish(conn, CloseReason::Handler(why)),
            None => io.close(conn, CloseReason::Handler(why)),
        }
    }

    /// The first request of a connection that is one too many.
    pub(super) fn refuse_unwelcome(
        &mut self,
        io: &mut Io<'_>,
        conn: ConnId,
        payload: &[u8],
    ) -> Flow {
        let refusal = Refusal::new(
            Errno::SlowDown,
            "there are too many connections from your address: close one and try again",
        );
        let effects = self.service.refuse(payload, &refusal);
        self.apply(io, conn, effects);
        io.finish(conn, CloseReason::Handler("too many connections from its address"));
        Flow::Pause
    }

    /// A request came too fast: refuses it and does not listen for a while.
    pub(super) fn refuse_too_fast(
        &mut self,
        io: &mut Io<'_>,
        conn: ConnId,
        payload: &[u8],
        too_fast: &TooFast,
        again: Option<Again>,
    ) -> Flow {
        if too_fast.is_news
            && let Some(peer) = self.peers.get(conn.serial)
        {
            let address = peer.address;
            let user = peer.feed.as_ref().map_or(0, |feed| feed.identity.user.0);
            let line = format_args!("throttled requests user={user} peer={address}");
            self.service.throttle().audit(address.ip(), line);
        }
        let refusal = Refusal::slow_down("you are sending too fast", too_fast.wait);
        let effects = self.service.refuse(payload, &refusal);
        if self.is_not_told(conn, &effects) {
            // As soon as it may be done: it is slowed down enough by waiting.
            return self.keep(io, conn, payload.into(), again, too_fast.wait);
        }
        self.apply(io, conn, effects);
        self.pause(io, conn, too_fast)
    }

    /// Does not listen to a connection for a while.
    pub(super) fn pause(&mut self, io: &mut Io<'_>, conn: ConnId, too_fast: &TooFast) -> Flow {
        // A crowd that began together must not come back together each time.
        let share = (conn.serial.count() % SPREAD) as u32;
        let longer = too_fast.pause / 2 * share / SPREAD as u32;
        io.set_timer(io.now() + too_fast.pause + longer, timer_key(conn, Timer::Pause));
        Flow::Pause
    }

    /// A connection that had asked too fast is listened to again, unless its
    /// request is with a pool.
    pub(super) fn pause_over(&mut self, io: &mut Io<'_>, conn: ConnId) {
        if self.peers.get(conn.serial).is_some_and(super::peer::Peer::takes_requests) {
            io.resume_in_no_hurry(conn);
        } else {
            self.try_again(io, conn);
        }
    }
}
