//! What Redis may bring as the text of another server.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/properties/envelope.rs"]
mod envelope;

fuzz_target!(|input: &[u8]| envelope::check(input));
