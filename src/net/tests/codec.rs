//! Bytes become the same frames however they come.

use proptest::prelude::*;

use super::support::framed;
use crate::net::codec::{Codec, CodecError, FramedCodec, LONGEST_FRAME_BYTES, for_first_byte};

/// Feeds `stream` in segments of the given lengths, over and over, as a
/// connection does: what is not used up comes again in front of what follows.
fn decode_in_segments(
    codec: &mut dyn Codec,
    stream: &[u8],
    segments: &[usize],
) -> Result<Vec<Vec<u8>>, CodecError> {
    let mut frames = Vec::new();
    let mut buffer: Vec<u8> = Vec::new();
    let mut rest = stream;
    let mut lengths = segments.iter().cycle();
    while !rest.is_empty() {
        let cut = (*lengths.next().unwrap()).clamp(1, rest.len());
        buffer.extend_from_slice(&rest[..cut]);
        rest = &rest[cut..];
        while let Some(frame) = codec.decode(&mut buffer)? {
            frames.push(buffer[frame.payload].to_vec());
            buffer.drain(..frame.consumed);
        }
    }
    assert!(buffer.is_empty(), "the stream ends with a whole frame");
    Ok(frames)
}

#[test]
fn a_frame_cut_at_every_byte_is_one_frame() {
    let stream = framed(b"{\"msgid\":15}");
    for cut in 1..stream.len() {
        let mut codec = for_first_byte(0, 64).unwrap();
        let frames = decode_in_segments(&mut codec, &stream, &[cut]).unwrap();
        assert_eq!(frames, [b"{\"msgid\":15}"], "cut after {cut} bytes");
    }
}

#[test]
fn lengths_out_of_bounds_are_known_from_the_header_alone() {
    let mut codec = FramedCodec::new(10);
    assert_eq!(codec.decode(&mut [0, 0, 0]), Ok(None));
    assert_eq!(codec.decode(&mut [0, 0, 0, 0]), Err(CodecError::Empty));
    assert_eq!(codec.decode(&mut [0, 0, 0, 10]), Ok(None));
    let too_long = |len| Err(CodecError::FrameTooLong { len, max: 10 });
    assert_eq!(codec.decode(&mut [0, 0, 0, 11]), too_long(11));
    assert_eq!(codec.decode(&mut [0xff; 4]), too_long(0xffff_ffff));
}

#[test]
fn only_zero_and_a_brace_start_a_dialect() {
    assert!(for_first_byte(0, 64).is_ok_and(|codec| !codec.is_bare()));
    assert!(for_first_byte(b'{', 64).is_ok_and(|codec| codec.is_bare()));
    for first in (1..=255).filter(|first| *first != b'{') {
        let refused = for_first_byte(first, 64).err();
        assert_eq!(refused, Some(CodecError::UnknownDialect(first)));
    }
}

#[test]
fn what_cannot_be_framed_is_refused_and_leaves_nothing_behind() {
    let codec = FramedCodec::new(64);
    let mut out = Vec::new();
    assert_eq!(codec.encode_head(0, &mut out), Err(CodecError::Empty));
    let len = LONGEST_FRAME_BYTES + 1;
    let too_long = CodecError::FrameTooLong { len, max: LONGEST_FRAME_BYTES };
    assert_eq!(codec.encode_head(len, &mut out), Err(too_long));
    assert!(out.is_empty());
    // What the server sends may be longer than what it takes.
    assert_eq!(codec.encode_head(LONGEST_FRAME_BYTES, &mut out), Ok(()));
    assert_eq!(out, [0, 0xff, 0xff, 0xff]);
}

proptest! {
    #[test]
    fn any_split_of_a_stream_gives_the_same_frames(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 1..20),
        segments in prop::collection::vec(1_usize..300, 1..20),
    ) {
        let stream: Vec<u8> = payloads.iter().flat_map(|payload| framed(payload)).collect();
        let mut codec = FramedCodec::new(200);
        prop_assert_eq!(decode_in_segments(&mut codec, &stream, &segments), Ok(payloads));
    }

    #[test]
    fn no_bytes_panic_and_progress_is_real(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut codec = FramedCodec::new(64);
        let all = bytes.len();
        let mut used = 0;
        while let Ok(Some(frame)) = codec.decode(&mut bytes[used..]) {
            prop_assert!(!frame.payload.is_empty() && frame.payload.end <= frame.consumed);
            used += frame.consumed;
            prop_assert!(used <= all);
        }
    }
}
