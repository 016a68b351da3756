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
pub mod codec;
pub mod conn_id;
mod connection;
pub mod handle;
pub mod handler;
mod outbound;
pub mod reactor;
mod timers;

pub use acceptor::Acceptor;
pub use codec::{Codec, CodecError};
pub use conn_id::ConnId;
pub use handle::ReactorHandle;
pub use handler::{CloseReason, Flow, Handler};
pub use reactor::{Io, Reactor, ReactorConfig};
