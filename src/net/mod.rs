//! Bytes and frames over TCP: the main reactor's acceptor and the sub-reactors.
//!
//! This module knows nothing of chat. A [`Reactor`] owns its connections and
//! calls a [`Handler`] for what happens on them; others reach it only through
//! its [`ReactorHandle`].
//!
//! ```text
//!  Acceptor ──Register──▶ ReactorHandle ──▶ mailbox ─┐
//!  other threads ──Post──▶ ReactorHandle ──▶ mailbox ─┤  wake if asleep
//!                                                     ▼
//!   Reactor (one thread): poll ─▶ read ─▶ Codec ─▶ Handler ─▶ Io ─▶ flush
//! ```

pub mod acceptor;
pub mod bare;
mod buffer_pool;
pub mod codec;
pub mod config;
pub mod conn_id;
mod connection;
mod core;
mod deadlines;
pub mod handle;
pub mod handler;
mod inbound;
pub mod io;
mod kept_inputs;
mod lingering;
mod log_budget;
pub mod memory;
mod opening;
mod outbound;
mod pacing;
pub mod proxy_header;
pub mod reactor;
mod serving;
mod table;
mod timers;
pub mod trusted_proxies;

#[cfg(test)]
mod tests;

pub use acceptor::{AcceptTurn, Acceptor};
pub use codec::{Codec, CodecError};
pub use config::ReactorConfig;
pub use conn_id::ConnId;
pub use handle::{PostError, ReactorHandle};
pub use handler::{CloseReason, Flow, Handler};
pub use io::Io;
pub use memory::BufferMemory;
pub use reactor::Reactor;
pub use table::Table;
pub use trusted_proxies::TrustedProxies;
