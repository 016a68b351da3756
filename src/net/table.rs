//! What is known of many connections, each at the place that its serial names:
//! found without a search, and for an idle connection in no more memory than
//! it takes itself.

use crate::serial::Serial;

/// Things by serial.
pub struct Table<T> {
    places: Vec<Option<Box<Entry<T>>>>,
    len: usize,
}

/// Boxed with its serial: a place is a pointer, taken or not.
struct Entry<T> {
    serial: Serial,
    value: T,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table { places: Vec::new(), len: 0 }
    }
}

impl<T> Table<T> {
    /// What belongs to this connection.
    pub fn get(&self, serial: Serial) -> Option<&T> {
        match self.places.get(serial.place()) {
            Some(Some(entry)) if entry.serial == serial => Some(&entry.value),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, serial: Serial) -> Option<&mut T> {
        match self.places.get_mut(serial.place()) {
            Some(Some(entry)) if entry.serial == serial => Some(&mut entry.value),
            _ => None,
        }
    }

    /// Puts something in for a connection. Its place is free: whoever gives out
    /// serials sees to that.
    pub fn insert(&mut self, serial: Serial, value: T) {
        let place = serial.place();
        if place >= self.places.len() {
            self.places.resize_with(place + 1, || None);
        }
        let former = self.places[place].replace(Box::new(Entry { serial, value }));
        debug_assert!(former.is_none(), "a place is given out once at a time");
        self.len += usize::from(former.is_none());
    }

    /// Takes out what belongs to this connection.
    pub fn remove(&mut self, serial: Serial) -> Option<T> {
        let place = self.places.get_mut(serial.place())?;
        let entry = place.take_if(|entry| entry.serial == serial)?;
        self.len -= 1;
        Some(entry.value)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Serial, &T)> {
        self.places.iter().flatten().map(|entry| (entry.serial, &entry.value))
    }

    /// All serials, in no order.
    pub fn serials(&self) -> impl Iterator<Item = Serial> {
        self.iter().map(|(serial, _)| serial)
    }

    /// Memory that each of them takes in a box of its own.
    pub const fn entry_bytes() -> usize {
        size_of::<Entry<T>>()
    }
}

/// Gives out serials, and their places again once they are free.
#[derive(Default)]
pub(super) struct Serials {
    given: u64,
    places: usize,
    free: Vec<usize>,
}

impl Serials {
    /// The next one. `None`: there are too many connections.
    pub(super) fn take(&mut self) -> Option<Serial> {
        let place = self.free.last().copied().unwrap_or(self.places);
        let serial = Serial::new(self.given + 1, place)?;
        self.given += 1;
        if self.free.pop().is_none() {
            self.places += 1;
        }
        Some(serial)
    }

    /// The connection is gone.
    pub(super) fn give_back(&mut self, serial: Serial) {
        self.free.push(serial.place());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_used_again_and_its_former_connection_finds_nothing() {
        let (mut serials, mut table) = (Serials::default(), Table::default());
        let [first, second] = [0, 1].map(|_| serials.take().unwrap());
        table.insert(first, "first");
        table.insert(second, "second");
        assert_eq!(table.remove(first), Some("first"));
        serials.give_back(first);
        let third = serials.take().unwrap();
        assert_eq!(third.place(), first.place());
        assert_ne!(third, first);
        table.insert(third, "third");
        assert_eq!((table.get(first), table.get(third)), (None, Some(&"third")));
        assert_eq!(table.remove(first), None);
        assert_eq!(table.len(), 2);
        assert_eq!(table.serials().collect::<Vec<_>>(), [third, second]);
    }
}
