//! Who goes when memory is short.

use std::time::Instant;

use super::support::{Client, Rig, SOON, Script, Seen, framed};
use crate::net::inbound::INPUT_BYTES;
use crate::net::{BufferMemory, CloseReason, ConnId, Flow};

const KIB: usize = 1024;

fn rig(script: Script, memory: &BufferMemory) -> Rig {
    let memory = memory.clone();
    Rig::with(script, move |config| config.memory = memory)
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
    }
}

fn held(rig: &Rig, conn: ConnId) -> usize {
    rig.run(move |io| io.held_bytes(conn))
}

/// A connection with a frame that has begun, so many bytes of it.
fn hog(rig: &Rig, bytes: usize) -> (Client, ConnId) {
    let (mut client, conn) = rig.connect();
    client.send_raw(&framed(&[b' '; 64 * KIB])[..bytes]);
    eventually("it is held, or closed", || {
        rig.run(move |io| io.held_bytes(conn) >= bytes || io.peer(conn).is_none())
    });
    (client, conn)
}

fn are_open(rig: &Rig, hogs: &[(Client, ConnId)]) -> usize {
    let ids: Vec<ConnId> = hogs.iter().map(|(_, conn)| *conn).collect();
    rig.run(move |io| ids.iter().filter(|conn| io.peer(**conn).is_some()).count())
}

/// Sends a frame of 30 KB in two segments and sees it arrive.
fn is_heard(rig: &Rig) {
    let (mut speaker, conn) = rig.connect();
    let frame = framed(&[b'x'; 30_000]);
    speaker.send_raw(&frame[..20_000]);
    eventually("a part has come", || held(rig, conn) > 0);
    speaker.send_raw(&frame[20_000..]);
    let heard = rig.wait_for(|seen| match seen {
        Seen::Close(id, reason) if id == conn => Some(Err(reason)),
        Seen::Frame(id, payload) if id == conn => Some(Ok(payload.len())),
        _ => None,
    });
    assert_eq!(heard, Ok(30_000));
}

#[test]
fn silent_hogs_give_way_and_not_the_one_that_speaks() {
    let memory = BufferMemory::new(8192 * KIB);
    let rig = rig(Script::collect(), &memory);
    let large: Vec<_> = (0..100).map(|_| hog(&rig, 60 * KIB)).collect();
    let small: Vec<_> = (0..105).map(|_| hog(&rig, 16 * KIB)).collect();
    assert_eq!((are_open(&rig, &large), are_open(&rig, &small)), (100, 105));
    is_heard(&rig);
    assert!((80..100).contains(&are_open(&rig, &large)), "they have held most for longest");
    assert_eq!(are_open(&rig, &small), 105);
}

#[test]
fn hogs_that_keep_below_the_share_of_each_give_way_as_well() {
    let memory = BufferMemory::new(1024 * KIB);
    let rig = rig(Script::collect(), &memory);
    let hogs: Vec<_> = (0..80).map(|_| hog(&rig, 16 * KIB)).collect();
    let used = memory.used_bytes();
    assert!(used <= 1088 * KIB, "{used} bytes are in use");
    is_heard(&rig);
    is_heard(&rig);
    let left = are_open(&rig, &hogs);
    assert!((1..60).contains(&left), "{left} are left");
}

#[test]
fn few_bytes_behind_long_frames_use_up_no_memory() {
    let memory = BufferMemory::new(4096 * KIB);
    let rig = rig(Script::collect(), &memory);
    let mut clients = Vec::new();
    for _ in 0..100 {
        let (mut client, conn) = rig.connect();
        let frame = framed(&[b'x'; 64 * KIB]);
        client.send_raw(&frame[..40_000]);
        eventually("a part has come", || held(&rig, conn) > 0);
        client.send_raw(&[&frame[40_000..], &[0, 0]].concat());
        assert_eq!(rig.frame().len(), 64 * KIB);
        eventually("the long frame's buffer is gone", || held(&rig, conn) < KIB);
        clients.push((client, conn));
    }
    rig.run(|_| {});
    assert_eq!(are_open(&rig, &clients), 100);
    let used = memory.used_bytes();
    assert!(used <= 100 * (256 + INPUT_BYTES) + 4096 * KIB / 64, "{used} bytes are in use");
}

#[test]
fn a_long_answer_comes_whole_while_hogs_hold_the_memory() {
    let memory = BufferMemory::new(16 * 1024 * KIB);
    // Its socket takes no more than 4 MiB of it at once.
    let answer = vec![b'a'; 6 * 1024 * KIB];
    let script = Script::frames(move |io, conn, _| {
        io.send(conn, &answer);
        Flow::Continue
    });
    let rig = rig(script, &memory);
    let hogs: Vec<_> = (0..220).map(|_| hog(&rig, 60 * KIB)).collect();
    let (mut client, conn) = rig.connect();
    client.send(b"log me in");
    rig.frame();
    assert!(rig.run(move |io| io.peer(conn)).is_some(), "it is no slow reader");
    assert!(are_open(&rig, &hogs) < 220);
    assert_eq!(client.receive().len(), 6 * 1024 * KIB);
}

#[test]
fn nobody_is_closed_where_that_would_not_be_enough() {
    // Too little for even one such frame.
    let memory = BufferMemory::new(256 * KIB);
    let rig = rig(Script::collect(), &memory);
    let hogs: Vec<_> = (0..4).map(|_| hog(&rig, 15 * KIB)).collect();
    let (mut client, conn) = rig.connect();
    client.send_raw(&framed(&[b' '; 64 * KIB])[..60 * KIB]);
    match rig.closed(conn) {
        CloseReason::ShortOfMemory { held, allowance } => {
            assert!(held > allowance && allowance == 16 * KIB, "{held} of {allowance}");
        }
        other => panic!("{other}"),
    }
    assert_eq!(are_open(&rig, &hogs), 4);
}
