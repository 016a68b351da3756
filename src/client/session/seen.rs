//! Which messages have been shown already: a message that is sent again
//! carries the same `mid`, and is shown once.

use std::collections::{HashSet, VecDeque};

/// How many are remembered; the protocol asks for at least 10,000.
const REMEMBERED: usize = 16_384;

/// The (sender, `mid`) pairs seen last.
#[derive(Debug, Default)]
pub struct Seen {
    known: HashSet<(u32, String)>,
    order: VecDeque<(u32, String)>,
}

impl Seen {
    /// Remembers a message; false if it was seen before.
    pub fn first_time(&mut self, sender: u32, mid: &str) -> bool {
        let key = (sender, mid.to_owned());
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
        assert!(seen.first_time(1, "a"));
        assert!(!seen.first_time(1, "a"));
        assert!(seen.first_time(2, "a"));
    }

    #[test]
    fn ten_thousand_are_remembered_and_memory_is_bounded() {
        let mut seen = Seen::default();
        for i in 0..40_000 {
            assert!(seen.first_time(1, &i.to_string()));
        }
        assert!(!seen.first_time(1, "30000"));
        assert_eq!(seen.order.len(), REMEMBERED);
        assert_eq!(seen.known.len(), REMEMBERED);
    }
}
