//! What the network thread lets the others see: the few facts that the input
//! and the completion need.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The facts.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Whether someone is logged in (an outage does not count).
    pub logged_in: bool,
    /// The name of who is logged in, as the server has it.
    pub name: String,
    /// How many requests the network thread knows of that wait for answers.
    pub waiting: usize,
    /// How many more are on their way to it.
    pub queued: usize,
    /// Friends: number and name.
    pub friends: Vec<(u32, String)>,
    /// Fellow members who are no friends: number and name.
    pub others: Vec<(u32, String)>,
    /// Groups: number and name.
    pub groups: Vec<(u32, String)>,
}

impl Facts {
    /// How many requests have no answer yet.
    pub fn unanswered(&self) -> usize {
        self.waiting + self.queued
    }
}

/// The facts, shared. A leaf lock: nothing else is done while it is held.
#[derive(Debug, Default)]
pub struct View {
    facts: Mutex<Facts>,
    changed: Condvar,
}

impl View {
    /// Changes the facts and wakes who waits for them.
    pub fn update(&self, change: impl FnOnce(&mut Facts)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Looks at the facts.
    pub fn read<T>(&self, look: impl FnOnce(&Facts) -> T) -> T {
        look(&self.lock())
    }

    /// Waits until `holds`, or for at most `patience`; says whether it holds.
    pub fn wait(&self, patience: Duration, holds: impl Fn(&Facts) -> bool) -> bool {
        let until = Instant::now() + patience;
        let mut facts = self.lock();
        while !holds(&facts) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.changed.wait_timeout(facts, left);
            facts = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Facts> {
        // The facts are plain values: nothing is half done after a panic.
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
