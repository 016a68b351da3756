//! Rules 1, 7 and 10: reading to the end, half-close, no idle buffers.

use std::time::Duration;

use super::support::{Client, Rig, SOON, Script, Seen, framed};
use crate::net::{CloseReason, CodecError, ConnId, Flow};

#[test]
fn data_and_fin_in_one_event_are_both_seen() {
    let rig = Rig::start(Script::echo());
    let (mut client, conn) = rig.connect();
    let hold = rig.hold();
    client.send(b"last words");
    client.half_close();
    drop(hold);
    assert_eq!(client.receive_to_the_end(), framed(b"last words"));
    assert_eq!(rig.closed(conn), CloseReason::PeerClosed);
}

#[test]
fn a_short_read_is_no_proof_that_the_socket_is_empty() {
    // While the first read's frame is handled more comes, and no byte of it
    // may wait for an event that was spent already.
    let (to_client, at_frame) = crossbeam_channel::bounded(0);
    let (to_handler, go_on) = crossbeam_channel::bounded(0);
    let mut first = true;
    let rig = Rig::start(Script::frames(move |io, conn, payload| {
        if std::mem::take(&mut first) {
            to_client.send(()).unwrap();
            go_on.recv_timeout(SOON).unwrap();
        }
        io.send(conn, payload);
        Flow::Continue
    }));
    let (mut client, _) = rig.connect();
    client.send(b"one");
    at_frame.recv_timeout(SOON).unwrap();
    client.send(b"two");
    client.half_close();
    to_handler.send(()).unwrap();
    assert_eq!(client.receive_to_the_end(), [framed(b"one"), framed(b"two")].concat());
}

#[test]
fn many_frames_in_one_segment_are_all_handled_in_order() {
    let rig = Rig::start(Script::collect());
    let (mut client, _) = rig.connect();
    let payloads: Vec<Vec<u8>> = (0..1000).map(|n| format!("frame {n}").into_bytes()).collect();
    let stream: Vec<u8> = payloads.iter().flat_map(|payload| framed(payload)).collect();
    client.send_raw(&stream);
    for payload in payloads {
        assert_eq!(rig.frame(), payload);
    }
}

#[test]
fn a_frame_cut_at_every_byte_is_one_frame() {
    let rig = Rig::start(Script::collect());
    let stream = framed(b"in two pieces");
    for cut in 1..stream.len() {
        let (mut client, conn) = rig.connect();
        client.send_raw(&stream[..cut]);
        // The first piece has arrived when it is in the connection's buffer.
        while rig.run(move |io| io.held_bytes(conn)) == 0 {}
        client.send_raw(&stream[cut..]);
        assert_eq!(rig.frame(), b"in two pieces", "cut after {cut} bytes");
    }
}

#[test]
fn frames_larger_than_the_read_buffer_come_whole() {
    let rig = Rig::with(Script::echo(), |config| {
        config.max_frame = 1 << 20;
        config.max_outbound = 1 << 20;
    });
    let (mut client, _) = rig.connect();
    for len in [32_700, 65_530, 65_536, 65_537, 131_072, 300_001] {
        let payload: Vec<u8> = (0..len).map(|n: u32| (n % 251) as u8).collect();
        client.send_raw(&[framed(b"before"), framed(&payload), framed(b"after")].concat());
        assert_eq!(client.receive(), b"before");
        assert!(client.receive() == payload, "{len} bytes are changed");
        assert_eq!(client.receive(), b"after");
    }
}

#[test]
fn frames_before_a_half_close_are_answered_before_the_close() {
    // More than a turn's budget, so that the end is read turns before the
    // last frame is handled.
    let rig = Rig::start(Script::echo());
    let (mut client, conn) = rig.connect();
    let stream: Vec<u8> = (0..500_u32).flat_map(|n| framed(&n.to_be_bytes())).collect();
    let hold = rig.hold();
    client.send_raw(&stream);
    client.half_close();
    drop(hold);
    assert!(client.receive_to_the_end() == stream);
    assert_eq!(rig.closed(conn), CloseReason::PeerClosed);
}

