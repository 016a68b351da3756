//! When somebody tries again whom the server put off or threw out. Like
//! ChatClient after an outage: a crowd that came back sooner would measure its
//! own impatience.

use std::time::Duration;

use super::people::random;
use crate::backoff::{as_hinted, growing};

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(5);

/// The pause after so many earlier tries: what the server has asked for, in
/// seconds, and a little more, or else one that doubles with each. By chance,
/// so that those who were sent away together do not come back together.
pub(super) fn pause(retry_after: Option<u64>, tries: u32) -> Duration {
    by_chance(retry_after, tries, random() as f64 / u64::MAX as f64)
}

fn by_chance(retry_after: Option<u64>, tries: u32, chance: f64) -> Duration {
    match retry_after {
        Some(seconds) => as_hinted(seconds, chance),
        None => growing(FIRST, LONGEST, tries, chance),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_heeded_and_pauses_grow_without_its_word() {
        assert_eq!(by_chance(Some(1), 9, 0.0), Duration::from_secs(1));
        assert_eq!(by_chance(Some(60), 0, 1.0), Duration::from_secs(75));
        let pauses = [0, 1, 4, 99].map(|tries| by_chance(None, tries, 1.0).as_millis());
        assert_eq!(pauses, [500, 1000, 5000, 5000]);
        assert_eq!(by_chance(None, 1, 0.0), Duration::from_millis(500));
    }
}
