//! Which connections may stay: how many there are in all, and from each
//! address.
//!
//! Thread: any; one lock, a leaf, held for a few instructions.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;

use crate::service::throttle::Source;

/// How many connections there may be; 0 for any number.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConnectionLimits {
    pub all: u32,
    pub per_address: u32,
}

/// Counts the connections of this server.
pub(super) struct Admission {
    limits: ConnectionLimits,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    all: u32,
    by_source: HashMap<Source, u32>,
}

/// Whether a connection may stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admitted {
    /// It may.
    Yes,
    /// Its address has too many: to be told so, and closed. It counts.
    TellTooMany,
    /// There are too many by far: to be closed at once. It does not count.
    No,
}

impl Admission {
    pub fn new(limits: ConnectionLimits) -> Admission {
        Admission { limits, counts: Mutex::default() }
    }

    /// Counts a connection in, unless it has to go at once.
    pub fn enter(&self, address: IpAddr) -> Admitted {
        let ConnectionLimits { all, per_address } = self.limits;
        let mut counts = self.counts.lock().expect("a panic ends the process");
        if all > 0 && counts.all >= all {
            return Admitted::No;
        }
        let source = Source::of(address);
        let here = counts.by_source.get(&source).copied().unwrap_or(0);
        // Some room to tell people; who takes that as well is not told.
        let told = per_address.saturating_add(per_address / 4 + 4);
        if per_address > 0 && here >= told {
            return Admitted::No;
        }
        counts.all += 1;
        counts.by_source.insert(source, here + 1);
        if per_address > 0 && here >= per_address { Admitted::TellTooMany } else { Admitted::Yes }
    }

    /// Counts a connection out that was counted in.
    pub fn leave(&self, address: IpAddr) {
        let mut counts = self.counts.lock().expect("a panic ends the process");
        counts.all = counts.all.saturating_sub(1);
        if let Some(here) = counts.by_source.get_mut(&Source::of(address)) {
            *here -= 1;
            if *here == 0 {
                counts.by_source.remove(&Source::of(address));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([127, 0, 0, last])
    }

    #[test]
    fn an_address_with_too_many_connections_is_told_and_then_closed_out() {
        let admission = Admission::new(ConnectionLimits { all: 0, per_address: 2 });
        let mut outcomes = Vec::new();
        for _ in 0..7 {
            outcomes.push(admission.enter(address(1)));
        }
        use Admitted::*;
        assert_eq!(outcomes, [Yes, Yes, TellTooMany, TellTooMany, TellTooMany, TellTooMany, No]);
        assert_eq!(admission.enter(address(2)), Yes, "its neighbour is not concerned");
    }

    #[test]
    fn who_leaves_makes_room_and_leaves_no_trace() {
        let admission = Admission::new(ConnectionLimits { all: 2, per_address: 1 });
        assert_eq!(admission.enter(address(1)), Admitted::Yes);
        assert_eq!(admission.enter(address(2)), Admitted::Yes);
        assert_eq!(admission.enter(address(3)), Admitted::No, "the server is full");
        admission.leave(address(1));
        assert_eq!(admission.enter(address(3)), Admitted::Yes);
        admission.leave(address(2));
        admission.leave(address(3));
        assert!(admission.counts.lock().unwrap().by_source.is_empty());
    }
}