#[test]
fn a_half_close_waits_for_the_request_that_is_with_somebody_else() {
    let rig = Rig::start(Script::frames(|_, _, _| Flow::Pause));
    let (mut client, conn) = rig.connect();
    client.send_raw(&[framed(b"one"), framed(b"two")].concat());
    client.half_close();
    assert_eq!(rig.frame(), b"one");
    rig.run(move |io| {
        io.send(conn, b"answer to one");
        io.resume(conn);
    });
    assert_eq!(rig.frame(), b"two");
    rig.run(move |io| {
        io.send(conn, b"answer to two");
        io.resume(conn);
    });
    rig.half_closed(conn);
    assert_eq!(client.receive(), b"answer to one");
    assert_eq!(client.receive(), b"answer to two");
    assert_eq!(rig.closed(conn), CloseReason::PeerClosed);
}

#[test]
fn a_half_closed_connection_can_be_answered_until_it_is_finished() {
    let script = Script { finish_half_closed: false, ..Script::collect() };
    let rig = Rig::start(script);
    let (mut client, conn) = rig.connect();
    client.send(b"question");
    client.half_close();
    rig.half_closed(conn);
    rig.run(move |io| {
        assert!(io.send(conn, b"answer").is_some());
        io.finish(conn, CloseReason::PeerClosed);
        assert_eq!(io.send(conn, b"too late"), None);
    });
    assert_eq!(client.receive_to_the_end(), framed(b"answer"));
    assert_eq!(rig.closed(conn), CloseReason::PeerClosed);
}

#[test]
fn a_half_close_that_nobody_finishes_expires() {
    let script = Script { finish_half_closed: false, ..Script::collect() };
    let rig = Rig::with(script, |config| config.half_close_timeout = Duration::from_millis(50));
    let (mut client, conn) = rig.connect();
    client.half_close();
    assert_eq!(rig.closed(conn), CloseReason::HalfCloseExpired);
    assert!(client.is_cut_off());
}

#[test]
fn an_unfinished_frame_at_the_end_is_dropped() {
    let rig = Rig::start(Script::collect());
    let (mut client, conn) = rig.connect();
    client.send_raw(&framed(b"half a frame")[..9]);
    client.half_close();
    rig.half_closed(conn);
    assert_eq!(rig.closed(conn), CloseReason::PeerClosed);
}

#[test]
fn pause_keeps_the_order_and_the_bytes() {
    let rig = Rig::start(Script::frames(|_, _, _| Flow::Pause));
    let (mut client, conn) = rig.connect();
    let payloads: Vec<Vec<u8>> = (0..200_u32).map(|n| vec![n as u8; 3000]).collect();
    let sender = {
        let stream: Vec<u8> = payloads.iter().flat_map(|payload| framed(payload)).collect();
        std::thread::spawn(move || {
            client.send_raw(&stream);
            client
        })
    };
    for payload in payloads {
        assert!(rig.frame() == payload);
        // The next one comes only when it is asked for.
        rig.run(|_| ());
        assert!(!rig.seen.try_iter().any(|seen| matches!(seen, Seen::Frame(..))));
        rig.run(move |io| io.resume(conn));
    }
    drop(sender.join().unwrap());
}

#[test]
fn a_paused_connection_is_not_read_beyond_what_is_buffered() {
    let rig = Rig::start(Script::frames(|_, _, _| Flow::Pause));
    let (client, conn) = rig.connect();
    client.stream.set_nonblocking(true).unwrap();
    let mut client = client;
    let frame = framed(&[1; 60_000]);
    // Until the socket between the two takes no more.
    while std::io::Write::write(&mut client.stream, &frame).is_ok() {}
    assert_eq!(rig.frame().len(), 60_000);
    let held = rig.run(move |io| io.held_bytes(conn));
    assert!(held <= 2 * 65_536, "{held} bytes are buffered for a paused connection");
}

#[test]
fn a_reset_of_a_paused_connection_is_noticed() {
    let rig = Rig::start(Script::frames(|_, _, _| Flow::Pause));
    let (mut client, conn) = rig.connect();
    client.send_raw(&[framed(b"one"), framed(b"two")].concat());
    assert_eq!(rig.frame(), b"one");
    client.reset();
    let reason = rig.closed(conn);
    assert!(matches!(reason, CloseReason::Socket(_)), "{reason:?}");
}

