//! A message and its copies.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrayvec::ArrayString;

use super::session::SessionId;
use super::settlement::GroupTicket;
use crate::model::{ServerId, UserId};
use crate::moment::Moment;
use crate::protocol::bounds::MAX_MID_BYTES;

/// Messages under way on this server may hold so much memory.
const MOST_BYTES_UNDER_WAY: usize = 256 << 20;
/// What a message takes beside its text.
const MESSAGE_BYTES: usize = 256;

/// A message's id as its sender gave it, kept without memory of its own: every
/// message has one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mid(ArrayString<MAX_MID_BYTES>);

impl Mid {
    /// Its text.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// For a row of the database.
    pub fn to_shared(&self) -> Arc<[u8]> {
        self.0.as_bytes().into()
    }
}

impl std::fmt::Debug for Mid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.text())
    }
}

/// One message, shared by all of its copies.
#[derive(Debug)]
pub struct Message {
    /// Who sent it.
    pub sender: UserId,
    /// The sender's own id of it.
    pub mid: Mid,
    /// The JSON text of the push.
    pub body: Arc<[u8]>,
    /// Until when the server itself tries to have it kept: its sender's client
    /// cannot be told to repeat it.
    pub tried_until: Option<Moment>,
    /// Given back with the message's last copy.
    memory: MessageMemory,
}

/// Counts the memory of messages under way, wherever they are: in a mailbox,
/// held, handed over, with the writer, or unconfirmed.
///
/// The count lives as long as the process: shared ownership of it would cost
/// each message two more steps that no other processor may disturb.
#[derive(Debug, Clone, Copy)]
pub struct MessageMemory(&'static AtomicUsize);

impl MessageMemory {
    /// A count of its own, for as long as the process lives.
    #[expect(clippy::new_without_default, reason = "each takes memory for ever")]
    pub fn new() -> MessageMemory {
        MessageMemory(Box::leak(Box::default()))
    }

    /// A message under way; `None`: too many are, or its `mid` is longer than
    /// any that a request may have.
    pub fn message(&self, sender: UserId, mid: &str, body: Arc<[u8]>) -> Option<Arc<Message>> {
        self.message_tried_until(None, sender, mid, body)
    }

    /// The same for a sender who may not be told to repeat it.
    pub fn message_tried_until(
        &self,
        tried_until: Option<Moment>,
        sender: UserId,
        mid: &str,
        body: Arc<[u8]>,
    ) -> Option<Arc<Message>> {
        let mid = Mid(ArrayString::from(mid).ok()?);
        let size = body.len() + MESSAGE_BYTES;
        if self.0.load(Ordering::Relaxed) + size > MOST_BYTES_UNDER_WAY {
            return None;
        }
        self.0.fetch_add(size, Ordering::Relaxed);
        let memory = *self;
        Some(Arc::new(Message { sender, mid, body, tried_until, memory }))
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        self.memory.0.fetch_sub(self.body.len() + MESSAGE_BYTES, Ordering::Relaxed);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_under_way_are_bounded_in_memory_and_give_it_back() {
        let memory = MessageMemory::new();
        let large: Arc<[u8]> = vec![0; MOST_BYTES_UNDER_WAY / 2].into();
        let first = memory.message(UserId(1), "m1", large.clone());
        assert!(first.is_some());
        assert!(memory.message(UserId(1), "m2", large.clone()).is_none());
        drop(first);
        assert!(memory.message(UserId(1), "m2", large).is_some());
    }
}
