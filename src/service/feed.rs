//! What one logged-in session has been sent and not yet confirmed, and how it
//! catches up with the table of missed messages. Pure state; its reactor
//! carries out what the methods return.
//!
//! A session starts *behind*: fed from the table only, always read from the
//! lowest row, passing over what it has been sent, until a read finds nothing
//! more. Then it is *live*. A nudge (rows were committed for it) puts it behind
//! again.
//!
//! A client that confirms (`ack`) says how many messages it has handled since
//! its login; for any other a message counts as handled once the socket has
//! taken its bytes. Either way what is unconfirmed has a *mark*: the message's
//! number since the login, or the offset of its end in the outgoing stream.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Instant;

use thin_vec::ThinVec;

use super::message::MessageCopy;
use super::session::Identity;
use crate::model::{OfflineOp, Pushed, UserId};

/// So many unconfirmed pushes put a session behind, and keep it there.
pub const MOST_UNCONFIRMED: usize = 512;

/// While so many messages are confirmed and not yet deleted no more are read:
/// each read passes over them.
const MOST_DELETING: usize = 2048;

/// A session's pushes.
#[derive(Debug)]
pub struct Feed {
    /// Whose session it is.
    pub identity: Arc<Identity>,
    /// Whether the client confirms.
    acks: bool,
    phase: Phase,
    /// In the order in which they were sent; there while there are some.
    unconfirmed: Option<Box<Flight>>,
    /// How many messages were sent since the login.
    sent: u64,
    /// Where the last of them ends in the outgoing stream, until the socket has
    /// taken it.
    queued_to: Option<NonZeroU64>,
    /// Deletions with the writer, not yet committed.
    deleting: ThinVec<OfflineOp>,
    /// What was confirmed meanwhile: the next deletions. One job at a time for
    /// each session, or whoever reads a backlog takes the writer from all.
    to_delete: ThinVec<OfflineOp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Live,
    /// To be read for, as soon as the socket has taken what was sent.
    Behind,
    Reading,
    /// Behind, and everything is read but what is with the writer: a nudge
    /// says when that is committed.
    CaughtUp,
}

/// What was sent and is not confirmed.
type Flight = VecDeque<Unconfirmed>;

#[derive(Debug)]
struct Unconfirmed {
    mark: u64,
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
    /// A missed message, in a login's answer or as a push.
    Row(i64),
}

/// What a session leaves.
#[derive(Debug, Default)]
pub struct Ended {
    /// To be stored.
    pub unconfirmed: Vec<MessageCopy>,
    /// To be deleted.
    pub deletions: Vec<OfflineOp>,
}

impl Feed {
    /// The feed of a session that has just logged in, behind. `acks`: whether
    /// its client confirms.
    pub fn new(identity: Arc<Identity>, acks: bool) -> Feed {
        Feed {
            identity,
            acks,
            phase: Phase::Behind,
            unconfirmed: None,
            sent: 0,
            queued_to: None,
            deleting: ThinVec::new(),
            to_delete: ThinVec::new(),
        }
    }

    /// Missed messages were queued up to `end`.
    pub fn sent_rows(&mut self, end: u64, rows: Vec<i64>, now: Instant) {
        for row in rows {
            self.sent_row(end, row, now);
        }
    }

    /// A missed message was queued up to `end`.
    pub fn sent_row(&mut self, end: u64, row: i64, now: Instant) {
        self.push(end, Sent::Row(row), now);
    }

    /// Whether a live copy may be pushed. Otherwise it is stored: what comes
    /// later is in the table, and must not come before it.
    pub fn takes_copies(&self) -> bool {
        self.phase == Phase::Live
    }

    /// A live copy was queued up to `end`.
    pub fn sent_copy(&mut self, end: u64, copy: MessageCopy, now: Instant) {
        self.push(end, Sent::Copy(copy), now);
    }

    fn push(&mut self, end: u64, what: Sent, now: Instant) {
        self.sent += 1;
        self.queued_to = NonZeroU64::new(end);
        let mark = if self.acks { self.sent } else { end };
        self.unconfirmed.get_or_insert_with(spare).push_back(Unconfirmed {
            mark,
            sent_at: now,
            what,
        });
    }

