//! A clustered chat server and its client.
//!
//! ```text
//! bin ─▶ server ─▶ { service, net, bus, model, config }
//!                   service ─▶ { protocol, model, bus's trait }
//!                   net ─▶ std, mio and a channel: it knows nothing of chat
//!        client ─▶ protocol
//! ```
//!
//! ARCHITECTURE.md is the map; docs/lexicon.md says what each word means.

#![forbid(unsafe_code)]

pub mod bus;
pub mod client;
pub mod config;
pub mod model;
pub mod net;
pub mod protocol;
mod secret;
pub mod server;
pub mod service;
