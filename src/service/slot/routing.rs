//! What the way of a copy depends on beside its recipient's slot.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The number under which a message is handed over: taken once, and only if it
/// is, or all reactors would count all messages together.
#[derive(Debug)]
pub struct Handover<'a> {
    numbers: &'a AtomicU64,
    number: Cell<Option<u64>>,
}

impl<'a> Handover<'a> {
    /// With the next one of these numbers.
    pub fn new(numbers: &'a AtomicU64) -> Handover<'a> {
        Handover { numbers, number: Cell::new(None) }
    }

    /// The number.
    pub fn number(&self) -> u64 {
        let number = self.number.get();
        let number = number.unwrap_or_else(|| self.numbers.fetch_add(1, Ordering::Relaxed));
        self.number.set(Some(number));
        number
    }
}

/// What routing needs to know beside the slot.
#[derive(Debug)]
pub struct Routing<'a> {
    /// Whether the bus reaches other servers now.
    pub has_peers: bool,
    /// The number under which a copy is handed over, if it is.
    pub handover: Handover<'a>,
    /// The reactor on whose thread this is decided, if it is one's.
    pub here: Option<u16>,
    /// Now.
    pub now: Instant,
    /// How long another server may take.
    pub handover_timeout: Duration,
}
