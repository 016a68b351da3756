//! A gateway's side of the bare dialect: what the service says, as those
//! clients hear it.
//!
//! Thread: its reactor's.

use std::sync::Arc;

use log::{debug, warn};

use super::peer::{Peer, Speech};
use crate::net::{ConnId, Io};
use crate::protocol::bare::{self, Told};
use crate::service::Message;

impl Peer {
    /// The first frame has come, and with it the connection's dialect.
    pub fn hear(&mut self, bare: bool) {
        self.speech = if bare { Speech::Bare } else { Speech::Framed };
    }
}

/// Sends a reply, or logs what such a client is not told. Where its text ends
/// in the outgoing stream, if it is sent.
pub(super) fn reply(io: &mut Io<'_>, conn: ConnId, text: &[u8]) -> Option<u64> {
    match bare::reply(text) {
        Told::Sent(text) => {
            let end = io.send_answer(conn, &text);
            if end.is_none() {
                debug!(target: "gateway", "conn={conn} closing or full, an answer is not sent");
            }
            end
        }
        Told::Logged { msgid, errno, errmsg } => {
            debug!(target: "gateway", "conn={conn} not told: msgid={msgid} errno={errno} {errmsg}");
            None
        }
    }
}

/// Sends a push. Where it ends in the outgoing stream.
pub(super) fn push(io: &mut Io<'_>, conn: ConnId, text: &[u8]) -> Option<u64> {
    match bare::push(text) {
        Some(text) => io.send(conn, &text),
        None => dropped(io, conn),
    }
}

/// Nobody can be helped by reading it again and again: it counts as sent.
fn dropped(io: &Io<'_>, conn: ConnId) -> Option<u64> {
    warn!(target: "gateway", "conn={conn} a message that is no push of this server's is dropped");
    io.queued_to(conn)
}

/// The push that was translated last: a group's message goes to many, one after
/// the other.
#[derive(Default)]
pub(super) struct LastPush {
    /// The message.
    message: Option<Arc<Message>>,
    /// Its text as those clients get it; `None`: it is no push.
    text: Option<Arc<[u8]>>,
}

impl LastPush {
    /// Sends a push that others may be sent, too. Where it ends in the outgoing
    /// stream.
    pub fn send(&mut self, io: &mut Io<'_>, conn: ConnId, message: &Arc<Message>) -> Option<u64> {
        if self.message.as_ref().is_none_or(|last| !Arc::ptr_eq(last, message)) {
            self.message = Some(message.clone());
            self.text = bare::push(&message.body).map(Arc::from);
        }
        match &self.text {
            Some(text) => io.send_shared(conn, text),
            None => dropped(io, conn),
        }
    }

    /// Keeps nothing.
    pub fn forget(&mut self) {
        *self = LastPush::default();
    }
}
