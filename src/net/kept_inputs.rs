//! What connections have sent and has to be kept: frames that are not whole,
//! and those that wait for their turn. When memory gets short the ones go that
//! have held the most for the longest, not whoever happens to send now.
//!
//! Thread: the reactor's.
//! Invariants: an input is filed under its size and age, or it is empty, or
//! lent out while its frames are handled. Each connection is filed once.

use std::collections::BTreeSet;
use std::time::Instant;

use super::core::Core;
use super::{CloseReason, ConnId};
use crate::serial::Serial;

/// Sizes from one power of two to the next are one class.
const CLASSES: usize = usize::BITS as usize;

/// Where an input is filed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Filed {
    bytes: usize,
    since: Instant,
}

/// The inputs of one reactor, by class and by age.
pub(super) struct KeptInputs {
    by_class: [BTreeSet<(Instant, Serial)>; CLASSES],
    /// Memory of all of them.
    bytes: usize,
}

impl Default for KeptInputs {
    fn default() -> Self {
        Self { by_class: std::array::from_fn(|_| BTreeSet::new()), bytes: 0 }
    }
}

impl KeptInputs {
    /// Files an input where it belongs now.
    pub(super) fn refile(&mut self, serial: Serial, from: Option<Filed>, to: Option<Filed>) {
        if from == to {
            return;
        }
        if let Some(Filed { bytes, since }) = from {
            self.by_class[class(bytes)].remove(&(since, serial));
            self.bytes -= bytes;
        }
        if let Some(Filed { bytes, since }) = to {
            self.by_class[class(bytes)].insert((since, serial));
            self.bytes += bytes;
        }
    }

    /// The one that costs most: its size times its age. Of each class only the
    /// oldest can be that.
    fn costliest(&self, now: Instant) -> Option<Serial> {
        let oldest = self.by_class.iter().enumerate().filter_map(|(class, inputs)| {
            let (since, serial) = inputs.first()?;
            let age = now.saturating_duration_since(*since).as_millis() + 1;
            Some((age << class, *serial))
        });
        oldest.max().map(|(_, serial)| serial)
    }
}

impl Core {
    /// Counts and files what is kept of a connection's input.
    pub(super) fn count_input(&mut self, serial: Serial) {
        self.count_buffers(serial);
        let Some(conn) = self.connections.get_mut(serial) else { return };
        let bytes = conn.inbound.held_bytes();
        if bytes == 0 {
            conn.frame_since = None;
        }
        let since = conn.frame_since.map_or(self.now, Instant::from);
        let filed = (bytes > 0).then_some(Filed { bytes, since });
        let before = conn.filed.as_deref().copied();
        if filed != before {
            conn.filed = filed.map(Box::new);
            self.kept_inputs.refile(serial, before, filed);
        }
    }

    /// An input has grown, or what is left of it is to be kept. Where memory is
    /// too short for that others make room, or its connection is closed.
    pub(super) fn input_kept(&mut self, id: ConnId) {
        self.count_input(id.serial);
        self.arm(id.serial);
        let Some(conn) = self.peek(id) else { return };
        let held = conn.inbound.len();
        let missing = self.config.memory.missing_for(held, self.config.max_outbound);
        if missing == 0 || self.free(missing, id) {
            return;
        }
        let (allowance, is_short) = self.allowance();
        if is_short && held > allowance {
            self.close(id, CloseReason::ShortOfMemory { held, allowance });
        }
    }

    /// Sees to it that so many bytes are free, if others' inputs can give them.
    pub(super) fn make_room(&mut self, bytes: usize, asking: ConnId) -> bool {
        self.publish_buffers();
        let missing = self.config.memory.missing(bytes);
        missing == 0 || self.free(missing, asking)
    }

    /// Closes the connections whose inputs cost most until so many bytes are
    /// free. Closes none if that does not help, and none that costs less than
    /// the one that asks.
    fn free(&mut self, bytes: usize, asking: ConnId) -> bool {
        let pooled = self.pool.kept_bytes();
        self.pool.clear();
        self.publish_buffers();
        let mut missing = bytes.saturating_sub(pooled);
        let own =
            self.peek(asking).and_then(|conn| conn.filed.as_deref()).map_or(0, |filed| filed.bytes);
        if missing > self.kept_inputs.bytes - own {
            return false;
        }
        while missing > 0 {
            let costliest = self.kept_inputs.costliest(self.now);
            let Some(serial) = costliest.filter(|serial| *serial != asking.serial) else {
                return false;
            };
            missing = missing.saturating_sub(self.give_up(serial));
        }
        true
    }

    /// Closes a connection for what it holds, and says how much that was.
    fn give_up(&mut self, serial: Serial) -> usize {
        let (allowance, _) = self.allowance();
        let Some(conn) = self.connections.get_mut(serial) else { return 0 };
        let (id, held) = (ConnId { reactor: self.index, serial }, conn.inbound.held_bytes());
        conn.release(&mut self.pool);
        // Or the pool would have it now.
        self.pool.clear();
        self.close(id, CloseReason::ShortOfMemory { held, allowance });
        self.count_input(serial);
        self.publish_buffers();
        held
    }
}

fn class(bytes: usize) -> usize {
    bytes.ilog2() as usize
}
