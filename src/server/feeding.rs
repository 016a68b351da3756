//! A gateway's side of feeds: live pushes, pages of missed messages, and the
//! end of a login.
//!
//! Thread: its reactor's.

use log::debug;

use super::bare;
use super::gateway::{Gateway, READ_AGAIN_AFTER, Timer, timer_key};
use super::peer::{LogOut, Peer, conn_id, session_id};
use super::pools::Job;
use crate::model::{OfflinePage, StoreError};
use crate::net::{CloseReason, ConnId, Io};
use crate::service::{Body, End, Feed, GoLive, Lane, LoginId, MessageCopy, Post, Way};

impl Gateway {
    /// The feed of this very login, while it may be pushed to.
    fn feed_of(&mut self, login: LoginId) -> Option<&mut Feed> {
        self.peers
            .get_mut(login.session.serial)
            .and_then(Peer::open_feed)
            .filter(|feed| feed.identity.claim.number == login.claim)
    }

    /// Pushes a live copy.
    pub(super) fn deliver(&mut self, io: &mut Io<'_>, conn: ConnId, copy: MessageCopy, way: Way) {
        let user = copy.to;
        let takes = |feed: &Feed| feed.identity.user == user && feed.takes_copies();
        let peer = self.peers.get_mut(conn.serial).filter(|peer| peer.log_out.is_none());
        let Some((feed, confirm_timer, is_bare)) = peer.and_then(|peer| {
            let is_bare = peer.is_bare();
            let feed = peer.feed.as_mut().filter(|feed| takes(feed))?;
            Some((feed, &mut peer.confirm_timer, is_bare))
        }) else {
            return self.service.not_pushed(copy, way);
        };
        let end = match is_bare {
            true => self.last_push.send(io, conn, &copy.message),
            false => match &copy.message.body {
                Body::Short(text) => io.send(conn, text),
                Body::Long(text) => io.send_shared(conn, text),
            },
        };
        let Some(end) = end else {
            // What was pushed before it goes to the table before it.
            self.go_behind(conn);
            return self.service.not_pushed(copy, way);
        };
        feed.sent_copy(end, copy, io.now());
        let overfull = feed.is_overfull();
        // It is confirmed in time, or stored.
        if !std::mem::replace(confirm_timer, true) {
            io.set_timer(io.now() + self.ack_timeout, timer_key(conn, Timer::Confirm));
        }
        self.service.pushed(user, way);
        if is_bare {
            self.taken_already(io, conn, end);
        }
        if overfull {
            self.relieve(io, conn);
        }
    }

    /// A session that has not confirmed a push in time goes behind, so that
    /// its senders hear `stored` rather than nothing.
    pub(super) fn confirmation_due(&mut self, io: &mut Io<'_>, conn: ConnId) {
        let Some(peer) = self.peers.get_mut(conn.serial) else { return };
        let waiting_since = peer.feed.as_ref().and_then(|feed| feed.waiting_since());
        let due = waiting_since.map(|since| since + self.ack_timeout);
        peer.confirm_timer = due.is_some_and(|due| due > io.now());
        match due {
            Some(due) if due > io.now() => io.set_timer(due, timer_key(conn, Timer::Confirm)),
            Some(_) => {
                debug!(target: "gateway", "conn={conn} confirms nothing, storing for it");
                self.go_behind(conn);
            }
            None => {}
        }
    }

    /// Much is unconfirmed: unless the socket takes it now, the session goes
    /// behind.
    fn relieve(&mut self, io: &mut Io<'_>, conn: ConnId) {
        if let Some(offset) = io.flush(conn) {
            self.taken(conn, offset);
        }
        if self
            .peers
            .get(conn.serial)
            .and_then(|peer| peer.feed.as_ref())
            .is_some_and(|f| f.is_overfull())
        {
            self.go_behind(conn);
        }
    }

    /// The socket has taken everything up to `offset`.
    pub(super) fn taken(&mut self, conn: ConnId, offset: u64) {
        let Some(peer) = self.peers.get_mut(conn.serial) else { return };
        peer.taken(offset);
        let Some(feed) = peer.feed.as_mut() else { return };
        let user = feed.identity.user;
        let login = LoginId { session: session_id(conn), claim: feed.identity.claim.number };
        let delivered = feed.written(offset);
        let deletions = feed.take_deletions();
        self.service.confirmed(user, login, delivered, deletions);
    }

