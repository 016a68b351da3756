//! The consistent-hash ring of nginx's `stream` module, and the configurator
//! of it, `bin/ConsistentHash`.
//!
//! ```text
//! server_name.rs  a server as nginx.conf writes it, of which the points are made
//! client.rs       a client, and the key by which nginx hashes it
//! points.rs       the ring: points, and which server a key belongs to
//! upstream.rs     the servers of an upstream, with their parameters
//! sample.rs       shares of made-up clients
//! state.rs        the state file: the ring between two runs
//! conf.rs         nginx's configuration language
//! text.rs         its files as text, whatever bytes they have
//! sources.rs      the upstreams of a configuration and its includes
//! glob.rs         the files that an include stands for
//! import.rs       from nginx.conf to an upstream
//! rewrite.rs      from an upstream to the text of nginx.conf
//! nginx.rs        the program: asked for its opinion, told to reload
//! drift.rs        what was changed in the file by hand meanwhile
//! export.rs       from an upstream to a file that nginx has agreed to
//! signals.rs      those that end a program wait meanwhile
//! staged.rs       a new text until it is in its file's place
//! beside.rs       new files beside another one, and locks
//! command.rs      what the commands are called and take
//! configurator.rs what they do; report.rs: longer answers
//! script.rs       commands from the command line and from a pipe
//! console.rs      commands of a person at a terminal
//! ```
//!
//! *Invariant:* what the ring answers is what nginx does, and nothing nicer.

mod beside;
pub mod client;
pub mod command;
pub mod conf;
pub mod configurator;
pub mod console;
mod drift;
pub mod export;
mod glob;
pub mod import;
pub mod nginx;
pub mod points;
pub mod report;
pub mod rewrite;
pub mod sample;
pub mod script;
pub mod server_name;
pub mod signals;
pub mod sources;
mod staged;
pub mod state;
mod text;
pub mod upstream;

pub use client::{Client, KeyForm};
pub use points::{Pick, Ring};
pub use server_name::ServerName;

/// nginx gives a server so many points for each unit of its weight.
pub const POINTS_PER_WEIGHT: u32 = 160;
