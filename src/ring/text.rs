//! Configurations as text. nginx knows bytes and no encodings; what is not
//! UTF-8 here is carried through and comes out as it went in.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// A byte that belongs to no character stands for itself in this block of
/// Unicode's private use: 0xE9 as U+F7E9.
const ESCAPES: std::ops::RangeInclusive<char> = '\u{f780}'..='\u{f7ff}';
const ESCAPE_BASE: u32 = 0xf700;

/// The text of these bytes.
pub(super) fn decode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let escape = |byte: &u8| char::from_u32(ESCAPE_BASE + u32::from(*byte)).unwrap_or_default();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            // One of that block itself is three bytes that are carried through.
            if is_escape(c) {
                text.extend(c.encode_utf8(&mut [0; 4]).as_bytes().iter().map(escape));
            } else {
                text.push(c);
            }
        }
        text.extend(chunk.invalid().iter().map(escape));
    }
    text
}

/// The bytes of which it is the text.
pub(super) fn encode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match u8::try_from(u32::from(c).wrapping_sub(ESCAPE_BASE)) {
            Ok(byte) if is_escape(c) => bytes.push(byte),
            _ => bytes.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

/// The name of a file that a configuration means by this text.
pub(super) fn path_part(text: &str) -> OsString {
    OsString::from_vec(encode(text))
}

/// Whether it stands for a byte.
pub(super) fn is_escape(c: char) -> bool {
    ESCAPES.contains(&c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn latin_1_is_carried_through() {
        let bytes = b"# caf\xe9 and caf\xc3\xa9\n";
        assert_eq!(decode(bytes), "# caf\u{f7e9} and caf\u{e9}\n");
        assert_eq!(encode(&decode(bytes)), bytes);
        assert_eq!(decode("\u{f7e9}".as_bytes()), "\u{f7ef}\u{f79f}\u{f7a9}");
    }

    proptest! {
        #[test]
        fn any_bytes_come_out_as_they_went_in(bytes: Vec<u8>, text in "[a\u{f77f}-\u{f801}]*") {
            prop_assert_eq!(encode(&decode(&bytes)), bytes);
            prop_assert_eq!(encode(&decode(text.as_bytes())), text.into_bytes());
        }
    }
}
