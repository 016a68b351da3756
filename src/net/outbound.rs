//! What a connection has still to send, and the buffers that are lent to it.
//!
//! Thread: the reactor's.
//! Invariants:
//! - Bytes leave in the order queued; what the socket did not take stays.
//! - An empty queue holds no memory: its buffers are back in the [`BufferPool`],
//!   from where the next frame gets them without an allocation.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Write};
use std::sync::Arc;

use super::codec::{Codec, CodecError};

/// A chunk is not appended to beyond this, so that a queue that grows is not
/// copied again and again.
const CHUNK_BYTES: usize = 64 * 1024;
/// From here on sharing a payload is cheaper than copying it.
const SHARE_FROM_BYTES: usize = 4 * 1024;
/// Chunks that go into one `writev`.
const SLICES: usize = 32;
/// Memory that the buffers of a pool keep, all together.
const POOL_BYTES: usize = 4 * 1024 * 1024;
/// A larger buffer goes back to the allocator.
const LARGEST_POOLED_BYTES: usize = 2 * CHUNK_BYTES;
/// Queues that a pool keeps, each of at most [`SLICES`] chunks.
const POOLED_QUEUES: usize = 1024;

/// A frame's content, to be copied or shared.
pub(super) enum Payload<'a> {
    Borrowed(&'a [u8]),
    Shared(&'a Arc<[u8]>),
}

impl Payload<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

/// The queue of one connection.
#[derive(Default)]
pub(super) struct Outbound {
    chunks: VecDeque<Chunk>,
    /// Bytes of the first chunk that are written already.
    start: usize,
    /// Bytes that wait.
    len: usize,
}

enum Chunk {
    Copied(Vec<u8>),
    Shared(Arc<[u8]>),
}

/// What a write came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub bytes: usize,
    /// The socket takes no more; it will say when it does.
    pub blocked: bool,
}

impl Outbound {
    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Queues one frame and says how many bytes it has, all told.
    ///
    /// # Errors
    /// The dialect cannot carry it; nothing was queued.
    pub(super) fn push_frame(
        &mut self,
        codec: &dyn Codec,
        payload: &Payload<'_>,
        pool: &mut BufferPool,
    ) -> Result<usize, CodecError> {
        let bytes = payload.bytes();
        let before = self.len;
        let out = self.open_chunk(pool);
        let head = out.len();
        if let Err(e) = codec.encode_head(bytes.len(), out) {
            self.release_if_empty(pool);
            return Err(e);
        }
        let mut copied = out.len() - head;
        match payload {
            Payload::Shared(shared) if bytes.len() >= SHARE_FROM_BYTES => {
                self.chunks.push_back(Chunk::Shared(Arc::clone(shared)));
                self.len += bytes.len();
            }
            _ => {
                out.extend_from_slice(bytes);
                copied += bytes.len();
            }
        }
        self.len += copied;
        let tail = codec.tail();
        if !tail.is_empty() {
            self.open_chunk(pool).extend_from_slice(tail);
            self.len += tail.len();
        }
        Ok(self.len - before)
    }

    /// Writes until all is gone or the socket takes no more.
    ///
    /// # Errors
    /// The socket failed; what is left will never be written.
    pub(super) fn write_to(
        &mut self,
        socket: &mut impl Write,
        pool: &mut BufferPool,
    ) -> io::Result<Written> {
        let mut bytes = 0;
        while self.len > 0 {
            match self.write_once(socket) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => {
                    self.consume(n, pool);
                    bytes += n;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    return Ok(Written { bytes, blocked: true });
                }
                Err(e) => return Err(e),
            }
        }
        Ok(Written { bytes, blocked: false })
    }

    /// Throws away what waits.
    pub(super) fn clear(&mut self, pool: &mut BufferPool) {
        self.len = 0;
        self.release_if_empty(pool);
    }

    fn write_once(&self, socket: &mut impl Write) -> io::Result<usize> {
        if let [only] = self.chunks.as_slices().0
            && self.chunks.len() == 1
        {
            return socket.write(&only.bytes()[self.start..]);
        }
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut start = self.start;
        for (slice, chunk) in slices.iter_mut().zip(&self.chunks) {
            *slice = IoSlice::new(&chunk.bytes()[start..]);
            start = 0;
        }
        let count = self.chunks.len().min(SLICES);
        socket.write_vectored(&slices[..count])
    }

    fn consume(&mut self, written: usize, pool: &mut BufferPool) {
        self.len -= written;
        self.start += written;
        while let Some(chunk) = self.chunks.front()
            && self.start >= chunk.bytes().len()
        {
            self.start -= chunk.bytes().len();
            if let Some(Chunk::Copied(buffer)) = self.chunks.pop_front() {
                pool.give(buffer);
            }
        }
        self.release_if_empty(pool);
    }

    /// The chunk that small things are appended to.
    fn open_chunk(&mut self, pool: &mut BufferPool) -> &mut Vec<u8> {
        if self.chunks.capacity() == 0 {
            self.chunks = pool.queues.pop().unwrap_or_default();
        }
        let open = matches!(self.chunks.back(), Some(Chunk::Copied(b)) if b.len() < CHUNK_BYTES);
        if !open {
            self.chunks.push_back(Chunk::Copied(pool.take()));
        }
        match self.chunks.back_mut() {
            Some(Chunk::Copied(buffer)) => buffer,
            _ => unreachable!("a copied chunk was just found or pushed"),
        }
    }

    fn release_if_empty(&mut self, pool: &mut BufferPool) {
        if self.len > 0 {
            return;
        }
        self.start = 0;
        let mut chunks = std::mem::take(&mut self.chunks);
        for chunk in chunks.drain(..) {
            if let Chunk::Copied(buffer) = chunk {
                pool.give(buffer);
            }
        }
        if chunks.capacity() > 0 && chunks.capacity() <= SLICES && pool.queues.len() < POOLED_QUEUES
        {
            pool.queues.push(chunks);
        }
    }

    /// Memory that this queue keeps from others.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        let chunks = self.chunks.iter().map(|chunk| match chunk {
            Chunk::Copied(buffer) => buffer.capacity(),
            Chunk::Shared(bytes) => bytes.len(),
        });
        self.chunks.capacity() * size_of::<Chunk>() + chunks.sum::<usize>()
    }
}

impl Chunk {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Copied(buffer) => buffer,
            Self::Shared(bytes) => bytes,
        }
    }
}

/// Buffers between two uses, one pool per reactor: a connection has one only
/// while it holds bytes, and yet a frame in steady state allocates nothing.
#[derive(Default)]
pub(super) struct BufferPool {
    buffers: Vec<Vec<u8>>,
    /// Capacity of all `buffers`.
    kept_bytes: usize,
    queues: Vec<VecDeque<Chunk>>,
}

impl BufferPool {
    /// An empty buffer.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let buffer = self.buffers.pop().unwrap_or_default();
        self.kept_bytes -= buffer.capacity();
        buffer
    }

    /// Takes a buffer back; what it held is forgotten.
    pub(super) fn give(&mut self, mut buffer: Vec<u8>) {
        let bytes = buffer.capacity();
        let fits = (1..=LARGEST_POOLED_BYTES).contains(&bytes);
        if fits && self.kept_bytes + bytes <= POOL_BYTES {
            buffer.clear();
            self.kept_bytes += bytes;
            self.buffers.push(buffer);
        }
    }
}
