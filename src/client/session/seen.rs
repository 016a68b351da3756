//! Which messages have been shown already: a message that is sent again
//! carries the same `mid`, and is shown once.

use std::collections::{HashSet, VecDeque};

/// How many are remembered; the protocol asks for at least 10,000.
pub const REMEMBERED: usize = 16_384;

/// What names a message for ever: its sender, and the sender's own id of it.
pub type MessageKey = (u32, String);

/// The messages seen last.
#[derive(Debug, Default)]
pub struct Seen {
    known: HashSet<MessageKey>,
    order: VecDeque<MessageKey>,
}

impl Seen {
    /// Remembers a message; false if it was seen before.
    pub fn first_time(&mut self, key: MessageKey) -> bool {
        if !self.known.insert(key.clone()) {
            return false;
        }
        self.order.push_back(key);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }

    /// Forgets everything: another user logged in.
    pub fn clear(&mut self) {
        self.known.clear();
        self.order.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_new_once_per_sender() {
        let mut seen = Seen::default();
        assert!(seen.first_time((1, "a".into())));
        assert!(!seen.first_time((1, "a".into())));
        assert!(seen.first_time((2, "a".into())));
    }

    #[test]
    fn ten_thousand_are_remembered_and_memory_is_bounded() {
        let mut seen = Seen::default();
        for i in 0..40_000 {
            assert!(seen.first_time((1, i.to_string())));
        }
        assert!(!seen.first_time((1, "30000".into())));
        assert_eq!(seen.order.len(), REMEMBERED);
        assert_eq!(seen.known.len(), REMEMBERED);
    }
}
