//! The bare dialect: objects found however they come, and sent one at a time.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::support::{Client, Rig, SOON, Script, Seen};
use crate::net::bare::{BareCodec, STEPS};
use crate::net::buffer_pool::BufferPool;
use crate::net::codec::{Codec, CodecError};
use crate::net::outbound::{Outbound, Payload, Written};
use crate::net::pacing::Pacing;
use crate::net::{CloseReason, ConnId, ReactorConfig};

/// Feeds a stream in segments of these lengths, over and over, as a connection
/// does. What has been looked at is spoilt, so that a second look would show.
fn objects_in(stream: &[u8], segments: &[usize]) -> Result<Vec<Vec<u8>>, CodecError> {
    let (mut codec, mut objects) = (BareCodec::new(100), Vec::new());
    // What the codec gets, and what it would be if nothing were spoilt.
    let (mut input, mut true_input) = (Vec::new(), Vec::new());
    let (mut rest, mut lengths) = (stream, segments.iter().cycle());
    while !rest.is_empty() {
        let cut = (*lengths.next().unwrap()).clamp(1, rest.len());
        input.extend_from_slice(&rest[..cut]);
        true_input.extend_from_slice(&rest[..cut]);
        rest = &rest[cut..];
        while let Some(object) = codec.decode(&mut input)? {
            objects.push(true_input[object.payload].to_vec());
            input.drain(..object.consumed);
            true_input.drain(..object.consumed);
        }
        let between = codec.passed_over();
        input.drain(..between);
        true_input.drain(..between);
        input.fill(b'}');
    }
    Ok(objects)
}

#[test]
fn an_object_ends_where_its_braces_close_and_nowhere_else() {
    for object in [
        "{}",
        r#"{"a":{"b":[{},{"c":[[]]}]}}"#,
        r#"{"a":"}{\"}\\"}"#,
        r#"{"a":"\\\"}","b":"\u007b"}"#,
        r#"{"name":"ü字😀","x":[1,2]}"#,
        "{ \"a\" :\t1 ,\r\n\"b\" : 2 }",
    ] {
        for end in ["", "\0", "\n", " \0\r\n\t\0\0"] {
            let stream = format!("{object}{end}{object}{end}{{}}");
            let expected = [object.as_bytes(), object.as_bytes(), b"{}"];
            for cut in 1..=stream.len() {
                assert_eq!(objects_in(stream.as_bytes(), &[cut]).unwrap(), expected, "{stream:?}");
            }
        }
    }
}

#[test]
fn what_stands_between_objects_is_used_up_at_once() {
    let mut codec = BareCodec::new(100);
    assert_eq!(codec.decode(&mut b"\0 \0".to_vec()), Ok(None));
    assert_eq!((codec.passed_over(), codec.passed_over()), (3, 0));
    assert_eq!(codec.decode(&mut b"\n{".to_vec()), Ok(None));
    assert_eq!(codec.passed_over(), 1);
    let object = codec.decode(&mut b"{}".to_vec()).unwrap().unwrap();
    assert_eq!((object.payload, object.consumed), (0..2, 2));
}

#[test]
fn no_byte_is_looked_at_twice() {
    let deep = ["[".repeat(30_000), "]".repeat(30_000)].concat();
    let nested = format!("{}{}", "{\"a\":".repeat(9_000), "}".repeat(9_000));
    let long = format!("{{\"a\":\"{}\"}}", "\\\"}{".repeat(15_000));
    let unfinished = format!("{{\"a\":\"{}", "\\\\".repeat(30_000));
    let between = format!("{{}}{}", " \0\r\n".repeat(15_000));
    for stream in
        [format!("{{\"a\":{deep}}}"), nested, long, unfinished, between, "{}".repeat(30_000)]
    {
        for segment in [1, 2, 3, 7, 1024, stream.len()] {
            let (mut codec, mut input) = (BareCodec::new(1 << 20), Vec::new());
            let before = STEPS.get();
            for segment in stream.as_bytes().chunks(segment) {
                input.extend_from_slice(segment);
                let mut used = 0;
                while let Some(object) = codec.decode(&mut input[used..]).unwrap() {
                    used += object.consumed;
                }
                used += codec.passed_over();
                input.drain(..used);
            }
            assert_eq!(STEPS.get() - before, stream.len(), "in segments of {segment}");
        }
    }
}

