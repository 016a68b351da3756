//! Frames out of a byte stream, and the heads in front of them.

use cluster_chat::net::codec::{Codec, for_first_byte};
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};

/// What one read of a reactor brings at most.
const INPUT_BYTES: usize = 64 * 1024;
/// The frame that a client may send at most.
const MAX_FRAME_BYTES: usize = 64 * 1024;

fn framed() -> impl Codec {
    for_first_byte(0, MAX_FRAME_BYTES).unwrap()
}

/// Whole frames with payloads of so many bytes; the last one is cut off.
fn stream(payload_bytes: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < INPUT_BYTES {
        bytes.extend_from_slice(&(payload_bytes as u32).to_be_bytes());
        bytes.resize(bytes.len() + payload_bytes, b'x');
    }
    bytes.truncate(INPUT_BYTES);
    bytes
}

/// 64 KiB of messages, as a reactor goes through what it has read.
#[divan::bench(args = [25, 150, 4096])]
fn decode(bencher: Bencher<'_, '_>, payload_bytes: usize) {
    let mut input = stream(payload_bytes);
    let frames = INPUT_BYTES / (4 + payload_bytes);
    let mut codec = framed();
    bencher.counter(ItemsCount::new(frames)).counter(BytesCount::new(INPUT_BYTES)).bench_local(
        || {
            let (mut at, mut found) = (0, 0);
            while let Some(frame) = codec.decode(black_box(&mut input[at..])).unwrap() {
                at += frame.consumed;
                found += 1;
            }
            assert_eq!(found, frames);
        },
    );
}

/// A message of 150 bytes into a queue that has room for it.
#[divan::bench]
fn encode(bencher: Bencher<'_, '_>) {
    let codec = framed();
    let payload = [b'x'; 150];
    let mut out = Vec::with_capacity(1024);
    bencher.bench_local(|| {
        out.clear();
        codec.encode_head(black_box(&payload).len(), &mut out).unwrap();
        out.extend_from_slice(&payload);
        out.extend_from_slice(codec.tail());
        out.len()
    });
}
