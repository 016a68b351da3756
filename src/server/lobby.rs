//! Who only waits: connections on which nobody is logged in and for which no
//! pool works. Where there are too many, one of the address that has the most
//! of them gives way, the one that has waited longest, so that an address with
//! thousands pushes out its own and nobody else's.
//!
//! Thread: its reactor's. Everything here is O(log n).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::serial::Serial;
use crate::service::throttle::Source;

/// The idle connections of a reactor on which nobody is logged in.
pub(super) struct Lobby {
    /// 0 for any number.
    most: usize,
    places: HashMap<Serial, (Source, u64)>,
    by_source: HashMap<Source, BTreeMap<u64, Serial>>,
    /// Who has how many, and since when the one that has waited longest.
    sizes: BTreeSet<(usize, Reverse<u64>, Source)>,
    next_place: u64,
}

impl Lobby {
    /// An empty one for at most so many, or for any number if that is 0.
    pub fn new(most: usize) -> Lobby {
        Lobby {
            most,
            places: HashMap::new(),
            by_source: HashMap::new(),
            sizes: BTreeSet::new(),
            next_place: 0,
        }
    }

    /// A connection waits from now on, if it does not already. The one that
    /// has to give way for it, which may be itself.
    pub fn enter(&mut self, serial: Serial, source: Source) -> Option<Serial> {
        if self.places.contains_key(&serial) {
            return None;
        }
        let place = self.next_place;
        self.next_place += 1;
        self.places.insert(serial, (source, place));
        self.change(source, |waiting| {
            waiting.insert(place, serial);
        });
        if self.most == 0 || self.places.len() <= self.most {
            return None;
        }
        let (_, _, fullest) = *self.sizes.last()?;
        let longest = self.by_source.get(&fullest)?.values().next().copied()?;
        self.leave(longest);
        Some(longest)
    }

    /// A connection waits no more.
    pub fn leave(&mut self, serial: Serial) {
        if let Some((source, place)) = self.places.remove(&serial) {
            self.change(source, |waiting| {
                waiting.remove(&place);
            });
        }
    }

    fn change(&mut self, source: Source, change: impl FnOnce(&mut BTreeMap<u64, Serial>)) {
        let waiting = self.by_source.entry(source).or_default();
        if let Some(size) = size_of(source, waiting) {
            self.sizes.remove(&size);
        }
        change(waiting);
        match size_of(source, waiting) {
            Some(size) => {
                self.sizes.insert(size);
            }
            None => {
                self.by_source.remove(&source);
            }
        }
    }
}

fn size_of(
    source: Source,
    waiting: &BTreeMap<u64, Serial>,
) -> Option<(usize, Reverse<u64>, Source)> {
    let longest = *waiting.keys().next()?;
    Some((waiting.len(), Reverse(longest), source))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serial(number: u64) -> Serial {
        Serial::from_number(number).unwrap()
    }

    fn source(last: u32) -> Source {
        Source::V4(last)
    }

    #[test]
    fn an_address_with_many_pushes_out_its_own() {
        let mut lobby = Lobby::new(3);
        assert_eq!(lobby.enter(serial(1), source(1)), None);
        for number in 2..=3 {
            assert_eq!(lobby.enter(serial(number), source(9)), None);
        }
        for number in 4..100 {
            assert_eq!(lobby.enter(serial(number), source(9)), Some(serial(number - 2)));
        }
        assert!(lobby.places.contains_key(&serial(1)));
    }

    #[test]
    fn of_equals_the_one_gives_way_that_has_waited_longest() {
        let mut lobby = Lobby::new(2);
        assert_eq!(lobby.enter(serial(1), source(3)), None);
        assert_eq!(lobby.enter(serial(2), source(1)), None);
        // It has been away: it waits anew.
        lobby.leave(serial(1));
        assert_eq!(lobby.enter(serial(1), source(3)), None);
        assert_eq!(lobby.enter(serial(3), source(2)), Some(serial(2)));
    }

    #[test]
    fn who_leaves_leaves_no_trace() {
        let mut lobby = Lobby::new(0);
        for number in 1..=50 {
            assert_eq!(lobby.enter(serial(number), source(number as u32 % 7)), None);
            assert_eq!(lobby.enter(serial(number), source(number as u32 % 7)), None);
        }
        for number in 1..=50 {
            lobby.leave(serial(number));
            lobby.leave(serial(number));
        }
        assert!(lobby.places.is_empty() && lobby.by_source.is_empty() && lobby.sizes.is_empty());
    }
}
