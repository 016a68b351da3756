//! Rules 2, 3 and 9: everybody has a turn, and late events hit nobody.

use std::collections::HashSet;

use super::support::{Rig, Script, Seen, framed};
use crate::net::{CloseReason, ConnId, Flow};

/// Waits for so many frames of `conn`; no turn handles more of them than `most`.
fn assert_turns_read_at_most(most: usize, rig: &Rig, conn: ConnId, frames: usize) {
    let (mut seen_frames, mut this_turn) = (0, 0);
    while seen_frames < frames {
        rig.wait_for(|seen| match seen {
            Seen::Frame(id, _) if id == conn => {
                seen_frames += 1;
                this_turn += 1;
                assert!(this_turn <= most, "more than the budget in one turn");
                Some(())
            }
            Seen::TurnEnd => {
                this_turn = 0;
                None
            }
            _ => None,
        });
    }
}

#[test]
fn one_flooder_does_not_starve_its_neighbours() {
    let rig = Rig::start(Script::collect());
    let (mut flooder, flooding) = rig.connect();
    let (mut neighbour, quiet) = rig.connect();
    let flood: Vec<u8> = (0..5000_u32).flat_map(|n| framed(&n.to_be_bytes())).collect();
    let hold = rig.hold();
    flooder.send_raw(&flood);
    neighbour.send(b"me too");
    drop(hold);

    let mut flood_before = 0;
    rig.wait_for(|seen| match seen {
        Seen::Frame(id, _) if id == quiet => Some(()),
        Seen::Frame(..) => {
            flood_before += 1;
            None
        }
        _ => None,
    });
    assert!(flood_before <= 64, "{flood_before} frames of the flooder came first");

    // No event announces the rest: the run queue keeps the poll awake.
    assert_turns_read_at_most(64, &rig, flooding, 5000 - flood_before);
}

#[test]
fn a_crowd_that_has_much_to_say_delays_the_next_turn_by_no_more_than_one_flooder_or_so() {
    let rig = Rig::start(Script::collect());
    let mut crowd: Vec<_> = (0..100).map(|_| rig.connect()).collect();
    let flood: Vec<u8> = (0..200_u32).flat_map(|n| framed(&n.to_be_bytes())).collect();
    let hold = rig.hold();
    for (flooder, _) in &mut crowd {
        flooder.send_raw(&flood);
    }
    drop(hold);
    let (mut handled, mut this_turn, mut newcomers) = (0, 0, false);
    while handled < 100 * 200 {
        rig.wait_for(|seen| match seen {
            Seen::Frame(_, payload) => {
                handled += 1;
                this_turn += 1;
                newcomers |= payload == 0_u32.to_be_bytes();
                Some(())
            }
            Seen::TurnEnd => {
                assert!(newcomers || this_turn <= 512 + 64, "{this_turn} frames in one turn");
                (this_turn, newcomers) = (0, false);
                None
            }
            _ => None,
        });
    }
}

#[test]
fn a_turn_reads_no_more_of_one_connection_than_its_budget() {
    let rig = Rig::with(Script::collect(), |config| config.read_budget_bytes = 4000);
    let (mut client, conn) = rig.connect();
    let hold = rig.hold();
    let stream: Vec<u8> = (0..100_u8).flat_map(|n| framed(&[n; 996])).collect();
    client.send_raw(&stream);
    drop(hold);
    // Frames of 1000 bytes, heads included.
    assert_turns_read_at_most(4, &rig, conn, 100);
}

#[test]
fn an_event_of_a_connection_closed_in_the_same_turn_is_ignored() {
    // Whoever speaks first has the other closed; both are in one batch.
    let mut all: Vec<ConnId> = Vec::new();
    let (open, opened) = crossbeam_channel::bounded::<ConnId>(2);
    let rig = Rig::start(Script::frames(move |io, conn, _| {
        all.extend(opened.try_iter());
        for other in all.iter().filter(|other| **other != conn) {
            io.close(*other, CloseReason::Handler("somebody else was first"));
            assert_eq!(io.send(*other, b"x"), None);
        }
        Flow::Continue
    }));
    let (mut left, left_id) = rig.connect();
    let (mut right, right_id) = rig.connect();
    open.send(left_id).unwrap();
    open.send(right_id).unwrap();
    let hold = rig.hold();
    left.send(b"me");
    right.send(b"me");
    drop(hold);
    let mut speaker = None;
    let closed = rig.wait_for(|seen| match seen {
        Seen::Frame(id, _) => {
            assert_eq!(speaker.replace(id), None, "the closed one was heard");
            None
        }
        Seen::Close(id, _) => Some(id),
        _ => None,
    });
    assert_eq!(HashSet::from([closed, speaker.unwrap()]), HashSet::from([left_id, right_id]));
}

#[test]
fn a_serial_is_never_used_twice_and_a_late_reply_finds_nobody() {
    let rig = Rig::start(Script::collect());
    let mut names = HashSet::new();
    for _ in 0..20 {
        let (mut client, conn) = rig.connect();
        assert_eq!(conn.reactor, 7);
        assert!(names.insert(conn), "{conn} was used before");
        client.send(b"x");
        rig.frame();
        drop(client);
        assert_eq!(rig.closed(conn), CloseReason::PeerClosed);
    }
    let (mut stranger, _) = rig.connect();
    stranger.send(b"x");
    rig.frame();
    let late = rig.run(move |io| {
        let sent: Vec<_> = names.iter().map(|conn| io.send(*conn, b"for you")).collect();
        (sent, io.connections().len())
    });
    assert_eq!(late, (vec![None; 20], 1));
}

#[test]
fn another_reactors_connection_is_not_found_here() {
    let rig = Rig::start(Script::collect());
    let (mut client, conn) = rig.connect();
    client.send(b"x");
    rig.frame();
    let stranger = ConnId { reactor: 8, ..conn };
    assert_eq!(rig.run(move |io| (io.send(stranger, b"x"), io.peer(stranger))), (None, None));
}

#[test]
fn a_peer_that_reads_nothing_holds_nobody_up() {
    let rig = Rig::with(Script::echo(), |config| config.max_outbound = 1 << 26);
    let (mut deaf, deaf_id) = rig.connect();
    let (mut lively, _) = rig.connect();
    deaf.send(b"hello");
    rig.frame();
    rig.run(move |io| {
        while !io.write_interest(deaf_id) {
            io.send(deaf_id, &[1; 100_000]).unwrap();
        }
    });
    for n in 0..100_u32 {
        lively.send(&n.to_be_bytes());
        assert_eq!(lively.receive(), n.to_be_bytes());
    }
}
