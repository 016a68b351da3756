//! How often something may happen: the generic cell rate algorithm (ITU-T
//! I.371), which is a leaky bucket kept as one point in time.
//!
//! Our own because it is a few lines; a crate for it brings dozens of others
//! ([ADR 17](../../docs/adr/0017-limits.md)).

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use crate::moment::Moment;

/// How many at once, and how soon one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    burst: u32,
    interval: Duration,
}

impl Rate {
    /// At most `burst` at once; one of them comes back after each `interval`.
    /// `None` for a burst of 0, which is no limit.
    #[must_use]
    pub fn new(burst: u32, interval: Duration) -> Option<Rate> {
        (burst > 0).then_some(Rate { burst, interval })
    }

    /// How many at once.
    #[must_use]
    pub fn burst(&self) -> u32 {
        self.burst
    }

    fn tolerance(&self) -> Duration {
        self.interval.saturating_mul(self.burst - 1)
    }
}

/// What has happened, as far as a [`Rate`] needs to know.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bucket {
    /// When everything that was taken has come back.
    full_at: Option<Moment>,
}

impl Bucket {
    fn full_at(&self) -> Option<Instant> {
        self.full_at.map(Instant::from)
    }

    /// Takes one.
    ///
    /// # Errors
    /// None is left; how long until one is.
    pub fn take(&mut self, rate: &Rate, now: Instant) -> Result<(), Duration> {
        self.look(rate, now)?;
        self.charge(rate, now);
        Ok(())
    }

    /// Whether one is left.
    ///
    /// # Errors
    /// None is left; how long until one is.
    pub fn look(&self, rate: &Rate, now: Instant) -> Result<(), Duration> {
        let owed = self.full_at().map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        match owed.checked_sub(rate.tolerance()) {
            None | Some(Duration::ZERO) => Ok(()),
            Some(wait) => Err(wait),
        }
    }

    /// Takes one, whether one is left or not. Where none is it is not owed:
    /// nobody waits longer than until the next one comes back.
    pub fn charge(&mut self, rate: &Rate, now: Instant) {
        self.owe(rate, now);
        let emptiest = now + rate.tolerance() + rate.interval;
        self.full_at = self.full_at.map(|at| at.min(emptiest.into()));
    }

    /// Takes one, and where none is left it is owed: who bounds how often
    /// bounds how long there are none.
    pub fn owe(&mut self, rate: &Rate, now: Instant) {
        let base = self.full_at().map_or(now, |at| at.max(now));
        self.full_at = Some((base + rate.interval).into());
    }

    /// How many have been taken and not come back; one that is on its way
    /// counts.
    #[must_use]
    pub fn taken(&self, rate: &Rate, now: Instant) -> u32 {
        let owed = self.full_at().map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        let interval = rate.interval.as_nanos().max(1);
        u32::try_from(owed.as_nanos().div_ceil(interval)).unwrap_or(u32::MAX)
    }

    /// Gives back one that was taken.
    pub fn give_back(&mut self, rate: &Rate) {
        let full_at = self.full_at().and_then(|at| at.checked_sub(rate.interval));
        self.full_at = full_at.map(Moment::from);
    }

    /// Whether everything has come back.
    #[must_use]
    pub fn is_full(&self, now: Instant) -> bool {
        self.full_at.is_none_or(|at| at <= now.into())
    }
}

/// One value for each key, as many as matter and never more than `most`.
pub struct Table<K, V> {
    entries: HashMap<K, V>,
    most: usize,
    sweep_at: usize,
    /// How often all entries were looked at.
    #[cfg(test)]
    sweeps: usize,
}

/// Fewer entries are not worth a sweep.
const SMALLEST_SWEEP: usize = 256;
/// Of so many entries the one that matters least gives way when all do.
const SAMPLE: usize = 16;

/// A value that after a while is as good as none.
pub trait Fading: Default {
    /// When it no longer matters; `None`: it does not now.
    fn fades_at(&self) -> Option<Instant>;
}

impl Fading for Bucket {
    fn fades_at(&self) -> Option<Instant> {
        self.full_at()
    }
}

