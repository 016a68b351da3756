//! The framed dialect on the client's side: a 4-byte big-endian length, then
//! that many bytes of JSON, over a blocking stream.

use std::io::{self, Read};

/// The most that the client sends in one frame: the server's default limit.
pub const MAX_SENT_BYTES: usize = 65_536;
/// The most that a server may send in one frame, 16 MiB - 1.
const MAX_RECEIVED_BYTES: usize = (16 << 20) - 1;

/// Appends a frame to `out`. The payload is at most [`MAX_SENT_BYTES`] long.
pub fn append_frame(out: &mut Vec<u8>, payload: &[u8]) {
    debug_assert!(payload.len() <= MAX_SENT_BYTES);
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    out.extend_from_slice(payload);
}

/// A length that no server sends, which are the first bytes of something else.
#[derive(Debug, thiserror::Error)]
#[error("a frame of {} bytes", u32::from_be_bytes(self.0))]
pub struct NotFramed([u8; 4]);

impl NotFramed {
    /// Whether they begin a TLS record: an alert, or what else a server says
    /// first.
    pub fn is_tls(&self) -> bool {
        matches!(self.0, [0x15 | 0x16, 3, ..])
    }
}

/// Reads one frame's payload; `None` where the stream ends between frames.
///
/// # Errors
/// `UnexpectedEof` in the middle of a frame, `InvalidData` with [`NotFramed`]
/// for a length that no server sends, and what the stream reports.
pub fn read_frame(stream: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut header = [0; 4];
    let mut have = 0;
    while have < header.len() {
        match stream.read(&mut header[have..]) {
            Ok(0) if have == 0 => return Ok(None),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => have += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    let len = u32::from_be_bytes(header) as usize;
    if len == 0 || len > MAX_RECEIVED_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, NotFramed(header)));
    }
    // `take` instead of a buffer of `len` bytes: memory grows with what really
    // comes, not with what a header promises.
    let mut payload = Vec::new();
    stream.take(len as u64).read_to_end(&mut payload)?;
    if payload.len() < len {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_back_as_they_were_written_wherever_they_are_cut() {
        let mut bytes = Vec::new();
        append_frame(&mut bytes, b"{\"a\":1}");
        append_frame(&mut bytes, b"{}");
        assert_eq!(&bytes[..5], b"\0\0\0\x07{");
        struct Dribble<'a>(&'a [u8]);
        impl Read for Dribble<'_> {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                let n = self.0.len().min(buf.len()).min(1);
                buf[..n].copy_from_slice(&self.0[..n]);
                self.0 = &self.0[n..];
                Ok(n)
            }
        }
        let mut stream = Dribble(&bytes);
        assert_eq!(read_frame(&mut stream).unwrap().unwrap(), b"{\"a\":1}");
        assert_eq!(read_frame(&mut stream).unwrap().unwrap(), b"{}");
        assert!(read_frame(&mut stream).unwrap().is_none());
    }

    #[test]
    fn an_end_inside_a_frame_and_an_absurd_length_are_errors() {
        for (bytes, kind) in [
            (&b"\0\0"[..], io::ErrorKind::UnexpectedEof),
            (b"\0\0\0\x05{}", io::ErrorKind::UnexpectedEof),
            (b"\0\0\0\0", io::ErrorKind::InvalidData),
            (b"HTTP/1.1 400", io::ErrorKind::InvalidData),
        ] {
            assert_eq!(read_frame(&mut &bytes[..]).unwrap_err().kind(), kind, "{bytes:?}");
        }
    }
}
