//! A message and its copies.

use std::sync::Arc;

use super::session::SessionId;
use super::settlement::GroupTicket;
use crate::model::{ServerId, UserId};

/// One message, shared by all of its copies.
#[derive(Debug)]
pub struct Message {
    /// Who sent it.
    pub sender: UserId,
    /// The sender's own id of it, 1-64 bytes.
    pub mid: Arc<[u8]>,
    /// The JSON text of the push.
    pub body: Arc<[u8]>,
}

/// One recipient's copy of a message, on its way.
#[derive(Debug)]
pub struct MessageCopy {
    /// The recipient.
    pub to: UserId,
    /// What is sent.
    pub message: Arc<Message>,
    /// Who waits to hear what became of it.
    pub origin: Origin,
}

/// Who waits to hear what became of a copy.
#[derive(Debug, Clone)]
pub enum Origin {
    /// The sender's session, for the 106.
    One {
        /// The session.
        session: SessionId,
        /// The request's `seq`.
        seq: Option<u64>,
    },
    /// A group message's count, for the 110.
    Group(Arc<GroupTicket>),
    /// Another server, for its handover.
    Server {
        /// The server.
        server: ServerId,
        /// Its number of the handover.
        handover: u64,
    },
    /// Nobody any more.
    Nobody,
}
