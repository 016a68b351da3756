//! The queue of outgoing bytes, without a socket.

use std::io::{self, IoSlice, Write};
use std::sync::Arc;

use super::support::framed;
use crate::net::buffer_pool::BufferPool;
use crate::net::codec::{CodecError, FramedCodec};
use crate::net::inbound::{INPUT_BYTES, Inbound};
use crate::net::outbound::{Outbound, Payload, Written};

/// Takes so many bytes, then no more until it gets room again.
#[derive(Default)]
struct Socket {
    taken: Vec<u8>,
    room: usize,
    calls: usize,
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.calls += 1;
        if self.room == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let before = self.taken.len();
        for slice in slices {
            let n = slice.len().min(self.room);
            self.taken.extend_from_slice(&slice[..n]);
            self.room -= n;
        }
        Ok(self.taken.len() - before)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn push(queue: &mut Outbound, pool: &mut BufferPool, payload: &[u8]) -> usize {
    queue.push_frame(&FramedCodec::new(64), &Payload::Borrowed(payload), pool).unwrap()
}

#[test]
fn many_frames_leave_in_one_write() {
    let (mut queue, mut pool) = (Outbound::default(), BufferPool::default());
    let mut expected = Vec::new();
    for n in 0..100_u8 {
        assert_eq!(push(&mut queue, &mut pool, &[n; 50]), 54);
        expected.extend(framed(&[n; 50]));
    }
    let large: Arc<[u8]> = vec![9; 100_000].into();
    queue.push_frame(&FramedCodec::new(64), &Payload::Shared(&large), &mut pool).unwrap();
    expected.extend(framed(&large));
    push(&mut queue, &mut pool, b"last");
    expected.extend(framed(b"last"));

    let mut socket = Socket { room: usize::MAX, ..Socket::default() };
    let written = queue.write_to(&mut socket, &mut pool).unwrap();
    assert_eq!(written, Written { bytes: expected.len(), blocked: false });
    assert_eq!(socket.calls, 1);
    assert_eq!(socket.taken, expected);
}

#[test]
fn what_the_socket_does_not_take_stays_at_every_cut() {
    let shared: Arc<[u8]> = vec![7; 5000].into();
    let total = framed(b"small").len() + framed(&shared).len() + framed(b"end").len();
    for cut in 1..total {
        let (mut queue, mut pool) = (Outbound::default(), BufferPool::default());
        push(&mut queue, &mut pool, b"small");
        queue.push_frame(&FramedCodec::new(64), &Payload::Shared(&shared), &mut pool).unwrap();
        let mut socket = Socket { room: cut, ..Socket::default() };
        let first = queue.write_to(&mut socket, &mut pool).unwrap();
        push(&mut queue, &mut pool, b"end");
        assert_eq!(queue.len(), total - first.bytes);
        socket.room = usize::MAX;
        queue.write_to(&mut socket, &mut pool).unwrap();
        let expected = [framed(b"small"), framed(&shared), framed(b"end")].concat();
        assert_eq!(socket.taken, expected, "cut after {cut} bytes");
        assert!(queue.is_empty());
    }
}

#[test]
fn an_empty_queue_holds_no_memory_and_its_buffers_are_used_again() {
    let (mut queue, mut pool) = (Outbound::default(), BufferPool::default());
    let mut socket = Socket { room: usize::MAX, ..Socket::default() };
    push(&mut queue, &mut pool, &[1; 1000]);
    assert!(queue.held_bytes() >= 1000);
    queue.write_to(&mut socket, &mut pool).unwrap();
    assert_eq!(queue.held_bytes(), 0);

    // Another connection's frame finds the buffer that the first had.
    let kept = pool.kept_bytes();
    assert!(kept >= 1000);
    let mut other = Outbound::default();
    push(&mut other, &mut pool, &[2; 900]);
    assert_eq!(pool.kept_bytes(), kept - other.held_bytes());
    other.clear(&mut pool);
    assert_eq!((other.held_bytes(), other.len(), pool.kept_bytes()), (0, 0, kept));
}

#[test]
fn a_small_frame_gets_no_large_buffer() {
    let mut pool = BufferPool::default();
    pool.give(Vec::with_capacity(128 * 1024));
    let (mut queue, mut input) = (Outbound::default(), Inbound::default());
    push(&mut queue, &mut pool, b"x");
    input.append(b"x", &mut pool);
    assert!(queue.held_bytes() + input.held_bytes() < 1024);
}

#[test]
fn what_is_held_is_what_counts_and_never_much_more_than_what_waits() {
    let mut pool = BufferPool::default();
    for payload in [
        Payload::Borrowed(&[1; 60_000]),
        Payload::Borrowed(&[2; 1_000_000]),
        Payload::Shared(&vec![3; 60_000].into()),
    ] {
        let mut queue = Outbound::default();
        let bytes = queue.push_frame(&FramedCodec::new(64), &payload, &mut pool).unwrap();
        let mut socket = Socket::default();
        for left in [20_000, 3_000, 2] {
            socket.room = queue.len() - left;
            let written = queue.write_to(&mut socket, &mut pool).unwrap();
            assert!(written.blocked && queue.len() == left);
            let held = queue.held_bytes();
            assert!(held <= 4 * left + 1024 || left > 4096, "{held} bytes for {left} of {bytes}");
        }
        socket.room = 2;
        queue.write_to(&mut socket, &mut pool).unwrap();
        assert_eq!((socket.taken.len(), queue.held_bytes()), (bytes, 0));
        assert!(socket.taken.ends_with(payload.bytes()));
    }
}

#[test]
fn two_bytes_behind_a_long_frame_do_not_keep_its_buffer() {
    let (mut input, mut pool) = (Inbound::default(), BufferPool::default());
    for part in [&[1; 40_000][..], &[2; 25_540], &[3, 4]] {
        input.append(part, &mut pool);
    }
    assert!((65_542..=131_072 + INPUT_BYTES).contains(&input.held_bytes()));
    input.consume(65_540, &mut pool);
    assert_eq!(input.as_slice(), [3, 4]);
    assert!(input.held_bytes() <= 256 + INPUT_BYTES, "{} bytes", input.held_bytes());
    input.append(&[5], &mut pool);
    assert_eq!(input.as_slice(), [3, 4, 5]);
}

#[test]
fn a_pool_keeps_no_more_than_its_limit() {
    let mut pool = BufferPool::default();
    pool.give(Vec::with_capacity(1 << 20));
    assert_eq!(pool.kept_bytes(), 0, "a large buffer is not kept");
    for _ in 0..100 {
        pool.give(Vec::with_capacity(64 * 1024));
    }
    assert_eq!(pool.kept_bytes(), 4 * 1024 * 1024);
    let buffers: Vec<_> = (0..100).map(|_| pool.take(40_000)).collect();
    assert_eq!(pool.kept_bytes(), 0);
    for buffer in buffers {
        pool.give(buffer);
    }
    // Small ones, which most are, are not kept out by large ones.
    pool.give(Vec::with_capacity(300));
    let large = 63 * 64 * 1024;
    assert_eq!(pool.kept_bytes(), large + 300);
    assert_eq!(pool.take(200).capacity(), 300);
    pool.clear();
    assert_eq!(pool.kept_bytes(), 0);
}

#[test]
fn a_frame_that_cannot_be_sent_queues_nothing() {
    let (mut queue, mut pool) = (Outbound::default(), BufferPool::default());
    let refused = queue.push_frame(&FramedCodec::new(64), &Payload::Borrowed(b""), &mut pool);
    assert_eq!(refused, Err(CodecError::Empty));
    assert_eq!((queue.len(), queue.held_bytes()), (0, 0));
}

#[test]
fn a_socket_that_takes_nothing_at_all_is_an_error() {
    struct Dead;
    impl Write for Dead {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Ok(0)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (mut queue, mut pool) = (Outbound::default(), BufferPool::default());
    push(&mut queue, &mut pool, b"x");
    let error = queue.write_to(&mut Dead, &mut pool).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WriteZero);
}
