//! What is a PROXY header and what is not, byte by byte.

use proptest::prelude::*;

use crate::net::proxy_header::{MAX_HEADER, Parsed, ProxyHeaderError, parse};

/// A header of version 2.
pub fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    bytes.extend([0x20 | command, family]);
    bytes.extend(u16::try_from(block.len()).unwrap().to_be_bytes());
    bytes.extend(block);
    bytes
}

/// The addresses of version 2 for 203.0.113.9 port 4711.
pub fn v2_ipv4() -> Vec<u8> {
    v2(1, 0x11, &[203, 0, 113, 9, 10, 0, 0, 1, 0x12, 0x67, 0x1f, 0x40])
}

fn v2_ipv6(tlvs: &[u8]) -> Vec<u8> {
    let mut block = vec![0; 36];
    block[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    block[15] = 9;
    block[32..].copy_from_slice(&[0x12, 0x67, 0x1f, 0x40]);
    block.extend(tlvs);
    v2(1, 0x21, &block)
}

/// Every header that is taken, and whom it names.
fn good() -> Vec<(Vec<u8>, Option<&'static str>)> {
    let text = |line: &str| line.as_bytes().to_vec();
    let mut longest = b"PROXY UNKNOWN ".to_vec();
    longest.resize(105, 0xff);
    longest.extend(b"\r\n");
    vec![
        (text("PROXY TCP4 203.0.113.9 10.0.0.1 4711 8000\r\n"), Some("203.0.113.9:4711")),
        (text("PROXY TCP6 2001:db8::9 2001:db8::1 4711 8000\r\n"), Some("[2001:db8::9]:4711")),
        (text("PROXY TCP6 ::ffff:203.0.113.9 ::1 4711 8000\r\n"), Some("203.0.113.9:4711")),
        (text("PROXY UNKNOWN\r\n"), None),
        (text("PROXY UNKNOWN and whatever else a b c d e f stands here\r\n"), None),
        (longest, None),
        (v2_ipv4(), Some("203.0.113.9:4711")),
        (v2_ipv6(&[]), Some("[2001:db8::9]:4711")),
        (v2_ipv6(&[4, 0, 3, 0, 0, 0]), Some("[2001:db8::9]:4711")),
        (v2(1, 0x31, &[b'/'; 216]), None),
        (v2(1, 0x00, &[]), None),
        (v2(1, 0x00, &[0; 520]), None),
        (v2(0, 0x00, &[]), None),
        // Of a LOCAL header nothing but the length is looked at.
        (v2(0, 0x11, &[]), None),
        (v2(0, 0xff, &[1, 2, 3]), None),
    ]
}

#[test]
fn a_header_names_the_client_however_it_is_split_and_whatever_follows() {
    for (header, address) in good() {
        for came in 0..header.len() {
            assert_eq!(parse(&header[..came]), Parsed::Incomplete, "{came} of {header:?}");
        }
        let whole =
            Parsed::Header { address: address.map(|a| a.parse().unwrap()), consumed: header.len() };
        assert_eq!(parse(&header), whole, "{header:?}");
        for next in [&b"\0\0\0\x02{}"[..], b"{\"msgid\":15}", b"\r\n", b"PROXY "] {
            assert_eq!(parse(&[&header[..], next].concat()), whole, "{header:?} and {next:?}");
        }
    }
}

#[test]
fn what_is_no_header_is_refused() {
    let malformed_v1 = [
        "PROXY TCP4 203.0.113.9 10.0.0.1 4711 8000\n",
        "PROXY TCP4 203.0.113.9 10.0.0.1 4711\r\n",
        "PROXY TCP4 203.0.113.9 10.0.0.1 4711 8000 1\r\n",
        "PROXY TCP4  203.0.113.9 10.0.0.1 4711 8000\r\n",
        "PROXY TCP4 203.0.113.999 10.0.0.1 4711 8000\r\n",
        "PROXY TCP4 2001:db8::9 2001:db8::1 4711 8000\r\n",
        "PROXY TCP4 203.0.113.9 10.0.0.1 65536 8000\r\n",
        "PROXY TCP4 203.0.113.9 10.0.0.1 +4711 8000\r\n",
        "PROXY TCP4 203.0.113.9 10.0.0.1 04711 8000\r\n",
        "PROXY TCP4 203.0.113.9 10.0.0.1 4711 8000\rx\r\n",
        "PROXY TCP5 203.0.113.9 10.0.0.1 4711 8000\r\n",
        "PROXY UNKNOWNED\r\n",
        "PROXY \r\n",
        "PROXY TCP4\r\n",
    ];
    for line in malformed_v1 {
        let parsed = parse(line.as_bytes());
        let refused = matches!(parsed, Parsed::Invalid(ProxyHeaderError::MalformedV1(_)));
        assert!(refused, "{line:?}: {parsed:?}");
    }
    let mut version_3 = v2_ipv4();
    version_3[12] = 0x31;
    let malformed_v2 = [
        version_3,
        v2(2, 0x11, &[0; 12]),
        v2(1, 0x11, &[0; 11]),
        v2(1, 0x41, &[0; 12]),
        v2(1, 0x13, &[0; 12]),
        // A datagram is no connection.
        v2(1, 0x12, &[0; 12]),
    ];
    for header in malformed_v2 {
        let parsed = parse(&header);
        let refused = matches!(parsed, Parsed::Invalid(ProxyHeaderError::MalformedV2(_)));
        assert!(refused, "{header:?}: {parsed:?}");
    }
    for other in [&b"\0\0\0\x0c"[..], b"{", b"PROXX", b"proxy ", b"\r\n\r\n\r\n", b"GET / HTTP/1.1"]
    {
        assert_eq!(parse(other), Parsed::Invalid(ProxyHeaderError::NoSignature), "{other:?}");
    }
}

#[test]
fn a_header_longer_than_its_version_allows_is_refused_before_it_has_come() {
    let mut line = b"PROXY UNKNOWN ".to_vec();
    line.resize(106, b'x');
    assert_eq!(parse(&line), Parsed::Incomplete);
    line.push(b'\r');
    assert_eq!(parse(&line), Parsed::Invalid(ProxyHeaderError::TooLong { max: 107 }));
    line.push(b'\n');
    assert_eq!(parse(&line), Parsed::Invalid(ProxyHeaderError::TooLong { max: 107 }));
    for command in [0, 1] {
        let too_long = v2(command, 0x11, &[0; 521]);
        let refused = Parsed::Invalid(ProxyHeaderError::TooLong { max: 536 });
        assert_eq!(parse(&too_long[..15]), Parsed::Incomplete);
        assert_eq!(parse(&too_long[..16]), refused);
        assert_eq!(parse(&too_long), refused);
    }
}

proptest! {
    #[test]
    fn more_bytes_never_change_a_verdict(
        header in 0..good().len(),
        at in 0..600_usize,
        byte in any::<u8>(),
        tail in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        // A good header with one byte changed, and anything behind it.
        let mut input = good()[header].0.clone();
        let at = at % input.len();
        input[at] = byte;
        input.extend(tail);
        let mut verdict = Parsed::Incomplete;
        for came in 0..=input.len() {
            let now = parse(&input[..came]);
            if verdict == Parsed::Incomplete {
                prop_assert!(now != Parsed::Incomplete || came <= MAX_HEADER);
                if let Parsed::Header { consumed, .. } = now {
                    prop_assert_eq!(consumed, came);
                }
                verdict = now;
            } else {
                prop_assert_eq!(&now, &verdict);
            }
        }
    }
}
