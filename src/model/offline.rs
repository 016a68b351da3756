//! Missed messages: what waits in the database for its recipient.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{UserId, store};

/// One missed message as it is read back, oldest first by `row`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfflineRow {
    /// The row's own id. Ids can commit out of order: never keep one as a
    /// cursor beyond one read.
    pub row: i64,
    /// Who sent it.
    pub sender: UserId,
    /// The sender's own id of the message, 1-64 bytes.
    pub mid: Vec<u8>,
    /// The JSON text of the push, exactly as it would have been sent.
    pub message: String,
}

/// Missed messages as one read found them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OfflinePage {
    /// Oldest first, by row id.
    pub rows: Vec<OfflineRow>,
    /// Whether the read found nothing beyond these and what had been pushed.
    pub exhausted: bool,
}

/// What a session has been sent already and that may still be in the table:
/// the next page passes it over.
///
/// A message that came from the table is known by its row, one that was pushed
/// live and stored too only by its sender and `mid`.
#[derive(Debug, Clone, Default)]
pub struct Pushed {
    rows: HashSet<i64>,
    /// By sender, so that a look needs no key made for it.
    messages: HashMap<UserId, HashSet<Arc<[u8]>>>,
    message_count: usize,
}

impl Pushed {
    /// A row of the table was sent.
    pub fn insert_row(&mut self, row: i64) {
        self.rows.insert(row);
    }

    /// A message was sent that may have a row in the table, whichever that is.
    pub fn insert_message(&mut self, sender: UserId, mid: Arc<[u8]>) {
        if self.messages.entry(sender).or_default().insert(mid) {
            self.message_count += 1;
        }
    }

    /// Whether this row of the table, which holds this message, was sent.
    pub fn contains(&self, row: i64, sender: UserId, mid: &[u8]) -> bool {
        self.rows.contains(&row) || self.messages.get(&sender).is_some_and(|of| of.contains(mid))
    }

    /// How many rows of the table can be in it at most: a message that is in
    /// it by its row and by its `mid` counts twice.
    pub fn len(&self) -> usize {
        self.rows.len() + self.message_count
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How much waits for a recipient, or may.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OfflineSize {
    /// Messages.
    pub rows: u32,
    /// Bytes of their texts.
    pub bytes: u64,
}

impl OfflineSize {
    /// As much as can be.
    pub const MAX: OfflineSize = OfflineSize { rows: u32::MAX, bytes: u64::MAX };

    /// This and that, `MAX` at most.
    #[must_use]
    pub fn plus(self, other: OfflineSize) -> OfflineSize {
        OfflineSize {
            rows: self.rows.saturating_add(other.rows),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    /// What is left of this without that, nothing at least.
    #[must_use]
    pub fn minus(self, other: OfflineSize) -> OfflineSize {
        OfflineSize {
            rows: self.rows.saturating_sub(other.rows),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }

    /// The lesser of both in each.
    #[must_use]
    pub fn min(self, other: OfflineSize) -> OfflineSize {
        OfflineSize { rows: self.rows.min(other.rows), bytes: self.bytes.min(other.bytes) }
    }

    /// Whether there is room for that in this.
    #[must_use]
    pub fn holds(self, other: OfflineSize) -> bool {
        self.rows >= other.rows && self.bytes >= other.bytes
    }
}

/// What identifies a missed message.
#[derive(Debug, Clone)]
pub struct OfflineKey {
    /// The recipient.
    pub to: UserId,
    /// Who sent it.
    pub sender: UserId,
    /// The sender's own id of it.
    pub mid: Arc<[u8]>,
}

/// So many messages that are too old go in one statement, so that no writer
/// waits long for it.
pub(super) const DROPPED_AT_ONCE: usize = 500;

/// One change to the table of missed messages. A recipient's writer applies them
/// in order, many to a transaction.
#[derive(Debug, Clone)]
pub enum OfflineOp {
    /// Keep a message; a row with the same (recipient, sender, `mid`) stands.
    Insert {
        /// The recipient.
        to: UserId,
        /// Who sent it.
        sender: UserId,
        /// The sender's own id of the message, 1-64 bytes.
        mid: Arc<[u8]>,
        /// The JSON text of the push (valid UTF-8), shared by all recipients.
        message: Arc<[u8]>,
    },
    /// Delete rows of one recipient by their row ids.
    DeleteRows {
        /// The recipient.
        to: UserId,
        /// The rows' ids; unknown ones are passed over.
        rows: Vec<i64>,
    },
    /// Delete one recipient's row by what identifies the message.
    DeleteMessage {
        /// The recipient.
        to: UserId,
        /// Who sent it.
        sender: UserId,
        /// The sender's own id of the message.
        mid: Arc<[u8]>,
    },
}

impl OfflineOp {
    /// The recipient.
    pub fn to(&self) -> UserId {
        match self {
            OfflineOp::Insert { to, .. }
            | OfflineOp::DeleteRows { to, .. }
            | OfflineOp::DeleteMessage { to, .. } => *to,
        }
    }
}

/// How many of the leading lengths fit in `max_bytes`; always the first.
pub(super) fn within(max_bytes: usize, lengths: impl Iterator<Item = usize>) -> usize {
    let mut sum = 0usize;
    lengths
        .enumerate()
        .take_while(|(index, length)| {
            sum = sum.saturating_add(*length);
            *index == 0 || sum <= max_bytes
        })
        .count()
}

/// So many of those statements in one call, for whoever else the caller has to see to.
const DROPS_PER_CALL: usize = 20;

/// Deletes by small steps, each a transaction that says how many it deleted,
/// until one finds nothing or a call has made as many as it may.
pub(super) fn drop_in_steps(mut step: impl FnMut() -> store::Result<u64>) -> store::Result<u64> {
    let mut dropped = 0;
    for _ in 0..DROPS_PER_CALL {
        let some = step()?;
        dropped += some;
        if some == 0 {
            break;
        }
    }
    Ok(dropped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_pushed_is_known_by_row_or_by_sender_and_mid() {
        let mut pushed = Pushed::default();
        assert!(pushed.is_empty() && !pushed.contains(7, UserId(1), b"a"));
        pushed.insert_row(7);
        pushed.insert_message(UserId(1), b"a".as_slice().into());
        pushed.insert_message(UserId(1), b"a".as_slice().into());
        pushed.insert_message(UserId(2), b"a".as_slice().into());

        assert!(pushed.contains(7, UserId(9), b"whatever"));
        assert!(pushed.contains(8, UserId(1), b"a") && pushed.contains(8, UserId(2), b"a"));
        assert!(!pushed.contains(8, UserId(1), b"b") && !pushed.contains(8, UserId(3), b"a"));
        assert_eq!(pushed.len(), 3, "one message twice is one");
        assert!(!pushed.is_empty());
    }

    #[test]
    fn a_page_takes_what_fits_and_always_the_first() {
        assert_eq!(within(10, [4, 6, 1].into_iter()), 2);
        assert_eq!(within(9, [4, 6, 1].into_iter()), 1, "nothing is taken from behind a gap");
        assert_eq!(within(0, [4, 6].into_iter()), 1);
        assert_eq!(within(10, [].into_iter()), 0);
        assert_eq!(within(usize::MAX, [usize::MAX, 1].into_iter()), 2);
    }
}
