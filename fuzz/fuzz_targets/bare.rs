//! What a client of the bare dialect may be told.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/properties/bare.rs"]
mod bare;

fuzz_target!(|input: &[u8]| bare::check(input));
