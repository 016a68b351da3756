//! What a reactor owns, and everything that can be done to it without calling
//! the handler. The handler acts on it through [`Io`](super::Io); the loop in
//! `reactor.rs` drives it.
//!
//! Thread: the reactor's.
//! Invariants:
//! - Nothing here calls back: what a handler has to hear is only noted.
//! - A connection stays in the table until the end of the turn in which it was
//!   closed, and its serial never comes back.
//! - Whatever queues bytes marks the connection dirty or finds it blocked.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use log::{debug, error, info, warn};
use mio::Poll;
use mio::event::Event;

use super::buffer_pool::BufferPool;
use super::config::ReactorConfig;
use super::connection::{Connection, Connections, Ending, Phase, ReadOutcome};
use super::kept_inputs::KeptInputs;
use super::log_budget::LogBudget;
use super::memory::Unpublished;
use super::outbound::Payload;
use super::table::Serials;
use super::timers::Timers;
use super::{CloseReason, ConnId};
use crate::serial::Serial;

/// A turn that queues more than this to one connection does not wait for its
/// end to write.
const EARLY_FLUSH_BYTES: usize = 256 * 1024;

/// Everything but the handler and the mailbox.
pub(super) struct Core {
    pub index: u16,
    pub config: ReactorConfig,
    pub poll: Poll,
    /// The time of this turn.
    pub now: Instant,
    pub connections: Connections,
    pub serials: Serials,
    /// Connections with something to read or to decode; served in turn.
    pub run_queue: VecDeque<Serial>,
    /// Those among them that had more than their share, or asked too fast:
    /// served after the others.
    pub backlog: VecDeque<Serial>,
    /// Connections to be flushed at the end of the turn.
    pub dirty: Vec<Serial>,
    /// Connections to be freed at the end of the turn.
    pub closing: Vec<Serial>,
    /// The handler's timers.
    pub timers: Timers<u64>,
    /// The connections' alarms.
    pub alarms: Timers<Serial>,
    pub pool: BufferPool,
    /// Inputs that wait for more or for their turn.
    pub kept_inputs: KeptInputs,
    /// Set when the reactor was told to end: no more frames.
    pub shutdown_at: Option<Instant>,
    /// What may be told at info.
    pub telling: Telling,
    /// What the buffers hold beyond what the other reactors know.
    pub unpublished: Unpublished,
    /// What counts of them for the pool.
    pub counted_pool: usize,
}

/// What may be told at info of connections, by kind, so that none hides
/// another.
#[derive(Default)]
pub(super) struct Telling {
    /// Closed for what they sent in place of a PROXY header, or with it.
    missing_headers: LogBudget,
    /// A PROXY header that nobody expected.
    pub stray_headers: LogBudget,
    /// Closed for what they did not take.
    slow: LogBudget,
    /// Beyond what a reactor can own.
    pub refused: LogBudget,
}

impl Core {
    pub(super) fn new(index: u16, config: ReactorConfig, poll: Poll) -> Self {
        let pool = BufferPool::new(config.memory.pool_bytes());
        Self {
            index,
            config,
            poll,
            now: Instant::now(),
            connections: Connections::default(),
            serials: Serials::default(),
            run_queue: VecDeque::new(),
            backlog: VecDeque::new(),
            dirty: Vec::new(),
            closing: Vec::new(),
            timers: Timers::new(),
            alarms: Timers::new(),
            pool,
            kept_inputs: KeptInputs::default(),
            shutdown_at: None,
            telling: Telling::default(),
            unpublished: Unpublished::default(),
            counted_pool: 0,
        }
    }

    /// Whether the next turn has work that no event will announce.
    pub(super) fn must_not_sleep(&self) -> bool {
        !self.run_queue.is_empty()
            || !self.backlog.is_empty()
            || !self.dirty.is_empty()
            || !self.closing.is_empty()
    }

