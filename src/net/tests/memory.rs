//! The memory of all buffers together.

use super::support::{Client, Rig, Script, framed};
use crate::net::{BufferMemory, CloseReason, ConnId};

const MIB: usize = 1 << 20;

/// A reactor whose buffers may hold 8 MiB in all, and so one connection 512
/// KiB when none is used.
fn rig() -> (Rig, BufferMemory) {
    let memory = BufferMemory::new(8 * MIB);
    let shared = memory.clone();
    let rig = Rig::with(Script::collect(), move |config| {
        config.memory = shared;
        config.max_outbound = MIB;
        config.max_frame = MIB;
    });
    (rig, memory)
}

/// All but what lies in the reactor's pool.
fn used_by_connections(rig: &Rig, memory: &BufferMemory) -> usize {
    memory.used_bytes() - rig.run(|io| io.pooled_bytes())
}

fn connect(rig: &Rig) -> (Client, ConnId) {
    let (mut client, conn) = rig.connect();
    client.send(b"hello");
    rig.frame();
    (client, conn)
}

#[test]
fn crowds_that_never_read_are_closed_before_they_use_up_the_memory_of_all() {
    let (rig, memory) = rig();
    let crowd: Vec<(Client, ConnId)> = (0..64).map(|_| connect(&rig)).collect();
    for (_, conn) in &crowd {
        // All of them together would hold three times of what there is.
        let conn = *conn;
        rig.run(move |io| {
            while io.queued_bytes(conn) < 400 * 1024 && io.send(conn, &[1; 16 * 1024]).is_some() {}
        });
        rig.run(|_| {});
        let used = memory.used_bytes();
        assert!(used <= 8 * MIB, "{used} bytes");
    }
    let (mut reader, conn) = connect(&rig);
    rig.run(move |io| io.send(conn, b"you still get yours"));
    assert_eq!(reader.receive(), b"you still get yours");
}

#[test]
fn a_slow_reader_is_closed_sooner_while_memory_is_short() {
    let (rig, memory) = rig();
    let (_client, conn) = connect(&rig);
    rig.run(move |io| while io.send(conn, &[1; 16 * 1024]).is_some() {});
    match rig.closed(conn) {
        CloseReason::SlowReader { queued, limit } => {
            assert!(limit < MIB && queued > limit, "{queued} of {limit}");
        }
        other => panic!("{other}"),
    }
    rig.run(|_| {});
    rig.run(|_| {});
    assert_eq!(used_by_connections(&rig, &memory), 0, "its memory is free again");
}

#[test]
fn a_frame_that_never_ends_is_given_up_while_memory_is_short() {
    let (rig, memory) = rig();
    let (mut client, conn) = connect(&rig);
    let frame = framed(&vec![b' '; MIB]);
    client.send_raw(&frame[..600 * 1024]);
    match rig.closed(conn) {
        CloseReason::ShortOfMemory { held, allowance } => {
            assert!(held > allowance && allowance < MIB, "{held} of {allowance}");
        }
        other => panic!("{other}"),
    }
    rig.run(|_| {});
    rig.run(|_| {});
    assert_eq!(used_by_connections(&rig, &memory), 0);
}

#[test]
fn what_comes_in_pieces_and_is_used_up_is_not_counted_any_more() {
    let (rig, memory) = rig();
    let (mut client, _) = connect(&rig);
    let frame = framed(&[b'x'; 1000]);
    for half in frame.chunks(502) {
        client.send_raw(half);
        rig.run(|_| {});
    }
    assert_eq!(rig.frame(), [b'x'; 1000]);
    rig.run(|_| {});
    rig.run(|_| {});
    assert_eq!(used_by_connections(&rig, &memory), 0);
}