    /// What was dropped instead of queued is taken with what was before it: at
    /// once, where nothing is left of that.
    fn taken_already(&mut self, io: &Io<'_>, conn: ConnId, end: u64) {
        if io.queued_bytes(conn) == 0 {
            self.taken(conn, end);
        }
    }

    /// The client has handled so many messages since its login.
    pub(super) fn acknowledged(&mut self, io: &mut Io<'_>, conn: ConnId, count: u64) {
        let Some(feed) = self.peers.get_mut(conn.serial).and_then(Peer::open_feed) else { return };
        let user = feed.identity.user;
        let login = LoginId { session: session_id(conn), claim: feed.identity.claim.number };
        let before = feed.unconfirmed_count();
        let delivered = feed.acknowledged(count);
        let has_confirmed = feed.unconfirmed_count() < before;
        let deletions = feed.take_deletions();
        self.service.confirmed(user, login, delivered, deletions);
        if has_confirmed && let Some(peer) = self.peers.get_mut(conn.serial) {
            // Owed to what it was sent, not a request of its own.
            self.pace.give_back(&mut peer.pace);
        }
        self.catch_up(io, conn);
    }

    fn go_behind(&mut self, conn: ConnId) {
        if let Some(feed) = self.peers.get_mut(conn.serial).and_then(Peer::open_feed) {
            let user = feed.identity.user;
            let unconfirmed = feed.go_behind();
            self.service.go_behind(user, session_id(conn), unconfirmed);
        }
    }

    /// Rows were committed for this login.
    pub(super) fn nudged(&mut self, io: &mut Io<'_>, login: LoginId) {
        if self.feed_of(login).is_some() {
            self.go_behind(conn_id(login.session));
            self.catch_up(io, conn_id(login.session));
        }
    }

    /// Rows of this login are deleted.
    pub(super) fn deleted(&mut self, io: &mut Io<'_>, login: LoginId) {
        if let Some(feed) = self.feed_of(login) {
            feed.deleted();
            let (user, deletions) = (feed.identity.user, feed.take_deletions());
            self.service.confirmed(user, login, Vec::new(), deletions);
            self.catch_up(io, conn_id(login.session));
        }
    }

    /// Reads the next page for a session that is behind, once its socket has
    /// taken what it was sent and not too much of that is unconfirmed.
    pub(super) fn catch_up(&mut self, io: &mut Io<'_>, conn: ConnId) {
        if !io.has_room(conn) {
            // What is read would not be sent. Once an object has left it is.
            return;
        }
        let Some(feed) = self.peers.get_mut(conn.serial).and_then(Peer::open_feed) else { return };
        let Some(pushed) = feed.begin_read() else { return };
        let login = LoginId { session: session_id(conn), claim: feed.identity.claim.number };
        let job = Job::ReadPage { login, user: feed.identity.user, pushed: Box::new(pushed) };
        if self.pools.submit(Lane::Database, job).is_err() {
            feed.read_failed();
            io.set_timer(io.now() + READ_AGAIN_AFTER, timer_key(conn, Timer::ReadAgain));
        }
    }

    /// A page was read, or could not be.
    pub(super) fn page(
        &mut self,
        io: &mut Io<'_>,
        login: LoginId,
        nudges: u32,
        page: Result<OfflinePage, StoreError>,
    ) {
        let conn = conn_id(login.session);
        let is_bare = self.peers.get(conn.serial).is_some_and(|peer| peer.is_bare());
        let Some(feed) = self.feed_of(login) else { return };
        let user = feed.identity.user;
        let page = match page {
            Ok(page) => page,
            Err(err) => {
                debug!(target: "gateway", "conn={conn} user={user} missed messages not read err={err}");
                feed.read_failed();
                io.set_timer(io.now() + READ_AGAIN_AFTER, timer_key(conn, Timer::ReadAgain));
                return;
            }
        };
        feed.page_read();
        let mut whole = true;
        for row in &page.rows {
            let at = match is_bare {
                true => bare::push(io, conn, row.message.as_bytes()),
                false => io.send(conn, row.message.as_bytes()),
            };
            // Each has a mark of its own: a connection may end within a page.
            match at {
                Some(end) => feed.sent_row(end, row.row, io.now()),
                None => {
                    whole = false;
                    break;
                }
            }
        }
        let full = feed.is_full();
        if is_bare && let Some(end) = io.queued_to(conn) {
            self.taken_already(io, conn, end);
        }
        if whole && page.exhausted && !full {
            self.try_go_live(io, conn, nudges);
        } else if whole {
            self.catch_up(io, conn);
        }
    }

