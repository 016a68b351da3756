//! The memory of all reactors' buffers together, and each connection's share.
//!
//! What counts is the buffers' own size, not how many of their bytes are in
//! use: that is what others lack. Those that wait in a reactor's pool count too.
//!
//! While there is plenty a connection may hold its own limit. The less is free
//! the less each may hold (a dynamic threshold, after Choudhury and Hahne,
//! "Dynamic Queue Length Thresholds for Shared-Memory Packet Switches", 1998):
//! thousands that never read are closed long before they have used up what the
//! others need.
//!
//! Thread: any for [`BufferMemory`]; a reactor tells it once a turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::buffer_pool::POOL_BYTES;
use super::core::Core;
use crate::serial::Serial;

/// A connection may hold one part in so many of what is free.
const SHARE: usize = 16;
/// And this much in any case: whoever reads and writes what people write needs
/// no more.
const FLOOR_BYTES: usize = 16 * 1024;
/// A reactor's pool may keep one part in so many of everything.
const POOL_SHARE: usize = 64;
/// A turn that takes more than this says so before its end.
const PUBLISH_BYTES: isize = 1024 * 1024;

/// Counts the memory of buffers, of what is read and of what is to be written.
/// Clones count together.
#[derive(Debug, Clone)]
pub struct BufferMemory {
    limit_bytes: usize,
    used_bytes: Arc<AtomicUsize>,
}

/// What one reactor's buffers hold beyond what it has told.
#[derive(Debug, Default)]
pub(super) struct Unpublished(isize);

impl BufferMemory {
    /// Memory for so many bytes; 0: for any number.
    #[must_use]
    pub fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, used_bytes: Arc::default() }
    }

    /// What one connection may hold now, at most `own_limit`.
    fn allowance(&self, own_limit: usize) -> usize {
        if self.limit_bytes == 0 {
            return own_limit;
        }
        let free = self.limit_bytes.saturating_sub(self.used_bytes.load(Ordering::Relaxed));
        own_limit.min((free / SHARE).max(FLOOR_BYTES))
    }

    /// What has to become free until `wanted` bytes are.
    pub(super) fn missing(&self, wanted: usize) -> usize {
        match self.limit_bytes {
            0 => 0,
            limit => (self.used_bytes.load(Ordering::Relaxed) + wanted).saturating_sub(limit),
        }
    }

    /// What has to become free until one connection may hold so much.
    pub(super) fn missing_for(&self, held: usize, own_limit: usize) -> usize {
        let wanted = if held > FLOOR_BYTES { SHARE * held.min(own_limit) } else { 0 };
        self.missing(wanted)
    }

    /// What one reactor's pool may keep.
    pub(super) fn pool_bytes(&self) -> usize {
        match self.limit_bytes {
            0 => POOL_BYTES,
            limit => POOL_BYTES.min(limit / POOL_SHARE),
        }
    }

    /// Bytes in use, as last told.
    #[cfg(test)]
    pub(super) fn used_bytes(&self) -> usize {
        self.used_bytes.load(Ordering::Relaxed)
    }

    fn publish(&self, unpublished: &mut Unpublished) {
        let change = std::mem::take(&mut unpublished.0);
        if change >= 0 {
            self.used_bytes.fetch_add(change.unsigned_abs(), Ordering::Relaxed);
        } else {
            self.used_bytes.fetch_sub(change.unsigned_abs(), Ordering::Relaxed);
        }
    }
}

impl Core {
    /// Bytes that one connection may hold now, and whether that is less than
    /// its own limit.
    pub(super) fn allowance(&self) -> (usize, bool) {
        let own_limit = self.config.max_outbound;
        let allowance = self.config.memory.allowance(own_limit);
        (allowance, allowance < own_limit)
    }

    /// Counts what a connection's buffers hold now.
    pub(super) fn count_buffers(&mut self, serial: Serial) {
        let Some(conn) = self.connections.get_mut(serial) else { return };
        let change = conn.count();
        self.count_change(change);
    }

    /// Counts by how much the memory of a connection's buffers has changed.
    pub(super) fn count_change(&mut self, bytes: isize) {
        self.unpublished.0 += bytes;
        if self.unpublished.0.abs() > PUBLISH_BYTES {
            self.publish_buffers();
        }
    }

    /// Takes a connection that is gone out of the count.
    pub(super) fn uncount_buffers(&mut self, counted: usize) {
        self.unpublished.0 -= counted as isize;
    }

    /// Tells the other reactors what this one's buffers hold.
    pub(super) fn publish_buffers(&mut self) {
        let pooled = self.pool.kept_bytes();
        let before = std::mem::replace(&mut self.counted_pool, pooled);
        self.unpublished.0 += pooled as isize - before as isize;
        if self.unpublished.0 != 0 {
            self.config.memory.publish(&mut self.unpublished);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn while_there_is_plenty_everybody_has_their_own_limit() {
        let memory = BufferMemory::new(256 * MIB);
        assert_eq!(memory.allowance(MIB), MIB);
        memory.publish(&mut Unpublished(240 * MIB as isize));
        assert_eq!(memory.allowance(MIB), MIB);
    }

    #[test]
    fn when_it_gets_short_everybody_has_less_but_never_nothing() {
        let memory = BufferMemory::new(256 * MIB);
        memory.publish(&mut Unpublished(248 * MIB as isize));
        assert_eq!(memory.allowance(MIB), MIB / 2);
        memory.publish(&mut Unpublished(100 * MIB as isize));
        assert_eq!(memory.allowance(MIB), FLOOR_BYTES);
        memory.publish(&mut Unpublished(-(348 * MIB as isize)));
        assert_eq!(memory.allowance(MIB), MIB, "and all of it again");
    }

    #[test]
    fn a_limit_of_nothing_is_none() {
        let memory = BufferMemory::new(0);
        memory.publish(&mut Unpublished(1 << 40));
        assert_eq!(memory.allowance(MIB), MIB);
    }
}