#[test]
fn no_byte_that_comes_over_a_socket_is_looked_at_twice() {
    let rig = Rig::with(Script::collect(), |config| {
        // Turns end within objects and between them.
        (config.read_budget_bytes, config.frame_budget, config.max_frame) = (37, 1, 1 << 20);
    });
    let (mut client, _) = rig.connect();
    let objects: Vec<String> =
        (0..60).map(|n| format!("{{\"a\":[\"{}}}\\\\\"]}}", "x".repeat(n * n))).collect();
    let stream = objects.join(" \0\n");
    let steps = |rig: &Rig| rig.run(|_| STEPS.get());
    let before = steps(&rig);
    for segment in stream.as_bytes().chunks(41) {
        client.send_raw(segment);
    }
    for object in &objects {
        assert_eq!(rig.frame(), object.as_bytes());
    }
    assert_eq!(steps(&rig) - before, stream.len());
}

#[test]
fn what_belongs_to_no_object_is_an_error_as_soon_as_it_comes() {
    for (stream, byte) in
        [("{}x", b'x'), ("{}\0]", b']'), ("{} \"", b'"'), ("{\"a\":1\0", 0), ("{\"a\0", 0)]
    {
        for cut in 1..=stream.len() {
            let refused = objects_in(stream.as_bytes(), &[cut]);
            assert_eq!(refused, Err(CodecError::NoObject(byte)), "{stream:?}");
        }
    }
}

#[test]
fn an_object_has_so_many_bytes_and_no_more() {
    let object = |bytes: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - 8)).into_bytes();
    let padded = [vec![b'\n'; 300], object(100), vec![0; 300], object(100)].concat();
    assert_eq!(objects_in(&padded, &[7]).unwrap(), [object(100), object(100)]);
    for cut in [1, 100, 101, 200] {
        let too_long = Err(CodecError::ObjectTooLong { max: 100 });
        assert_eq!(objects_in(&object(101), &[cut]), too_long);
        // Before its end has come.
        assert_eq!(objects_in(&[b'{'; 101], &[cut]), too_long);
        assert_eq!(objects_in(&[b'{'; 100], &[cut]), Ok(Vec::new()));
    }
}

proptest! {
    #[test]
    fn any_cut_of_any_stream_gives_the_same_objects_and_the_same_end(
        parts in prop::collection::vec("[{}\\[\\]\"\\\\a \0]{0,6}|\\{\"a\":\"[a\\\\\"]{0,3}\"\\}", 0..12),
        segments in prop::collection::vec(1_usize..40, 1..6),
    ) {
        let stream = format!("{{}}{}", parts.concat()).into_bytes();
        prop_assert_eq!(objects_in(&stream, &segments), objects_in(&stream, &[stream.len()]));
    }
}

// ---- pacing ----

