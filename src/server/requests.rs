//! A gateway's side of requests: handled here where memory is enough, else by
//! a pool, and answered in time whatever becomes of them there.
//!
//! Thread: its reactor's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use log::debug;

use super::gateway::{Gateway, Timer, timer_key};
use super::peer::{Speech, conn_id};
use super::pools::Job;
use crate::net::{CloseReason, ConnId, Flow, Io};
use crate::protocol::bare::{self, Told};
use crate::protocol::{Errno, Refusal};
use crate::service::{Change, Effects, Handled, Place, Session, TRIED_FOR};

/// How long a pool may take for a request before it is answered with errno 13.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);

/// When what could not be done, and its client not be told, is tried again.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// A request that a pool works on, or that is to be tried again.
pub(super) struct Pending {
    pub payload: Arc<[u8]>,
    /// It took too long: its sender has been told to try again.
    given_up: bool,
    /// Its sender cannot be told.
    pub again: Option<Again>,
}

/// How a request is tried again.
#[derive(Clone, Copy)]
pub(super) struct Again {
    /// Until when.
    pub until: Instant,
    /// It waits for its next try, and no pool has it.
    pub waits: bool,
}

impl Gateway {
    /// Handles one frame's payload, or gives it to a pool.
    pub(super) fn request(&mut self, io: &mut Io<'_>, conn: ConnId, payload: &[u8]) -> Flow {
        self.try_request(io, conn, payload, None)
    }

    /// The same, and of one that is tried again how.
    pub(super) fn try_request(
        &mut self,
        io: &mut Io<'_>,
        conn: ConnId,
        payload: &[u8],
        again: Option<Again>,
    ) -> Flow {
        let Some(peer) = self.peers.get_mut(conn.serial) else { return Flow::Continue };
        if peer.speech == Speech::Unheard {
            peer.hear(io.speaks_bare(conn));
        }
        if peer.is_bare() && !bare::is_message(payload) {
            io.finish(conn, CloseReason::Handler("what it sent is no message"));
            return Flow::Pause;
        }
        peer.token_arrived(&self.service);
        let Some(mut session) = peer.take_session(conn) else { return Flow::Pause };
        if !peer.welcome {
            peer.put_session(session);
            return self.refuse_unwelcome(io, conn, payload);
        }
        let too_fast = self.pace.take(&mut peer.pace, io.now()).err();
        if let Some(too_fast) = &too_fast
            && !self.service.is_acknowledgement(payload)
        {
            peer.put_session(session);
            return self.refuse_too_fast(io, conn, payload, too_fast, again);
        }
        peer.asked_at = self.turn;
        if let Some(entering) = &mut peer.entering {
            entering.former_ended = None;
        }
        let lane = match self.service.handle(&mut session, payload, Place::Reactor) {
            Handled::Done(effects) => {
                peer.put_session(session);
                let flow = if effects.is_only_awaiting() {
                    peer.awaiting += effects.awaiting;
                    Flow::Continue
                } else {
                    self.apply_or_keep(io, conn, payload, effects, again)
                };
                let Some(too_fast) = too_fast else { return flow };
                return self.pause(io, conn, &too_fast);
            }
            Handled::Later(lane) => lane,
        };
        let payload: Arc<[u8]> = payload.into();
        let session = Box::new(session);
        let job = Job::Request { session, payload: payload.clone(), submitted: Instant::now() };
        let Err(Job::Request { session, payload, .. }) = self.pools.submit(lane, job) else {
            peer.pending = Some(Box::new(Pending { payload, given_up: false, again }));
            self.lobby.leave(conn.serial);
            self.watch_request(io, conn);
            return Flow::Pause;
        };
        peer.put_session(*session);
        let refusal = self.pools.refusal(lane);
        let effects = self.service.refuse(&payload, &refusal);
        match self.is_not_told(conn, &effects) && !is_over(again, io.now()) {
            true => self.keep(io, conn, payload, again, TRY_AGAIN_AFTER),
            false => self.apply(io, conn, effects),
        }
    }

    /// Sees to it that what was asked for just now is answered in time.
    pub(super) fn watch_request(&mut self, io: &mut Io<'_>, conn: ConnId) {
        if let Some(peer) = self.peers.get_mut(conn.serial)
            && !std::mem::replace(&mut peer.request_timer, true)
        {
            io.set_timer(io.now() + REQUEST_TIMEOUT, timer_key(conn, Timer::Request));
        }
    }

    /// A pool is done with a request.
    pub(super) fn done(&mut self, io: &mut Io<'_>, session: Box<Session>, effects: Effects) {
        let conn = conn_id(session.id);
        let Some(peer) = self.peers.get_mut(conn.serial) else {
            self.undo(&session, effects.change);
            return;
        };
        let given_up_before = peer.pending.as_ref().is_some_and(|pending| pending.given_up);
        let effects = match effects {
            Effects { change: Change::TakingOver(granted), .. } if !given_up_before => {
                return self.taking_over(io, conn, session, granted);
            }
            effects => effects,
        };
        let pending = peer.pending.take();
        if pending.as_ref().is_some_and(|pending| pending.given_up) {
            self.done_late(conn, session, effects);
            io.resume(conn);
        } else {
            peer.put_session(*session);
            let flow = match pending.as_deref() {
                Some(Pending { payload, again, .. }) => {
                    self.apply_or_keep(io, conn, payload, effects, *again)
                }
                None => self.apply(io, conn, effects),
            };
            if flow == Flow::Continue {
                io.resume(conn);
            }
        }
        self.waits(io, conn);
        self.finish_if_answered(io, conn);
    }

