//! A gateway's side of logins: granted, waiting for the session that they take
//! over, answered, taken over themselves.
//!
//! Thread: its reactor's.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Instant;

use log::debug;

use super::gateway::{Gateway, Timer, timer_key};
use super::peer::{LogOut, Peer, conn_id, session_id};
use super::pools::Job;
use crate::net::{CloseReason, ConnId, Io};
use crate::protocol::{Errno, Refusal};
use crate::service::{
    Effects, End, Ended, FORMER_TIMEOUT, Feed, Granted, Identity, Lane, LoggedIn, LoginId, Service,
    Session, SessionId, Successor,
};

/// A granted login that waits for the end of the session that it takes over.
pub(super) struct Takeover {
    pub session: Box<Session>,
    pub granted: Box<Granted>,
    /// When it is waited no longer.
    pub until: Instant,
}

/// A login that is to end as soon as it turns out to be this one.
pub(super) struct Revoked {
    claim: i64,
    successor: Option<Successor>,
}

impl Gateway {
    /// A login is granted but has to wait for the end of a former session.
    pub(super) fn taking_over(
        &mut self,
        io: &mut Io<'_>,
        conn: ConnId,
        session: Box<Session>,
        granted: Box<Granted>,
    ) {
        let Some(peer) = self.peers.get_mut(conn.serial) else { return };
        let claim = granted.identity.claim.number;
        let until = io.now() + FORMER_TIMEOUT;
        let entering = peer.entering();
        entering.takeover = Some(Takeover { session, granted, until });
        if entering.revoked.as_ref().is_some_and(|revoked| revoked.claim == claim) {
            io.close(conn, CloseReason::Handler("taken over while it logged in"));
        } else if entering.former_ended.take() == Some(claim) {
            self.go_on_with_login(io, conn);
        } else {
            io.set_timer(until, timer_key(conn, Timer::Takeover));
        }
    }

    /// A login has waited for a former session for long enough, or an earlier
    /// one of this connection has.
    pub(super) fn takeover_due(&mut self, io: &mut Io<'_>, conn: ConnId) {
        let until = self.peers.get(conn.serial).and_then(|peer| peer.takeover().map(|t| t.until));
        if until.is_some_and(|until| until <= io.now()) {
            self.go_on_with_login(io, conn);
        }
    }

    /// The session that this login takes over has ended.
    pub(super) fn former_ended(&mut self, io: &mut Io<'_>, login: LoginId) {
        let conn = conn_id(login.session);
        let Some(peer) = self.peers.get_mut(conn.serial) else { return };
        match peer.takeover() {
            Some(takeover) if takeover.granted.identity.claim.number == login.claim => {
                self.go_on_with_login(io, conn);
            }
            Some(_) => {}
            // Its worker has yet to say that it waits.
            None => peer.entering().former_ended = Some(login.claim),
        }
    }

    /// The former session has ended, or is not waited for any longer.
    pub(super) fn go_on_with_login(&mut self, io: &mut Io<'_>, conn: ConnId) {
        let Some(peer) = self.peers.get_mut(conn.serial) else { return };
        let Some(Takeover { session, granted, .. }) = peer.take_takeover() else { return };
        let job = Job::FinishLogin { session, granted };
        let Err(Job::FinishLogin { session, granted }) = self.pools.submit(Lane::Database, job)
        else {
            return;
        };
        self.undo_login(session.id, &granted.identity);
        let refusal = Refusal::new(Errno::SlowDown, "the server is busy, try again in a moment");
        let effects = Effects::login_refused(granted.seq, &refusal);
        self.done(io, session, effects);
    }

    /// A login is answered, up to `end` in the outgoing stream.
    pub(super) fn logged_in(
        &mut self,
        io: &mut Io<'_>,
        conn: ConnId,
        login: LoggedIn,
        end: Option<u64>,
    ) {
        self.lobby.leave(conn.serial);
        let Some(peer) = self.peers.get_mut(conn.serial) else { return };
        let claim = login.identity.claim.number;
        if peer.revoked().is_some_and(|revoked| revoked.claim == claim) {
            io.close(conn, CloseReason::Handler("taken over while it logged in"));
        }
        if peer.is_bare() {
            // Those clients never ping: TCP's keep-alive finds the dead.
            io.set_idle_timeout(conn, None);
        }
        let mut feed = Feed::new(login.identity, login.acks);
        peer.answered_to = end.and_then(NonZeroU64::new);
        peer.answer_taken = false;
        // Without an end the connection is finishing: the rows stay. Or what a
        // bare one takes in its time is full: it would wait for ever.
        if end.is_none() && peer.is_bare() {
            io.close(conn, CloseReason::Handler("took too little to be told of its login"));
        }
        if let Some(end) = end {
            feed.sent_rows(end, login.rows, io.now());
        }
        let full = feed.is_full();
        peer.feed = Some(feed);
        if end.is_some() && login.exhausted && !full {
            self.try_go_live(io, conn, login.nudges);
        } else {
            self.catch_up(io, conn);
        }
    }

