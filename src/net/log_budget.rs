//! Lines of the log that peers can cause as often as they connect: so many in
//! a minute are told, the others counted.
//!
//! Thread: its reactor's.

use std::fmt;
use std::time::{Duration, Instant};

/// How many lines are told, for each reactor, in [`PERIOD`].
const LINES: u32 = 20;
const PERIOD: Duration = Duration::from_secs(60);

/// What may still be told of one kind of event.
#[derive(Debug, Default)]
pub(super) struct LogBudget {
    /// When the first line of the present period was told.
    since: Option<Instant>,
    told: u32,
    untold: u64,
}

/// How many events before this one were not told; shown behind its line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Untold(u64);

impl LogBudget {
    /// Counts an event; `None`: it is not to be told.
    pub fn take(&mut self, now: Instant) -> Option<Untold> {
        if self.since.is_none_or(|since| now >= since + PERIOD) {
            (self.since, self.told) = (Some(now), 0);
        }
        if self.told == LINES {
            self.untold += 1;
            return None;
        }
        self.told += 1;
        Some(Untold(std::mem::take(&mut self.untold)))
    }
}

impl fmt::Display for Untold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            more => write!(f, " (and {more} more like this since the last one that was told)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_are_told_in_a_minute_and_then_how_many_were_not() {
        let (mut budget, now) = (LogBudget::default(), Instant::now());
        for _ in 0..LINES {
            assert_eq!(budget.take(now), Some(Untold(0)));
        }
        for seconds in 0..1000 {
            assert_eq!(budget.take(now + PERIOD * seconds / 1000), None);
        }
        let line = format!("closed{}", budget.take(now + PERIOD).unwrap());
        assert_eq!(line, "closed (and 1000 more like this since the last one that was told)");
        assert_eq!(budget.take(now + PERIOD).unwrap().to_string(), "");
    }
}