    /// A read that began after so many nudges found nothing more.
    pub(super) fn try_go_live(&mut self, io: &mut Io<'_>, conn: ConnId, nudges: u32) {
        let Some(feed) = self.peers.get_mut(conn.serial).and_then(Peer::open_feed) else { return };
        match self.service.try_go_live(feed.identity.user, session_id(conn), nudges) {
            GoLive::Live => feed.went_live(),
            GoLive::ReadAgain => self.catch_up(io, conn),
            GoLive::Wait => feed.caught_up(),
        }
    }

    /// Begins a log-out: nothing new is pushed. What is queued already is
    /// stored, and for a client that does not confirm also written and deleted
    /// again, all before the session ends.
    pub(super) fn log_out(&mut self, io: &mut Io<'_>, conn: ConnId, reply: Vec<u8>) {
        let Some(peer) = self.peers.get_mut(conn.serial) else { return };
        peer.identity = None;
        peer.log_out = Some(Box::new(LogOut::Draining(reply)));
        peer.asked_at = io.now().into();
        if let Some(feed) = &mut peer.feed {
            let unconfirmed = feed.go_behind();
            self.service.go_behind(feed.identity.user, session_id(conn), unconfirmed);
        }
        self.watch_request(io, conn);
        self.end_drained(conn);
    }

    /// Ends the session of a connection that logs out, once the socket has
    /// taken what was queued for a client that does not confirm.
    pub(super) fn end_drained(&mut self, conn: ConnId) {
        let Some(peer) = self.peers.get_mut(conn.serial) else { return };
        if peer.feed.as_ref().is_some_and(|feed| !feed.may_end()) {
            return;
        }
        let Some(LogOut::Draining(reply)) = peer.log_out.as_deref_mut() else { return };
        let reply = std::mem::take(reply);
        let Some(feed) = peer.feed.take() else { return };
        let session = session_id(conn);
        let login = LoginId { session, claim: feed.identity.claim.number };
        peer.log_out = Some(Box::new(LogOut::Releasing(login, reply)));
        let service = self.service.clone();
        let then: Box<dyn FnOnce() + Send> =
            Box::new(move || service.tell(session, Post::LoggedOut { login }));
        let identity = feed.identity.clone();
        let end = End { logged_out: true, then: Some(then) };
        self.service.end_session(session, &identity, feed.end(), end);
    }

    /// A login's claim is let go, or will be as soon as the database allows.
    pub(super) fn logged_out(&mut self, io: &mut Io<'_>, login: LoginId) {
        let conn = conn_id(login.session);
        let Some(peer) = self.peers.get_mut(conn.serial) else { return };
        match peer.log_out.take().map(|log_out| *log_out) {
            Some(LogOut::Releasing(ended, reply)) if ended == login => {
                if peer.is_bare() {
                    bare::reply(io, conn, &reply);
                    // Nobody is logged in any more who need not ping.
                    io.set_idle_timeout(conn, Some(self.idle_timeout));
                } else if io.send(conn, &reply).is_none() {
                    debug!(target: "gateway", "conn={conn} closing, a log-out is not answered");
                }
                peer.asked_at = io.now().into();
                self.waits(io, conn);
                self.watch_login(io, conn);
                io.resume(conn);
                self.finish_if_answered(io, conn);
            }
            // Answered in time although it was not complete.
            other => peer.log_out = other.map(Box::new),
        }
    }

    /// A log-out takes long. A client that takes nothing is closed; a database
    /// that does not answer is not waited for: the session has ended here, and
    /// its claim is let go as soon as may be.
    pub(super) fn log_out_due(&mut self, io: &mut Io<'_>, conn: ConnId) {
        match self.peers.get(conn.serial).and_then(|peer| peer.log_out.as_deref()) {
            Some(LogOut::Draining(_)) => {
                io.close(conn, CloseReason::Handler("took nothing while it logged out"));
            }
            Some(LogOut::Releasing(login, _)) => {
                let login = *login;
                self.logged_out(io, login);
            }
            None => {}
        }
    }
}
