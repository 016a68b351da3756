//! A clustered chat server, its client, its load generator, and the configurator
//! of nginx's consistent hash.
//!
//! ```text
//! bin ─▶ server ─▶ { service, net, bus, model, config }
//!                   service ─▶ { protocol, model, bus's trait }
//!                   net ─▶ std, mio and a channel: it knows nothing of chat
//!                   net, service ─▶ serial, moment, address
//!     ─▶ import ─▶ { model, config, protocol, service's passwords }
//!        client ─▶ protocol
//!        bench ─▶ std, mio: it speaks the protocol by itself; to seed, model
//!        ring ─▶ std, crc32fast: nginx's consistent hash, used by its tool alone
//! ```
//!
//! ARCHITECTURE.md is the map; docs/lexicon.md says what each word means.

#![forbid(unsafe_code)]

pub mod address;
pub mod backoff;
pub mod bench;
pub mod bus;
pub mod client;
pub mod config;
pub mod import;
pub mod model;
pub mod moment;
pub mod net;
pub mod protocol;
pub mod ring;
mod secret;
pub mod serial;
pub mod server;
pub mod service;
