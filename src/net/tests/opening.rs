//! Behind a proxy: nobody is told of a connection before its PROXY header has
//! said whose it is.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::proxy_header::{v2, v2_ipv4};
use super::support::{Client, Rig, SOON, Script, Seen, framed};
use crate::net::{CloseReason, CodecError, ConnId};

const V1: &[u8] = b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 8000\r\n";
const CLIENT: &str = "203.0.113.9:4711";

/// A reactor that takes the tests' own address for a proxy's.
fn behind_a_proxy() -> Rig {
    behind_a_proxy_for(SOON)
}

fn behind_a_proxy_for(timeout: Duration) -> Rig {
    Rig::with(Script::echo(), |config| {
        config.trusted_proxies = Some("127.0.0.1".parse().unwrap());
        config.proxy_header_timeout = timeout;
    })
}

fn peer(rig: &Rig, conn: ConnId) -> SocketAddr {
    rig.run(move |io| io.peer(conn)).unwrap()
}

fn is_echoed(client: &mut Client, payload: &[u8]) {
    client.send(payload);
    assert_eq!(client.receive(), payload);
}

/// The reactor has read what the first connection has sent so far.
fn first_is_read(rig: &Rig) {
    nth_is_read(rig, 1);
}

/// The same for the connection of this number: part of a header that waits for
/// the rest.
fn nth_is_read(rig: &Rig, number: u64) {
    let deadline = Instant::now() + SOON;
    while rig.run(move |io| io.nth(number).map_or(0, |conn| io.held_bytes(conn))) == 0 {
        assert!(Instant::now() < deadline, "nothing was read");
    }
}

/// Ends the reactor, which has told its handler of no connection at all.
fn nobody_was_told(mut rig: Rig) {
    rig.handle.shutdown(Instant::now() + SOON);
    let told = rig.join().into_iter().find(|s| matches!(s, Seen::Open(_) | Seen::Close(..)));
    assert_eq!(told, None);
}

#[test]
fn either_version_names_the_client() {
    let rig = behind_a_proxy();
    for header in [V1, &v2_ipv4()] {
        let mut client = rig.connect_raw();
        client.send_raw(header);
        let conn = rig.opened();
        assert_eq!(peer(&rig, conn).to_string(), CLIENT);
        is_echoed(&mut client, b"hello");
        drop(client);
        assert_eq!(rig.closed(conn), CloseReason::PeerClosed);
    }
}

#[test]
fn a_proxy_that_connects_for_itself_or_for_a_local_socket_keeps_its_address() {
    let rig = behind_a_proxy();
    let (local, unix) = (v2(0, 0x00, &[]), v2(1, 0x31, &[b'/'; 216]));
    for header in [&b"PROXY UNKNOWN\r\n"[..], &local, &unix] {
        let mut client = rig.connect_raw();
        client.send_raw(header);
        let conn = rig.opened();
        assert_eq!(peer(&rig, conn), client.stream.local_addr().unwrap());
        is_echoed(&mut client, b"hello");
    }
}

#[test]
fn a_header_and_a_frame_are_told_apart_wherever_they_are_cut() {
    let rig = behind_a_proxy();
    let mut number = 0;
    for header in [V1, &v2_ipv4()] {
        let stream = [header, &framed(b"first"), &framed(b"second")].concat();
        for cut in 0..=stream.len() {
            let mut client = rig.connect_raw();
            number += 1;
            client.send_raw(&stream[..cut]);
            if (1..header.len()).contains(&cut) {
                nth_is_read(&rig, number);
            }
            client.send_raw(&stream[cut..]);
            assert_eq!(peer(&rig, rig.opened()).to_string(), CLIENT, "cut at {cut}");
            assert_eq!(client.receive(), b"first", "cut at {cut}");
            assert_eq!(client.receive(), b"second", "cut at {cut}");
        }
    }
}

#[test]
fn a_header_that_comes_byte_by_byte_is_a_header() {
    let rig = behind_a_proxy();
    let mut client = rig.connect_raw();
    for byte in [&v2_ipv4()[..], &framed(b"x")].concat() {
        client.send_raw(&[byte]);
        rig.run(|_| ());
    }
    assert_eq!(peer(&rig, rig.opened()).to_string(), CLIENT);
    assert_eq!(client.receive(), b"x");
}

#[test]
fn the_handler_is_not_told_before_the_header_is_whole() {
    let rig = behind_a_proxy();
    let mut client = rig.connect_raw();
    let (most, last) = V1.split_at(V1.len() - 1);
    client.send_raw(most);
    first_is_read(&rig);
    assert_eq!(rig.run(|io| io.connections()), []);
    assert!(!rig.seen.try_iter().any(|seen| matches!(seen, Seen::Open(_))));
    client.send_raw(last);
    let conn = rig.opened();
    assert_eq!(rig.run(|io| io.connections()), [conn]);
}

