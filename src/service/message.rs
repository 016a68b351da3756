//! A message and its copies.

use std::cell::RefCell;
use std::ops::Deref;
use std::ptr;
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

    /// Makes it this one, which is no longer than any may be.
    fn set(&mut self, text: &str) {
        self.0.clear();
        self.0.push_str(text);
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
    /// Who waits to hear what became of its copies.
    pub origin: Origin,
    /// Who sent it.
    pub sender: UserId,
    /// The sender's own id of it.
    pub mid: Mid,
    /// The JSON text of the push.
    pub body: Body,
    /// Until when the server itself tries to have it kept: its sender's client
    /// cannot be told to repeat it.
    pub tried_until: Option<Moment>,
    /// Given back with the message's last copy.
    memory: MessageMemory,
}

/// So long a text is copied for each recipient and not shared.
const SHORT_BYTES: usize = 1024;

/// The JSON text of a push.
#[derive(Debug)]
pub enum Body {
    /// At most [`SHORT_BYTES`], in memory that the next message may use.
    Short(Vec<u8>),
    /// More, to be shared by many buffers.
    Long(Arc<[u8]>),
}

impl Body {
    fn new(text: &[u8]) -> Body {
        match text.len() {
            0..=SHORT_BYTES => Body::Short(text.to_vec()),
            _ => Body::Long(text.into()),
        }
    }

    fn set(&mut self, text: &[u8]) {
        match self {
            // Little more memory than is counted for the text.
            Body::Short(kept)
                if text.len() <= SHORT_BYTES && kept.capacity() <= 2 * text.len().max(128) =>
            {
                kept.clear();
                kept.reserve_exact(text.len());
                kept.extend_from_slice(text);
            }
            Body::Short(_) | Body::Long(_) => *self = Body::new(text),
        }
    }

    /// For a row of the database.
    pub fn to_shared(&self) -> Arc<[u8]> {
        match self {
            Body::Short(text) => text.as_slice().into(),
            Body::Long(text) => text.clone(),
        }
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Body::Short(text) => text,
            Body::Long(text) => text,
        }
    }
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
    pub fn message(
        &self,
        origin: Origin,
        sender: UserId,
        mid: &str,
        body: &[u8],
    ) -> Option<Arc<Message>> {
        self.message_tried_until(None, origin, sender, mid, body)
    }

    /// The same for a sender who may not be told to repeat it.
    pub fn message_tried_until(
        &self,
        tried_until: Option<Moment>,
        origin: Origin,
        sender: UserId,
        mid: &str,
        body: &[u8],
    ) -> Option<Arc<Message>> {
        if mid.len() > MAX_MID_BYTES {
            return None;
        }
        let size = body.len() + MESSAGE_BYTES;
        if self.0.load(Ordering::Relaxed) + size > MOST_BYTES_UNDER_WAY {
            return None;
        }
        let memory = *self;
        if let Some(mut spare) = SPARE.with_borrow_mut(Vec::pop)
            && let Some(place) = Arc::get_mut(&mut spare)
        {
            place.recount(memory, body.len());
            (place.origin, place.sender) = (origin, sender);
            place.tried_until = tried_until;
            place.mid.set(mid);
            place.body.set(body);
            return Some(spare);
        }
        let mid = Mid(ArrayString::from(mid).ok()?);
        self.0.fetch_add(size, Ordering::Relaxed);
        let body = Body::new(body);
        Some(Arc::new(Message { origin, sender, mid, body, tried_until, memory }))
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        self.give_back();
    }
}

thread_local! {
    /// Messages that nobody has any more, for those to come: a reactor settles
    /// as many as it makes, and asking the allocator each time is a twelfth of
    /// what a message costs. What they hold stays counted.
    static SPARE: RefCell<Vec<Arc<Message>>> = const { RefCell::new(Vec::new()) };
}

/// So many are kept on each thread, in 1.2 MB at most: fifty who have sent
/// sixteen each are settled in one turn.
const MOST_SPARE: usize = 1024;

impl Message {
    fn give_back(&self) {
        self.memory.0.fetch_sub(self.body.len() + MESSAGE_BYTES, Ordering::Relaxed);
    }

    /// Counts it with a body of so many bytes from now on: mostly as many as
    /// before, and nobody else's processor has to be told.
    fn recount(&mut self, memory: MessageMemory, bytes: usize) {
        if self.body.len() != bytes || !ptr::eq(self.memory.0, memory.0) {
            memory.0.fetch_add(bytes + MESSAGE_BYTES, Ordering::Relaxed);
            self.give_back();
            self.memory = memory;
        }
    }

    /// A message is settled: where nobody else has it, its memory is kept.
    pub fn put_by(self: Arc<Message>) {
        if matches!(self.body, Body::Short(_)) && Arc::strong_count(&self) == 1 {
            SPARE.with_borrow_mut(|spare| {
                if spare.len() < MOST_SPARE {
                    spare.push(self);
                }
            });
        }
    }
}

/// One recipient's copy of a message, on its way. It is handed on some ten times
/// between sender and recipient, so it is small.
#[derive(Debug)]
pub struct MessageCopy {
    /// The recipient.
    pub to: UserId,
    /// What is sent.
    pub message: Arc<Message>,
}

/// Who waits to hear what became of the copies of a message.
#[derive(Debug)]
pub enum Origin {
    /// The sender's session, for the 106.
    One {
        /// The session.
        session: SessionId,
        /// The request's `seq`.
        seq: Option<u64>,
    },
    /// A group message's count, for the 110.
    Group(Box<GroupTicket>),
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
        let large = vec![0; MOST_BYTES_UNDER_WAY / 2];
        let first = memory.message(Origin::Nobody, UserId(1), "m1", &large);
        assert!(first.is_some());
        assert!(memory.message(Origin::Nobody, UserId(1), "m2", &large).is_none());
        drop(first);
        assert!(memory.message(Origin::Nobody, UserId(1), "m2", &large).is_some());
    }

    #[test]
    fn the_memory_of_a_settled_message_is_used_again_if_nobody_else_has_it() {
        let memory = MessageMemory::new();
        let message = |mid| memory.message(Origin::Nobody, UserId(1), mid, b"{}").unwrap();
        let (settled, shared) = (message("m1"), message("m2"));
        let (place, other) = (Arc::as_ptr(&settled), shared.clone());
        settled.put_by();
        shared.put_by();
        let (next, after) = (message("m3"), message("m4"));
        assert_eq!((Arc::as_ptr(&next), next.mid.text()), (place, "m3"));
        assert!(!Arc::ptr_eq(&after, &other));
        assert_eq!(other.mid.text(), "m2");
        drop((next, after, other));
        assert_eq!(memory.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_body_is_its_text_however_long_it_is() {
        for length in [0, 1, SHORT_BYTES, SHORT_BYTES + 1] {
            let text = vec![b'x'; length];
            let body = Body::new(&text);
            assert_eq!((&*body, &*body.to_shared()), (&*text, &*text));
            assert_eq!(matches!(body, Body::Short(_)), length <= SHORT_BYTES);
        }
    }
}
