//! What one logged-in session has been sent and not yet confirmed, and how it
//! catches up with the table of missed messages. Pure state; its reactor
//! carries out what the methods return.
//!
//! A session starts *behind*: fed from the table only, always read from the
//! lowest row, until a read finds nothing more. Then it is *live*. A nudge
//! (rows were committed for it) puts it behind again.
//!
//! For a client that does not confirm, a message is delivered once the socket
//! has taken its bytes; `end` is the offset in the connection's outgoing
//! stream that says so.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::message::MessageCopy;
use super::session::Identity;
use crate::model::{OfflineOp, OfflinePage, OfflineRow, UserId};

/// So many unconfirmed pushes put a session behind.
pub const MOST_UNCONFIRMED: usize = 512;

/// A session's pushes.
#[derive(Debug)]
pub struct Feed {
    /// Whose session it is.
    pub identity: Identity,
    phase: Phase,
    unconfirmed: VecDeque<Unconfirmed>,
    /// Deletions with the writer, not yet committed.
    deletions: u32,
    /// Live pushes since the last read began that are in the table too: the
    /// page of that read must not bring them again.
    stored_meanwhile: Vec<Key>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Live,
    /// The next read waits until everything sent is confirmed and deleted, so
    /// that it finds only what has not been sent.
    Behind,
    Reading,
}

#[derive(Debug)]
struct Unconfirmed {
    end: u64,
    sent_at: Instant,
    what: Sent,
}

/// What identifies a message to its recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    sender: UserId,
    mid: Arc<[u8]>,
}

#[derive(Debug)]
enum Sent {
    /// A live push.
    Copy(MessageCopy),
    /// A live push that is in the table (or with the writer) too.
    Stored(Key),
    /// Missed messages, in a login's answer or as pushes.
    Rows(Vec<i64>),
}

/// What a confirmation leads to.
#[derive(Debug, Default)]
pub struct Confirmed {
    /// Copies to settle as delivered.
    pub delivered: Vec<MessageCopy>,
    /// Deletions to give to the writer, in one job.
    pub deletions: Vec<OfflineOp>,
}

impl Feed {
    /// The feed of a session that has just logged in, behind.
    pub fn new(identity: Identity) -> Feed {
        Feed {
            identity,
            phase: Phase::Behind,
            unconfirmed: VecDeque::new(),
            deletions: 0,
            stored_meanwhile: Vec::new(),
        }
    }

    /// Missed messages were queued up to `end`.
    pub fn sent_rows(&mut self, end: u64, rows: Vec<i64>, now: Instant) {
        if !rows.is_empty() {
            let what = Sent::Rows(rows);
            self.unconfirmed.push_back(Unconfirmed { end, sent_at: now, what });
        }
    }

    /// A live push was queued up to `end`. Where the session has gone behind
    /// since it was sent this way, it is to be stored too (the copy returned):
    /// what comes later is in the table, and must not come before it.
    pub fn sent_copy(&mut self, end: u64, copy: MessageCopy, now: Instant) -> Option<MessageCopy> {
        let (what, to_store) = if self.phase == Phase::Live {
            (Sent::Copy(copy), None)
        } else {
            let key = Key::of(&copy);
            self.stored_meanwhile.push(key.clone());
            (Sent::Stored(key), Some(copy))
        };
        self.unconfirmed.push_back(Unconfirmed { end, sent_at: now, what });
        to_store
    }

    /// When the oldest live push that waits for its confirmation was sent.
    pub fn waiting_since(&self) -> Option<Instant> {
        let waits = |sent: &&Unconfirmed| matches!(sent.what, Sent::Copy(_));
        self.unconfirmed.iter().find(waits).map(|sent| sent.sent_at)
    }

    /// Whether a live session has so much unconfirmed that it must go behind.
    pub fn is_overfull(&self) -> bool {
        self.phase == Phase::Live && self.unconfirmed.len() >= MOST_UNCONFIRMED
    }

    /// The socket has taken everything up to `offset`.
    pub fn written(&mut self, offset: u64) -> Confirmed {
        let mut confirmed = Confirmed::default();
        while self.unconfirmed.front().is_some_and(|first| first.end <= offset) {
            let Some(first) = self.unconfirmed.pop_front() else { break };
            match first.what {
                Sent::Rows(rows) => {
                    confirmed.deletions.push(OfflineOp::DeleteRows { to: self.identity.user, rows })
                }
                Sent::Stored(Key { sender, mid }) => {
                    let to = self.identity.user;
                    confirmed.deletions.push(OfflineOp::DeleteMessage { to, sender, mid });
                }
                Sent::Copy(copy) => confirmed.delivered.push(copy),
            }
        }
        if self.unconfirmed.is_empty() {
            // An idle session holds no memory for what it once had in flight.
            self.unconfirmed = VecDeque::new();
        }
        if !confirmed.deletions.is_empty() {
            self.deletions += 1;
        }
        confirmed
    }

    /// A deletion was committed.
    pub fn deleted(&mut self) {
        self.deletions = self.deletions.saturating_sub(1);
    }

    /// The session is behind from now on. Copies that are not in the table
    /// are returned to be stored, so that whatever happens to the connection
    /// they stand there before all that comes later.
    pub fn go_behind(&mut self) -> Vec<MessageCopy> {
        if self.phase != Phase::Live {
            return Vec::new();
        }
        self.phase = Phase::Behind;
        let mut to_store = Vec::new();
        for unconfirmed in &mut self.unconfirmed {
            let Sent::Copy(copy) = &unconfirmed.what else { continue };
            let stored = Sent::Stored(Key::of(copy));
            if let Sent::Copy(copy) = std::mem::replace(&mut unconfirmed.what, stored) {
                to_store.push(copy);
            }
        }
        to_store
    }

    /// Whether to read a page now; if so, [`Feed::page`] or
    /// [`Feed::read_failed`] comes next.
    pub fn begin_read(&mut self) -> bool {
        let ready = self.phase == Phase::Behind && self.is_drained();
        if ready {
            self.phase = Phase::Reading;
            self.stored_meanwhile = Vec::new();
        }
        ready
    }

    /// A page was read: what of it is to be pushed. The caller then tells
    /// [`Feed::sent_rows`], and if the page was the last tries to go live.
    pub fn page(&mut self, mut page: OfflinePage) -> OfflinePage {
        self.phase = Phase::Behind;
        let pushed = |row: &OfflineRow| {
            self.stored_meanwhile.iter().any(|key| key.sender == row.sender && *key.mid == *row.mid)
        };
        page.rows.retain(|row| !pushed(row));
        page
    }

    /// The read failed; try again later.
    pub fn read_failed(&mut self) {
        self.phase = Phase::Behind;
    }

    /// The registry agreed: the session is live.
    pub fn went_live(&mut self) {
        self.phase = Phase::Live;
    }

    fn is_drained(&self) -> bool {
        self.is_confirmed() && self.deletions == 0
    }

    /// Whether everything that was sent is confirmed.
    pub fn is_confirmed(&self) -> bool {
        self.unconfirmed.is_empty()
    }

    /// The session has ended: copies that the socket has not taken and that
    /// are not in the table, in order.
    pub fn into_unconfirmed(self) -> Vec<MessageCopy> {
        let copies =
            self.unconfirmed.into_iter().filter_map(|unconfirmed| match unconfirmed.what {
                Sent::Copy(copy) => Some(copy),
                Sent::Stored(_) | Sent::Rows(_) => None,
            });
        copies.collect()
    }
}

impl Key {
    fn of(copy: &MessageCopy) -> Key {
        Key { sender: copy.message.sender, mid: copy.message.mid.clone() }
    }
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