    /// Ends this login's session from outside.
    pub(super) fn close_login(
        &mut self,
        io: &mut Io<'_>,
        login: LoginId,
        reason: &'static str,
        successor: Option<Successor>,
    ) {
        let conn = conn_id(login.session);
        let peer = self.peers.get_mut(conn.serial).filter(|peer| {
            let other = peer.feed.as_ref().is_some_and(|f| f.identity.claim.number != login.claim);
            let ended = matches!(peer.log_out.as_deref(), Some(LogOut::Releasing(ended, _)) if *ended == login);
            !other && !ended
        });
        let Some(peer) = peer else {
            // It has ended; what it left may still be with the writer.
            if let Some(successor) = successor {
                self.service.tell_when_written(successor);
            }
            return;
        };
        peer.entering().revoked = Some(Revoked { claim: login.claim, successor });
        let granted = peer.takeover().map(|takeover| &takeover.granted.identity);
        if peer.feed.is_some() || granted.is_some_and(|it| it.claim.number == login.claim) {
            io.close(conn, CloseReason::Handler(reason));
        }
    }

    /// The connection is gone, and with it whatever login it had.
    pub(super) fn end_login(&self, conn: ConnId, mut peer: Peer) {
        let session = session_id(conn);
        // A log-out that is not through yet is one all the same.
        let logged_out = matches!(peer.log_out.as_deref(), Some(LogOut::Draining(_)));
        if let Some(feed) = peer.feed.take() {
            let identity = feed.identity.clone();
            debug!(target: "gateway", "conn={conn} user={} session ended", identity.user);
            let end =
                End { logged_out, then: word_to_successor(&self.service, &mut peer, &identity) };
            self.service.end_session(session, &identity, feed.end(), end);
        } else if let Some(takeover) = peer.take_takeover() {
            let granted = takeover.granted;
            let then = word_to_successor(&self.service, &mut peer, &granted.identity);
            let end = End { logged_out: false, then };
            self.service.end_session(session, &granted.identity, Ended::default(), end);
        } else if let Some(successor) =
            peer.entering.and_then(|entering| entering.revoked?.successor)
        {
            // The login is with a worker, whose answer finds nobody.
            self.service.tell_when_written(successor);
        }
    }

    /// Ends the session of a login that was granted and came to nothing.
    pub(super) fn undo_login(&mut self, session: SessionId, identity: &Identity) {
        let peer = self.peers.get_mut(session.serial);
        let then = peer.and_then(|peer| word_to_successor(&self.service, peer, identity));
        let end = End { logged_out: false, then };
        self.service.end_session(session, identity, Ended::default(), end);
    }

    /// Sees to it that a connection where nobody logs in is closed.
    pub(super) fn watch_login(&mut self, io: &mut Io<'_>, conn: ConnId) {
        if let Some(peer) = self.peers.get_mut(conn.serial)
            && !std::mem::replace(&mut peer.login_timer, true)
        {
            io.set_timer(io.now() + self.login_timeout, timer_key(conn, Timer::Login));
        }
    }

    /// Closes a connection where nobody has logged in or asked for anything.
    pub(super) fn login_due(&mut self, io: &mut Io<'_>, conn: ConnId) {
        let Some(peer) = self.peers.get_mut(conn.serial) else { return };
        let busy = peer.is_away || peer.log_out.is_some();
        let deadline = Instant::from(peer.asked_at) + self.login_timeout;
        if peer.feed.is_some() {
            // Set again by a log-out.
            peer.login_timer = false;
        } else if !busy && deadline <= io.now() {
            let reason = "neither logged in nor asked for anything";
            io.close(conn, CloseReason::Handler(reason));
        } else {
            let at = deadline.max(io.now() + self.login_timeout / 10);
            io.set_timer(at, timer_key(conn, Timer::Login));
        }
    }
}

/// What tells the login that has taken over from this one, if one has.
fn word_to_successor(
    service: &Arc<Service>,
    peer: &mut Peer,
    identity: &Identity,
) -> Option<Box<dyn FnOnce() + Send>> {
    let revoked = &mut peer.entering.as_mut()?.revoked;
    let revoked = revoked.take_if(|revoked| revoked.claim == identity.claim.number)?;
    let (service, successor) = (service.clone(), revoked.successor?);
    Some(Box::new(move || service.tell_successor(&successor)))
}
