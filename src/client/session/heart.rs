//! Showing life to the server, and noticing that it shows none.

use std::time::{Duration, Instant};

/// The protocol asks a client to send something at least this often.
const PING_AFTER: Duration = Duration::from_secs(30);
/// A server that answers a ping with nothing at all for so long is gone.
const PATIENCE: Duration = Duration::from_secs(15);

/// When something was last sent and heard, and since when an answer is
/// awaited.
#[derive(Debug)]
pub struct Heart {
    last_sent: Instant,
    last_heard: Instant,
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
        Heart { last_sent: now, last_heard: now, asked: None }
    }

    /// Something was sent.
    pub fn sent(&mut self, now: Instant) {
        self.last_sent = now;
    }

    /// Anything was received.
    pub fn received(&mut self, now: Instant) {
        self.last_heard = now;
        self.asked = None;
    }

    /// An answer is overdue: the server may be gone. Whether to send a ping,
    /// which then counts as sent.
    pub fn doubt(&mut self, now: Instant) -> bool {
        let first = self.asked.is_none();
        if first {
            self.last_sent = now;
            self.asked = Some(now);
        }
        first
    }

    /// Looks at the time; with [`Beat::Ping`] the ping counts as sent.
    pub fn beat(&mut self, now: Instant) -> Beat {
        if self.asked.is_some_and(|asked| now >= asked + PATIENCE) {
            return Beat::Gone;
        }
        if now < self.ping_at() {
            return Beat::Wait;
        }
        self.last_sent = now;
        self.asked.get_or_insert(now);
        Beat::Ping
    }

    /// When to look next.
    pub fn next(&self) -> Instant {
        let ping = self.ping_at();
        self.asked.map_or(ping, |asked| ping.min(asked + PATIENCE))
    }

    /// Sending is a sign of our life, not of the server's: whoever only sends
    /// has to ask, too, or would never notice that nobody listens.
    fn ping_at(&self) -> Instant {
        let quiet_since = match self.asked {
            Some(_) => self.last_sent,
            None => self.last_sent.min(self.last_heard),
        };
        quiet_since + PING_AFTER
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
        heart.received(start + PING_AFTER);
        let later = start + PING_AFTER * 2;
        assert_eq!(heart.next(), later);
        assert_eq!(heart.beat(later), Beat::Ping);
        assert_eq!(heart.next(), later + PATIENCE);
        assert_eq!(heart.beat(later + PATIENCE), Beat::Gone);
    }

    #[test]
    fn who_sends_and_hears_something_needs_no_ping() {
        let start = Instant::now();
        let mut heart = Heart::new(start);
        heart.sent(start + Duration::from_secs(20));
        heart.received(start + Duration::from_secs(21));
        assert_eq!(heart.beat(start + PING_AFTER), Beat::Wait);
    }

    #[test]
    fn who_sends_all_the_time_and_hears_nothing_notices_a_dead_server_too() {
        let start = Instant::now();
        let mut heart = Heart::new(start);
        let mut now = start;
        let mut beats = Vec::new();
        while beats.last() != Some(&Beat::Gone) {
            now += Duration::from_secs(5);
            heart.sent(now);
            beats.push(heart.beat(now));
            assert!(now < start + Duration::from_secs(60), "{beats:?}");
        }
        assert_eq!(beats.iter().filter(|beat| **beat == Beat::Ping).count(), 1);
        assert_eq!(now, start + PING_AFTER + PATIENCE);
    }

    #[test]
    fn an_overdue_answer_is_doubt_once_and_anything_heard_ends_it() {
        let start = Instant::now();
        let mut heart = Heart::new(start);
        assert!(heart.doubt(start));
        assert!(!heart.doubt(start));
        heart.received(start);
        assert_eq!(heart.beat(start + PATIENCE), Beat::Wait);
        assert!(heart.doubt(start + PATIENCE));
        assert_eq!(heart.beat(start + PATIENCE * 2), Beat::Gone);
    }
}
