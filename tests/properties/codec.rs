//! Any way of cutting a byte stream gives the same frames and the same end.
//!
//! An input is `[n] [n lengths] [stream]`: the lengths of the segments in which
//! the stream comes, over and over.

use cluster_chat::net::codec::{Codec, CodecError, LONGEST_FRAME_BYTES, for_first_byte};

/// Small, so that frames beyond it are as easily made as frames within.
const MAX_FRAME: usize = 200;

/// What a stream came to.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    frames: Vec<Vec<u8>>,
    /// The bytes that wait for more, or why the connection is closed.
    end: Result<Vec<u8>, CodecError>,
}

/// Panics where the property does not hold.
pub fn check(input: &[u8]) {
    let Some((&count, rest)) = input.split_first() else { return };
    let (lengths, stream) = rest.split_at(usize::from(count).min(rest.len()));
    let whole = decode(stream, &[]);
    assert_eq!(decode(stream, lengths), whole, "cut into segments of {lengths:?}");
    assert_eq!(decode(stream, &[1]), whole, "byte by byte");
    match stream.first() {
        Some(0) => assert_eq!(whole, by_the_book(stream), "not what the protocol says"),
        Some(b'{') => assert_eq!(whole, bare_by_the_book(stream), "not what the protocol says"),
        _ => {}
    }
    encoded_frames_come_back(stream, &whole);
}

/// Decodes as a connection does: what is not used up comes again in front of
/// what follows. No lengths: all at once.
fn decode(stream: &[u8], lengths: &[u8]) -> Outcome {
    let mut outcome = Outcome { frames: Vec::new(), end: Ok(Vec::new()) };
    let Some(&first) = stream.first() else { return outcome };
    let mut codec = match for_first_byte(first, MAX_FRAME) {
        Ok(codec) => codec,
        Err(refused) => {
            outcome.end = Err(refused);
            return outcome;
        }
    };
    let mut buffer = Vec::new();
    let mut rest = stream;
    let mut segments = lengths.iter().cycle();
    while !rest.is_empty() {
        let length = segments.next().map_or(rest.len(), |length| usize::from(*length));
        let (segment, later) = rest.split_at(length.clamp(1, rest.len()));
        buffer.extend_from_slice(segment);
        rest = later;
        if let Err(err) = take_frames(&mut codec, &mut buffer, &mut outcome.frames) {
            outcome.end = Err(err);
            return outcome;
        }
        buffer.drain(..codec.passed_over());
    }
    outcome.end = Ok(buffer);
    outcome
}

fn take_frames(
    codec: &mut dyn Codec,
    buffer: &mut Vec<u8>,
    frames: &mut Vec<Vec<u8>>,
) -> Result<(), CodecError> {
    while let Some(frame) = codec.decode(buffer)? {
        assert!(frame.consumed > 0, "a frame that uses nothing up would come for ever");
        assert!(frame.payload.start <= frame.payload.end && frame.payload.end <= frame.consumed);
        assert!(frame.consumed <= buffer.len(), "bytes used up that have not come");
        assert!(frame.payload.len() <= MAX_FRAME, "a payload beyond the limit");
        frames.push(buffer[frame.payload].to_vec());
        buffer.drain(..frame.consumed);
    }
    Ok(())
}

/// The framed dialect once more, as simply as it can be said.
fn by_the_book(mut stream: &[u8]) -> Outcome {
    let mut frames = Vec::new();
    while stream.len() >= 4 {
        let len = stream[..4].iter().fold(0, |len, byte| len << 8 | usize::from(*byte));
        if len == 0 {
            return Outcome { frames, end: Err(CodecError::Empty) };
        }
        if len > MAX_FRAME {
            return Outcome { frames, end: Err(CodecError::FrameTooLong { len, max: MAX_FRAME }) };
        }
        if stream.len() < 4 + len {
            break;
        }
        frames.push(stream[4..4 + len].to_vec());
        stream = &stream[4 + len..];
    }
    Outcome { frames, end: Ok(stream.to_vec()) }
}

/// The bare dialect once more, as simply as it can be said.
fn bare_by_the_book(stream: &[u8]) -> Outcome {
    let mut frames = Vec::new();
    let mut rest = stream;
    loop {
        let is_between = |byte: &u8| b"\0 \t\r\n".contains(byte);
        rest = &rest[rest.iter().take_while(|byte| is_between(byte)).count()..];
        match rest.first() {
            None => return Outcome { frames, end: Ok(Vec::new()) },
            Some(b'{') => {}
            Some(byte) => return Outcome { frames, end: Err(CodecError::NoObject(*byte)) },
        }
        let seen = &rest[..rest.len().min(MAX_FRAME)];
        if let Some(end) = (1..=seen.len()).find(|end| closes(&seen[..*end])) {
            frames.push(rest[..end].to_vec());
            rest = &rest[end..];
        } else if seen.contains(&0) {
            return Outcome { frames, end: Err(CodecError::NoObject(0)) };
        } else if rest.len() > MAX_FRAME {
            return Outcome { frames, end: Err(CodecError::ObjectTooLong { max: MAX_FRAME }) };
        } else {
            return Outcome { frames, end: Ok(rest.to_vec()) };
        }
    }
}

/// Whether as many braces and brackets close as open, outside of strings, and
/// no byte among them is a NUL.
fn closes(text: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_i32, false, false);
    for byte in text {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'{' | b'[') => depth += 1,
            (false, b'}' | b']') => depth -= 1,
            _ => {}
        }
    }
    depth == 0 && !text.contains(&0)
}

/// What this side would send, the other side's codec gives back.
fn encoded_frames_come_back(stream: &[u8], decoded: &Outcome) {
    let Some(Ok(codec)) = stream.first().map(|first| for_first_byte(*first, LONGEST_FRAME_BYTES))
    else {
        return;
    };
    let mut sent = Vec::new();
    for payload in &decoded.frames {
        codec.encode_head(payload.len(), &mut sent).expect("what came in can go out");
        sent.extend_from_slice(payload);
        sent.extend_from_slice(codec.tail());
    }
    let back = decode(&sent, &[]);
    assert_eq!(back.frames, decoded.frames);
    assert_eq!(back.end, Ok(Vec::new()));
}
