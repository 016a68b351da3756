//! ConsistentHash: as a script and as a person use it, and against a real
//! nginx, whose choices it has to foretell.

#![allow(clippy::unwrap_used)] // A test that meets an error should end there.

mod agreement;
mod cluster;
mod files;
mod kinds;
mod load;
mod original;
#[path = "../client/screen.rs"]
mod screen;
mod scripts;
mod signals;
#[macro_use]
#[path = "../support/mod.rs"]
mod support;
mod terminal;
mod tool;
mod upstreams;
