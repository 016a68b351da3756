//! What is due when.
//!
//! Thread: the reactor's.
//! Invariants: nothing is ever taken out of the middle. A connection's entry
//! is an alarm, not a deadline: when it rings the connection is asked what it
//! is really waiting for, so that a byte received costs no heap operation.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Instant;

use crate::moment::Moment;

/// Keys by the time at which they are due; those of equal times in no order,
/// as each connection has two entries here and a number to tell which came
/// first would make them half as large again.
pub(super) struct Timers<K> {
    heap: BinaryHeap<Entry<K>>,
}

struct Entry<K> {
    at: Moment,
    key: K,
}

impl<K> Timers<K> {
    pub(super) fn new() -> Self {
        Self { heap: BinaryHeap::new() }
    }

    pub(super) fn push(&mut self, at: Instant, key: K) {
        self.heap.push(Entry { at: at.into(), key });
    }

    /// The earliest entry that is due, with the time it was set for.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(Instant, K)> {
        if self.heap.peek()?.at > now.into() {
            return None;
        }
        self.heap.pop().map(|entry| (entry.at.into(), entry.key))
    }

    /// When the earliest entry is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|entry| entry.at.into())
    }

    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }

    /// Drops the entries that `keep` does not want.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(Instant, &K) -> bool) {
        self.heap.retain(|entry| keep(entry.at.into(), &entry.key));
    }
}

// `BinaryHeap` gives the greatest first: the earliest is the greatest here.
impl<K> Ord for Entry<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.cmp(&self.at)
    }
}

impl<K> PartialOrd for Entry<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<K> PartialEq for Entry<K> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<K> Eq for Entry<K> {}