#[test]
fn a_reset_of_an_idle_connection_is_noticed() {
    let rig = Rig::start(Script::collect());
    let (client, conn) = rig.connect();
    client.reset();
    let reason = rig.closed(conn);
    assert!(matches!(reason, CloseReason::Socket(_)), "{reason:?}");
}

#[test]
fn idle_connections_hold_no_buffers() {
    let rig = Rig::start(Script::echo());
    let (mut client, conn) = rig.connect();
    let held = |conn: ConnId| rig.run(move |io| io.held_bytes(conn));
    assert_eq!(held(conn), 0);

    let frame = framed(&[5; 9000]);
    client.send_raw(&frame[..5000]);
    while held(conn) == 0 {}
    client.send_raw(&frame[5000..]);
    assert_eq!(client.receive(), [5; 9000]);
    rig.written(conn, frame.len() as u64);
    assert_eq!(held(conn), 0);
}

#[test]
fn a_length_alone_allocates_nothing() {
    let rig = Rig::with(Script::collect(), |config| config.max_frame = 1 << 24);
    let (mut client, conn) = rig.connect();
    client.send_raw(&[0, 0xff, 0xff, 0xff, b'x']);
    let mut held = 0;
    while held == 0 {
        held = rig.run(move |io| io.held_bytes(conn));
    }
    assert!(held < 1024, "{held} bytes for 5");
}

#[test]
fn broken_framing_gets_an_answer_that_no_reset_overtakes() {
    for (bytes, error) in [
        (vec![0, 0, 0, 0], CodecError::Empty),
        (vec![0, 1, 0, 1], CodecError::FrameTooLong { len: 65_537, max: 65_536 }),
    ] {
        let rig = Rig::with(Script::collect(), |config| config.linger_timeout = SOON);
        let (mut client, conn) = rig.connect();
        client.send(b"fine");
        client.send_raw(&bytes);
        // What the server throws away would be a reset if it just closed.
        client.send_raw(&[1; 300_000]);
        assert_eq!(rig.frame(), b"fine");
        let violation = rig.wait_for(|seen| match seen {
            Seen::Violation(id, error) if id == conn => Some(error),
            _ => None,
        });
        assert_eq!(violation, error);
        assert_eq!(client.receive_to_the_end(), framed(b"too bad"));
        drop(client);
        assert_eq!(rig.closed(conn), CloseReason::Codec(error));
    }
}

#[test]
fn who_goes_on_after_a_violation_is_cut_off() {
    let rig = Rig::with(Script::collect(), |config| {
        config.linger_timeout = Duration::from_millis(50);
    });
    let (mut client, conn) = rig.connect();
    client.send_raw(&[0, 0, 0, 0]);
    assert_eq!(client.receive_to_the_end(), framed(b"too bad"));
    assert_eq!(rig.closed(conn), CloseReason::Codec(CodecError::Empty));
}

#[test]
fn an_unknown_dialect_is_closed_at_once_without_an_answer() {
    let rig = Rig::start(Script::collect());
    for first in *b"G \n\x16\xff" {
        let (mut client, conn) = rig.connect();
        client.send_raw(&[first, 0, 0, 1]);
        assert!(client.is_cut_off());
        let reason = rig.wait_for(|seen| match seen {
            Seen::Violation(..) | Seen::Frame(..) => panic!("{seen:?}"),
            Seen::Close(id, reason) if id == conn => Some(reason),
            _ => None,
        });
        assert_eq!(reason, CloseReason::Codec(CodecError::UnknownDialect(first)));
    }
}

#[test]
fn nothing_is_sent_before_the_peer_has_chosen_its_dialect() {
    let rig = Rig::start(Script::collect());
    let (mut client, conn): (Client, ConnId) = rig.connect();
    assert_eq!(rig.run(move |io| io.send(conn, b"hello")), None);
    client.send(b"framed, please");
    rig.frame();
    assert_eq!(rig.run(move |io| io.send(conn, b"hello")), Some(9));
    assert_eq!(client.receive(), b"hello");
}
