//! A bounded queue in which everybody waits behind their own: items of each
//! key in order, keys in turn. Where it is full the one who has the most in it
//! loses the newest, so that nobody fills it for the others.
//!
//! There are two ranks, each with a bound of its own. The second has every
//! fourth turn while anybody of the first waits, and no more than its number
//! of items is in work at once: whoever is of it may be many and slow, and
//! neither starves nor is in the way.
//!
//! Thread: any may push, without blocking; [`FairQueue::serve`] waits. One
//! lock, a leaf, held for a few instructions, and in a queue that is full for a
//! look at its keys.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Condvar, Mutex, MutexGuard};

const NEVER_POISONED: &str = "a panic ends the process";

/// The second rank has one turn in so many.
const SECOND_EVERY: u32 = 4;

/// Who is served before whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rank {
    First,
    Second,
}

/// How much of the second rank there may be.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SecondRank {
    /// How many may wait.
    pub capacity: usize,
    /// How many may be in work at once.
    pub at_once: usize,
}

/// See the head of this file.
pub(super) struct FairQueue<K, T> {
    state: Mutex<State<K, T>>,
    pushed: Condvar,
}

struct State<K, T> {
    first: Line<K, T>,
    second: Line<K, T>,
    /// Turns of the first rank since the last one of the second.
    first_turns: u32,
    at_once: usize,
    /// Items of the second rank that are in work.
    in_work: usize,
    closed: bool,
}

/// One rank.
struct Line<K, T> {
    capacity: usize,
    waiting: HashMap<K, VecDeque<T>>,
    /// Every key of `waiting` once, the next one first.
    turns: VecDeque<K>,
    len: usize,
}

/// What a push came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pushed<T> {
    /// It waits.
    Queued,
    /// It waits in the place of this one, which is given back.
    Instead(T),
    /// It does not: given back.
    Refused(T),
}

impl<K: Hash + Eq + Clone, T> FairQueue<K, T> {
    /// For so many items of the first rank, and of the second as it says.
    pub fn new(capacity: usize, second: SecondRank) -> Self {
        let state = State {
            first: Line::new(capacity),
            second: Line::new(second.capacity),
            first_turns: 0,
            at_once: second.at_once,
            in_work: 0,
            closed: false,
        };
        FairQueue { state: Mutex::new(state), pushed: Condvar::new() }
    }

    /// Queues an item behind those of its key.
    pub fn push(&self, rank: Rank, key: K, item: T) -> Pushed<T> {
        let mut state = self.state();
        if state.closed {
            return Pushed::Refused(item);
        }
        let outcome = state.line(rank).push(key, item);
        drop(state);
        if matches!(outcome, Pushed::Queued) {
            self.pushed.notify_one();
        }
        outcome
    }

    /// Does `work` for one item after the other, until the queue is closed and
    /// empty.
    pub fn serve(&self, mut work: impl FnMut(T)) {
        while let Some((rank, item)) = self.take() {
            work(item);
            if rank == Rank::Second {
                self.done();
            }
        }
    }

    fn take(&self) -> Option<(Rank, T)> {
        let mut state = self.state();
        loop {
            if let Some(next) = state.next() {
                return Some(next);
            }
            if state.closed {
                return None;
            }
            state = self.pushed.wait(state).expect(NEVER_POISONED);
        }
    }

    /// An item of the second rank is no longer in work.
    fn done(&self) {
        let mut state = self.state();
        state.in_work -= 1;
        let wake = state.second.len > 0;
        drop(state);
        if wake {
            // This thread's next turn may be one of the first rank.
            self.pushed.notify_one();
        }
    }

    /// Takes no more; what waits is still served.
    pub fn close(&self) {
        self.state().closed = true;
        self.pushed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State<K, T>> {
        self.state.lock().expect(NEVER_POISONED)
    }
}

impl<K: Hash + Eq + Clone, T> State<K, T> {
    fn line(&mut self, rank: Rank) -> &mut Line<K, T> {
        match rank {
            Rank::First => &mut self.first,
            Rank::Second => &mut self.second,
        }
    }

    fn next(&mut self) -> Option<(Rank, T)> {
        // At the end nobody is in the way of anybody any more.
        let may_second = self.in_work < self.at_once || self.closed;
        let is_seconds_turn = self.first_turns + 1 >= SECOND_EVERY;
        let ranks = match is_seconds_turn {
            true => [Rank::Second, Rank::First],
            false => [Rank::First, Rank::Second],
        };
        for rank in ranks {
            if rank == Rank::Second && !may_second {
                continue;
            }
            if let Some(item) = self.line(rank).next() {
                match rank {
                    Rank::First => self.first_turns = (self.first_turns + 1).min(SECOND_EVERY),
                    Rank::Second => {
                        self.first_turns = 0;
                        self.in_work += 1;
                    }
                }
                return Some((rank, item));
            }
        }
        None
    }
}

impl<K: Hash + Eq + Clone, T> Line<K, T> {
    fn new(capacity: usize) -> Self {
        Line { capacity, waiting: HashMap::new(), turns: VecDeque::new(), len: 0 }
    }

    fn push(&mut self, key: K, item: T) -> Pushed<T> {
        if self.len < self.capacity {
            self.add(key, item);
            return Pushed::Queued;
        }
        match self.newest_of_the_longest(&key) {
            Some(other) => {
                self.add(key, item);
                Pushed::Instead(other)
            }
            None => Pushed::Refused(item),
        }
    }

    fn add(&mut self, key: K, item: T) {
        self.len += 1;
        match self.waiting.get_mut(&key) {
            Some(items) => items.push_back(item),
            None => {
                self.waiting.insert(key.clone(), VecDeque::from([item]));
                self.turns.push_back(key);
            }
        }
    }

    fn next(&mut self) -> Option<T> {
        let key = self.turns.pop_front()?;
        let items = self.waiting.get_mut(&key)?;
        let item = items.pop_front();
        self.len -= 1;
        if items.is_empty() {
            self.waiting.remove(&key);
        } else {
            self.turns.push_back(key);
        }
        item
    }

    /// Takes out the newest of whoever has the most, if that is more than
    /// `key` would have with one more.
    fn newest_of_the_longest(&mut self, key: &K) -> Option<T> {
        let own = self.waiting.get(key).map_or(0, VecDeque::len);
        let (longest, items) = self.waiting.iter_mut().max_by_key(|(_, items)| items.len())?;
        if items.len() <= own + 1 {
            return None;
        }
        debug_assert!(longest != key, "it has more than this one");
        self.len -= 1;
        items.pop_back()
    }
}

#[cfg(test)]
#[path = "fair_queue_tests.rs"]
mod tests;