/// Notes what each write brought; takes so many bytes before it is full.
#[derive(Default)]
struct Socket {
    writes: Vec<Vec<u8>>,
    room: usize,
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.room == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let taken = bytes.len().min(self.room);
        self.room -= taken;
        self.writes.push(bytes[..taken].to_vec());
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A queue with these objects, each of which may follow the one before at once.
fn queue_of(objects: &[&[u8]]) -> (Outbound, Pacing, BufferPool) {
    let mut pool = BufferPool::default();
    let (mut queue, mut pacing) = (Outbound::default(), Pacing::new(Duration::ZERO));
    for object in objects {
        let payload = Payload::Borrowed(object);
        pacing.queued(queue.push_frame(&BareCodec::new(64), &payload, &mut pool).unwrap());
    }
    (queue, pacing, pool)
}

#[test]
fn each_object_is_one_write_with_its_nul() {
    // More than one chunk holds.
    let long = vec![b'x'; 50_000];
    let (mut queue, mut pacing, mut pool) = queue_of(&[b"{}", &long, &long, b"{\"a\":1}"]);
    let mut socket = Socket { room: usize::MAX, ..Socket::default() };
    let written = pacing.write(&mut queue, &mut socket, &mut pool).unwrap();
    assert_eq!(written, Written { bytes: 100_013, blocked: false });
    let long = [&long[..], b"\0"].concat();
    assert_eq!(socket.writes, [b"{}\0", &long[..], &long, b"{\"a\":1}\0"]);
    assert_eq!((queue.len(), queue.held_bytes()), (0, 0));
}

#[test]
fn an_object_that_the_socket_cuts_goes_on_alone() {
    for room in 1..6 {
        let (mut queue, mut pacing, mut pool) = queue_of(&[b"{1}", b"{2}"]);
        let mut socket = Socket { room, ..Socket::default() };
        let first = pacing.write(&mut queue, &mut socket, &mut pool).unwrap();
        assert_eq!(first, Written { bytes: room, blocked: true });
        socket.room = usize::MAX;
        let second = pacing.write(&mut queue, &mut socket, &mut pool).unwrap();
        assert_eq!(second, Written { bytes: 8 - room, blocked: false });
        assert_eq!(socket.writes.concat(), b"{1}\0{2}\0");
        let mixes = |write: &&Vec<u8>| write[..write.len() - 1].contains(&0);
        assert_eq!(socket.writes.iter().find(mixes), None, "bytes of two objects in one write");
    }
}

/// A bare connection to a reactor with this pace.
fn paced(pace: Duration, configure: impl FnOnce(&mut ReactorConfig)) -> (Rig, Client, ConnId) {
    let rig = Rig::with(Script::collect(), |config| {
        config.bare_pace = pace;
        configure(config);
    });
    let (mut client, conn) = rig.connect();
    client.send_raw(b"{}\0");
    assert_eq!(rig.frame(), b"{}");
    (rig, client, conn)
}

/// What the handler hears of the next write.
fn next_written(rig: &Rig) -> u64 {
    rig.wait_for(|seen| match seen {
        Seen::Written(_, offset) => Some(offset),
        Seen::Close(_, reason) => panic!("closed: {reason}"),
        _ => None,
    })
}

#[test]
fn objects_leave_one_after_the_other_with_the_pace_between() {
    let pace = Duration::from_millis(20);
    let (rig, mut client, conn) = paced(pace, |_| {});
    let began = Instant::now();
    let ends = rig.run(move |io| [1, 2, 3, 4].map(|n| io.send(conn, &vec![b'x'; n]).unwrap()));
    assert_eq!(ends, [2, 5, 9, 14]);
    assert_eq!(ends.map(|_| next_written(&rig)), ends, "one write for each object");
    assert!(began.elapsed() >= 3 * pace);
    // One that comes later waits for nobody but the one before it.
    let fifth = rig.run(move |io| io.send(conn, b"{}").unwrap());
    assert_eq!(next_written(&rig), fifth);
    assert!(began.elapsed() >= 4 * pace);
    rig.run(move |io| io.finish(conn, CloseReason::Handler("done")));
    assert_eq!(client.receive_to_the_end(), b"x\0xx\0xxx\0xxxx\0{}\0");
    assert_eq!(rig.run(move |io| io.held_bytes(conn)), 0);
}

#[test]
fn who_waits_for_its_pace_is_no_stalled_reader() {
    let pace = Duration::from_millis(150);
    let (rig, _client, conn) = paced(pace, |config| config.write_timeout = pace / 3);
    let ends = rig.run(move |io| [(); 3].map(|()| io.send(conn, b"{}").unwrap()));
    assert_eq!(ends.map(|_| next_written(&rig)), ends);
}

#[test]
fn a_full_queue_takes_nothing_more_and_closes_nobody() {
    // A second's worth, and two at least.
    for (pace_ms, room) in [(5, 200), (900, 2)] {
        let (rig, _client, conn) = paced(Duration::from_millis(pace_ms), |_| {});
        let (taken, has_room) = rig.run(move |io| {
            let taken = (0..1000).filter(|_| io.send(conn, b"{}").is_some()).count();
            (taken, io.has_room(conn))
        });
        assert_eq!((taken, has_room), (room, false), "at {pace_ms} ms");
        let one = next_written(&rig);
        assert_eq!(one, 3);
        rig.wait_for(|seen| match seen {
            Seen::Close(_, reason) => panic!("closed: {reason}"),
            _ => rig.run(move |io| io.has_room(conn).then(|| io.send(conn, b"{}").unwrap())),
        });
    }
    // Nor for bytes: the limit is for those who do not read.
    let (rig, mut client, conn) = paced(Duration::ZERO, |config| config.max_outbound = 4096);
    let taken =
        rig.run(move |io| (0..100).filter(|_| io.send(conn, &[b'x'; 500]).is_some()).count());
    assert_eq!(taken, 8);
    rig.written(conn, 8 * 501);
    rig.run(move |io| io.finish(conn, CloseReason::Handler("done")));
    assert_eq!(client.receive_to_the_end().len(), 8 * 501);
}

#[test]
fn a_bare_peer_that_takes_nothing_is_closed_after_the_write_timeout() {
    let timeout = Duration::from_millis(100);
    let (rig, _client, conn) = paced(Duration::ZERO, |config| {
        config.max_outbound = 1 << 26;
        config.write_timeout = timeout;
    });
    rig.run(move |io| {
        while !io.write_interest(conn) {
            io.send(conn, &[b'x'; 100_000]).unwrap();
            io.flush(conn);
        }
    });
    assert_eq!(rig.closed(conn), CloseReason::WriteStalled(timeout));
}

#[test]
fn what_is_queued_leaves_at_its_pace_before_the_end() {
    let (rig, mut client, conn) = paced(Duration::from_millis(20), |_| {});
    rig.run(move |io| {
        for _ in 0..10 {
            io.send(conn, b"{}").unwrap();
        }
        io.finish(conn, CloseReason::Handler("done"));
    });
    assert_eq!(client.receive_to_the_end(), b"{}\0".repeat(10));
    drop(client);
    assert_eq!(rig.closed(conn), CloseReason::Handler("done"));
}

#[test]
fn separators_alone_are_no_unfinished_frame() {
    let rig = Rig::with(Script::echo(), |config| {
        config.frame_timeout = Duration::from_millis(50);
        config.idle_timeout = SOON;
    });
    let (mut client, conn) = rig.connect();
    client.send_raw(b"{}");
    assert_eq!(rig.frame(), b"{}");
    client.send_raw(b"\0 \r\n\0");
    rig.run(|io| io.set_timer(io.now() + Duration::from_millis(200), 1));
    rig.wait_for(|seen| match seen {
        Seen::Close(_, reason) => panic!("closed: {reason}"),
        other => (other == Seen::Timer(1)).then_some(()),
    });
    assert_eq!(rig.run(move |io| io.held_bytes(conn)), 0);
    client.send_raw(b"{\"a\"");
    assert!(matches!(rig.closed(conn), CloseReason::FrameUnfinished(_)));
}

#[test]
fn what_is_no_object_is_a_violation() {
    for (bytes, error) in [
        (&b"{}\0GET"[..], CodecError::NoObject(b'G')),
        (&[b'{'; 2000], CodecError::ObjectTooLong { max: 1024 }),
    ] {
        let rig = Rig::with(Script::collect(), |config| config.max_frame = 1024);
        let (mut client, conn) = rig.connect();
        client.send_raw(bytes);
        let violation = rig.wait_for(|seen| match seen {
            Seen::Violation(_, error) => Some(error),
            _ => None,
        });
        assert_eq!(violation, error);
        client.receive_to_the_end();
        drop(client);
        assert_eq!(rig.closed(conn), CloseReason::Codec(error));
    }
}