#[test]
fn a_proxy_that_sends_no_header_is_closed_and_nobody_was_told() {
    let rig = behind_a_proxy();
    let mut too_long = b"PROXY UNKNOWN ".to_vec();
    too_long.resize(107, b'x');
    for bytes in [
        &framed(b"no header")[..],
        b"GET / HTTP/1.1\r\n\r\n",
        b"PROXY TCP4 nonsense\r\n",
        &too_long,
        &v2(1, 0x11, &[0; 521]),
    ] {
        let mut client = rig.connect_raw();
        client.send_raw(bytes);
        assert!(client.is_cut_off(), "{bytes:?}");
    }
    nobody_was_told(rig);
}

#[test]
fn a_header_that_does_not_come_in_time_is_not_waited_for() {
    let rig = behind_a_proxy_for(Duration::from_millis(50));
    let mut silent = rig.connect_raw();
    let mut slow = rig.connect_raw();
    slow.send_raw(&V1[..20]);
    assert!(silent.is_cut_off());
    assert!(slow.is_cut_off());
    nobody_was_told(rig);
}

#[test]
fn who_was_introduced_in_time_is_held_to_the_idle_timeout_only() {
    let rig = behind_a_proxy_for(Duration::from_millis(50));
    let mut client = rig.connect_raw();
    client.send_raw(V1);
    let conn = rig.opened();
    let (later, rang) = (Duration::from_millis(150), 1);
    rig.run(move |io| io.set_timer(io.now() + later, rang));
    rig.wait_for(|seen| (seen == Seen::Timer(rang)).then_some(()));
    is_echoed(&mut client, b"still here");
    assert_eq!(peer(&rig, conn).to_string(), CLIENT);
}

#[test]
fn a_proxy_that_closes_before_its_header_is_whole_is_nobody() {
    let rig = behind_a_proxy();
    let mut probe = rig.connect_raw();
    probe.half_close();
    assert!(probe.is_cut_off());
    let mut cut_short = rig.connect_raw();
    cut_short.send_raw(&V1[..20]);
    cut_short.half_close();
    assert!(cut_short.is_cut_off());
    let mut reset = rig.connect_raw();
    reset.send_raw(&V1[..20]);
    reset.reset();
    nobody_was_told(rig);
}

#[test]
fn a_half_close_behind_a_header_is_the_clients() {
    let rig = behind_a_proxy();
    let mut client = rig.connect_raw();
    client.send_raw(&[V1, &framed(b"last words")].concat());
    client.half_close();
    let conn = rig.opened();
    assert_eq!(rig.frame(), b"last words");
    rig.half_closed(conn);
    assert_eq!(client.receive_to_the_end(), framed(b"last words"));
    assert_eq!(rig.closed(conn), CloseReason::PeerClosed);
}

#[test]
fn a_shutdown_does_not_wait_for_headers() {
    let rig = behind_a_proxy();
    let mut client = rig.connect_raw();
    client.send_raw(&V1[..20]);
    first_is_read(&rig);
    let begun = Instant::now();
    nobody_was_told(rig);
    assert!(begun.elapsed() < SOON);
    assert!(client.is_cut_off());
}

#[test]
fn a_header_of_anybody_else_is_no_dialect() {
    let elsewhere = Rig::with(Script::echo(), |config| {
        config.trusted_proxies = Some("10.0.0.0/8,::1".parse().unwrap());
    });
    let off = Rig::start(Script::echo());
    for rig in [elsewhere, off] {
        let (mut direct, _) = rig.connect();
        is_echoed(&mut direct, b"as ever");
        for header in [V1, &v2_ipv4()] {
            let (mut client, conn) = rig.connect();
            client.send_raw(header);
            let reason = CloseReason::Codec(CodecError::UnknownDialect(header[0]));
            assert_eq!(rig.closed(conn), reason);
            assert!(client.is_cut_off());
        }
    }
}

#[test]
fn a_second_header_is_no_dialect() {
    let rig = behind_a_proxy();
    let mut client = rig.connect_raw();
    client.send_raw(&[V1, b"PROXY TCP4 192.0.2.1 10.0.0.1 1 8000\r\n"].concat());
    let conn = rig.opened();
    let reason = CloseReason::Codec(CodecError::UnknownDialect(b'P'));
    assert_eq!(rig.closed(conn), reason);
}
