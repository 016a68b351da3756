//! Rules 4 and 5: one flush, partial writes, slow readers.

use std::sync::Arc;
use std::time::Duration;

use super::support::{Client, Rig, Script, Seen, framed};
use crate::net::{CloseReason, ConnId, ReactorConfig};

/// A connection whose dialect is known.
fn framed_connection(rig: &Rig) -> (Client, ConnId) {
    let (mut client, conn) = rig.connect();
    client.send(b"hello");
    rig.frame();
    (client, conn)
}

/// Sends until the socket takes no more; gives the stream's length so far.
fn fill(rig: &Rig, conn: ConnId) -> u64 {
    rig.run(move |io| {
        let mut end = 0;
        while !io.write_interest(conn) {
            end = io.send(conn, &[1; 100_000]).unwrap();
        }
        end
    })
}

fn roomy(config: &mut ReactorConfig) {
    config.max_outbound = 1 << 26;
}

#[test]
fn many_messages_in_one_turn_leave_in_one_write() {
    let rig = Rig::start(Script::collect());
    let (mut client, conn) = framed_connection(&rig);
    let shared: Arc<[u8]> = vec![2; 10_000].into();
    let last = rig.run(move |io| {
        for n in 0..100_u32 {
            let end = io.send(conn, &n.to_be_bytes());
            assert_eq!(end, Some(8 * (u64::from(n) + 1)));
        }
        assert_eq!(io.queued_bytes(conn), 800);
        io.send_shared(conn, &shared).unwrap()
    });
    assert_eq!(last, 800 + 10_004);
    let first_news = rig.wait_for(|seen| match seen {
        Seen::Written(id, offset) if id == conn => Some(offset),
        _ => None,
    });
    assert_eq!(first_news, last, "one flush, one word of it");
    for n in 0..100_u32 {
        assert_eq!(client.receive(), n.to_be_bytes());
    }
    assert_eq!(client.receive(), [2; 10_000]);
}

#[test]
fn partial_write_is_kept() {
    let rig = Rig::with(Script::collect(), roomy);
    let (mut client, conn) = framed_connection(&rig);
    let payload: Arc<[u8]> = (0..3_000_000_u32).map(|n| (n % 253) as u8).collect();
    let sent = Arc::clone(&payload);
    let end = rig.run(move |io| {
        for _ in 0..4 {
            io.send_shared(conn, &sent).unwrap();
            io.send(conn, &sent).unwrap();
        }
        io.send(conn, b"end").unwrap()
    });
    let mut offsets = vec![0];
    for _ in 0..8 {
        assert!(client.receive() == *payload);
    }
    assert_eq!(client.receive(), b"end");
    while offsets.last() != Some(&end) {
        offsets.push(rig.wait_for(|seen| match seen {
            Seen::Written(id, offset) if id == conn => Some(offset),
            _ => None,
        }));
    }
    assert!(offsets.len() > 2, "the socket took 24 MB at once: no partial write was seen");
    assert!(offsets.is_sorted());
}

#[test]
fn write_interest_is_registered_only_for_the_rest() {
    let rig = Rig::with(Script::collect(), roomy);
    let (mut client, conn) = framed_connection(&rig);
    rig.run(move |io| io.send(conn, b"small"));
    rig.written(conn, 9);
    assert!(!rig.run(move |io| io.write_interest(conn)));
    assert_eq!(client.receive(), b"small");

    let end = fill(&rig, conn);
    assert!(rig.run(move |io| io.write_interest(conn) && io.queued_bytes(conn) > 0));
    let mut left = end - 9;
    while left > 0 {
        left -= client.receive().len() as u64 + 4;
    }
    rig.written(conn, end);
    let idle = rig.run(move |io| (io.write_interest(conn), io.held_bytes(conn)));
    assert_eq!(idle, (false, 0));
}

#[test]
fn a_slow_reader_is_closed_with_a_reason() {
    let rig = Rig::start(Script::collect());
    let (client, conn) = framed_connection(&rig);
    let dropped = rig.run(move |io| {
        let mut sent = 0;
        while io.send(conn, &[1; 10_000]).is_some() {
            sent += 1;
            assert!(io.queued_bytes(conn) <= 1 << 20);
            assert!(sent < 10_000, "100 MB went into a socket that nobody reads");
        }
        io.peer(conn)
    });
    assert_eq!(dropped, None);
    let CloseReason::SlowReader { queued, limit } = rig.closed(conn) else {
        panic!("closed for another reason")
    };
    assert_eq!(limit, 1 << 20);
    assert!(queued > limit && queued <= limit + 10_004);
    drop(client);
}

