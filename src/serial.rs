//! The number of a connection among those of its reactor, for the life of the
//! process: which connection it is, counted from 1, and at which place its
//! reactor keeps it. The count is never used twice, so a late word for a
//! connection that is gone finds nothing instead of a stranger; the place is
//! found without a search.

use std::fmt;
use std::num::NonZeroU64;

/// A count of so many bits: 10,000 connections a second for three years.
const COUNT_BITS: u32 = 40;
/// And of what is left, so many for the place: a million at the same time.
const PLACE_BITS: u32 = 20;
/// The highest bits are free, for whoever packs a serial with something.
pub const FREE_BITS: u32 = u64::BITS - COUNT_BITS - PLACE_BITS;

/// A connection's number at its reactor.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Serial(NonZeroU64);

impl Serial {
    /// The first one.
    #[cfg(test)]
    pub const MIN: Serial = Serial(NonZeroU64::MIN);

    /// The connection with this count, from 1 on, at this place.
    ///
    /// `None`: there are too many.
    #[must_use]
    pub fn new(count: u64, place: usize) -> Option<Serial> {
        let place = u64::try_from(place).ok().filter(|place| place >> PLACE_BITS == 0)?;
        let fits = count > 0 && count >> COUNT_BITS == 0;
        NonZeroU64::new(place << COUNT_BITS | count).filter(|_| fits).map(Serial)
    }

    /// The serial that [`Serial::number`] gave.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Serial> {
        NonZeroU64::new(number).map(Serial)
    }

    /// As one number, which is never 0; its [`FREE_BITS`] highest bits are.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0.get()
    }

    /// The how manieth connection of its reactor it is.
    #[must_use]
    pub fn count(self) -> u64 {
        self.0.get() & ((1 << COUNT_BITS) - 1)
    }

    /// Where its reactor keeps it.
    #[must_use]
    pub fn place(self) -> usize {
        (self.0.get() >> COUNT_BITS) as usize
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.count().fmt(f)
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.count(), self.place())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_holds_its_count_and_its_place() {
        let most = (1 << PLACE_BITS) - 1;
        let serial = Serial::new(7, most).unwrap();
        assert_eq!((serial.count(), serial.place()), (7, most));
        assert_eq!(serial.number() >> (u64::BITS - FREE_BITS), 0);
        assert_eq!(Serial::from_number(serial.number()), Some(serial));
        assert_eq!(serial.to_string(), "7");
        assert_eq!(Serial::new(1, most + 1), None);
        assert_eq!(Serial::new(0, 1), None);
        assert_eq!(Serial::new(1 << COUNT_BITS, 1), None);
    }
}
