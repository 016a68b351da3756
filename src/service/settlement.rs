//! Telling a sender what became of a message: once per copy, when the
//! recipient has confirmed it, when it is committed, or when neither
//! can be.

use std::borrow::Cow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use log::warn;
use rustc_hash::FxHashMap;

use super::Service;
use super::message::{MessageCopy, Origin};
use super::posts::Posts;
use super::registry::NEVER_POISONED;
use super::session::{Answer, Post, SessionId};
use crate::bus::item::CopyOutcome;
use crate::bus::{BusError, Item};
use crate::model::{GroupId, ServerId, UserId};
use crate::protocol::reply::{self, GroupChatFields, OneChatFields};
use crate::protocol::{Errno, MsgId, Refusal};

/// What became of one copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The recipient's client has it.
    Delivered,
    /// It is committed in the database.
    Stored,
    /// The database did not take it. Nothing is promised.
    Unavailable,
    /// Too many of the sender's copies wait for the database. Nothing is
    /// promised.
    Overloaded,
    /// Too many missed messages wait for the recipient. Nothing is promised.
    RecipientFull,
    /// The recipient is not on this server: for another server that handed it
    /// over, never for a sender here.
    NotHere,
}

impl Settled {
    fn refusal(self) -> Option<Refusal> {
        match self {
            Settled::Delivered | Settled::Stored => None,
            Settled::Unavailable | Settled::NotHere => Some(Refusal::new(
                Errno::Unavailable,
                "the message could not be kept, the database is unavailable: \
                 send it again with the same mid",
            )),
            Settled::Overloaded => Some(Refusal::slow_down(
                "too many of your messages wait for the database, \
                 send this one again with the same mid",
                Duration::ZERO,
            )),
            Settled::RecipientFull => Some(Refusal::new(
                Errno::SlowDown,
                "too many missed messages wait for the recipient: \
                 send it again, with the same mid, once they have been read",
            )),
        }
    }
}

/// Counts what became of the copies of one group message.
#[derive(Debug)]
pub struct GroupTicket {
    session: SessionId,
    seq: Option<u64>,
    group: GroupId,
    remaining: AtomicU32,
    delivered: AtomicU32,
    stored: AtomicU32,
    unavailable: AtomicBool,
    overloaded: AtomicBool,
}

impl GroupTicket {
    /// A ticket for `copies` copies of a message of this session.
    pub fn new(session: SessionId, seq: Option<u64>, group: GroupId, copies: u32) -> GroupTicket {
        GroupTicket {
            session,
            seq,
            group,
            remaining: AtomicU32::new(copies),
            delivered: AtomicU32::new(0),
            stored: AtomicU32::new(0),
            unavailable: AtomicBool::new(false),
            overloaded: AtomicBool::new(false),
        }
    }

    /// Counts one copy. The 110's text, when it was the last.
    fn count(&self, mid: &str, settled: Settled) -> Option<Vec<u8>> {
        match settled {
            Settled::Delivered => {
                self.delivered.fetch_add(1, Ordering::Relaxed);
            }
            Settled::Stored => {
                self.stored.fetch_add(1, Ordering::Relaxed);
            }
            Settled::Unavailable | Settled::NotHere => {
                self.unavailable.store(true, Ordering::Relaxed);
            }
            // The others have it, and a repeat would be no use to this one:
            // the counts tell.
            Settled::RecipientFull => {}
            Settled::Overloaded => self.overloaded.store(true, Ordering::Relaxed),
        }
        // AcqRel: the last one sees what all the others counted.
        let last = self.remaining.fetch_sub(1, Ordering::AcqRel) == 1;
        last.then(|| self.reply(mid))
    }

    /// The 110's text.
    pub fn reply(&self, mid: &str) -> Vec<u8> {
        let failed = if self.unavailable.load(Ordering::Relaxed) {
            Settled::Unavailable.refusal()
        } else if self.overloaded.load(Ordering::Relaxed) {
            Settled::Overloaded.refusal()
        } else {
            None
        };
        let mut fields =
            GroupChatFields { mid, groupid: self.group, delivered: None, stored: None };
        if let Some(refusal) = failed {
            return reply::refused_with(MsgId::GroupChat, self.seq, &refusal, fields);
        }
        fields.delivered = Some(self.delivered.load(Ordering::Relaxed));
        fields.stored = Some(self.stored.load(Ordering::Relaxed));
        reply::done(MsgId::GroupChat, self.seq, fields)
    }
}

/// Outcomes for other servers, gathered until the end of a turn.
#[derive(Default)]
pub(super) struct Outcomes(Mutex<Gathered>);

#[derive(Default)]
struct Gathered {
    /// The copies by who waits for them and what became of them: the number of
    /// the handover, and the recipient.
    copies: FxHashMap<(ServerId, CopyOutcome), Vec<(u64, UserId)>>,
    /// How many these are.
    count: usize,
}

/// Beyond the outcomes of so many copies that cannot be sent, the deadlines of
/// the servers that wait for them tell what this one cannot.
const MOST_OUTCOMES: usize = 65_536;

impl Outcomes {
    fn add(&self, server: &ServerId, handover: u64, outcome: CopyOutcome, user: UserId) {
        let mut outcomes = self.0.lock().expect(NEVER_POISONED);
        outcomes.count += 1;
        outcomes.copies.entry((server.clone(), outcome)).or_default().push((handover, user));
    }

