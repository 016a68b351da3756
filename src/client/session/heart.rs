//! Showing life to the server, and noticing that it shows none.

use std::time::{Duration, Instant};

/// The protocol asks a client to send something at least this often.
const PING_AFTER: Duration = Duration::from_secs(30);
/// A server that answers a ping with nothing at all for so long is gone.
const PATIENCE: Duration = Duration::from_secs(15);

/// When something was last sent, and since when an answer is awaited.
#[derive(Debug)]
pub struct Heart {
    last_sent: Instant,
    asked: Option<Instant>,
}

/// What the time demands.
#[derive(Debug, PartialEq, Eq)]
pub enum Beat {
    /// Nothing yet.
    Wait,
    /// Send a ping.
    Ping,
    /// The server is gone.
    Gone,
}

impl Heart {
    /// A connection that begins now.
    pub fn new(now: Instant) -> Heart {
        Heart { last_sent: now, asked: None }
    }

    /// Something was sent.
    pub fn sent(&mut self, now: Instant) {
        self.last_sent = now;
    }

    /// Anything was received.
    pub fn received(&mut self) {
        self.asked = None;
    }

    /// Looks at the time; with [`Beat::Ping`] the ping counts as sent.
    pub fn beat(&mut self, now: Instant) -> Beat {
        if self.asked.is_some_and(|asked| now >= asked + PATIENCE) {
            return Beat::Gone;
        }
        if now < self.last_sent + PING_AFTER {
            return Beat::Wait;
        }
        self.last_sent = now;
        self.asked.get_or_insert(now);
        Beat::Ping
    }

    /// When to look next.
    pub fn next(&self) -> Instant {
        let ping = self.last_sent + PING_AFTER;
        self.asked.map_or(ping, |asked| ping.min(asked + PATIENCE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_broken_by_a_ping_and_a_dead_server_is_noticed() {
        let start = Instant::now();
        let mut heart = Heart::new(start);
        assert_eq!(heart.beat(start + Duration::from_secs(29)), Beat::Wait);
        assert_eq!(heart.beat(start + PING_AFTER), Beat::Ping);
        assert_eq!(heart.beat(start + PING_AFTER), Beat::Wait);
        heart.received();
        let later = start + PING_AFTER * 2;
        assert_eq!(heart.next(), later);
        assert_eq!(heart.beat(later), Beat::Ping);
        assert_eq!(heart.next(), later + PATIENCE);
        assert_eq!(heart.beat(later + PATIENCE), Beat::Gone);
    }

    #[test]
    fn who_sends_something_needs_no_ping() {
        let start = Instant::now();
        let mut heart = Heart::new(start);
        heart.sent(start + Duration::from_secs(20));
        assert_eq!(heart.beat(start + PING_AFTER), Beat::Wait);
    }
}
