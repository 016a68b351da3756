//! What a reactor's gateway knows of one connection.

use std::net::SocketAddr;
use std::time::Instant;

use super::logins::{Revoked, Takeover};
use super::pace::Pace;
use super::requests::Pending;
use crate::net::ConnId;
use crate::service::{Feed, LoginId, Service, Session, SessionId};

/// One connection's chat state.
pub(super) struct Peer {
    /// The client's address.
    pub address: SocketAddr,
    /// Not so where its address has too many: its first request is refused.
    pub welcome: bool,
    /// How fast it has asked.
    pub pace: Pace,
    /// What it says has been heard, and so how.
    pub heard: bool,
    /// It speaks the bare dialect.
    pub bare: bool,
    /// `None` while a worker has it.
    pub session: Option<Box<Session>>,
    /// The request that the worker has.
    pub pending: Option<Box<Pending>>,
    /// While somebody is logged in.
    pub feed: Option<Box<Feed>>,
    /// Messages sent and not yet settled. Can be below 0 for a moment, when a
    /// worker's message is settled before the worker reports back.
    pub awaiting: i32,
    /// The peer has closed its side.
    pub half_closed: bool,
    /// Its log-out is under way.
    pub log_out: LogOut,
    /// A login that waits for the end of the session that it takes over.
    pub takeover: Option<Box<Takeover>>,
    /// The claim of a login under way here whose former session has ended.
    pub former_ended: Option<i64>,
    /// A login that was taken over elsewhere, answered here or not.
    pub revoked: Option<Box<Revoked>>,
    /// Where the login's answer ends in the outgoing stream, until a frame
    /// shows that its client has it.
    pub answered_to: Option<u64>,
    /// How much of the outgoing stream the socket has taken.
    pub taken_to: u64,
    /// A timer will look whether it has logged in.
    pub login_timer: bool,
    /// A timer will look whether its pushes are confirmed.
    pub confirm_timer: bool,
    /// A timer will look whether its request is answered.
    pub request_timer: bool,
    /// When it last asked for something.
    pub asked_at: Instant,
}

impl Peer {
    pub fn new(conn: ConnId, address: SocketAddr, now: Instant) -> Peer {
        let session = Session { id: session_id(conn), peer: address, bare: false, identity: None };
        Peer {
            address,
            welcome: true,
            heard: false,
            bare: false,
            pace: Pace::default(),
            session: Some(Box::new(session)),
            pending: None,
            feed: None,
            awaiting: 0,
            half_closed: false,
            log_out: LogOut::No,
            takeover: None,
            former_ended: None,
            revoked: None,
            answered_to: None,
            taken_to: 0,
            login_timer: false,
            confirm_timer: false,
            request_timer: false,
            asked_at: now,
        }
    }

    /// A frame has come: where it follows a login's answer, its client has the
    /// new token, and the former ones end. A frame that came before the socket
    /// had taken that answer proves nothing.
    pub fn token_arrived(&mut self, service: &Service) {
        if let (Some(feed), Some(end)) = (&self.feed, self.answered_to)
            && self.taken_to >= end
        {
            self.answered_to = None;
            service.token_arrived(&feed.identity);
        }
    }

    /// The feed, while it may be pushed to.
    pub fn open_feed(&mut self) -> Option<&mut Feed> {
        self.feed.as_deref_mut().filter(|_| matches!(self.log_out, LogOut::No))
    }

    /// Whether its next request may come: none is with a pool, no log-out is
    /// under way.
    pub fn takes_requests(&self) -> bool {
        self.session.is_some() && matches!(self.log_out, LogOut::No)
    }

    /// Whether nothing is under way that will still be answered.
    pub fn is_answered(&self) -> bool {
        self.takes_requests() && self.awaiting <= 0
    }
}

/// How far a log-out has come; each step holds the reply.
pub(super) enum LogOut {
    /// Nobody is logging out.
    No,
    /// What was queued for the client still goes to its socket.
    Draining(Vec<u8>),
    /// This login has ended; its claim is being let go.
    Releasing(Box<(LoginId, Vec<u8>)>),
}

/// A connection, as the service names it.
pub(super) fn session_id(conn: ConnId) -> SessionId {
    SessionId { reactor: conn.reactor, serial: conn.serial }
}

/// A session's connection, as net names it.
pub(super) fn conn_id(session: SessionId) -> ConnId {
    ConnId { reactor: session.reactor, serial: session.serial }
}
