//! What a reactor's gateway knows of one connection.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Instant;

use super::logins::{Revoked, Takeover};
use super::pace::Pace;
use super::requests::Pending;
use crate::address::Address;
use crate::moment::Moment;
use crate::net::{ConnId, Table};
use crate::service::{Feed, Identity, LoginId, Service, Session, SessionId};

/// A server has many that do nothing: what is rare is boxed.
const _: () = assert!(Table::<Peer>::entry_bytes() <= 168);

/// One connection's chat state.
pub(super) struct Peer {
    /// The client's address.
    pub address: Address,
    /// Not so where its address has too many: its first request is refused.
    pub welcome: bool,
    /// How fast it has asked.
    pub pace: Pace,
    /// How it speaks.
    pub speech: Speech,
    /// Who is logged in, unless a worker has the session.
    pub identity: Option<Arc<Identity>>,
    /// A worker has the session.
    pub is_away: bool,
    /// The request that the worker has, or that is to be tried again.
    pub pending: Option<Box<Pending>>,
    /// While somebody is logged in.
    pub feed: Option<Feed>,
    /// Messages sent and not yet settled. Can be below 0 for a moment, when a
    /// worker's message is settled before the worker reports back.
    pub awaiting: i32,
    /// The peer has closed its side.
    pub half_closed: bool,
    /// Its log-out, while it is under way.
    pub log_out: Option<Box<LogOut>>,
    /// What is rare about its logins.
    pub entering: Option<Box<Entering>>,
    /// Where the login's answer ends in the outgoing stream, until a frame
    /// shows that its client has it.
    pub answered_to: Option<NonZeroU64>,
    /// The socket has taken that answer.
    pub answer_taken: bool,
    /// A timer will look whether it has logged in.
    pub login_timer: bool,
    /// A timer will look whether its pushes are confirmed.
    pub confirm_timer: bool,
    /// A timer will look whether its request is answered.
    pub request_timer: bool,
    /// When it last asked for something.
    pub asked_at: Moment,
}

impl Peer {
    pub fn new(address: SocketAddr, now: Instant) -> Peer {
        Peer {
            address: address.into(),
            welcome: true,
            speech: Speech::Unheard,
            pace: Pace::default(),
            identity: None,
            is_away: false,
            pending: None,
            feed: None,
            awaiting: 0,
            half_closed: false,
            log_out: None,
            entering: None,
            answered_to: None,
            answer_taken: false,
            login_timer: false,
            confirm_timer: false,
            request_timer: false,
            asked_at: now.into(),
        }
    }

    /// A frame has come: where it follows a login's answer, its client has the
    /// new token, and the former ones end. A frame that came before the socket
    /// had taken that answer proves nothing.
    pub fn token_arrived(&mut self, service: &Service) {
        if let Some(feed) = &self.feed
            && std::mem::take(&mut self.answer_taken)
        {
            service.token_arrived(&feed.identity);
        }
    }

    /// The socket has taken everything up to `offset`.
    pub fn taken(&mut self, offset: u64) {
        if self.answered_to.take_if(|end| end.get() <= offset).is_some() {
            self.answer_taken = true;
        }
    }

    /// What is rare about its logins, to be changed.
    pub fn entering(&mut self) -> &mut Entering {
        self.entering.get_or_insert_default()
    }

    /// A login that was taken over elsewhere, answered here or not.
    pub fn revoked(&self) -> Option<&Revoked> {
        self.entering.as_ref()?.revoked.as_ref()
    }

    /// A login that waits for the end of the session that it takes over.
    pub fn takeover(&self) -> Option<&Takeover> {
        self.entering.as_ref()?.takeover.as_ref()
    }

    /// The same, to go on with.
    pub fn take_takeover(&mut self) -> Option<Takeover> {
        self.entering.as_mut()?.takeover.take()
    }

    /// Lends the session to a handler; `None`: a worker has it.
    pub fn take_session(&mut self, conn: ConnId) -> Option<Session> {
        if std::mem::replace(&mut self.is_away, true) {
            return None;
        }
        let identity = self.identity.take();
        Some(Session {
            id: session_id(conn),
            peer: self.address.into(),
            bare: self.is_bare(),
            identity,
        })
    }

    /// Takes the session back.
    pub fn put_session(&mut self, session: Session) {
        self.is_away = false;
        self.identity = session.identity;
    }

    /// Whether it speaks the bare dialect.
    pub fn is_bare(&self) -> bool {
        self.speech == Speech::Bare
    }

    /// The feed, while it may be pushed to.
    pub fn open_feed(&mut self) -> Option<&mut Feed> {
        self.feed.as_mut().filter(|_| self.log_out.is_none())
    }

    /// Whether its next request may come: none is with a pool or to be tried
    /// again, no log-out is under way.
    pub fn takes_requests(&self) -> bool {
        !self.is_away && self.pending.is_none() && self.log_out.is_none()
    }

    /// Whether nothing is under way that will still be answered.
    pub fn is_answered(&self) -> bool {
        self.takes_requests() && self.awaiting <= 0
    }
}

/// A connection's dialect, as far as chat cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speech {
    /// Its first frame has not come.
    Unheard,
    /// Frames of JSON, whatever is around them.
    Framed,
    /// Objects as the C++ clients have them.
    Bare,
}

/// Logins of a connection that meet others of the same user.
#[derive(Default)]
pub(super) struct Entering {
    /// A login that waits for the end of the session that it takes over.
    pub takeover: Option<Takeover>,
    /// The claim of a login under way here whose former session has ended.
    pub former_ended: Option<i64>,
    /// A login that was taken over elsewhere, answered here or not.
    pub revoked: Option<Revoked>,
}

/// How far a log-out has come; each step holds the reply.
pub(super) enum LogOut {
    /// What was queued for the client still goes to its socket.
    Draining(Vec<u8>),
    /// This login has ended; its claim is being let go.
    Releasing(LoginId, Vec<u8>),
}

/// A connection, as the service names it.
pub(super) fn session_id(conn: ConnId) -> SessionId {
    SessionId { reactor: conn.reactor, serial: conn.serial }
}

/// A session's connection, as net names it.
pub(super) fn conn_id(session: SessionId) -> ConnId {
    ConnId { reactor: session.reactor, serial: session.serial }
}
