//! What a connection has sent and is not used up yet.
//!
//! Thread: the reactor's.
//! Invariants: the buffer is there only while it holds bytes, and is never
//! much larger than they are.

use super::buffer_pool::BufferPool;

/// The input of one connection.
#[derive(Default)]
pub(super) struct Inbound {
    buffer: Vec<u8>,
    /// Bytes of `buffer` that are used up.
    start: usize,
}

impl Inbound {
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start..]
    }

    pub(super) fn len(&self) -> usize {
        self.buffer.len() - self.start
    }

    pub(super) fn append(&mut self, bytes: &[u8], pool: &mut BufferPool) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        pool.reserve(&mut self.buffer, bytes.len());
        self.buffer.extend_from_slice(bytes);
    }

    /// Lends out everything, so that it can be decoded while the connection is
    /// free for others.
    pub(super) fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// Marks bytes as used up; the last one takes the buffer with it, and a
    /// few that are left move to a smaller one.
    pub(super) fn consume(&mut self, bytes: usize, pool: &mut BufferPool) {
        self.start += bytes;
        if self.start >= self.buffer.len() {
            self.clear(pool);
        } else if pool.compact(&mut self.buffer, self.start) {
            self.start = 0;
        }
    }

    pub(super) fn clear(&mut self, pool: &mut BufferPool) {
        self.start = 0;
        pool.give(std::mem::take(&mut self.buffer));
    }

    /// Memory that is kept from others.
    pub(super) fn held_bytes(&self) -> usize {
        self.buffer.capacity()
    }
}
