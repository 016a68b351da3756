//! A gateway's side of the bare dialect: what the service says, as those
//! clients hear it.
//!
//! Thread: its reactor's.

use log::{debug, warn};

use super::peer::{Peer, Speech};
use crate::net::{ConnId, Io};
use crate::protocol::bare::{self, Told};

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
            let end = io.send(conn, &text);
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
    let Some(text) = bare::push(text) else {
        // Nobody can be helped by reading it again and again.
        warn!(target: "gateway", "conn={conn} a message that is no push of this server's is dropped");
        return io.queued_to(conn);
    };
    io.send(conn, &text)
}
