//! Buffers between two uses, one pool per reactor: a connection has one only
//! while it holds bytes, and yet a frame in steady state allocates nothing.
//!
//! Thread: the reactor's.
//! Invariants:
//! - A buffer that is handed out is at most twice as large as what was asked
//!   for, or [`SMALLEST_BYTES`]: few bytes never keep a large buffer.
//! - What the pool keeps stays within its limit, and counts as memory in use.

use super::outbound::Queue;

/// The smallest buffer there is.
const SMALLEST_BYTES: usize = 256;
/// A larger buffer goes back to the allocator.
const LARGEST_BYTES: usize = 128 * 1024;
/// One class for each power of two from the smallest to the largest.
const CLASSES: usize = (LARGEST_BYTES.ilog2() - SMALLEST_BYTES.ilog2()) as usize + 1;
/// Memory that a pool keeps unless it is told otherwise.
pub(super) const POOL_BYTES: usize = 4 * 1024 * 1024;
/// A queue with room for more goes back to the allocator.
const LONGEST_QUEUE: usize = 32;
/// What is left of a buffer is moved to a smaller one when it fills less than
/// one part in so many.
const SPARSE: usize = 4;

/// Buffers by class, and queues for them.
pub(super) struct BufferPool {
    classes: [Vec<Vec<u8>>; CLASSES],
    #[expect(clippy::vec_box, reason = "they go back into their connections as they are")]
    queues: Vec<Box<Queue>>,
    /// Memory of all of them.
    kept_bytes: usize,
    limit_bytes: usize,
}

impl Default for BufferPool {
    fn default() -> Self {
        Self::new(POOL_BYTES)
    }
}

impl BufferPool {
    /// A pool that keeps no more than so much.
    pub(super) fn new(limit_bytes: usize) -> Self {
        Self {
            classes: std::array::from_fn(|_| Vec::new()),
            queues: Vec::new(),
            kept_bytes: 0,
            limit_bytes,
        }
    }

    /// Memory that lies here for the next use.
    pub(super) fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    /// An empty buffer with room for so many bytes.
    pub(super) fn take(&mut self, bytes: usize) -> Vec<u8> {
        if bytes > LARGEST_BYTES {
            return Vec::with_capacity(bytes);
        }
        let size = bytes.max(SMALLEST_BYTES).next_power_of_two();
        match self.classes[class(size)].pop() {
            Some(buffer) => {
                self.kept_bytes -= buffer.capacity();
                buffer
            }
            None => Vec::with_capacity(size),
        }
    }

    /// Takes a buffer back; what it held is forgotten. Where the pool is full
    /// it rather keeps a small buffer, as most are, than a large one.
    pub(super) fn give(&mut self, mut buffer: Vec<u8>) {
        let bytes = buffer.capacity();
        if !(SMALLEST_BYTES..=LARGEST_BYTES).contains(&bytes) {
            return;
        }
        let own = class(bytes);
        while self.kept_bytes + bytes > self.limit_bytes {
            let larger = self.classes[own + 1..].iter_mut().rev().find_map(Vec::pop);
            let Some(larger) = larger else { return };
            self.kept_bytes -= larger.capacity();
        }
        buffer.clear();
        self.kept_bytes += bytes;
        self.classes[own].push(buffer);
    }

    /// Sees to it that so many bytes more fit into a buffer.
    pub(super) fn reserve(&mut self, buffer: &mut Vec<u8>, more: usize) {
        let bytes = buffer.len() + more;
        if bytes <= buffer.capacity() {
            return;
        }
        if buffer.capacity() > LARGEST_BYTES {
            // Doubles, so that a buffer that grows is not copied for each read.
            buffer.reserve(more);
        } else {
            self.replace(buffer, 0, bytes);
        }
    }

    /// Moves what stands in `buffer` from `start` on into a smaller one, where
    /// that is little for so large a buffer. Says whether it did: what
    /// was at `start` is then at 0. Each byte that is moved stands for several
    /// that are used up.
    pub(super) fn compact(&mut self, buffer: &mut Vec<u8>, start: usize) -> bool {
        let left = buffer.len() - start;
        let sparse = buffer.capacity() > SMALLEST_BYTES && left * SPARSE <= buffer.capacity();
        if sparse {
            self.replace(buffer, start, left);
        }
        sparse
    }

    fn replace(&mut self, buffer: &mut Vec<u8>, start: usize, bytes: usize) {
        let mut other = self.take(bytes);
        other.extend_from_slice(&buffer[start..]);
        self.give(std::mem::replace(buffer, other));
    }

    /// An empty queue.
    pub(super) fn take_queue(&mut self) -> Box<Queue> {
        match self.queues.pop() {
            Some(queue) => {
                self.kept_bytes -= queue.own_bytes();
                queue
            }
            None => Box::default(),
        }
    }

    /// Takes an empty queue back.
    pub(super) fn give_queue(&mut self, queue: Box<Queue>) {
        let bytes = queue.own_bytes();
        if queue.room() <= LONGEST_QUEUE && self.kept_bytes + bytes <= self.limit_bytes {
            self.kept_bytes += bytes;
            self.queues.push(queue);
        }
    }

    /// Gives everything back to the allocator.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.limit_bytes);
    }
}

/// The largest class whose buffers are no larger than this.
fn class(bytes: usize) -> usize {
    (bytes.ilog2() - SMALLEST_BYTES.ilog2()) as usize
}
