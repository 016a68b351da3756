//! ChatClient against a real ChatServer: as a script uses it, through pipes,
//! and as a person does, on a terminal.

#![allow(clippy::unwrap_used)] // A test that meets an error should end there.

mod delivery_stories;
mod memory_stories;
mod piped;
mod proxy;
mod puppet;
mod resume_stories;
mod screen;
mod script_stories;
mod start_stories;
#[path = "../support/mod.rs"]
mod support;
mod takeover_stories;
mod terminal;
mod terminal_stories;
mod throttle_stories;
mod tls_stories;