    /// When the oldest live push that waits for its confirmation was sent.
    pub fn waiting_since(&self) -> Option<Instant> {
        let waits = |sent: &&Unconfirmed| matches!(sent.what, Sent::Copy(_));
        self.in_flight().find(waits).map(|sent| sent.sent_at)
    }

    fn in_flight(&self) -> impl Iterator<Item = &Unconfirmed> {
        self.unconfirmed.iter().flat_map(|flight| flight.iter())
    }

    /// Whether so much is unconfirmed that the session must be behind.
    pub fn is_full(&self) -> bool {
        self.unconfirmed_count() >= MOST_UNCONFIRMED
    }

    /// Whether the session has to leave the live path for that.
    pub fn is_overfull(&self) -> bool {
        self.phase == Phase::Live && self.is_full()
    }

    /// The socket has taken everything up to `offset`. Which copies are
    /// delivered; what is to be deleted tells [`Feed::take_deletions`].
    pub fn written(&mut self, offset: u64) -> Vec<MessageCopy> {
        self.queued_to.take_if(|end| end.get() <= offset);
        if self.acks { Vec::new() } else { self.confirmed_to(offset) }
    }

    /// The client says that it has handled so many messages since its login.
    /// More than were sent count as all of them; of a client that said at its
    /// login that it does not confirm this is ignored. Which copies are
    /// delivered; what is to be deleted tells [`Feed::take_deletions`].
    pub fn acknowledged(&mut self, count: u64) -> Vec<MessageCopy> {
        if self.acks { self.confirmed_to(count.min(self.sent)) } else { Vec::new() }
    }

    /// How many messages were sent and are not confirmed.
    pub fn unconfirmed_count(&self) -> usize {
        self.unconfirmed.as_ref().map_or(0, |flight| flight.len())
    }

    fn confirmed_to(&mut self, mark: u64) -> Vec<MessageCopy> {
        let is_confirmed = |sent: &Unconfirmed| sent.mark <= mark;
        let some = self.unconfirmed.take_if(|flight| flight.front().is_some_and(is_confirmed));
        let Some(mut flight) = some else { return Vec::new() };
        let mut delivered = Vec::with_capacity(flight.len());
        while flight.front().is_some_and(is_confirmed) {
            let Some(first) = flight.pop_front() else { break };
            match first.what {
                Sent::Row(row) => self.delete_row(row),
                Sent::Stored(Key { sender, mid }) => {
                    let to = self.identity.user;
                    self.to_delete.push(OfflineOp::DeleteMessage { to, sender, mid });
                }
                Sent::Copy(copy) => delivered.push(copy),
            }
        }
        if flight.is_empty() {
            // An idle session holds no memory for what it once had in flight.
            put_by(flight);
        } else {
            self.unconfirmed = Some(flight);
        }
        delivered
    }

    fn delete_row(&mut self, row: i64) {
        if let Some(OfflineOp::DeleteRows { rows, .. }) = self.to_delete.last_mut() {
            rows.push(row);
        } else {
            let to = self.identity.user;
            self.to_delete.push(OfflineOp::DeleteRows { to, rows: vec![row] });
        }
    }

    /// What is to be deleted now, in one job: nothing while an earlier one is
    /// with the writer.
    pub fn take_deletions(&mut self) -> Vec<OfflineOp> {
        if !self.deleting.is_empty() {
            return Vec::new();
        }
        self.deleting = std::mem::take(&mut self.to_delete);
        self.deleting.to_vec()
    }

    /// The deletions that were with the writer are committed.
    pub fn deleted(&mut self) {
        self.deleting = ThinVec::new();
    }

    /// The session is behind from now on, and is read for. Copies that are not
    /// in the table are returned to be stored, so that whatever happens to the
    /// connection they stand there before all that comes later.
    pub fn go_behind(&mut self) -> Vec<MessageCopy> {
        match self.phase {
            Phase::Live => {}
            Phase::CaughtUp => {
                self.phase = Phase::Behind;
                return Vec::new();
            }
            Phase::Behind | Phase::Reading => return Vec::new(),
        }
        self.phase = Phase::Behind;
        let mut to_store = Vec::new();
        for unconfirmed in self.unconfirmed.iter_mut().flat_map(|flight| flight.iter_mut()) {
            let Sent::Copy(copy) = &unconfirmed.what else { continue };
            let stored = Sent::Stored(Key::of(copy));
            if let Sent::Copy(copy) = std::mem::replace(&mut unconfirmed.what, stored) {
                to_store.push(copy);
            }
        }
        to_store
    }

