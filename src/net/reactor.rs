//! The loop of a sub-reactor: poll, read, decode, call the handler, flush.
//!
//! ```text
//! one turn: poll ─▶ mailbox ─▶ events ─▶ run queue ─▶ backlog ─▶ timers
//!                ─▶ flush the dirty (on_written) ─▶ free the closed (on_close)
//!                ─▶ on_turn_end
//! ```
//!
//! Thread: the one that calls [`Reactor::run`], from then on.
//! Invariants:
//! - Events only note what is to be done; the run queue serves every
//!   connection at most once a turn and within its budget.
//! - Poll does not sleep while anything is left to do.
//! - A connection that is closed is freed at the end of the turn, so that what
//!   is left of the turn can still look it up and ignore it.

use std::io::{self, ErrorKind};
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use mio::{Events, Poll, Token, Waker};

use super::codec::CodecError;
use super::config::ReactorConfig;
use super::connection::{Connection, Inbound, Phase, ReadOutcome, Serial};
use super::core::Core;
use super::handle::{Command, Doorbell, ReactorHandle};
use super::opening::Introduction;
use super::{CloseReason, ConnId, Flow, Handler, Io};

/// Serials start at 1, so 0 is free for the waker.
const WAKE: Token = Token(0);
/// Events that one poll brings.
const EVENTS: usize = 1024;
/// Commands that are taken out of the mailbox before the sockets have their
/// turn.
const MAILBOX_BUDGET: usize = 1024;
/// Frames of the backlog that a turn handles before those come again who have
/// little to say: thousands who have much delay them by no more than this.
const BACKLOG_FRAMES: usize = 512;
/// The one buffer that all sockets of a reactor are read into.
const SCRATCH_BYTES: usize = 64 * 1024;

