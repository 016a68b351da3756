//! Missed messages: what waits in the database for its recipient.

use std::sync::Arc;

use super::UserId;

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
    /// Whether the read found nothing beyond these.
    pub exhausted: bool,
}

/// One change to the table of missed messages. The single writer applies them
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

#[cfg(test)]
mod tests {
    use super::within;

    #[test]
    fn a_page_takes_what_fits_and_always_the_first() {
        assert_eq!(within(10, [4, 6, 1].into_iter()), 2);
        assert_eq!(within(9, [4, 6, 1].into_iter()), 1, "nothing is taken from behind a gap");
        assert_eq!(within(0, [4, 6].into_iter()), 1);
        assert_eq!(within(10, [].into_iter()), 0);
        assert_eq!(within(usize::MAX, [usize::MAX, 1].into_iter()), 2);
    }
}