    /// Whether to read a page now: if so, what it is to pass over, and
    /// [`Feed::page_read`] or [`Feed::read_failed`] comes next.
    pub fn begin_read(&mut self) -> Option<Pushed> {
        if self.phase != Phase::Behind || !self.is_taken() || self.is_full() {
            return None;
        }
        let deleting: usize = self.deleting.iter().chain(&self.to_delete).map(rows_of).sum();
        if deleting >= MOST_DELETING {
            return None;
        }
        self.phase = Phase::Reading;
        let mut pushed = Pushed::default();
        for sent in self.in_flight() {
            match &sent.what {
                Sent::Row(row) => pushed.insert_row(*row),
                Sent::Stored(key) => pushed.insert_message(key.sender, key.mid.clone()),
                Sent::Copy(_) => {}
            }
        }
        for op in self.deleting.iter().chain(&self.to_delete) {
            match op {
                OfflineOp::DeleteRows { rows, .. } => {
                    rows.iter().for_each(|row| pushed.insert_row(*row));
                }
                OfflineOp::DeleteMessage { sender, mid, .. } => {
                    pushed.insert_message(*sender, mid.clone());
                }
                OfflineOp::Insert { .. } => {}
            }
        }
        Some(pushed)
    }

    /// A page was read. The caller pushes it, tells [`Feed::sent_rows`], and if
    /// the page was the last tries to go live.
    pub fn page_read(&mut self) {
        self.phase = Phase::Behind;
    }

    /// The read failed; try again later.
    pub fn read_failed(&mut self) {
        self.phase = Phase::Behind;
    }

    /// The registry agreed: the session is live.
    pub fn went_live(&mut self) {
        self.phase = Phase::Live;
    }

    /// Everything is read but what is with the writer, which will nudge.
    pub fn caught_up(&mut self) {
        self.phase = Phase::CaughtUp;
    }

    /// Whether the socket has taken everything that was sent.
    fn is_taken(&self) -> bool {
        self.queued_to.is_none()
    }

    /// Whether a log-out may end the session: nothing that is yet to come
    /// would confirm anything.
    pub fn may_end(&self) -> bool {
        self.acks || self.unconfirmed.is_none()
    }

    /// The session has ended: copies that are not confirmed and not in the
    /// table, in order, and the deletions that are still to be made.
    pub fn end(self) -> Ended {
        let copies = self.unconfirmed.into_iter().flat_map(|flight| *flight).filter_map(|sent| {
            match sent.what {
                Sent::Copy(copy) => Some(copy),
                Sent::Stored(_) | Sent::Row(_) => None,
            }
        });
        Ended { unconfirmed: copies.collect(), deletions: self.to_delete.to_vec() }
    }
}

fn rows_of(deletion: &OfflineOp) -> usize {
    match deletion {
        OfflineOp::DeleteRows { rows, .. } => rows.len(),
        OfflineOp::DeleteMessage { .. } | OfflineOp::Insert { .. } => 1,
    }
}

thread_local! {
    /// Empty queues of sessions that have nothing in flight, for those that
    /// will have: most have something only for a moment.
    #[expect(clippy::vec_box, reason = "they go back into their feeds as they are")]
    static SPARE: RefCell<Vec<Box<Flight>>> = const { RefCell::new(Vec::new()) };
}

/// So many empty queues are kept, each no longer than this.
const MOST_SPARE: usize = 256;
const LONGEST_SPARE: usize = 64;

fn spare() -> Box<Flight> {
    SPARE.with_borrow_mut(Vec::pop).unwrap_or_default()
}

fn put_by(queue: Box<Flight>) {
    SPARE.with_borrow_mut(|spare| {
        if spare.len() < MOST_SPARE && queue.capacity() <= LONGEST_SPARE {
            spare.push(queue);
        }
    });
}

impl Key {
    fn of(copy: &MessageCopy) -> Key {
        Key { sender: copy.message.sender, mid: copy.message.mid.to_shared() }
    }
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