    /// When the next turn has work at the latest.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        [self.timers.next(), self.alarms.next(), self.shutdown_at].into_iter().flatten().min()
    }

    /// The name of one of its connections.
    pub(super) fn id(&self, serial: Serial) -> ConnId {
        ConnId { reactor: self.index, serial }
    }

    /// The names of the connections that `wanted` says, in no order.
    pub(super) fn ids_of(&self, wanted: impl Fn(&Connection) -> bool) -> Vec<ConnId> {
        let all = self.connections.iter().filter(|(_, conn)| wanted(conn));
        all.map(|(serial, _)| self.id(serial)).collect()
    }

    /// The connection, unless it is gone or going.
    pub(super) fn get(&mut self, id: ConnId) -> Option<&mut Connection> {
        if id.reactor != self.index {
            return None;
        }
        self.connections.get_mut(id.serial).filter(|c| !c.is_closing())
    }

    /// The same, only to look at.
    pub(super) fn peek(&self, id: ConnId) -> Option<&Connection> {
        let own = id.reactor == self.index;
        self.connections.get(id.serial).filter(|c| own && !c.is_closing())
    }

    /// Notes what the poll says about a connection. Late events of those that
    /// are gone find nothing.
    pub(super) fn on_event(&mut self, event: &Event) {
        let Some(serial) = Serial::from_number(event.token().0 as u64) else { return };
        let shutting_down = self.shutdown_at.is_some();
        let Some(conn) = self.connections.get_mut(serial) else { return };
        if conn.is_closing() {
            return;
        }
        if conn.blocked && (event.is_writable() || event.is_write_closed() || event.is_error()) {
            conn.blocked = false;
            self.mark_dirty(serial);
        }
        if !(event.is_readable() || event.is_read_closed() || event.is_error()) {
            return;
        }
        let Some(conn) = self.connections.get_mut(serial) else { return };
        conn.readable = true;
        let reads = conn.wants_bytes() && !(shutting_down && conn.is_open());
        if reads {
            self.mark_ready(serial);
        } else if event.is_error() {
            // Nobody reads this one now, so nobody else would notice.
            match conn.stream.take_error() {
                Ok(None) => {}
                Ok(Some(e)) | Err(e) => {
                    let id = self.id(serial);
                    self.close(id, CloseReason::Socket(e.to_string()));
                }
            }
        }
    }

    /// Puts a connection into the run queue, once.
    pub(super) fn mark_ready(&mut self, serial: Serial) {
        if let Some(conn) = self.connections.get_mut(serial)
            && !conn.in_run_queue
        {
            conn.in_run_queue = true;
            self.run_queue.push_back(serial);
        }
    }

    /// Puts a connection into the backlog, unless it is queued already.
    pub(super) fn mark_backlogged(&mut self, serial: Serial) {
        if let Some(conn) = self.connections.get_mut(serial)
            && !std::mem::replace(&mut conn.in_run_queue, true)
        {
            self.backlog.push_back(serial);
        }
    }

    /// Has a connection flushed at the end of the turn.
    pub(super) fn mark_dirty(&mut self, serial: Serial) {
        if let Some(conn) = self.connections.get_mut(serial)
            && !conn.dirty
        {
            conn.dirty = true;
            self.dirty.push(serial);
        }
    }

    /// Queues one frame and says where it ends in the outgoing stream. An
    /// answer finds room where others have to wait for their pace.
    pub(super) fn send(
        &mut self,
        id: ConnId,
        payload: &Payload<'_>,
        is_answer: bool,
    ) -> Option<u64> {
        if id.reactor != self.index {
            return None;
        }
        let (limit, is_short) = self.allowance();
        let conn = self.connections.get_mut(id.serial).filter(|c| c.is_open())?;
        let codec = conn.codec.as_ref()?;
        if let Some(pacing) = &conn.pacing
            && (pacing.is_full() && !is_answer
                || conn.outbound.counted_len() + payload.bytes().len() >= limit)
        {
            return None;
        }
        let frame_bytes = match conn.outbound.push_frame(codec, payload, &mut self.pool) {
            Ok(bytes) => bytes,
            Err(e) => {
                error!(target: "reactor", "conn={id} cannot be sent this: err={e}");
                return None;
            }
        };
        let end = conn.accepted + conn.outbound.len() as u64;
        if let Some(pacing) = &mut conn.pacing {
            pacing.queued(frame_bytes);
        }
        if !is_short {
            conn.allow_oversized(frame_bytes, end, limit);
        }
        // Also when it is closed below: the handler hears how far it came.
        if !std::mem::replace(&mut conn.dirty, true) {
            self.dirty.push(id.serial);
        }
        let early = conn.outbound.len() >= EARLY_FLUSH_BYTES && !conn.blocked;
        let mut queued = conn.outbound.counted_len();
        if early || queued > limit {
            if let Err(e) = conn.write(id.serial, self.poll.registry(), &mut self.pool, self.now) {
                self.close(id, CloseReason::Socket(e.to_string()));
                return None;
            }
            queued = conn.outbound.counted_len();
        }
        let change = conn.count();
        self.count_change(change);
        if is_short && frame_bytes > limit && queued > limit && self.make_room(queued, id) {
            // As much is free again: a login's answer comes whole all the same.
            let conn = self.get(id)?;
            conn.allow_oversized(frame_bytes, end, limit);
            queued = conn.outbound.counted_len();
        }
        if queued > limit {
            self.close(id, CloseReason::SlowReader { queued, limit });
            return None;
        }
        Some(end)
    }

    /// Takes no more frames of a connection, writes what is queued, closes.
    pub(super) fn finish(&mut self, id: ConnId, reason: CloseReason) {
        let deadline = self.now + self.config.write_timeout;
        let Some(conn) = self.get(id).filter(|c| c.is_open()) else { return };
        conn.phase = Phase::Finishing(Box::new(Ending { reason, deadline }));
        conn.undecoded = false;
        let mut inbound = conn.inbound.take();
        inbound.clear(&mut self.pool);
        self.count_input(id.serial);
        self.mark_dirty(id.serial);
    }

    /// Frees a connection at the end of the turn.
    pub(super) fn close(&mut self, id: ConnId, reason: CloseReason) {
        if let Some(conn) = self.get(id) {
            conn.phase = Phase::Closing(Box::new(reason));
            self.closing.push(id.serial);
        }
    }

    /// Closes a connection for the reason it already has, if it has one.
    pub(super) fn close_finished(&mut self, id: ConnId, otherwise: CloseReason) {
        let Some(conn) = self.get(id) else { return };
        let reason = match &conn.phase {
            Phase::Finishing(ending) | Phase::Lingering(ending) => ending.reason.clone(),
            Phase::AwaitingHeader { .. } | Phase::Open | Phase::Closing(_) => otherwise,
        };
        self.close(id, reason);
    }

    /// Lets the frames of a paused connection come again, after those of the
    /// others if it is in no hurry.
    pub(super) fn resume(&mut self, id: ConnId, in_no_hurry: bool) {
        let now = self.now;
        let Some(conn) = self.get(id).filter(|c| c.is_open() && c.paused) else { return };
        conn.paused = false;
        // It was not asked, so it has not been silent.
        conn.quiet_since = now.into();
        conn.frame_since = conn.frame_since.map(|_| now.into());
        if in_no_hurry {
            self.mark_backlogged(id.serial);
        } else {
            self.mark_ready(id.serial);
        }
        self.arm(id.serial);
    }

    pub(super) fn set_idle_timeout(&mut self, id: ConnId, timeout: Option<Duration>) {
        if let Some(conn) = self.get(id) {
            conn.set_idle_timeout(timeout);
            self.arm(id.serial);
        }
    }

    /// Writes what waits for a dirty connection. Says how far the socket has
    /// come if the handler does not know yet.
    pub(super) fn flush(&mut self, serial: Serial) -> Option<(ConnId, u64)> {
        let id = self.id(serial);
        let conn = self.connections.get_mut(serial)?;
        conn.dirty = false;
        if !conn.is_closing() {
            let failed = match conn.blocked {
                true => None,
                false => conn.write(serial, self.poll.registry(), &mut self.pool, self.now).err(),
            };
            let drained = conn.outbound.is_empty();
            match failed {
                Some(e) => self.close_finished(id, CloseReason::Socket(e.to_string())),
                None if drained => self.linger(id),
                None => self.arm(serial),
            }
        }
        self.count_buffers(serial);
        let conn = self.connections.get_mut(serial)?;
        let news = std::mem::take(&mut conn.untold);
        news.then_some((id, conn.accepted))
    }

    /// Frees a closed connection and says why it ended, if the handler knows
    /// of it.
    pub(super) fn remove(&mut self, serial: Serial) -> Option<(ConnId, CloseReason)> {
        let id = self.id(serial);
        let mut conn = self.connections.remove(serial)?;
        self.serials.give_back(serial);
        conn.release(&mut self.pool);
        self.uncount_buffers(conn.counted);
        self.kept_inputs.refile(serial, conn.filed.as_deref().copied(), None);
        if let Err(e) = self.poll.registry().deregister(&mut conn.stream) {
            warn!(target: "reactor", "conn={id} cannot be unwatched: err={e}");
        }
        let Phase::Closing(reason) = conn.phase else { return None };
        let peer = conn.peer;
        let told = match *reason {
            CloseReason::ProxyHeader(_) => self.telling.missing_headers.take(self.now),
            CloseReason::SlowReader { .. }
            | CloseReason::ShortOfMemory { .. }
            | CloseReason::WriteStalled(_) => self.telling.slow.take(self.now),
            _ => None,
        };
        match told {
            Some(more) => {
                info!(target: "reactor", "conn={id} peer={peer} closed: {reason}{more}");
            }
            None => debug!(target: "reactor", "conn={id} peer={peer} closed: {reason}"),
        }
        conn.told_open.then_some((id, *reason))
    }

    /// One read for a connection's turn. The peer's end starts a deadline.
    pub(super) fn read(&mut self, serial: Serial, into: &mut [u8]) -> ReadOutcome {
        let Some(conn) = self.connections.get_mut(serial) else {
            return ReadOutcome::Failed(io::ErrorKind::NotConnected.into());
        };
        let outcome = conn.read(into, self.now);
        if matches!(outcome, ReadOutcome::End) {
            self.arm(serial);
        }
        outcome
    }
}
