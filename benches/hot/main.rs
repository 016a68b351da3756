//! What each piece on the way of a message costs, in nanoseconds: where a
//! change of the whole (benches/goals) comes from.
//!
//! ```text
//! cargo bench --bench hot [-- NAME]      NAME: codec, parse, write, fan_out
//! bytes ─▶ codec ─▶ parse ─▶ fan_out (registry, slot) ─▶ write (push, reply)
//! ```
//!
//! Only what is public is measured, so that a piece can be rewritten inside
//! without a word here.

// As in the tests: what is not there ends the run.
#![allow(clippy::unwrap_used)]

mod codec;
mod fan_out;
mod parse;
mod write;

fn main() {
    divan::main();
}
