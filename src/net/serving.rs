//! One connection's share of a turn: read, decode, call the handler.
//!
//! Thread: its reactor's.

use std::mem;

use super::codec::CodecError;
use super::connection::{Connection, Phase, ReadOutcome};
use super::core::Core;
use super::inbound::Inbound;
use super::opening::Introduction;
use super::reactor::{Reactor, SCRATCH_BYTES};
use super::{CloseReason, ConnId, Flow, Handler, Io};
use crate::serial::Serial;

/// Why no further frame was taken out of an input.
#[derive(PartialEq, Eq)]
enum Stop {
    /// The next frame is not whole.
    Incomplete,
    /// The others' turn.
    OutOfBudget,
    /// Paused, finishing or closed.
    Unwanted,
}

/// What a connection may still use up in this turn.
struct Budget {
    bytes: usize,
    frames: usize,
}

impl<H: Handler> Reactor<H> {
    /// One connection's share of a turn. Says how many frames that took, and
    /// counts a read as one.
    pub(super) fn serve(&mut self, handler: &mut H, serial: Serial) -> usize {
        let config = &self.core.config;
        let mut budget = Budget { bytes: config.read_budget_bytes, frames: config.frame_budget };
        self.serve_within(handler, serial, &mut budget);
        self.core.config.frame_budget - budget.frames + 1
    }

    fn serve_within(&mut self, handler: &mut H, serial: Serial, budget: &mut Budget) {
        if let Some(conn) = self.core.connections.get_mut(serial) {
            conn.in_run_queue = false;
        }
        let id = self.core.id(serial);
        loop {
            let Some(conn) = self.core.connections.get_mut(serial) else { return };
            if let Phase::Lingering(_) = conn.phase {
                return self.core.discard(id, &mut self.scratch);
            }
            if !conn.is_heard() || self.core.shutdown_at.is_some() {
                return;
            }
            let stop = if conn.undecoded {
                self.decode_buffered(handler, id, budget)
            } else if conn.eof_at.is_some() && conn.awaits_header() {
                return self.core.close_unintroduced(id);
            } else if conn.eof_at.is_some() {
                if !mem::replace(&mut conn.half_close_told, true) {
                    handler.on_half_close(&mut Io::new(&mut self.core), id);
                }
                return;
            } else if !conn.readable {
                return;
            } else if budget.bytes == 0 || budget.frames == 0 {
                Stop::OutOfBudget
            } else {
                self.read(handler, id, budget)
            };
            if stop == Stop::OutOfBudget {
                return self.core.mark_backlogged(serial);
            }
        }
    }

    /// Takes frames out of what was read in an earlier turn.
    fn decode_buffered(&mut self, handler: &mut H, id: ConnId, budget: &mut Budget) -> Stop {
        let Some(conn) = self.core.get(id) else { return Stop::Unwanted };
        // Lent out, since the handler may do anything to the connection.
        let mut inbound = conn.inbound.take();
        let input = inbound.as_mut_slice();
        let (used, stop) = Self::deliver(&mut self.core, handler, id, input, budget);
        inbound.consume(used, &mut self.core.pool);
        self.keep(id, inbound, used, &stop);
        stop
    }

    /// Reads once and takes frames out of that.
    fn read(&mut self, handler: &mut H, id: ConnId, budget: &mut Budget) -> Stop {
        let left = self.core.peek(id).map_or(0, |conn| conn.inbound.len());
        // A short rest is put in front of what is read now and both are decoded
        // where they are; a long one grows where it is.
        let front = if left <= SCRATCH_BYTES / 2 { left } else { 0 };
        let room = budget.bytes.min(SCRATCH_BYTES - front);
        let read = match self.core.read(id.serial, &mut self.scratch[front..front + room]) {
            ReadOutcome::Bytes(n) => n,
            ReadOutcome::End | ReadOutcome::Nothing => return Stop::Incomplete,
            ReadOutcome::Failed(e) => {
                self.core.close(id, CloseReason::Socket(e.to_string()));
                return Stop::Unwanted;
            }
        };
        budget.bytes -= read;
        let end = front + read;
        let core = &mut self.core;
        let Some(conn) = core.connections.get_mut(id.serial) else { return Stop::Unwanted };
        if front < left {
            conn.inbound.append(&self.scratch[..end], &mut core.pool);
            conn.undecoded = true;
            core.input_kept(id);
            return Stop::Incomplete;
        }
        if front > 0 {
            self.scratch[..front].copy_from_slice(conn.inbound.as_slice());
            conn.inbound.clear(&mut core.pool);
        }
        let input = &mut self.scratch[..end];
        let (used, stop) = Self::deliver(core, handler, id, input, budget);
        if used < end {
            let mut inbound = Inbound::default();
            inbound.append(&self.scratch[used..end], &mut self.core.pool);
            self.keep(id, inbound, used, &stop);
        } else if front > 0 {
            self.core.count_input(id.serial);
        }
        stop
    }

    /// Leaves the rest of an input with its connection, if that still wants it.
    /// `used`: bytes in front of it that were used up.
    fn keep(&mut self, id: ConnId, mut inbound: Inbound, used: usize, stop: &Stop) {
        let now = self.core.now;
        match self.core.connections.get_mut(id.serial) {
            Some(conn) if conn.is_open() || conn.awaits_header() => {
                conn.undecoded = *stop != Stop::Incomplete && inbound.len() > 0;
                conn.inbound = inbound;
                if used > 0 || conn.frame_since.is_none() {
                    conn.frame_since = Some(now.into());
                }
                self.core.input_kept(id);
            }
            _ => inbound.clear(&mut self.core.pool),
        }
    }

    /// Hands over whole frames until something stops it. Says how many bytes
    /// of the input are used up.
    fn deliver(
        core: &mut Core,
        handler: &mut H,
        id: ConnId,
        input: &mut [u8],
        budget: &mut Budget,
    ) -> (usize, Stop) {
        let config = (core.config.max_frame, core.config.bare_pace);
        let mut used = 0;
        if core.peek(id).is_some_and(Connection::awaits_header) {
            match core.introduce(id, input) {
                Introduction::Incomplete => return (0, Stop::Incomplete),
                Introduction::Refused => return (0, Stop::Unwanted),
                Introduction::Done { peer, consumed } => {
                    handler.on_open(&mut Io::new(core), id, peer);
                    used = consumed;
                }
            }
        }
        loop {
            let Some(conn) = core.get(id).filter(|c| c.is_open() && !c.paused) else {
                return (used, Stop::Unwanted);
            };
            if budget.frames == 0 {
                return (used, Stop::OutOfBudget);
            }
            let rest = &mut input[used..];
            match conn.decode(rest, config) {
                Ok(None) => return (used + conn.passed_over(rest), Stop::Incomplete),
                Ok(Some(frame)) => {
                    budget.frames -= 1;
                    used += frame.consumed;
                    let payload = &rest[frame.payload];
                    let flow = handler.on_frame(&mut Io::new(core), id, payload);
                    if flow == Flow::Pause
                        && let Some(conn) = core.get(id)
                    {
                        conn.paused = true;
                    }
                }
                Err(error @ CodecError::UnknownDialect(_)) => {
                    core.hint_at_stray_header(id, rest);
                    core.close(id, CloseReason::Codec(error));
                    return (used, Stop::Unwanted);
                }
                Err(error) => {
                    handler.on_violation(&mut Io::new(core), id, &error);
                    core.finish(id, CloseReason::Codec(error));
                    return (used, Stop::Unwanted);
                }
            }
        }
    }
}
