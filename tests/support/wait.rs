//! Waiting on conditions with deadlines: the one place of the tests that lets
//! time pass.

use std::time::{Duration, Instant};

/// How long a test waits for what should happen at once. Generous, since many
/// tests share a few cores; a healthy run never waits for it.
pub const SOON: Duration = Duration::from_secs(10);

/// How long to look away between two looks at a condition.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Returns as soon as `condition` holds; fails the test if it does not hold
/// within `deadline`.
#[track_caller]
pub fn eventually(what: &str, deadline: Duration, mut condition: impl FnMut() -> bool) {
    eventually_some(what, deadline, || condition().then_some(()));
}

/// Returns the first `Some` of `probe`; fails the test if there is none within
/// `deadline`.
#[track_caller]
pub fn eventually_some<T>(what: &str, deadline: Duration, probe: impl FnMut() -> Option<T>) -> T {
    within(deadline, probe).unwrap_or_else(|| panic!("not within {deadline:?}: {what}"))
}

/// Returns the first `Some` of `probe`, or `None` if there is none in time, for
/// who has more to say about that than a sentence.
pub fn within<T>(deadline: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + deadline;
    loop {
        if let Some(found) = probe() {
            return Some(found);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::park_timeout(POLL_INTERVAL);
    }
}