    /// A request was given up and is done after all: a login is undone, the
    /// rest stands, and a message is settled under its `mid`.
    fn done_late(&mut self, conn: ConnId, mut session: Box<Session>, effects: Effects) {
        debug!(target: "gateway", "conn={conn} a request was done after it was given up");
        if matches!(effects.change, Change::LoggedIn(_)) {
            session.identity = None;
        }
        self.undo(&session, effects.change);
        if let Some(peer) = self.peers.get_mut(conn.serial) {
            peer.put_session(*session);
            peer.awaiting += effects.awaiting;
        }
    }

    fn undo(&mut self, session: &Session, change: Change) {
        let identity = match change {
            Change::LoggedIn(login) => login.identity,
            Change::TakingOver(granted) => granted.identity,
            Change::None | Change::Acknowledged(_) | Change::LogOut(_) => return,
        };
        self.undo_login(session.id, &identity);
    }

    /// Answers a request that a pool has had for too long.
    pub(super) fn request_due(&mut self, io: &mut Io<'_>, conn: ConnId) {
        let Some(peer) = self.peers.get_mut(conn.serial) else { return };
        peer.request_timer = false;
        let is_pending = peer.pending.as_ref().is_some_and(|pending| pending.may_be_given_up());
        if !is_pending && peer.log_out.is_none() {
            return;
        }
        let due = Instant::from(peer.asked_at) + REQUEST_TIMEOUT;
        if due > io.now() {
            peer.request_timer = true;
            io.set_timer(due, timer_key(conn, Timer::Request));
            return;
        }
        let Some(pending) = peer.pending.as_mut().filter(|_| is_pending) else {
            return self.log_out_due(io, conn);
        };
        let effects = self.service.refuse(&pending.payload, &too_late());
        if self.would_hear(conn, &effects).is_some_and(|told| told.asks_to_repeat()) {
            // The pool will be done with it, one way or the other.
            return;
        }
        if let Some(pending) = self.peers.get_mut(conn.serial).and_then(|p| p.pending.as_mut()) {
            pending.given_up = true;
        }
        // A refusal leaves nothing to do but to send it.
        self.apply(io, conn, effects);
    }
}

impl Pending {
    fn may_be_given_up(&self) -> bool {
        !self.given_up && self.again.is_none_or(|again| !again.waits)
    }
}

/// Requests of clients that hear no refusals: what those would be told to send
/// again the server tries again, and reads nothing more of them meanwhile.
impl Gateway {
    /// Whether this is a refusal of a user's request, and its client would hear
    /// nothing of it.
    pub(super) fn is_not_told(&self, conn: ConnId, effects: &Effects) -> bool {
        self.would_hear(conn, effects).is_some_and(|told| matches!(told, Told::Logged { .. }))
    }

    /// What a client that hears no refusals would hear of this one.
    fn would_hear<'e>(&self, conn: ConnId, effects: &'e Effects) -> Option<Told<'e>> {
        let peer = self.peers.get(conn.serial)?;
        // A stranger has nothing to lose.
        let is_kept = peer.is_bare() && peer.feed.is_some() && !self.stopping;
        match &effects.replies[..] {
            [reply] if is_kept && matches!(effects.change, Change::None) => {
                Some(bare::reply(reply))
            }
            _ => None,
        }
    }

    /// Carries out what a handler wants done, unless that is a refusal to be
    /// answered by a repeat, which nobody would make.
    fn apply_or_keep(
        &mut self,
        io: &mut Io<'_>,
        conn: ConnId,
        payload: &[u8],
        effects: Effects,
        again: Option<Again>,
    ) -> Flow {
        let asks = self.would_hear(conn, &effects).is_some_and(|told| told.asks_to_repeat());
        match asks && !is_over(again, io.now()) {
            true => self.keep(io, conn, payload.into(), again, TRY_AGAIN_AFTER),
            false => self.apply(io, conn, effects),
        }
    }

    /// Has a request tried again after a while.
    pub(super) fn keep(
        &mut self,
        io: &mut Io<'_>,
        conn: ConnId,
        payload: Arc<[u8]>,
        again: Option<Again>,
        after: Duration,
    ) -> Flow {
        let Some(peer) = self.peers.get_mut(conn.serial) else { return Flow::Pause };
        let until = again.map_or(io.now() + TRIED_FOR, |again| again.until);
        let again = Some(Again { until, waits: true });
        peer.pending = Some(Box::new(Pending { payload, given_up: false, again }));
        io.set_timer(io.now() + after, timer_key(conn, Timer::Pause));
        Flow::Pause
    }

    /// Tries again what waits for it.
    pub(super) fn try_again(&mut self, io: &mut Io<'_>, conn: ConnId) {
        let Some(peer) = self.peers.get_mut(conn.serial) else { return };
        let waits = |pending: &mut Box<Pending>| pending.again.is_some_and(|again| again.waits);
        let Some(pending) = peer.pending.take_if(waits) else { return };
        let again = pending.again.map(|again| Again { waits: false, ..again });
        if self.try_request(io, conn, &pending.payload, again) == Flow::Continue {
            io.resume_in_no_hurry(conn);
        }
        self.finish_if_answered(io, conn);
    }
}

/// Whether there is no further try.
fn is_over(again: Option<Again>, now: Instant) -> bool {
    again.is_some_and(|again| again.until <= now)
}

/// What is said of a request that a pool did not get done in time.
pub(super) fn too_late() -> Refusal {
    Refusal::new(
        Errno::Unavailable,
        "the server is too busy, or its database does not answer: try again in a moment",
    )
}
