//! The first bytes of a connection that comes by way of a proxy.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/properties/proxy_header.rs"]
mod proxy_header;

fuzz_target!(|input: &[u8]| proxy_header::check(input));
