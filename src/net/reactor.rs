//! The loop of a sub-reactor: poll, read, decode, call the handler, flush.
//!
//! ```text
//! one turn: poll ─▶ on_turn_begin ─▶ mailbox ─▶ events ─▶ run queue ─▶ backlog ─▶ timers
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

use super::config::ReactorConfig;
use super::core::Core;
use super::handle::{Command, Doorbell, ReactorHandle};
use super::{Handler, Io};
use crate::serial::Serial;

/// Serials start at 1, so 0 is free for the waker.
const WAKE: Token = Token(0);
/// Events that one poll brings.
const EVENTS: usize = 1024;
/// Commands that are taken out of the mailbox before the sockets have their
/// turn.
const MAILBOX_BUDGET: usize = 1024;
/// How long a turn goes on with the backlog, and how many frames it handles,
/// before those come again who have little to say: thousands who have much
/// delay them by no more than this.
const BACKLOG_TIME: Duration = Duration::from_micros(500);
const BACKLOG_FRAMES: usize = 512;
/// Frames of the backlog that are handled between two looks at the clock.
const FRAMES_A_LOOK: usize = 32;
/// The one buffer that all sockets of a reactor are read into.
pub(super) const SCRATCH_BYTES: usize = 64 * 1024;

/// Owns connections and calls a handler for what happens on them.
pub struct Reactor<H: Handler> {
    pub(super) core: Core,
    mailbox: Receiver<Command<H::Message>>,
    doorbell: Arc<Doorbell>,
    events: Events,
    pub(super) scratch: Vec<u8>,
    /// Handler timers that are due; empty between turns, as is the next.
    due: Vec<u64>,
    batch: Vec<Serial>,
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
        if !self.core.backlog.is_empty() {
            // Whoever had more than its share had it of the processor, too:
            // threads that serve the others go first where there are too few.
            std::thread::yield_now();
        }
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
        handler.on_turn_begin(&mut Io::new(&mut self.core));
        for _ in 0..self.mailbox.len().min(MAILBOX_BUDGET) {
            self.take_command(handler);
        }
        for event in &self.events {
            self.core.on_event(event);
        }
        // Who joins either queue during this turn waits for the next.
        let backlogged = self.core.backlog.len();
        for _ in 0..self.core.run_queue.len() {
            let Some(serial) = self.core.run_queue.pop_front() else { break };
            self.serve(handler, serial);
        }
        self.serve_backlog(handler, backlogged);
        self.core.expire();
        self.ring_timers(handler);
        self.flush(handler);
        self.core.expire_shutdown();
        self.free_closed(handler);
        self.core.publish_buffers();
        handler.on_turn_end(&mut Io::new(&mut self.core));
        // What that has queued, and what the flush set off, need not wait for
        // another turn.
        self.flush(handler);
    }

    /// Serves those that had more than their share, for as long as a turn has
    /// time for them. What the others are owed leaves before.
    fn serve_backlog(&mut self, handler: &mut H, count: usize) {
        if count == 0 {
            return;
        }
        self.flush(handler);
        let begun = Instant::now();
        let (mut handled, mut next_look) = (0, FRAMES_A_LOOK);
        for _ in 0..count {
            let Some(serial) = self.core.backlog.pop_front() else { break };
            handled += self.serve(handler, serial);
            if handled >= next_look {
                next_look = handled + FRAMES_A_LOOK;
                // Writing is the larger part of it.
                self.flush(handler);
                if handled >= BACKLOG_FRAMES || begun.elapsed() >= BACKLOG_TIME {
                    break;
                }
            }
        }
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
