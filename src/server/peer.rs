//! What a reactor's gateway knows of one connection.

use std::time::Instant;

use crate::net::ConnId;
use crate::service::{Feed, Session, SessionId};

/// One connection's chat state.
pub(super) struct Peer {
    /// `None` while a worker has it.
    pub session: Option<Box<Session>>,
    /// While somebody is logged in.
    pub feed: Option<Box<Feed>>,
    /// Messages sent and not yet settled. Can be below 0 for a moment, when a
    /// worker's message is settled before the worker reports back.
    pub awaiting: i32,
    /// The peer has closed its side.
    pub half_closed: bool,
    /// Its log-out is under way.
    pub logging_out: bool,
    /// End it if it turns out to hold this claim (its login is under way).
    pub close_claim: Option<i64>,
    /// When it last asked for something.
    pub asked_at: Instant,
}

impl Peer {
    pub fn new(conn: ConnId, now: Instant) -> Peer {
        Peer {
            session: Some(Box::new(Session { id: session_id(conn), identity: None })),
            feed: None,
            awaiting: 0,
            half_closed: false,
            logging_out: false,
            close_claim: None,
            asked_at: now,
        }
    }

    /// Whether nothing is under way that will still be answered.
    pub fn is_answered(&self) -> bool {
        self.session.is_some() && self.awaiting <= 0 && !self.logging_out
    }
}

/// A connection, as the service names it.
pub(super) fn session_id(conn: ConnId) -> SessionId {
    SessionId { reactor: conn.reactor, serial: conn.serial }
}

/// A session's connection, as net names it.
pub(super) fn conn_id(session: SessionId) -> ConnId {
    ConnId { reactor: session.reactor, serial: session.serial }
}
