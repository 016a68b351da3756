//! What a client may send as the payload of a frame.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/properties/message.rs"]
mod message;

fuzz_target!(|input: &[u8]| message::check(input));
