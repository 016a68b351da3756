//! The pauses between attempts to connect.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(5);

/// Doubling pauses, each shortened by chance so that a thousand clients of a
/// restarted server do not come back in the same moment.
#[derive(Debug, Default)]
pub struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// The next pause: half to all of 0.2 s, 0.4 s … 5 s.
    pub fn next(&mut self) -> Duration {
        let chance = getrandom::u32().unwrap_or(u32::MAX);
        self.next_by_chance(f64::from(chance) / f64::from(u32::MAX))
    }

    /// A connection has proved itself.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }

    fn next_by_chance(&mut self, chance: f64) -> Duration {
        let pause = FIRST.saturating_mul(1 << self.attempts.min(10)).min(LONGEST);
        self.attempts += 1;
        pause.mul_f64(0.5 + chance / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_five_seconds_and_differ_by_chance() {
        let mut backoff = Backoff::default();
        let pauses: Vec<u128> = (0..7).map(|_| backoff.next_by_chance(1.0).as_millis()).collect();
        assert_eq!(pauses, [200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(backoff.next_by_chance(0.0), Duration::from_millis(2500));
        backoff.reset();
        assert!((100..=200).contains(&backoff.next().as_millis()));
    }
}
