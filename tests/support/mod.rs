//! The harness of the tests: real servers, real services, real sockets.
//!
//! ```text
//! world.rs     where a story takes place: one server or a cluster
//! cluster.rs   two servers, MariaDB, Redis and nginx
//! server.rs    one ChatServer process
//! services.rs  MariaDB, Redis, nginx
//! floor.rs     ChatBench's least server
//! door.rs      an address to connect to; registers people and logs them in
//! client.rs    one framed connection: requests, replies, pushes
//! cpp_client.rs  a client of the C++ family, with its habits; cpp_screen.rs
//!              what it shows
//! talk.rs      what people do on it: chat, befriend, join groups
//! wire.rs      bytes and frames, over TCP or TLS (tls.rs)
//! proxy.rs     a cable that can hang and be cut
//! process.rs   signals; wait.rs: conditions with deadlines
//! ```
//!
//! A service that cannot be started fails the test; nothing is ever skipped.

// Each test target uses its own part of the harness.
#![allow(dead_code, unused_macros)]

pub mod client;
pub mod cluster;
pub mod cpp_client;
pub mod cpp_screen;
pub mod door;
pub mod floor;
pub mod process;
pub mod proxy;
pub mod server;
pub mod services;
pub mod talk;
pub mod tls;
pub mod wait;
pub mod wire;
#[macro_use]
pub mod world;
