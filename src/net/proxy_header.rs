//! The PROXY protocol: the header in which a proxy says for whom it connects,
//! versions 1 (a line of text) and 2 (binary).
//!
//! By haproxy's specification (proxy-protocol.txt, 2020/03/05). The crate `ppp`
//! reads the addresses; where a header ends is found here, since that has to be
//! right however the bytes are split.
//!
//! Thread: pure, any.
//! Invariants:
//! - Every beginning of a header that is taken is `Incomplete`, never
//!   `Invalid`.
//! - More than [`MAX_HEADER`] bytes are never `Incomplete`.

use std::net::{IpAddr, SocketAddr};

use ppp::{v1, v2};
use thiserror::Error;

/// The longest line of version 1, its CR LF included.
const MAX_V1: usize = 107;
/// The longest header of version 2. Senders are told to stay below the 536
/// bytes of the smallest segment; what is larger is no header of a client's
/// address.
const MAX_V2: usize = 536;
/// The longest header that is taken.
pub const MAX_HEADER: usize = MAX_V2;

const V1_SIGNATURE: &[u8] = b"PROXY ";
const V2_SIGNATURE: &[u8] = v2::PROTOCOL_PREFIX;
/// Signature, version and command, family, length: what stands before the
/// addresses of version 2.
const V2_FIXED: usize = 16;

/// What the first bytes of a connection are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// More bytes have to come.
    Incomplete,
    /// A whole header.
    Header {
        /// Whom the proxy connects for; `None`: the proxy does not say, or
        /// connects for itself, so the connection's own address stays.
        address: Option<SocketAddr>,
        /// Bytes that the header takes.
        consumed: usize,
    },
    /// No header, and none with more bytes.
    Invalid(ProxyHeaderError),
}

/// Why bytes are no PROXY header.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProxyHeaderError {
    /// The first bytes are of neither version.
    #[error("the first bytes are no PROXY header")]
    NoSignature,
    /// A header longer than its version allows.
    #[error("a PROXY header of more than {max} bytes")]
    TooLong {
        /// What is allowed.
        max: usize,
    },
    /// A line of version 1 with something wrong in it.
    #[error("a malformed PROXY header of version 1: {0}")]
    MalformedV1(String),
    /// A header of version 2 with something wrong in it.
    #[error("a malformed PROXY header of version 2: {0}")]
    MalformedV2(String),
    /// The connection ended, or the time did, before the header was whole.
    #[error("the PROXY header did not come whole")]
    Unfinished,
}

/// Looks for a header at the beginning of `input`, the first bytes of a
/// connection.
#[must_use]
pub fn parse(input: &[u8]) -> Parsed {
    let parsed = if begins_with(input, V2_SIGNATURE) {
        parse_v2(input)
    } else if begins_with(input, V1_SIGNATURE) {
        parse_v1(input)
    } else {
        Err(ProxyHeaderError::NoSignature)
    };
    match parsed {
        Ok(None) => Parsed::Incomplete,
        Ok(Some((address, consumed))) => Parsed::Header { address: address.map(plain), consumed },
        Err(error) => Parsed::Invalid(error),
    }
}

/// Whether these first bytes of a connection are surely meant as a header.
pub(super) fn looks_like_header(input: &[u8]) -> bool {
    input.starts_with(V1_SIGNATURE) || input.starts_with(V2_SIGNATURE)
}

/// Whether all that has come of the signature is right.
fn begins_with(input: &[u8], signature: &[u8]) -> bool {
    let came = input.len().min(signature.len());
    input[..came] == signature[..came]
}

/// An IPv4 client of a socket that serves both families is an IPv4 client.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The address if the header has one, and the header's length; `None`: it is
/// not whole.
type Found = Option<(Option<SocketAddr>, usize)>;

fn parse_v1(input: &[u8]) -> Result<Found, ProxyHeaderError> {
    let window = &input[..input.len().min(MAX_V1)];
    let Some(newline) = window.iter().position(|byte| *byte == b'\n') else {
        let full = window.len() == MAX_V1;
        return if full { Err(ProxyHeaderError::TooLong { max: MAX_V1 }) } else { Ok(None) };
    };
    let line = &window[..=newline];
    let malformed = |why: &str| ProxyHeaderError::MalformedV1(why.to_owned());
    let text = line.strip_suffix(b"\r\n").ok_or_else(|| malformed("no CR before its LF"))?;
    // Whatever follows UNKNOWN is to be ignored, so nobody parses it.
    if let Some(rest) = text.strip_prefix(b"PROXY UNKNOWN")
        && (rest.is_empty() || rest[0] == b' ')
    {
        return Ok(Some((None, line.len())));
    }
    // Two that Rust's number parser and the crate's splitting would let pass.
    if text.iter().any(|byte| matches!(byte, b'+' | b'\r')) {
        return Err(malformed("a character that has no place in it"));
    }
    let header = v1::Header::try_from(line).map_err(|e| malformed(&e.to_string()))?;
    let address = match header.addresses {
        v1::Addresses::Tcp4(a) => Some((IpAddr::V4(a.source_address), a.source_port).into()),
        v1::Addresses::Tcp6(a) => Some((IpAddr::V6(a.source_address), a.source_port).into()),
        v1::Addresses::Unknown => None,
    };
    Ok(Some((address, line.len())))
}

fn parse_v2(input: &[u8]) -> Result<Found, ProxyHeaderError> {
    let Some(fixed) = input.get(..V2_FIXED) else { return Ok(None) };
    let length = V2_FIXED + usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if length > MAX_V2 {
        return Err(ProxyHeaderError::TooLong { max: MAX_V2 });
    }
    let Some(whole) = input.get(..length) else { return Ok(None) };
    // LOCAL: the proxy's own connection, as for a health check. The rest of
    // such a header is to be skipped unread.
    if fixed[12] == 0x20 {
        return Ok(Some((None, length)));
    }
    let malformed = |why: &str| ProxyHeaderError::MalformedV2(why.to_owned());
    let header = v2::Header::try_from(whole).map_err(|e| malformed(&e.to_string()))?;
    let address = match header.addresses {
        v2::Addresses::IPv4(a) => Some((IpAddr::V4(a.source_address), a.source_port).into()),
        v2::Addresses::IPv6(a) => Some((IpAddr::V6(a.source_address), a.source_port).into()),
        v2::Addresses::Unix(_) | v2::Addresses::Unspecified => None,
    };
    if address.is_some() && header.protocol != v2::Protocol::Stream {
        return Err(malformed("a client that did not come by TCP"));
    }
    Ok(Some((address, length)))
}
