//! What a reactor calls. Implemented once, where net meets the chat service.
//!
//! Thread: every method runs on the reactor's own thread and must not block.

use std::net::SocketAddr;
use std::time::Duration;

use super::proxy_header::ProxyHeaderError;
use super::{CodecError, ConnId, Io};

/// Whether a connection's further frames may come now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Next frame, please.
    Continue,
    /// No more frames of this connection until [`Io::resume`]: its request is
    /// with somebody else, and order is kept. What has been read stays
    /// buffered and the socket is not read beyond that; a reset is still seen.
    Pause,
}

/// Why a connection ended. `Display` is the reason in the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// The peer closed its side, and everything it had sent was handled.
    #[error("closed by the peer")]
    PeerClosed,
    /// The socket failed.
    #[error("socket error: {0}")]
    Socket(String),
    /// The bytes were no frames.
    #[error("{0}")]
    Codec(CodecError),
    /// More waits for the peer than it may let wait.
    #[error("slow reader: {queued} bytes wait, the limit is {limit}")]
    SlowReader {
        /// Bytes that wait.
        queued: usize,
        /// `--max-outbound`.
        limit: usize,
    },
    /// The server's buffers are nearly used up, and this one has held much of
    /// them for long.
    #[error("short of memory: {held} bytes are held for it, {allowance} may be now")]
    ShortOfMemory {
        /// Bytes that are held.
        held: usize,
        /// Bytes that may be.
        allowance: usize,
    },
    /// Nothing came for too long.
    #[error("idle for {} s", .0.as_secs())]
    Idle(Duration),
    /// A frame had begun and was not whole in time.
    #[error("a frame was not whole after {} s and more", .0.as_secs())]
    FrameUnfinished(Duration),
    /// Bytes waited and the socket took none for too long.
    #[error("the peer took nothing for {} s", .0.as_secs())]
    WriteStalled(Duration),
    /// Half-closed by the peer and not finished within the deadline.
    #[error("half-closed and not finished in time")]
    HalfCloseExpired,
    /// The handler asked for it.
    #[error("{0}")]
    Handler(&'static str),
    /// A trusted proxy did not say for whom it connects. The handler, which
    /// was not told of the connection, never sees this.
    #[error("{0}")]
    ProxyHeader(ProxyHeaderError),
    /// The reactor is shutting down.
    #[error("the server is stopping")]
    Shutdown,
}

/// The user of a reactor's connections.
pub trait Handler: Send + 'static {
    /// What other threads post to this handler through the reactor's handle.
    type Message: Send + 'static;

    /// A connection was accepted and is registered. `peer` is the client: of a
    /// connection that a trusted proxy has made, whom its PROXY header names.
    fn on_open(&mut self, io: &mut Io<'_>, conn: ConnId, peer: SocketAddr);

    /// One frame's payload came. Frames of one connection come in order.
    fn on_frame(&mut self, io: &mut Io<'_>, conn: ConnId, payload: &[u8]) -> Flow;

    /// The peer broke the framing in a way that is worth an answer. What the
    /// handler sends now goes out; then the reactor shuts down its writing
    /// side, reads on for a moment so that the answer is not overtaken by a
    /// reset, and closes. Not called for a dialect that is closed at once.
    fn on_violation(&mut self, io: &mut Io<'_>, conn: ConnId, error: &CodecError);

    /// The socket has accepted everything up to `offset` of this connection's
    /// outgoing stream (see [`Io::send`]). Called once per flush that got
    /// anywhere, outside of any other callback.
    fn on_written(&mut self, io: &mut Io<'_>, conn: ConnId, offset: u64);

    /// The peer has closed its writing side and every frame it sent has been
    /// handled. The connection stays open for answers until the handler calls
    /// [`Io::finish`], or the half-close deadline passes.
    fn on_half_close(&mut self, io: &mut Io<'_>, conn: ConnId);

    /// The connection is gone; nothing can be sent any more. Called exactly
    /// once for each opened connection, outside of any other callback.
    fn on_close(&mut self, io: &mut Io<'_>, conn: ConnId, reason: &CloseReason);

    /// Somebody posted a message.
    fn on_message(&mut self, io: &mut Io<'_>, message: Self::Message);

    /// A timer set by [`Io::set_timer`] is due.
    fn on_timer(&mut self, io: &mut Io<'_>, key: u64);

    /// A turn begins; [`Io::now`] has its time.
    fn on_turn_begin(&mut self, io: &mut Io<'_>) {
        let _unused = io;
    }

    /// The turn is over: its events are handled, what was queued is flushed and
    /// told. What is queued now leaves in the next turn, which follows at once.
    fn on_turn_end(&mut self, io: &mut Io<'_>) {
        let _unused = io;
    }

    /// The reactor was told to shut down: no further frame will come on any
    /// connection. The handler calls [`Io::finish`] for each connection, now
    /// or when its last answer is queued; what is left at the deadline is
    /// closed, and the reactor's thread ends when no connection is left.
    fn on_shutdown(&mut self, io: &mut Io<'_>);
}
