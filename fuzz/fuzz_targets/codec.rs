//! A byte stream becomes the same frames however it is cut.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/properties/codec.rs"]
mod codec;

fuzz_target!(|input: &[u8]| codec::check(input));
