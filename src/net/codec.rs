//! Where a byte stream becomes frames: one codec per dialect.
//!
//! Thread: a codec lives in its connection, on that reactor's thread.
//! Invariants:
//! - The dialect is chosen once, by the first byte of the connection.
//! - A codec never allocates for bytes that have not come.
//! - Only the codec knows what stands around a payload; the connection and the
//!   reactor assume no header.

use std::ops::Range;

use super::bare::{self, BareCodec};

/// The longest payload that fits the framed dialect: the first length byte of
/// a frame is always 0.
pub const LONGEST_FRAME_BYTES: usize = (1 << 24) - 1;

/// Bytes of the length in front of a framed payload.
const HEADER_BYTES: usize = 4;

/// Why bytes are no frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// A frame of length 0.
    #[error("frame of 0 bytes")]
    Empty,
    /// A frame longer than the peer may send, or than can be sent at all.
    #[error("frame of {len} bytes exceeds the limit of {max}")]
    FrameTooLong {
        /// Bytes of the payload, as announced.
        len: usize,
        /// Bytes it may have.
        max: usize,
    },
    /// An object that has more bytes than the peer may send.
    #[error("an object exceeds the limit of {max} bytes")]
    ObjectTooLong {
        /// Bytes it may have.
        max: usize,
    },
    /// This byte stands where an object should begin, or go on.
    #[error("the byte {0:#04x} belongs to no object")]
    NoObject(u8),
    /// The first byte starts no dialect that this server speaks. The peer
    /// would not understand an answer and gets none.
    #[error("no dialect starts with the byte {0:#04x}")]
    UnknownDialect(u8),
}

/// One whole frame, found at the start of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// Where the payload lies in the input.
    pub payload: Range<usize>,
    /// Bytes of the input that are used up; at least the payload's end.
    pub consumed: usize,
}

/// One dialect of one connection, both directions.
pub trait Codec: Send {
    /// Looks for the next frame at the start of `input`. `None`: not whole
    /// yet. What was not consumed is presented again, with whatever the codec
    /// changed in place, at the start of a longer input: a codec may remember
    /// how far it has looked.
    ///
    /// # Errors
    /// The stream cannot be read on; no further call is made.
    fn decode(&mut self, input: &mut [u8]) -> Result<Option<Decoded>, CodecError>;

    /// After [`Codec::decode`] has said `None`: how many bytes at the start of
    /// that input belong to no frame. They are used up, and not presented again.
    fn passed_over(&mut self) -> usize {
        0
    }

    /// Appends what stands before a payload of `payload_len` bytes.
    ///
    /// # Errors
    /// This dialect cannot carry such a payload; nothing was appended.
    fn encode_head(&self, payload_len: usize, out: &mut Vec<u8>) -> Result<(), CodecError>;

    /// What stands behind each payload.
    fn tail(&self) -> &'static [u8] {
        &[]
    }

    /// Whether this is the bare dialect: its frames leave one per write, and
    /// paced.
    fn is_bare(&self) -> bool {
        false
    }
}

/// The dialects that there are. Most connections speak the one that keeps
/// nothing between two frames.
pub enum Dialect {
    /// A length before each payload.
    Framed(FramedCodec),
    /// Objects, each with a NUL behind it.
    Bare(Box<BareCodec>),
}

impl Codec for Dialect {
    fn decode(&mut self, input: &mut [u8]) -> Result<Option<Decoded>, CodecError> {
        match self {
            Dialect::Framed(codec) => codec.decode(input),
            Dialect::Bare(codec) => codec.decode(input),
        }
    }

    fn passed_over(&mut self) -> usize {
        match self {
            Dialect::Framed(codec) => codec.passed_over(),
            Dialect::Bare(codec) => codec.passed_over(),
        }
    }

    fn encode_head(&self, payload_len: usize, out: &mut Vec<u8>) -> Result<(), CodecError> {
        match self {
            Dialect::Framed(codec) => codec.encode_head(payload_len, out),
            Dialect::Bare(codec) => codec.encode_head(payload_len, out),
        }
    }

    fn tail(&self) -> &'static [u8] {
        match self {
            Dialect::Framed(codec) => codec.tail(),
            Dialect::Bare(codec) => codec.tail(),
        }
    }

    fn is_bare(&self) -> bool {
        matches!(self, Dialect::Bare(_))
    }
}

/// The codec of the dialect that starts with `first`. `max_frame` is how many
/// bytes a payload of the peer may have.
///
/// # Errors
/// [`CodecError::UnknownDialect`]: the connection is closed without an answer.
pub fn for_first_byte(first: u8, max_frame: usize) -> Result<Dialect, CodecError> {
    match first {
        0x00 => Ok(Dialect::Framed(FramedCodec::new(max_frame))),
        bare::OPENING => Ok(Dialect::Bare(Box::new(BareCodec::new(max_frame)))),
        other => Err(CodecError::UnknownDialect(other)),
    }
}

/// The framed dialect: 4-byte big-endian length, then that many bytes.
#[derive(Debug, Clone)]
pub struct FramedCodec {
    /// At most [`LONGEST_FRAME_BYTES`].
    max_frame: u32,
}

impl FramedCodec {
    /// `max_frame`: bytes that a received payload may have, at most
    /// [`LONGEST_FRAME_BYTES`].
    #[must_use]
    pub fn new(max_frame: usize) -> Self {
        Self { max_frame: max_frame.min(LONGEST_FRAME_BYTES) as u32 }
    }
}

impl Codec for FramedCodec {
    fn decode(&mut self, input: &mut [u8]) -> Result<Option<Decoded>, CodecError> {
        let Some((header, rest)) = input.split_first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let len = u32::from_be_bytes(*header) as usize;
        if len == 0 {
            return Err(CodecError::Empty);
        }
        let max = self.max_frame as usize;
        if len > max {
            return Err(CodecError::FrameTooLong { len, max });
        }
        if rest.len() < len {
            return Ok(None);
        }
        let end = HEADER_BYTES + len;
        Ok(Some(Decoded { payload: HEADER_BYTES..end, consumed: end }))
    }

    fn encode_head(&self, payload_len: usize, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let too_long = CodecError::FrameTooLong { len: payload_len, max: LONGEST_FRAME_BYTES };
        match u32::try_from(payload_len) {
            Ok(0) => Err(CodecError::Empty),
            Ok(len) if payload_len <= LONGEST_FRAME_BYTES => {
                out.extend_from_slice(&len.to_be_bytes());
                Ok(())
            }
            _ => Err(too_long),
        }
    }
}
