//! One accepted connection: its socket, its dialect, and how far it has come.
//!
//! Thread: its reactor's; never shared.
//! Invariants:
//! - A phase is only ever left forwards: awaiting its PROXY header, open,
//!   finishing, lingering, closing.
//! - Buffers exist only while they hold bytes.
//! - `readable` is cleared by nothing but `WouldBlock`: events come once.

use std::io::{self, ErrorKind, Read};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::CloseReason;
use super::buffer_pool::BufferPool;
use super::codec::{Codec, CodecError, Decoded, Dialect, for_first_byte};
use super::config::ReactorConfig;
use super::inbound::Inbound;
use super::kept_inputs::Filed;
use super::outbound::Outbound;
use super::pacing::Pacing;
use super::table::Table;
use crate::address::Address;
use crate::moment::Moment;
use crate::serial::Serial;

/// The connections of one reactor.
pub(super) type Connections = Table<Connection>;

/// A server has many that do nothing: what one needs only while bytes wait is
/// with those. (Unoptimised, mio keeps something in each socket.)
#[cfg(not(debug_assertions))]
const _: () = assert!(Connections::entry_bytes() <= 168);

/// One peer.
pub(super) struct Connection {
    pub stream: TcpStream,
    /// The client, by its proxy's word if that is trusted.
    pub peer: Address,
    /// A proxy has introduced it.
    pub by_proxy: bool,
    /// The handler was told of it, and so will be of its end.
    pub told_open: bool,
    pub phase: Phase,
    /// Known from the first byte on.
    pub codec: Option<Dialect>,
    /// What was read and is not used up.
    pub inbound: Inbound,
    /// What the socket has not taken yet.
    pub outbound: Outbound,
    /// When that leaves, where it is not at once.
    pub pacing: Option<Box<Pacing>>,
    /// Where its input stands among those that are kept.
    pub filed: Option<Box<Filed>>,
    /// Since when the frame at the start of `inbound` is there and not whole.
    pub frame_since: Option<Moment>,
    /// Bytes of both that count against the memory of all.
    pub counted: usize,
    /// Bytes that the socket has taken since the connection was opened.
    pub accepted: u64,
    /// The socket may hold bytes, or an end, or an error.
    pub readable: bool,
    /// `inbound` may hold whole frames.
    pub undecoded: bool,
    /// The handler wants no frames now.
    pub paused: bool,
    /// Waits in the reactor's run queue.
    pub in_run_queue: bool,
    /// Waits for the flush at the end of the turn.
    pub dirty: bool,
    /// The socket takes no more until it says so.
    pub blocked: bool,
    /// The poll watches for writability.
    pub write_interest: bool,
    /// The handler does not know yet how far the socket has come.
    pub untold: bool,
    /// The handler knows of the half-close.
    pub half_close_told: bool,
    /// The earliest alarm in the heap that is this connection's.
    pub armed: Option<Moment>,
    /// In milliseconds; `None`: it may be silent for ever.
    idle_timeout: Option<NonZeroU32>,
    /// When the last byte came, or when the connection was last resumed.
    pub quiet_since: Moment,
    /// When the peer's end was read.
    pub eof_at: Option<Moment>,
}

/// How far a connection has come.
#[derive(Debug)]
pub(super) enum Phase {
    /// A trusted proxy has connected and has until `deadline` to say for whom.
    AwaitingHeader { deadline: Moment },
    /// Frames come and go.
    Open,
    /// No more frames; what is queued is written until its deadline.
    Finishing(Box<Ending>),
    /// Our side is shut down; what still comes is thrown away, so that no
    /// reset overtakes our last bytes, until the peer closes or its deadline.
    Lingering(Box<Ending>),
    /// To be freed at the end of the turn.
    Closing(Box<CloseReason>),
}

/// Why and when a connection ends.
#[derive(Debug)]
pub(super) struct Ending {
    pub reason: CloseReason,
    pub deadline: Instant,
}

/// What a read came to.
pub(super) enum ReadOutcome {
    Bytes(usize),
    End,
    Nothing,
    Failed(io::Error),
}

impl Connection {
    pub(super) fn new(
        stream: TcpStream,
        peer: SocketAddr,
        config: &ReactorConfig,
        now: Instant,
    ) -> Self {
        Self {
            stream,
            peer: peer.into(),
            by_proxy: false,
            told_open: false,
            phase: Phase::Open,
            codec: None,
            inbound: Inbound::default(),
            outbound: Outbound::default(),
            pacing: None,
            filed: None,
            frame_since: None,
            counted: 0,
            accepted: 0,
            readable: false,
            undecoded: false,
            paused: false,
            in_run_queue: false,
            dirty: false,
            blocked: false,
            write_interest: false,
            untold: false,
            half_close_told: false,
            armed: None,
            idle_timeout: millis(config.idle_timeout),
            quiet_since: now.into(),
            eof_at: None,
        }
    }

