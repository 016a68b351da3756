//! A clustered chat server, its client and its load generator.
//!
//! ```text
//! bin ─▶ server ─▶ { service, net, bus, model, config }
//!                   service ─▶ { protocol, model, bus's trait }
//!                   net ─▶ std, mio and a channel: it knows nothing of chat
//!        client ─▶ protocol
//!        bench ─▶ std, mio: it speaks the protocol by itself; to seed, model
//! ```
//!
//! ARCHITECTURE.md is the map; docs/lexicon.md says what each word means.

#![forbid(unsafe_code)]

pub mod bench;
pub mod bus;
pub mod client;
pub mod config;
pub mod model;
pub mod net;
pub mod protocol;
mod secret;
pub mod server;
pub mod service;
