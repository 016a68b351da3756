//! A point in time in eight bytes: `Option<Instant>` takes sixteen, and a
//! connection that does nothing has many of them.

use std::num::NonZeroU64;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// A point in time of this process's monotonic clock, to the nanosecond; `None`
/// takes no more room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(NonZeroU64);

/// Where counting begins: times before it have room, too.
const ORIGIN: u64 = 1 << 62;

static BASE: LazyLock<Instant> = LazyLock::new(Instant::now);

impl From<Instant> for Moment {
    fn from(instant: Instant) -> Moment {
        let base = *BASE;
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(ORIGIN);
        let count = match instant.checked_duration_since(base) {
            Some(after) => ORIGIN.saturating_add(nanos(after)),
            None => ORIGIN.saturating_sub(nanos(base.duration_since(instant))),
        };
        Moment(NonZeroU64::new(count).unwrap_or(NonZeroU64::MIN))
    }
}

impl From<Moment> for Instant {
    fn from(moment: Moment) -> Instant {
        let count = moment.0.get();
        match count.checked_sub(ORIGIN) {
            Some(after) => *BASE + Duration::from_nanos(after),
            None => *BASE - Duration::from_nanos(ORIGIN - count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_comes_back_as_it_was_and_keeps_its_order() {
        let now = Instant::now();
        let times = [now - Duration::from_secs(5), now, now + Duration::from_nanos(1)];
        let moments = times.map(Moment::from);
        assert_eq!(moments.map(Instant::from), times);
        assert!(moments.is_sorted());
        assert_eq!(size_of::<Option<Moment>>(), 8);
    }
}
