//! What a connection has sent and is not used up yet.
//!
//! Thread: the reactor's.
//! Invariants: the buffer is there only while it holds bytes, and is never
//! much larger than they are.

use super::buffer_pool::BufferPool;

/// The input of one connection.
#[derive(Default)]
pub(super) struct Inbound(Option<Box<Input>>);

/// Memory of an input without its bytes.
pub(super) const INPUT_BYTES: usize = size_of::<Input>();

#[derive(Default)]
struct Input {
    buffer: Vec<u8>,
    /// Bytes of `buffer` that are used up.
    start: usize,
}

impl Inbound {
    pub(super) fn as_slice(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |input| &input.buffer[input.start..])
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [u8] {
        self.0.as_mut().map_or(&mut [], |input| &mut input.buffer[input.start..])
    }

    pub(super) fn len(&self) -> usize {
        self.as_slice().len()
    }

    pub(super) fn append(&mut self, bytes: &[u8], pool: &mut BufferPool) {
        let Input { buffer, start } = &mut **self.0.get_or_insert_default();
        buffer.drain(..*start);
        *start = 0;
        pool.reserve(buffer, bytes.len());
        buffer.extend_from_slice(bytes);
    }

    /// Lends out everything, so that it can be decoded while the connection is
    /// free for others.
    pub(super) fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// Marks bytes as used up; the last one takes the buffer with it, and a
    /// few that are left move to a smaller one.
    pub(super) fn consume(&mut self, bytes: usize, pool: &mut BufferPool) {
        let Some(input) = &mut self.0 else { return };
        input.start += bytes;
        if input.start >= input.buffer.len() {
            self.clear(pool);
        } else if pool.compact(&mut input.buffer, input.start) {
            input.start = 0;
        }
    }

    pub(super) fn clear(&mut self, pool: &mut BufferPool) {
        if let Some(input) = self.0.take() {
            pool.give(input.buffer);
        }
    }

    /// Memory that is kept from others.
    pub(super) fn held_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |input| INPUT_BYTES + input.buffer.capacity())
    }
}
