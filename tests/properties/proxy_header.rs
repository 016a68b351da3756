//! The first bytes of a connection from a proxy: the same verdict however they
//! are cut, and none before it is sure.
//!
//! An input is those bytes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use cluster_chat::net::proxy_header::{MAX_HEADER, Parsed, parse};

/// Signature, version and command, family and protocol: version 2, TCP by IPv4.
const V2_TCP4: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11";

/// Panics where the property does not hold.
pub fn check(input: &[u8]) {
    let verdict = parse(input);
    check_verdict(input, &verdict);
    let mut decided = None;
    // Beyond the longest header nothing may change any more.
    for came in 0..=input.len().min(MAX_HEADER + 2) {
        let now = parse(&input[..came]);
        match &decided {
            Some(before) => assert_eq!(&now, before, "another verdict after {came} bytes"),
            None if now != Parsed::Incomplete => {
                if let Parsed::Header { consumed, .. } = &now {
                    assert_eq!(*consumed, came, "found sooner or later than whole");
                }
                decided = Some(now);
            }
            None => assert!(came <= MAX_HEADER, "{came} bytes are no verdict yet"),
        }
    }
    assert_eq!(verdict, decided.unwrap_or(Parsed::Incomplete), "another verdict in pieces");
}

/// What was found is what stands there.
fn check_verdict(input: &[u8], verdict: &Parsed) {
    let Parsed::Header { address, consumed } = verdict else { return };
    assert!((1..=input.len().min(MAX_HEADER)).contains(consumed));
    let header = &input[..*consumed];
    if let Some(line) = header.strip_prefix(b"PROXY ") {
        check_line(line, *address);
    } else if let Some(block) = header.strip_prefix(V2_TCP4) {
        let [_, _, a, b, c, d, _, _, _, _, high, low, ..] = block else {
            panic!("addresses that are not there: {block:?}");
        };
        let source = (Ipv4Addr::new(*a, *b, *c, *d), u16::from_be_bytes([*high, *low]));
        assert_eq!(*address, Some(source.into()));
    }
}

/// The rest of a line of version 1, read by the standard library.
fn check_line(line: &[u8], address: Option<SocketAddr>) {
    if line.starts_with(b"UNKNOWN") {
        assert_eq!(address, None);
        return;
    }
    let line = std::str::from_utf8(line).expect("a line of version 1 is ASCII");
    let fields: Vec<&str> = line.trim_end_matches("\r\n").split(' ').collect();
    let [family, source, destination, port, its_port] = fields[..] else {
        panic!("not five fields: {fields:?}");
    };
    let ip: IpAddr = source.parse().expect("an address");
    let its_ip: IpAddr = destination.parse().expect("an address");
    let wanted = if ip.is_ipv4() { "TCP4" } else { "TCP6" };
    assert_eq!((family, its_ip.is_ipv4()), (wanted, ip.is_ipv4()));
    let port: u16 = port.parse().expect("a port");
    let _: u16 = its_port.parse().expect("a port");
    assert_eq!(address, Some(SocketAddr::new(ip.to_canonical(), port)));
}
