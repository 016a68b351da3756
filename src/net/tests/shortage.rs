//! Who goes when memory is short.

use std::time::Instant;

use super::support::{Client, Rig, SOON, Script, framed};
use crate::net::{BufferMemory, ConnId};

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

fn are_open(rig: &Rig, hogs: &[(Client, ConnId)]) -> usize {
    let ids: Vec<ConnId> = hogs.iter().map(|(_, conn)| *conn).collect();
    rig.run(move |io| ids.iter().filter(|conn| io.peer(**conn).is_some()).count())
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
    assert!(used <= 100 * 256 + 4096 * KIB / 64, "{used} bytes are in use");
}