/// Owns connections and calls a handler for what happens on them.
pub struct Reactor<H: Handler> {
    core: Core,
    mailbox: Receiver<Command<H::Message>>,
    doorbell: Arc<Doorbell>,
    events: Events,
    scratch: Vec<u8>,
    /// Handler timers that are due; empty between turns, as is the next.
    due: Vec<u64>,
    batch: Vec<Serial>,
}

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
    /// A reactor without connections, and the handle through which it gets
    /// them. `index` is its number among the reactors of this process.
    ///
    /// # Errors
    /// The system gives no poll or no waker.
    pub fn new(
        index: u16,
        mut config: ReactorConfig,
    ) -> io::Result<(Self, ReactorHandle<H::Message>)> {
        // A budget of nothing would never serve anybody.
        config.read_budget_bytes = config.read_budget_bytes.max(1);
        config.frame_budget = config.frame_budget.max(1);
        let poll = Poll::new()?;
        let doorbell = Arc::new(Doorbell::new(Waker::new(poll.registry(), WAKE)?));
        let (handle, mailbox) = ReactorHandle::new(index, Arc::clone(&doorbell));
        let reactor = Self {
            core: Core::new(index, config, poll),
            mailbox,
            doorbell,
            events: Events::with_capacity(EVENTS),
            scratch: vec![0; SCRATCH_BYTES],
            due: Vec::new(),
            batch: Vec::new(),
        };
        Ok((reactor, handle))
    }

    /// Serves on this thread until it was shut down, then gives the handler
    /// back. Whatever was posted until then has been handled.
    ///
    /// # Errors
    /// The poll failed; connections are dropped without `on_close`.
    pub fn run(mut self, mut handler: H) -> io::Result<H> {
        while self.core.shutdown_at.is_none() || !self.core.connections.is_empty() {
            self.poll()?;
            self.turn(&mut handler);
        }
        for _ in 0..self.mailbox.len() {
            self.take_command(&mut handler);
        }
        Ok(handler)
    }

    /// Waits for something to do.
    fn poll(&mut self) -> io::Result<()> {
        let mut timeout = Some(Duration::ZERO);
        if !self.core.must_not_sleep() && self.doorbell.may_sleep(|| self.mailbox.is_empty()) {
            let deadline = self.core.next_deadline();
            timeout = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        }
        let polled = self.core.poll.poll(&mut self.events, timeout);
        self.doorbell.awake();
        self.core.now = Instant::now();
        match polled {
            Err(e) if e.kind() == ErrorKind::Interrupted => {
                self.events.clear();
                Ok(())
            }
            other => other,
        }
    }

    fn turn(&mut self, handler: &mut H) {
        for _ in 0..self.mailbox.len().min(MAILBOX_BUDGET) {
            self.take_command(handler);
        }
        for event in &self.events {
            self.core.on_event(event);
        }
        // Who joins the queue during this turn waits for the next.
        // Who gets into it in this turn has had a share of it.
        let backlogged = self.core.backlog.len();
        for _ in 0..self.core.run_queue.len() {
            let Some(serial) = self.core.run_queue.pop_front() else { break };
            self.serve(handler, serial);
        }
        let mut handled = 0;
        for _ in 0..backlogged {
            let Some(serial) = self.core.backlog.pop_front() else { break };
            handled += self.serve(handler, serial);
            if handled >= BACKLOG_FRAMES {
                break;
            }
        }
        self.core.expire();
        self.ring_timers(handler);
        self.flush(handler);
        self.core.expire_shutdown();
        self.free_closed(handler);
        self.core.publish_buffers();
        handler.on_turn_end(&mut Io::new(&mut self.core));
    }

    fn take_command(&mut self, handler: &mut H) {
        match self.mailbox.try_recv() {
            Ok(Command::Post(message)) => {
                handler.on_message(&mut Io::new(&mut self.core), message);
            }
            Ok(Command::Register(stream, peer)) => {
                if let Some(id) = self.core.open(stream, peer) {
                    handler.on_open(&mut Io::new(&mut self.core), id, peer);
                }
            }
            Ok(Command::Shutdown(deadline)) => {
                let before = self.core.shutdown_at;
                self.core.shutdown_at = Some(before.map_or(deadline, |at| at.min(deadline)));
                if before.is_none() {
                    self.core.close_all_unintroduced();
                    handler.on_shutdown(&mut Io::new(&mut self.core));
                }
            }
            // Nothing there, or nobody left who could send anything.
            Err(_) => {}
        }
    }

    /// One connection's share of a turn. Says how many frames that took, and
    /// counts a read as one.
    fn serve(&mut self, handler: &mut H, serial: Serial) -> usize {
        let config = &self.core.config;
        let mut budget = Budget { bytes: config.read_budget_bytes, frames: config.frame_budget };
        self.serve_within(handler, serial, &mut budget);
        self.core.config.frame_budget - budget.frames + 1
    }

    fn serve_within(&mut self, handler: &mut H, serial: Serial, budget: &mut Budget) {
        if let Some(conn) = self.core.connections.get_mut(&serial) {
            conn.in_run_queue = false;
        }
        loop {
            let Some(conn) = self.core.connections.get_mut(&serial) else { return };
            let id = conn.id;
            if let Phase::Lingering { .. } = conn.phase {
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
        self.keep(id, inbound, &stop);
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
        let Some(conn) = core.connections.get_mut(&id.serial) else { return Stop::Unwanted };
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
            self.keep(id, inbound, &stop);
        } else if front > 0 {
            self.core.count_buffers(id.serial);
        }
        stop
    }

    /// Leaves the rest of an input with its connection, if that still wants it.
    fn keep(&mut self, id: ConnId, mut inbound: Inbound, stop: &Stop) {
        match self.core.connections.get_mut(&id.serial) {
            Some(conn) if conn.is_open() || conn.awaits_header() => {
                conn.undecoded = *stop != Stop::Incomplete && inbound.len() > 0;
                conn.inbound = inbound;
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
        let max_frame = core.config.max_frame;
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
            match conn.decode(rest, max_frame) {
                Ok(None) => return (used, Stop::Incomplete),
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

    fn ring_timers(&mut self, handler: &mut H) {
        // All first: a timer that is set by one of these waits for the next turn.
        while let Some((_, key)) = self.core.timers.pop_due(self.core.now) {
            self.due.push(key);
        }
        for key in self.due.drain(..) {
            handler.on_timer(&mut Io::new(&mut self.core), key);
        }
    }

    /// Writes what the turn has queued. What the callbacks queue on top of it
    /// is the next turn's, or a quick reader of a long backlog would hold up
    /// everybody.
    fn flush(&mut self, handler: &mut H) {
        mem::swap(&mut self.core.dirty, &mut self.batch);
        for serial in self.batch.drain(..) {
            if let Some((id, offset)) = self.core.flush(serial) {
                handler.on_written(&mut Io::new(&mut self.core), id, offset);
            }
        }
    }

    fn free_closed(&mut self, handler: &mut H) {
        mem::swap(&mut self.core.closing, &mut self.batch);
        for serial in self.batch.drain(..) {
            if let Some((id, reason)) = self.core.remove(serial) {
                handler.on_close(&mut Io::new(&mut self.core), id, &reason);
            }
        }
    }
}
