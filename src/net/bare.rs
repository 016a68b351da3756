//! The bare dialect's framing: a stream of objects in braces, with NULs and
//! white space between them. In comes what the peer cuts into segments
//! anywhere, out goes one object and a NUL at a time (`pacing.rs`).
//!
//! An object's end is where its braces and brackets close, those in strings
//! left out of account. Whether it is well-formed within is not looked at: its
//! reader will find out.
//!
//! Thread: a codec lives in its connection, on that reactor's thread.
//! Invariants: no byte is looked at twice, however the stream is cut; nesting
//! costs no memory.

use super::codec::{Codec, CodecError, Decoded};

/// The byte that opens an object, and so chooses this dialect.
pub(super) const OPENING: u8 = b'{';

/// The bare dialect of one connection.
#[derive(Debug, Clone)]
pub struct BareCodec {
    max_frame: usize,
    /// How far the input has been looked at.
    scanned: usize,
    /// Bytes of that which stand before the object, or before what comes next.
    between: usize,
    within: Within,
}

/// What the next byte is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    /// No object has begun.
    Nothing,
    /// An object, so many braces and brackets deep.
    Object { depth: usize },
    /// A string in it.
    String { depth: usize },
    /// A string in it, right behind a backslash.
    Escape { depth: usize },
}

impl BareCodec {
    /// `max_frame`: bytes that a received object may have.
    #[must_use]
    pub fn new(max_frame: usize) -> Self {
        Self { max_frame, scanned: 0, between: 0, within: Within::Nothing }
    }

    /// Looks at the next byte. Whether an object ends with it.
    fn step(&mut self, byte: u8) -> Result<bool, CodecError> {
        #[cfg(test)]
        STEPS.set(STEPS.get() + 1);
        self.within = match (self.within, byte) {
            (Within::Nothing, 0 | b' ' | b'\t' | b'\r' | b'\n') => {
                self.between += 1;
                Within::Nothing
            }
            (Within::Nothing, OPENING) => Within::Object { depth: 1 },
            // Stands in no JSON: the object before it was never finished.
            (_, 0) | (Within::Nothing, _) => return Err(CodecError::NoObject(byte)),
            (Within::Object { depth: 1 }, b'}' | b']') => return Ok(true),
            (Within::Object { depth }, b'}' | b']') => Within::Object { depth: depth - 1 },
            (Within::Object { depth }, b'{' | b'[') => Within::Object { depth: depth + 1 },
            (Within::Object { depth }, b'"') => Within::String { depth },
            (Within::String { depth }, b'"') => Within::Object { depth },
            (Within::String { depth }, b'\\') => Within::Escape { depth },
            (Within::Escape { depth }, _) => Within::String { depth },
            (within, _) => within,
        };
        Ok(false)
    }
}

#[cfg(test)]
thread_local! {
    /// How many bytes this thread has looked at.
    pub(super) static STEPS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

impl Codec for BareCodec {
    fn decode(&mut self, input: &mut [u8]) -> Result<Option<Decoded>, CodecError> {
        while let Some(&byte) = input.get(self.scanned) {
            if self.scanned - self.between >= self.max_frame {
                return Err(CodecError::ObjectTooLong { max: self.max_frame });
            }
            let ends = self.step(byte)?;
            self.scanned += 1;
            if ends {
                let payload = self.between..self.scanned;
                let consumed = self.scanned;
                *self = Self::new(self.max_frame);
                return Ok(Some(Decoded { payload, consumed }));
            }
        }
        Ok(None)
    }

    fn passed_over(&mut self) -> usize {
        let between = std::mem::take(&mut self.between);
        self.scanned -= between;
        between
    }

    fn encode_head(&self, payload_len: usize, _out: &mut Vec<u8>) -> Result<(), CodecError> {
        // A NUL alone would be an object to the peer, and none.
        if payload_len == 0 { Err(CodecError::Empty) } else { Ok(()) }
    }

    fn tail(&self) -> &'static [u8] {
        b"\0"
    }

    fn is_bare(&self) -> bool {
        true
    }
}