impl<K: Hash + Eq + Clone, V: Fading> Table<K, V> {
    /// A table that never holds more than `most` values.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            entries: HashMap::new(),
            most,
            sweep_at: SMALLEST_SWEEP,
            #[cfg(test)]
            sweeps: 0,
        }
    }

    /// The value of a key, if it has one.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)
    }

    /// The value of a key, made if need be. Where there are too many, one of
    /// those that fade soonest gives way.
    pub fn entry(&mut self, key: K, now: Instant) -> &mut V {
        if !self.entries.contains_key(&key) {
            self.make_room(now);
        }
        self.entries.entry(key).or_default()
    }

    /// A sweep looks at all entries, and so is rare: a table that stays full
    /// must not cost one for every stranger.
    fn make_room(&mut self, now: Instant) {
        if self.entries.len() >= self.sweep_at {
            self.entries.retain(|_, value| value.fades_at().is_some_and(|at| at > now));
            self.sweep_at = (self.entries.len() * 2).max(SMALLEST_SWEEP);
            #[cfg(test)]
            {
                self.sweeps += 1;
            }
        }
        if self.entries.len() >= self.most {
            let sample = self.entries.iter().take(SAMPLE);
            let least = sample.min_by_key(|(_, value)| value.fades_at());
            if let Some(key) = least.map(|(key, _)| key.clone()) {
                self.entries.remove(&key);
            }
        }
    }

    /// Forgets a key.
    pub fn remove(&mut self, key: &K) {
        self.entries.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_is_charged_beyond_the_last_one_is_not_owed() {
        let rate = Rate::new(5, SECOND).unwrap();
        let (mut bucket, now) = (Bucket::default(), Instant::now());
        for _ in 0..10_000 {
            bucket.charge(&rate, now);
        }
        assert_eq!(bucket.look(&rate, now), Err(SECOND));
        assert_eq!(bucket.look(&rate, now + SECOND), Ok(()));
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let rate = Rate::new(3, SECOND).unwrap();
        let (mut bucket, start) = (Bucket::default(), Instant::now());
        for _ in 0..3 {
            assert_eq!(bucket.take(&rate, start), Ok(()));
        }
        assert_eq!(bucket.take(&rate, start), Err(SECOND));
        assert_eq!(bucket.take(&rate, start + SECOND), Ok(()));
        assert_eq!(bucket.take(&rate, start + SECOND), Err(SECOND));
        assert!(bucket.is_full(start + 4 * SECOND));
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let rate = Rate::new(1, SECOND).unwrap();
        let (mut bucket, now) = (Bucket::default(), Instant::now());
        assert_eq!(bucket.take(&rate, now), Ok(()));
        bucket.give_back(&rate);
        assert_eq!(bucket.take(&rate, now), Ok(()));
    }

    #[test]
    fn it_is_known_how_many_are_taken() {
        let rate = Rate::new(5, SECOND).unwrap();
        let (mut bucket, now) = (Bucket::default(), Instant::now());
        assert_eq!(bucket.taken(&rate, now), 0);
        for _ in 0..3 {
            bucket.charge(&rate, now);
        }
        assert_eq!(bucket.taken(&rate, now), 3);
        assert_eq!(bucket.taken(&rate, now + SECOND * 3 / 2), 2, "half of one is one");
        assert_eq!(bucket.taken(&rate, now + 4 * SECOND), 0);
    }

    #[test]
    fn a_burst_of_nothing_is_no_limit() {
        assert_eq!(Rate::new(0, SECOND), None);
    }

    #[test]
    fn a_table_forgets_what_has_faded_and_never_grows_beyond_its_bound() {
        let rate = Rate::new(2, SECOND).unwrap();
        let now = Instant::now();
        let mut table = Table::<u32, Bucket>::new(1000);
        for key in 0..5000 {
            table.entry(key, now).charge(&rate, now);
            assert!(table.entries.len() <= 1000);
        }
        assert!(table.sweeps <= 3, "a full table is not swept for every key: {}", table.sweeps);
        for key in 0..SMALLEST_SWEEP as u32 + 1000 {
            table.entry(5000 + key, now + 2 * SECOND).charge(&rate, now + 2 * SECOND);
        }
        assert!(table.get(&4999).is_none(), "it faded a second ago");
    }

    proptest! {
        /// Over any stretch of time no more is granted than the burst and what
        /// the rate has brought since.
        #[test]
        fn never_more_than_burst_and_rate(
            burst in 1u32..20,
            interval_ms in 1u64..1000,
            steps in prop::collection::vec(0u64..500, 1..300),
        ) {
            let rate = Rate::new(burst, Duration::from_millis(interval_ms)).unwrap();
            let start = Instant::now();
            let (mut bucket, mut elapsed, mut granted) = (Bucket::default(), 0, 0);
            for step in steps {
                elapsed += step;
                let now = start + Duration::from_millis(elapsed);
                match bucket.take(&rate, now) {
                    Ok(()) => granted += 1,
                    Err(wait) => {
                        // And the hint is exact.
                        let mut then = bucket;
                        prop_assert_eq!(then.take(&rate, now + wait), Ok(()));
                    }
                }
                prop_assert!(granted <= u64::from(burst) + elapsed / interval_ms);
            }
        }
    }
}
