//! What a connection has still to send, and the buffers that are lent to it.
//!
//! Thread: the reactor's.
//! Invariants:
//! - Bytes leave in the order queued; what the socket did not take stays.
//! - An empty queue holds no memory: its buffers are back in the [`BufferPool`],
//!   from where the next frame gets them without an allocation.
//! - What it holds is never much more than what waits: a chunk of which only
//!   a little is left to write is moved to a smaller buffer.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Write};
use std::sync::Arc;

use super::buffer_pool::BufferPool;
use super::codec::{Codec, CodecError};
use crate::moment::Moment;

/// A chunk is not appended to beyond this, so that a queue that grows is not
/// copied again and again.
const CHUNK_BYTES: usize = 64 * 1024;
/// From here on sharing a payload is cheaper than copying it.
const SHARE_FROM_BYTES: usize = 4 * 1024;
/// Chunks that go into one `writev`.
const SLICES: usize = 32;
/// Room for what any dialect puts around a payload.
const AROUND_BYTES: usize = 16;

/// A frame's content, to be copied or shared.
pub(super) enum Payload<'a> {
    Borrowed(&'a [u8]),
    Shared(&'a Arc<[u8]>),
}

impl Payload<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

/// What one connection has still to send.
#[derive(Default)]
pub(super) struct Outbound(Option<Box<Queue>>);

/// What waits, while something does.
#[derive(Default)]
pub(super) struct Queue {
    chunks: VecDeque<Chunk>,
    /// Bytes of the first chunk that are written already.
    start: usize,
    /// Bytes that wait.
    len: usize,
    /// Bytes at the front that count against no limit: up to the end of a
    /// frame that alone is over it.
    exempt: usize,
    /// Memory of all chunks.
    chunk_bytes: usize,
    /// Since when the socket has taken nothing.
    stalled_since: Option<Moment>,
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
        self.0.as_ref().map_or(0, |queue| queue.len)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Those of them that count against the limit.
    pub(super) fn counted_len(&self) -> usize {
        self.0.as_ref().map_or(0, |queue| queue.len.saturating_sub(queue.exempt))
    }

    /// Lets the first so many bytes wait without counting, unless others do.
    pub(super) fn exempt(&mut self, bytes: usize) {
        if let Some(queue) = &mut self.0
            && queue.exempt == 0
        {
            queue.exempt = bytes;
        }
    }

    /// Since when bytes wait and the socket has taken nothing.
    pub(super) fn stalled_since(&self) -> Option<Moment> {
        self.0.as_ref()?.stalled_since
    }

    /// A write has come to this: from now on the socket has taken nothing, if
    /// it takes no more.
    pub(super) fn watch_stall(&mut self, written: &Written, now: Moment) {
        let Some(queue) = &mut self.0 else { return };
        if !written.blocked {
            queue.stalled_since = None;
        } else if written.bytes > 0 || queue.stalled_since.is_none() {
            queue.stalled_since = Some(now);
        }
    }

    /// Queues one frame and says how many bytes it has, all told.
    ///
    /// # Errors
    /// The dialect cannot carry it; nothing was queued.
    pub(super) fn push_frame(
        &mut self,
        codec: &impl Codec,
        payload: &Payload<'_>,
        pool: &mut BufferPool,
    ) -> Result<usize, CodecError> {
        let queue = self.0.get_or_insert_with(|| pool.take_queue());
        let pushed = queue.push_frame(codec, payload, pool);
        self.release_if_empty(pool);
        pushed
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
        let Some(queue) = &mut self.0 else { return Ok(Written { bytes: 0, blocked: false }) };
        let written = queue.write_to(socket, pool);
        self.release_if_empty(pool);
        written
    }

    /// Writes the first so many bytes, in one write unless that is cut short,
    /// and nothing behind them.
    ///
    /// # Errors
    /// The socket failed; what is left will never be written.
    pub(super) fn write_first(
        &mut self,
        bytes: usize,
        socket: &mut impl Write,
        pool: &mut BufferPool,
    ) -> io::Result<Written> {
        let Some(queue) = &mut self.0 else { return Ok(Written { bytes: 0, blocked: false }) };
        let mut first = pool.take(bytes);
        queue.copy_first(bytes, &mut first);
        let written = loop {
            match socket.write(&first) {
                Ok(0) => break Err(ErrorKind::WriteZero.into()),
                Ok(n) => {
                    queue.consume(n, pool);
                    break Ok(Written { bytes: n, blocked: false });
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    queue.compact(pool);
                    break Ok(Written { bytes: 0, blocked: true });
                }
                Err(e) => break Err(e),
            }
        };
        pool.give(first);
        self.release_if_empty(pool);
        written
    }

    /// Throws away what waits.
    pub(super) fn clear(&mut self, pool: &mut BufferPool) {
        if let Some(queue) = &mut self.0 {
            queue.len = 0;
        }
        self.release_if_empty(pool);
    }

    fn release_if_empty(&mut self, pool: &mut BufferPool) {
        if self.is_empty()
            && let Some(mut queue) = self.0.take()
        {
            queue.clear(pool);
            pool.give_queue(queue);
        }
    }

    /// Memory that this queue keeps from others.
    pub(super) fn held_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |queue| queue.own_bytes() + queue.chunk_bytes)
    }
}