    /// Keeps what could not be sent. How many were too many.
    fn put_back(
        &self,
        server: ServerId,
        outcome: CopyOutcome,
        mut copies: Vec<(u64, UserId)>,
    ) -> usize {
        let mut outcomes = self.0.lock().expect(NEVER_POISONED);
        let room = MOST_OUTCOMES.saturating_sub(outcomes.count);
        let dropped = copies.len().saturating_sub(room);
        copies.truncate(room);
        outcomes.count += copies.len();
        outcomes.copies.entry((server, outcome)).or_default().append(&mut copies);
        dropped
    }

    fn take(&self) -> Gathered {
        std::mem::take(&mut *self.0.lock().expect(NEVER_POISONED))
    }
}

impl Service {
    /// Sends the outcomes gathered since the last time: at the end of a
    /// reactor's turn, of a batch of the writer, and of what the bus brought.
    pub fn flush_outcomes(&self) {
        for ((server, outcome), copies) in self.outcomes.take().copies {
            let item = Item::Outcomes { outcome, copies: Cow::Borrowed(&copies) };
            match self.bus.send(&server, item) {
                Ok(()) => {}
                // Goes with the next ones, in time for the other server's
                // deadline if Redis was away for a moment only.
                Err(BusError::Full | BusError::Down) => {
                    let dropped = self.outcomes.put_back(server.clone(), outcome, copies);
                    if dropped > 0 {
                        warn!(
                            target: "bus",
                            "server={server} too many outcomes wait, dropped: {dropped}"
                        );
                    }
                }
            }
        }
    }

    /// Gives another server all its copies of a handover back.
    pub(super) fn bounce(&self, server: &ServerId, handover: u64, users: &[UserId]) {
        for user in users {
            self.outcomes.add(server, handover, CopyOutcome::NotHere, *user);
        }
    }

    /// Tells whoever waits for it what became of a copy.
    pub fn settle(&self, copy: MessageCopy, settled: Settled) {
        if let Some((session, answer)) = self.settlement(copy, settled) {
            self.tell(session, Post::Settled { session, answer });
        }
    }

    /// The same for many: a reactor is woken once for all that it is told.
    pub(super) fn settle_all(
        &self,
        copies: impl IntoIterator<Item = MessageCopy>,
        settled: Settled,
    ) {
        let mut posts = Posts::default();
        for copy in copies {
            self.gather_settlement(copy, settled, &mut posts);
        }
        self.post_all(posts);
    }

    /// The same for one of many: what its sender is told is added to `posts`.
    pub(super) fn gather_settlement(&self, copy: MessageCopy, settled: Settled, posts: &mut Posts) {
        if let Some((session, answer)) = self.settlement(copy, settled) {
            posts.add(session, Post::Settled { session, answer });
        }
    }

    /// Counts a copy as settled; what its sender is told now, if it is here and
    /// was waiting for no other copy.
    fn settlement(&self, copy: MessageCopy, settled: Settled) -> Option<(SessionId, Answer)> {
        match &copy.message.origin {
            Origin::One { session, seq } => Some((*session, one_chat_answer(*seq, copy, settled))),
            Origin::Group(ticket) => {
                let reply = ticket.count(copy.message.mid.text(), settled)?;
                Some((ticket.session, Answer::Text(reply)))
            }
            Origin::Server { server, handover } => {
                let outcome = match settled {
                    Settled::Delivered => CopyOutcome::Delivered,
                    Settled::Stored => CopyOutcome::Stored,
                    Settled::Unavailable
                    | Settled::Overloaded
                    | Settled::RecipientFull
                    | Settled::NotHere => CopyOutcome::NotHere,
                };
                self.outcomes.add(server, *handover, outcome, copy.to);
                None
            }
            Origin::Nobody => None,
        }
    }
}

fn one_chat_answer(seq: Option<u64>, copy: MessageCopy, settled: Settled) -> Answer {
    match settled.refusal() {
        None => Answer::Done { seq, copy, is_stored: settled == Settled::Stored },
        Some(refusal) => {
            let fields = OneChatFields { mid: copy.message.mid.text(), to: copy.to, status: None };
            Answer::Text(reply::refused_with(MsgId::OneChat, seq, &refusal, fields))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serial::Serial;

    fn ticket(copies: u32) -> GroupTicket {
        let session = SessionId { reactor: 0, serial: Serial::MIN };
        GroupTicket::new(session, Some(9), GroupId(4), copies)
    }

    #[test]
    fn a_group_message_is_answered_when_its_last_copy_is_settled() {
        let ticket = ticket(3);
        assert_eq!(ticket.count("m", Settled::Delivered), None);
        assert_eq!(ticket.count("m", Settled::Stored), None);
        let reply = ticket.count("m", Settled::Delivered).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&reply).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"msgid":110,"seq":9,"errno":0,"mid":"m","groupid":4,"delivered":2,"stored":1})
        );
    }

    #[test]
    fn a_group_message_with_a_copy_that_could_not_be_kept_promises_nothing() {
        let ticket = ticket(2);
        assert_eq!(ticket.count("m", Settled::Unavailable), None);
        let reply = ticket.count("m", Settled::Delivered).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&reply).unwrap();
        assert_eq!(json["errno"], 13);
        assert_eq!(json.get("delivered"), None);
    }

    #[test]
    fn a_member_for_whom_too_much_waits_is_in_neither_count() {
        let ticket = ticket(2);
        assert_eq!(ticket.count("m", Settled::RecipientFull), None);
        let reply = ticket.count("m", Settled::Stored).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&reply).unwrap();
        assert_eq!(
            (&json["errno"], &json["delivered"], &json["stored"]),
            (&0.into(), &0.into(), &1.into())
        );
    }
}