    /// A frame that ends at `end` was queued: one that alone is over the limit
    /// may wait, if it is the only such one.
    pub(super) fn allow_oversized(&mut self, frame_bytes: usize, end: u64, limit: usize) {
        if frame_bytes > limit {
            self.outbound.exempt((end - self.accepted) as usize);
        }
    }

    /// Counts what its buffers hold now. By how much that has changed.
    pub(super) fn count(&mut self) -> isize {
        let held = self.inbound.held_bytes() + self.outbound.held_bytes();
        let before = std::mem::replace(&mut self.counted, held);
        held as isize - before as isize
    }

    /// How long it may be silent; `None`: for ever.
    pub(super) fn idle_timeout(&self) -> Option<Duration> {
        self.idle_timeout.map(|millis| Duration::from_millis(millis.get().into()))
    }

    pub(super) fn set_idle_timeout(&mut self, timeout: Option<Duration>) {
        self.idle_timeout = timeout.and_then(millis);
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    pub(super) fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closing(_))
    }

    /// Whether a turn would read this connection's socket if it had something.
    pub(super) fn wants_bytes(&self) -> bool {
        match self.phase {
            Phase::AwaitingHeader { .. } => self.eof_at.is_none(),
            Phase::Open => !self.paused && self.eof_at.is_none(),
            Phase::Lingering(_) => true,
            Phase::Finishing(_) | Phase::Closing(_) => false,
        }
    }

    /// Finds the next frame in `input`; the very first byte chooses the codec.
    pub(super) fn decode(
        &mut self,
        input: &mut [u8],
        config: (usize, Duration),
    ) -> Result<Option<Decoded>, CodecError> {
        if let Some(codec) = &mut self.codec {
            return codec.decode(input);
        }
        let (max_frame, bare_pace) = config;
        let Some(first) = input.first() else { return Ok(None) };
        let codec = self.codec.insert(for_first_byte(*first, max_frame)?);
        let is_bare = codec.is_bare();
        let decoded = codec.decode(input);
        if is_bare {
            self.begin_pacing(bare_pace);
        }
        decoded
    }

    /// Bytes of an input without a whole frame that belong to none.
    pub(super) fn passed_over(&mut self, input: &[u8]) -> usize {
        match &mut self.codec {
            Some(codec) if !input.is_empty() => codec.passed_over(),
            _ => 0,
        }
    }

    /// Reads once. `into` is not empty.
    pub(super) fn read(&mut self, into: &mut [u8], now: Instant) -> ReadOutcome {
        loop {
            match self.stream.read(into) {
                Ok(0) => {
                    self.eof_at = Some(now.into());
                    return ReadOutcome::End;
                }
                Ok(n) => {
                    self.quiet_since = now.into();
                    return ReadOutcome::Bytes(n);
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    self.readable = false;
                    return ReadOutcome::Nothing;
                }
                Err(e) => return ReadOutcome::Failed(e),
            }
        }
    }

    /// Writes what waits, and has the poll watch for writability exactly while
    /// something is left.
    ///
    /// # Errors
    /// The socket failed.
    pub(super) fn write(
        &mut self,
        serial: Serial,
        registry: &Registry,
        pool: &mut BufferPool,
        now: Instant,
    ) -> io::Result<()> {
        let written = match &mut self.pacing {
            None => self.outbound.write_to(&mut self.stream, pool)?,
            Some(pacing) => pacing.write(&mut self.outbound, &mut self.stream, pool)?,
        };
        self.accepted += written.bytes as u64;
        self.untold |= written.bytes > 0;
        self.blocked = written.blocked;
        self.outbound.watch_stall(&written, now.into());
        if self.write_interest != written.blocked {
            let interest = if written.blocked {
                Interest::READABLE | Interest::WRITABLE
            } else {
                Interest::READABLE
            };
            registry.reregister(&mut self.stream, token(serial), interest)?;
            self.write_interest = written.blocked;
        }
        Ok(())
    }

    /// Gives every buffer back.
    pub(super) fn release(&mut self, pool: &mut BufferPool) {
        self.inbound.clear(pool);
        self.outbound.clear(pool);
    }
}

/// Less than a millisecond is one; `None`: more than 49 days, as good as for
/// ever.
fn millis(time: Duration) -> Option<NonZeroU32> {
    u32::try_from(time.as_millis()).ok().and_then(|millis| NonZeroU32::new(millis.max(1)))
}

/// The mio token of a connection: its serial, which is never 0.
pub(super) fn token(serial: Serial) -> Token {
    const { assert!(usize::BITS == 64, "a serial must fit into a token") }
    Token(serial.number() as usize)
}