impl Queue {
    fn push_frame(
        &mut self,
        codec: &impl Codec,
        payload: &Payload<'_>,
        pool: &mut BufferPool,
    ) -> Result<usize, CodecError> {
        let bytes = payload.bytes();
        let before = self.len;
        let shared = match payload {
            Payload::Shared(shared) if bytes.len() >= SHARE_FROM_BYTES => Some(*shared),
            _ => None,
        };
        let copied = if shared.is_some() { &[] } else { bytes };
        self.append(AROUND_BYTES + copied.len(), pool, |out| {
            codec.encode_head(bytes.len(), out)?;
            out.extend_from_slice(copied);
            Ok(())
        })?;
        if let Some(shared) = shared {
            self.chunks.push_back(Chunk::Shared(Arc::clone(shared)));
            self.len += shared.len();
            self.chunk_bytes += shared.len();
        }
        let tail = codec.tail();
        if !tail.is_empty() {
            self.append(tail.len(), pool, |out| {
                out.extend_from_slice(tail);
                Ok(())
            })?;
        }
        Ok(self.len - before)
    }

    fn write_to(&mut self, socket: &mut impl Write, pool: &mut BufferPool) -> io::Result<Written> {
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
                    self.compact(pool);
                    return Ok(Written { bytes, blocked: true });
                }
                Err(e) => return Err(e),
            }
        }
        Ok(Written { bytes, blocked: false })
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

    fn copy_first(&self, bytes: usize, out: &mut Vec<u8>) {
        let mut start = self.start;
        for chunk in &self.chunks {
            let chunk = &chunk.bytes()[start..];
            out.extend_from_slice(&chunk[..chunk.len().min(bytes - out.len())]);
            start = 0;
        }
    }

    fn consume(&mut self, written: usize, pool: &mut BufferPool) {
        self.len -= written;
        self.exempt = self.exempt.saturating_sub(written);
        self.start += written;
        while let Some(chunk) = self.chunks.front()
            && self.start >= chunk.bytes().len()
        {
            self.start -= chunk.bytes().len();
            if let Some(chunk) = self.chunks.pop_front() {
                self.chunk_bytes -= chunk.held_bytes();
                chunk.release(pool);
            }
        }
    }

    /// Moves what is left of the chunk that is being written to a smaller
    /// buffer, where that is little.
    fn compact(&mut self, pool: &mut BufferPool) {
        let Some(chunk) = self.chunks.front_mut().filter(|_| self.start > 0) else { return };
        let before = chunk.held_bytes();
        if chunk.compact(self.start, pool) {
            self.start = 0;
            self.chunk_bytes = self.chunk_bytes - before + chunk.held_bytes();
        }
    }

    /// Has something small, of at most so many bytes, appended to the last
    /// chunk.
    fn append(
        &mut self,
        bytes: usize,
        pool: &mut BufferPool,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), CodecError>,
    ) -> Result<(), CodecError> {
        let open = matches!(self.chunks.back(), Some(Chunk::Copied(b)) if b.len() < CHUNK_BYTES);
        if !open {
            self.chunks.push_back(Chunk::Copied(Vec::new()));
        }
        let Some(Chunk::Copied(buffer)) = self.chunks.back_mut() else {
            unreachable!("a copied chunk was just found or pushed")
        };
        let (held, len) = (buffer.capacity(), buffer.len());
        pool.reserve(buffer, bytes);
        let written = write(buffer);
        self.chunk_bytes = self.chunk_bytes - held + buffer.capacity();
        self.len += buffer.len() - len;
        written
    }

    fn clear(&mut self, pool: &mut BufferPool) {
        for chunk in self.chunks.drain(..) {
            chunk.release(pool);
        }
        let chunks = std::mem::take(&mut self.chunks);
        *self = Queue { chunks, ..Queue::default() };
    }

    /// How many chunks fit without more memory.
    pub(super) fn room(&self) -> usize {
        self.chunks.capacity()
    }

    /// Memory that it takes without its chunks.
    pub(super) fn own_bytes(&self) -> usize {
        size_of::<Queue>() + self.room() * size_of::<Chunk>()
    }
}

impl Chunk {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Copied(buffer) => buffer,
            Self::Shared(bytes) => bytes,
        }
    }
    /// Memory that it keeps; what is shared counts for each.
    fn held_bytes(&self) -> usize {
        match self {
            Self::Copied(buffer) => buffer.capacity(),
            Self::Shared(bytes) => bytes.len(),
        }
    }

    /// Drops what is before `start`, where little is behind it.
    fn compact(&mut self, start: usize, pool: &mut BufferPool) -> bool {
        match self {
            Self::Copied(buffer) => pool.compact(buffer, start),
            Self::Shared(bytes) => {
                let left = &bytes[start..];
                let sparse = left.len() < SHARE_FROM_BYTES;
                if sparse {
                    let mut buffer = pool.take(left.len());
                    buffer.extend_from_slice(left);
                    *self = Self::Copied(buffer);
                }
                sparse
            }
        }
    }

    fn release(self, pool: &mut BufferPool) {
        if let Self::Copied(buffer) = self {
            pool.give(buffer);
        }
    }
}
