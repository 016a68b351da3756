//! Growing pauses of clients: between attempts to connect, after refusals.

use std::time::Duration;

/// Doubling pauses, each shortened by chance so that a thousand clients of a
/// restarted server do not come back in the same moment.
#[derive(Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    attempts: u32,
}

impl Backoff {
    /// Pauses of half to all of `first`, of twice as much … of `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Backoff {
        Backoff { first, longest, attempts: 0 }
    }

    /// The next pause; `chance` is from 0 (half of it) to 1 (all).
    pub fn next(&mut self, chance: f64) -> Duration {
        let pause = growing(self.first, self.longest, self.attempts, chance);
        self.attempts = self.attempts.saturating_add(1);
        pause
    }

    /// It has come to a good end: the next pause is a first one.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

/// The pause after so many earlier attempts: half to all of `first`, of twice as
/// much … of `longest`; `chance` is from 0 to 1.
pub fn growing(first: Duration, longest: Duration, attempts: u32, chance: f64) -> Duration {
    first.saturating_mul(1 << attempts.min(16)).min(longest).mul_f64(0.5 + chance / 2.0)
}

/// No server's hint keeps a client waiting for longer.
const LONGEST_HINT: Duration = Duration::from_secs(3_600);

/// The pause that a server has asked for by `retry_after`, and a little more,
/// so that those who were sent away together do not come back together.
/// `chance` is from 0 to 1.
pub fn as_hinted(retry_after_s: u64, chance: f64) -> Duration {
    let wait = Duration::from_secs(retry_after_s).min(LONGEST_HINT);
    wait + (wait / 4).max(Duration::from_millis(500)).mul_f64(chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_differ_by_chance() {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
        let pauses: Vec<u128> = (0..7).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(pauses, [200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(backoff.next(0.0), Duration::from_millis(2500));
        backoff.reset();
        assert_eq!(backoff.next(0.5), Duration::from_millis(150));
    }

    #[test]
    fn a_hint_is_kept_and_differs_by_chance_and_has_a_bound() {
        assert_eq!(as_hinted(1, 0.0), Duration::from_secs(1));
        assert_eq!(as_hinted(1, 1.0), Duration::from_millis(1_500));
        assert_eq!(as_hinted(60, 1.0), Duration::from_secs(75));
        assert_eq!(as_hinted(u64::MAX, 0.0), Duration::from_secs(3_600));
    }
}