#[test]
fn one_frame_over_the_limit_may_wait_alone() {
    let rig = Rig::with(Script::collect(), |config| config.max_outbound = 1000);
    let (mut client, conn) = framed_connection(&rig);
    let large: Arc<[u8]> = vec![3; 15 << 20].into();
    let end = rig.run(move |io| {
        let end = io.send_shared(conn, &large);
        assert!(io.queued_bytes(conn) > 1000, "the socket took 15 MiB at once");
        end
    });
    assert_eq!(end, Some((15 << 20) + 4));
    assert_eq!(client.receive().len(), 15 << 20);
    rig.written(conn, end.unwrap());
    // The way is free again, so the next one may do the same.
    assert!(rig.run(move |io| io.send(conn, &[4; 2000])).is_some());
    assert_eq!(client.receive().len(), 2000);

    // Behind one that waits there is room for the limit, and for no other one.
    let company = rig.run(move |io| {
        io.send(conn, &vec![5; 15 << 20]).unwrap();
        assert!(io.send(conn, b"me too").is_some());
        io.send(conn, &[6; 2000])
    });
    assert_eq!(company, None);
    assert!(matches!(rig.closed(conn), CloseReason::SlowReader { limit: 1000, .. }));
}

#[test]
fn a_turn_that_queues_very_much_writes_before_its_end() {
    let rig = Rig::start(Script::collect());
    let (mut client, conn) = framed_connection(&rig);
    let (end, queued) = rig.run(move |io| {
        let mut end = 0;
        for _ in 0..27 {
            end = io.send(conn, &[1; 10_000]).unwrap();
        }
        (end, io.queued_bytes(conn))
    });
    assert_eq!(end, 27 * 10_004);
    assert!(queued < 256 * 1024, "{queued} bytes wait for the end of the turn");
    for _ in 0..27 {
        assert_eq!(client.receive(), [1; 10_000]);
    }
    rig.written(conn, end);
}

#[test]
fn what_on_written_queues_goes_out_too() {
    let backlog: Vec<Vec<u8>> = (0..200_u32).map(|n| n.to_be_bytes().to_vec()).collect();
    let rig = Rig::start(Script { backlog: backlog.clone(), ..Script::collect() });
    let (mut client, conn) = framed_connection(&rig);
    rig.run(move |io| io.send(conn, b"first"));
    assert_eq!(client.receive(), b"first");
    for frame in backlog.iter().rev() {
        assert_eq!(client.receive(), *frame);
    }
}

#[test]
fn on_written_tells_only_what_is_new() {
    let rig = Rig::start(Script::collect());
    let (client, conn) = framed_connection(&rig);
    rig.run(move |io| io.send(conn, b"small"));
    rig.written(conn, 9);
    rig.run(move |io| io.finish(conn, CloseReason::Handler("done")));
    drop(client);
    rig.wait_for(|seen| match seen {
        Seen::Written(..) => panic!("nothing was written since"),
        Seen::Close(id, _) if id == conn => Some(()),
        _ => None,
    });
}

#[test]
fn a_peer_that_takes_nothing_is_closed_after_the_write_timeout() {
    let timeout = Duration::from_millis(100);
    let rig = Rig::with(Script::collect(), |config| {
        roomy(config);
        config.write_timeout = timeout;
    });
    let (client, conn) = framed_connection(&rig);
    fill(&rig, conn);
    assert_eq!(rig.closed(conn), CloseReason::WriteStalled(timeout));
    drop(client);
}

#[test]
fn finish_flushes_what_is_queued_before_it_closes() {
    let rig = Rig::with(Script::collect(), roomy);
    let (mut client, conn) = framed_connection(&rig);
    let end = fill(&rig, conn);
    rig.run(move |io| {
        io.send(conn, b"goodbye").unwrap();
        io.finish(conn, CloseReason::Handler("done"));
        io.finish(conn, CloseReason::Handler("a second reason does not count"));
        assert_eq!(io.send(conn, b"more"), None);
    });
    // Frames that come now are not taken.
    client.send(b"too late");
    let bytes = client.receive_to_the_end();
    assert_eq!(bytes.len() as u64, end + 11);
    assert!(bytes.ends_with(&framed(b"goodbye")));
    drop(client);
    let reason = rig.wait_for(|seen| match seen {
        Seen::Frame(_, payload) => panic!("{payload:?} was taken after the finish"),
        Seen::Close(id, reason) if id == conn => Some(reason),
        _ => None,
    });
    assert_eq!(reason, CloseReason::Handler("done"));
}

#[test]
fn a_finish_that_the_peer_does_not_let_happen_ends_at_the_write_timeout() {
    let rig = Rig::with(Script::collect(), |config| {
        roomy(config);
        config.write_timeout = Duration::from_millis(100);
    });
    let (client, conn) = framed_connection(&rig);
    rig.run(move |io| {
        while !io.write_interest(conn) {
            io.send(conn, &[1; 100_000]).unwrap();
        }
        io.finish(conn, CloseReason::Handler("done"));
    });
    assert_eq!(rig.closed(conn), CloseReason::Handler("done"));
    drop(client);
}

#[test]
fn a_reset_while_bytes_wait_is_noticed() {
    let rig = Rig::with(Script::collect(), roomy);
    let (client, conn) = framed_connection(&rig);
    fill(&rig, conn);
    client.reset();
    assert!(matches!(rig.closed(conn), CloseReason::Socket(_)));
}
