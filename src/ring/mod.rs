//! The consistent-hash ring of nginx's `stream` module, and the configurator
//! of it, `bin/ConsistentHash`.
//!
//! ```text
//! server_name.rs  a server as nginx.conf writes it, of which the points are made
//! client.rs       a client, and the key by which nginx hashes it
//! points.rs       the ring: points, and which server a key belongs to
//! ```
//!
//! *Invariant:* what the ring answers is what nginx does, and nothing nicer.

pub mod client;
pub mod points;
pub mod server_name;

pub use client::{Client, KeyForm};
pub use points::{Pick, Ring};
pub use server_name::ServerName;

/// nginx gives a server so many points for each unit of its weight.
pub const POINTS_PER_WEIGHT: u32 = 160;
