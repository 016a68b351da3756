//! What must hold for any bytes of a peer: checked with generated inputs and
//! with the fuzzer's corpus. The targets in fuzz/ check the same functions.

#![allow(clippy::unwrap_used)] // A test that meets an error should end there.

mod bare;
mod codec;
mod corpus;
mod envelope;
mod generated;
mod json;
mod message;
mod proxy_header;
