//! A bounded queue in which everybody waits behind their own: items of each
//! key in order, keys in turn. Where it is full the one who has the most in it
//! loses the newest, so that nobody fills it for the others.
//!
//! Thread: any may push, without blocking; [`FairQueue::pop`] waits. One lock,
//! a leaf, held for a few instructions.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Condvar, Mutex, MutexGuard};

const NEVER_POISONED: &str = "a panic ends the process";

/// See the head of this file.
pub(super) struct FairQueue<K, T> {
    capacity: usize,
    state: Mutex<State<K, T>>,
    pushed: Condvar,
}

struct State<K, T> {
    waiting: HashMap<K, VecDeque<T>>,
    /// Every key of `waiting` once, the next one first.
    turns: VecDeque<K>,
    len: usize,
    closed: bool,
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
    pub fn new(capacity: usize) -> Self {
        let state =
            State { waiting: HashMap::new(), turns: VecDeque::new(), len: 0, closed: false };
        FairQueue { capacity, state: Mutex::new(state), pushed: Condvar::new() }
    }

    /// Queues an item behind those of its key.
    pub fn push(&self, key: K, item: T) -> Pushed<T> {
        let mut state = self.state();
        if state.closed {
            return Pushed::Refused(item);
        }
        let outcome = if state.len < self.capacity {
            state.add(key, item);
            Pushed::Queued
        } else {
            match state.newest_of_the_longest(&key) {
                Some(other) => {
                    state.add(key, item);
                    return Pushed::Instead(other);
                }
                None => return Pushed::Refused(item),
            }
        };
        drop(state);
        self.pushed.notify_one();
        outcome
    }

    /// Waits for the next item; `None` once closed and empty.
    pub fn pop(&self) -> Option<T> {
        let mut state = self.state();
        loop {
            if let Some(item) = state.next() {
                return Some(item);
            }
            if state.closed {
                return None;
            }
            state = self.pushed.wait(state).expect(NEVER_POISONED);
        }
    }

    /// Takes no more; what waits is still to be had.
    pub fn close(&self) {
        self.state().closed = true;
        self.pushed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State<K, T>> {
        self.state.lock().expect(NEVER_POISONED)
    }
}

impl<K: Hash + Eq + Clone, T> State<K, T> {
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
mod tests {
    use super::*;

    #[test]
    fn keys_take_turns_and_each_keeps_its_order() {
        let queue = FairQueue::new(10);
        for item in ["a1", "a2", "a3", "b1", "c1", "c2"] {
            assert_eq!(queue.push(item.as_bytes()[0], item), Pushed::Queued);
        }
        queue.close();
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, ["a1", "b1", "c1", "a2", "c2", "a3"]);
    }

    #[test]
    fn who_fills_the_queue_makes_room_for_a_newcomer() {
        let queue = FairQueue::new(3);
        for item in ["a1", "a2", "a3"] {
            queue.push('a', item);
        }
        assert_eq!(queue.push('a', "a4"), Pushed::Refused("a4"));
        assert_eq!(queue.push('b', "b1"), Pushed::Instead("a3"));
        assert_eq!(queue.push('b', "b2"), Pushed::Refused("b2"), "they have the same then");
        assert_eq!([queue.pop(), queue.pop(), queue.pop()], [Some("a1"), Some("b1"), Some("a2")]);
    }

    #[test]
    fn whoever_waits_hears_of_an_item_and_of_the_end() {
        let queue = std::sync::Arc::new(FairQueue::new(1));
        let waiting = queue.clone();
        let thread = std::thread::spawn(move || [waiting.pop(), waiting.pop()]);
        assert_eq!(queue.push(1, "x"), Pushed::Queued);
        queue.close();
        assert_eq!(thread.join().unwrap(), [Some("x"), None]);
        assert_eq!(queue.push(1, "y"), Pushed::Refused("y"));
    }
}
