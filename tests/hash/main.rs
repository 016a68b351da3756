//! ConsistentHash: as a script and as a person use it, and against a real
//! nginx, whose choices it has to foretell.

#![allow(clippy::unwrap_used)] // A test that meets an error should end there.

mod agreement;
mod by_hand;
mod cluster;
mod confs;
mod exports;
mod imports;
mod included;
mod kinds;
mod load;
mod original;
mod rights;
#[path = "../client/screen.rs"]
mod screen;
mod scripts;
mod signals;
mod slow;
#[macro_use]
#[path = "../support/mod.rs"]
mod support;
mod terminal;
mod tool;
mod upstreams;
