//! A frame that has begun becomes whole in time.

use std::io::Write;
use std::time::Duration;

use super::support::{Rig, Script, Seen, framed};
use crate::net::{CloseReason, Flow};

const TIMEOUT: Duration = Duration::from_millis(100);

fn rig(script: Script) -> Rig {
    Rig::with(script, |config| config.frame_timeout = TIMEOUT)
}

#[test]
fn a_frame_that_is_begun_and_never_ended_is_closed() {
    let rig = rig(Script::collect());
    let (mut client, conn) = rig.connect();
    client.send(b"whole");
    client.send_raw(&framed(b"never whole")[..3]);
    assert_eq!(rig.frame(), b"whole");
    assert_eq!(rig.closed(conn), CloseReason::FrameUnfinished(TIMEOUT));
    assert!(client.is_cut_off());
}

#[test]
fn a_byte_now_and_then_keeps_no_frame_alive() {
    let rig = rig(Script::collect());
    let (mut client, conn) = rig.connect();
    client.send_raw(&framed(&[b' '; 60_000])[..100]);
    for _ in 0..20 {
        // One of these lives as long as a frame may take.
        let (mut clock, tick) = rig.connect();
        clock.send_raw(&[0]);
        let ended = rig.wait_for(|seen| match seen {
            Seen::Close(id, reason) if id == conn || id == tick => Some((id, reason)),
            _ => None,
        });
        assert_eq!(ended.1, CloseReason::FrameUnfinished(TIMEOUT));
        if ended.0 == conn {
            return;
        }
        // It may be closed at this moment.
        drop(client.stream.write(b" "));
    }
    panic!("it goes on for ever");
}

#[test]
fn what_has_come_of_a_long_frame_gives_it_more_time() {
    let rig = rig(Script::collect());
    let (mut slow, conn) = rig.connect();
    let frame = framed(&[7; 60_000]);
    slow.send_raw(&frame[..50_000]);
    while rig.run(move |io| io.held_bytes(conn)) == 0 {}
    // One that began later and brought little is over first.
    let (mut hog, hogs) = rig.connect();
    hog.send_raw(&frame[..10]);
    assert_eq!(rig.closed(hogs), CloseReason::FrameUnfinished(TIMEOUT));
    slow.send_raw(&frame[50_000..]);
    assert!(rig.frame() == [7; 60_000]);
}

#[test]
fn a_frame_behind_one_that_takes_long_has_its_time_afterwards() {
    let rig = rig(Script::frames(|_, _, _| Flow::Pause));
    let (mut client, conn) = rig.connect();
    let next = framed(b"the next");
    client.send_raw(&[&framed(b"takes long")[..], &next[..6]].concat());
    assert_eq!(rig.frame(), b"takes long");
    // Far longer than a frame may take.
    let (mut hog, hogs) = rig.connect();
    hog.send_raw(&[0; 3]);
    assert_eq!(rig.closed(hogs), CloseReason::FrameUnfinished(TIMEOUT));
    client.send_raw(&next[6..]);
    rig.run(move |io| io.resume(conn));
    assert_eq!(rig.frame(), b"the next");
}

#[test]
fn who_sends_whole_frames_has_no_such_deadline() {
    let rig = rig(Script::echo());
    let (mut client, _) = rig.connect();
    let frame = framed(b"in two pieces");
    client.send_raw(&frame[..5]);
    client.send_raw(&frame[5..]);
    assert_eq!(client.receive(), b"in two pieces");
    let (mut hog, hogs) = rig.connect();
    hog.send_raw(&[0; 3]);
    assert_eq!(rig.closed(hogs), CloseReason::FrameUnfinished(TIMEOUT));
    client.send(b"still here");
    assert_eq!(client.receive(), b"still here");
}
