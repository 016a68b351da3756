//! How fast a connection may ask: a burst and a rate of its own, and, while
//! there is some, a share of what its reactor has to spare. The less of that is
//! left the less each may have.
//!
//! Thread: its reactor's.

use std::time::{Duration, Instant};

use crate::service::rate::{Bucket, Rate};

/// How long a connection that asked too fast is not listened to: at first, and
/// at most. Refusals cost something, too.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// What is to spare comes back within this.
const SPARE_WITHIN: Duration = Duration::from_secs(10);

/// A connection may have taken one part in so many of what is left to spare: so
/// one alone a fifth of all.
const SPARE_SHARE: u32 = 4;
/// So many copies of a message cost as much as a request, and no message costs
/// more than so many requests.
const COPIES_PER_REQUEST: u32 = 16;
const MOST_FOR_COPIES: u32 = 64;

/// What every connection of a reactor may ask.
pub(super) struct PaceLimits {
    /// `None`: as fast as it likes.
    own: Option<Rate>,
    spare_rate: Option<Rate>,
    spare: Bucket,
}

/// How fast one connection has asked.
#[derive(Debug, Default)]
pub(super) struct Pace {
    own: Bucket,
    /// What it took of the spare.
    spare: Bucket,
    /// In milliseconds.
    pause: u32,
}

impl Pace {
    fn pause(&self) -> Duration {
        Duration::from_millis(self.pause.into())
    }
}

/// A connection has asked too fast.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooFast {
    /// When it may ask again.
    pub wait: Duration,
    /// How long it is not listened to.
    pub pause: Duration,
    /// Whether it had been slow enough before.
    pub is_news: bool,
}

impl PaceLimits {
    /// `per_second` requests a second and `burst` at once for each connection;
    /// `spare` more for all of a reactor's together.
    pub fn new(per_second: u32, burst: u32, spare: u32) -> PaceLimits {
        let interval = Duration::from_secs(1).checked_div(per_second);
        PaceLimits {
            own: interval.and_then(|interval| Rate::new(burst.max(1), interval)),
            spare_rate: SPARE_WITHIN
                .checked_div(spare)
                .and_then(|interval| Rate::new(spare, interval)),
            spare: Bucket::default(),
        }
    }

    /// Counts a request.
    ///
    /// # Errors
    /// It came too fast and was not counted.
    pub fn take(&mut self, pace: &mut Pace, now: Instant) -> Result<(), TooFast> {
        let Some(own) = &self.own else { return Ok(()) };
        if pace.own.is_full(now) {
            pace.pause = 0;
        }
        let Err(wait) = pace.own.take(own, now) else { return Ok(()) };
        if self.take_spare(pace, now) {
            return Ok(());
        }
        let is_news = pace.pause == 0;
        let pause = (pace.pause() * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        pace.pause = pause.as_millis() as u32;
        Err(TooFast { wait, pause, is_news })
    }

    /// Counts what a message has cost beside its request, by its copies: who
    /// writes to a large group writes to many.
    pub fn charge_copies(&mut self, pace: &mut Pace, copies: u32, now: Instant) {
        let Some(own) = self.own else { return };
        for _ in 0..(copies / COPIES_PER_REQUEST).min(MOST_FOR_COPIES) {
            if pace.own.take(&own, now).is_err() && !self.take_spare(pace, now) {
                pace.own.owe(&own, now);
            }
        }
    }

    fn take_spare(&mut self, pace: &mut Pace, now: Instant) -> bool {
        let Some(rate) = &self.spare_rate else { return false };
        let left = rate.burst().saturating_sub(self.spare.taken(rate, now));
        if pace.spare.taken(rate, now) >= left.div_ceil(SPARE_SHARE) {
            return false;
        }
        self.spare.charge(rate, now);
        pace.spare.charge(rate, now);
        true
    }

    /// Gives a request back: it was owed to what the server had sent.
    pub fn give_back(&self, pace: &mut Pace) {
        if let Some(own) = &self.own {
            pace.own.give_back(own);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_flooder_gets_its_burst_and_then_its_rate_with_longer_and_longer_pauses() {
        let mut limits = PaceLimits::new(10, 20, 0);
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        for _ in 0..20 {
            assert_eq!(limits.take(&mut pace, now), Ok(()));
        }
        let mut pauses = Vec::new();
        for _ in 0..7 {
            let refused = loop {
                match limits.take(&mut pace, now) {
                    Ok(()) => {}
                    Err(refused) => break refused,
                }
            };
            assert_eq!(refused.is_news, pauses.is_empty(), "said once");
            now += refused.pause;
            pauses.push(refused.pause.as_millis());
        }
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1000, 1000]);
    }

    #[test]
    fn who_slows_down_is_forgiven() {
        let mut limits = PaceLimits::new(10, 2, 0);
        let (mut pace, now) = (Pace::default(), Instant::now());
        while limits.take(&mut pace, now).is_ok() {}
        assert_eq!(limits.take(&mut pace, now + SECOND), Ok(()));
        assert_eq!(pace.pause, 0);
    }

    #[test]
    fn what_is_to_spare_goes_to_one_that_has_much_to_say_but_not_from_the_others_own() {
        let mut limits = PaceLimits::new(10, 2, 100);
        let (mut busy, mut other, now) = (Pace::default(), Pace::default(), Instant::now());
        for _ in 0..22 {
            assert_eq!(limits.take(&mut busy, now), Ok(()));
        }
        assert!(limits.take(&mut busy, now).is_err());
        for _ in 0..18 {
            assert_eq!(limits.take(&mut other, now), Ok(()));
        }
        assert!(limits.take(&mut other, now).is_err());
        // A hundred together take nearly all of it.
        let mut crowd: Vec<Pace> = (0..100).map(|_| Pace::default()).collect();
        let taken: usize = crowd
            .iter_mut()
            .map(|pace| (0..100).take_while(|_| limits.take(pace, now).is_ok()).count())
            .sum();
        assert_eq!(taken, 2 * 100 + 100 - 20 - 16);
        assert_eq!(limits.take(&mut Pace::default(), now), Ok(()), "but nobody's own");
    }

    #[test]
    fn a_message_to_many_costs_more_than_one_to_few() {
        let mut limits = PaceLimits::new(10, 20, 0);
        let (mut few, mut many, now) = (Pace::default(), Pace::default(), Instant::now());
        let mut sent = |pace: &mut Pace, copies, now| {
            let send = |_: &u32| {
                let taken = limits.take(pace, now);
                limits.charge_copies(pace, copies, now);
                taken.is_ok()
            };
            (0..100).take_while(send).count()
        };
        assert_eq!(sent(&mut few, 15, now), 20);
        assert_eq!(sent(&mut many, 300, now), 2, "of 19 requests each");
        assert_eq!(sent(&mut many, 300, now + 2 * SECOND), 0, "it is in debt");
        let mut huge = Pace::default();
        assert_eq!(sent(&mut huge, u32::MAX, now), 1);
        assert_eq!(sent(&mut huge, 0, now + 20 * SECOND), 20, "but not for ever");
    }

    #[test]
    fn a_rate_of_nothing_is_no_limit() {
        let mut limits = PaceLimits::new(0, 5, 0);
        let (mut pace, now) = (Pace::default(), Instant::now());
        for _ in 0..100_000 {
            assert_eq!(limits.take(&mut pace, now), Ok(()));
        }
    }
}
