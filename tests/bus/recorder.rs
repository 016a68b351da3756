//! A sink that writes down what the bus tells it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Condvar, Mutex};

use cluster_chat::bus::{BusSink, Item, Position};
use cluster_chat::model::ServerId;

use crate::PATIENCE;

#[derive(Default)]
pub struct Recorder {
    seen: Mutex<Seen>,
    changed: Condvar,
    pub epoch: AtomicI64,
}

/// Everything so far.
#[derive(Debug, Default)]
pub struct Seen {
    /// One entry per call of `on_items`: who, which epoch, what.
    pub envelopes: Vec<(ServerId, i64, Vec<Item<'static>>)>,
    /// The number of each of these, with who sent it.
    pub numbers: Vec<(ServerId, u64)>,
    pub unreachable: Vec<ServerId>,
    /// True for up, false for down.
    pub turns: Vec<bool>,
    pub subscribed: usize,
    pub keys_lost: usize,
}

impl Seen {
    pub fn is_up(&self) -> bool {
        self.turns.last() == Some(&true)
    }

    pub fn downs(&self) -> usize {
        self.turns.iter().filter(|up| !**up).count()
    }

    /// The numbers of all messages, in the order they came.
    pub fn handovers(&self) -> Vec<u64> {
        let items = self.envelopes.iter().flat_map(|(_, _, items)| items);
        items
            .filter_map(|item| match item {
                Item::Message { handover, .. } => Some(*handover),
                _ => None,
            })
            .collect()
    }

    pub fn lost(&self, server: &str) -> bool {
        self.unreachable.iter().any(|lost| &**lost == server)
    }
}

impl Recorder {
    /// Waits until the condition holds.
    pub fn wait(&self, what: &str, mut holds: impl FnMut(&Seen) -> bool) {
        let (seen, timeout) = self
            .changed
            .wait_timeout_while(self.seen.lock().unwrap(), PATIENCE, |seen| !holds(seen))
            .unwrap();
        if timeout.timed_out() {
            let came = seen.handovers().len();
            panic!("{what}: not so; {came} messages, {:?} {:?}", seen.turns, seen.unreachable);
        }
    }

    /// Looks at what was seen so far.
    pub fn look<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.seen.lock().unwrap())
    }

    fn note(&self, note: impl FnOnce(&mut Seen)) {
        note(&mut self.seen.lock().unwrap());
        self.changed.notify_all();
    }
}

impl BusSink for Recorder {
    fn on_items(&self, from: &ServerId, epoch: i64, position: Position, items: Vec<Item<'_>>) {
        // They refer to a text that is gone when this returns.
        let text = serde_json::to_vec(&items).unwrap().leak();
        let items = serde_json::from_slice(text).unwrap();
        self.note(|seen| {
            seen.numbers.push((from.clone(), position.number));
            seen.envelopes.push((from.clone(), epoch, items));
        });
    }

    fn on_unreachable(&self, server: &ServerId) {
        self.note(|seen| seen.unreachable.push(server.clone()));
    }

    fn on_subscribed(&self) {
        self.note(|seen| seen.subscribed += 1);
    }

    fn on_keys_lost(&self) {
        self.note(|seen| seen.keys_lost += 1);
    }

    fn on_up(&self) {
        self.note(|seen| {
            assert!(!seen.is_up(), "up twice");
            seen.turns.push(true);
        });
    }

    fn on_down(&self) {
        self.note(|seen| {
            assert!(seen.is_up(), "down without having been up");
            seen.turns.push(false);
        });
    }

    fn epoch(&self) -> i64 {
        self.epoch.load(Ordering::SeqCst)
    }
}
