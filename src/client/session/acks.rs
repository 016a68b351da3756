//! Confirming received messages, several at once.

use std::time::{Duration, Instant};

/// At the latest after so many messages, or after so long, they are confirmed.
const EVERY: u64 = 32;
const DELAY: Duration = Duration::from_millis(200);

/// How many messages were handled since the login and how many of them are
/// confirmed.
#[derive(Debug, Default)]
pub struct Acks {
    handled: u64,
    confirmed: u64,
    due: Option<Instant>,
}

impl Acks {
    /// `count` more messages were handled.
    pub fn handled(&mut self, count: usize, now: Instant) {
        self.handled += count as u64;
        if self.handled > self.confirmed {
            self.due.get_or_insert(now + DELAY);
        }
        if self.handled - self.confirmed >= EVERY {
            self.due = Some(now);
        }
    }

    /// The count to confirm if it is time.
    pub fn take_due(&mut self, now: Instant) -> Option<u64> {
        if self.due? > now {
            return None;
        }
        self.take()
    }

    /// The count to confirm, if anything is unconfirmed.
    pub fn take(&mut self) -> Option<u64> {
        self.due.take()?;
        self.confirmed = self.handled;
        Some(self.handled)
    }

    /// When [`Acks::take_due`] has something.
    pub fn next_due(&self) -> Option<Instant> {
        self.due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_confirmed_together_after_a_moment_or_after_32() {
        let start = Instant::now();
        let mut acks = Acks::default();
        acks.handled(0, start);
        assert_eq!(acks.next_due(), None);
        acks.handled(3, start);
        assert_eq!(acks.take_due(start), None);
        assert_eq!(acks.take_due(start + DELAY), Some(3));
        assert_eq!(acks.take(), None);
        acks.handled(32, start);
        assert_eq!(acks.take_due(start), Some(35));
    }
}
