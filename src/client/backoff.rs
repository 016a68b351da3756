//! Growing pauses: between attempts to connect, after refusals.

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
        let pause = self.first.saturating_mul(1 << self.attempts.min(16)).min(self.longest);
        self.attempts = self.attempts.saturating_add(1);
        pause.mul_f64(0.5 + chance / 2.0)
    }

    /// It has come to a good end: the next pause is a first one.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
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
}
