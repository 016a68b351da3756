//! When a connection's time is over, and what for.
//!
//! Thread: the reactor's.
//! Invariants: an alarm is in the heap no later than the earliest deadline of
//! each connection; when it rings the connection is asked what that is now.

use std::time::{Duration, Instant};

use super::config::ReactorConfig;
use super::connection::{Connection, Phase};
use super::core::Core;
use super::{CloseReason, ConnId};
use crate::serial::Serial;

/// Bytes a second that a frame has to bring beyond its timeout.
const SLOWEST_RATE: u64 = 4096;

/// Alarms of closed connections are swept out when they are more than the
/// connections and this.
const STALE_ALARMS: usize = 1024;

impl Core {
    /// Sees to it that an alarm rings no later than the connection's deadline.
    pub(super) fn arm(&mut self, serial: Serial) {
        let Some(conn) = self.connections.get_mut(serial) else { return };
        let deadline = conn.deadline(&self.config, self.now).map(|(at, _)| at);
        let Some(at) = [deadline, conn.pace_due()].into_iter().flatten().min() else { return };
        if conn.armed.is_some_and(|armed| armed <= at.into()) {
            return;
        }
        conn.armed = Some(at.into());
        self.alarms.push(at, serial);
        if self.alarms.len() > 2 * self.connections.len() + STALE_ALARMS {
            let connections = &self.connections;
            self.alarms.retain(|at, serial| {
                connections.get(*serial).is_some_and(|conn| conn.armed == Some(at.into()))
            });
        }
    }

    /// Closes the connections whose time is over.
    pub(super) fn expire(&mut self) {
        while let Some((at, serial)) = self.alarms.pop_due(self.now) {
            let Some(conn) = self.connections.get_mut(serial) else { continue };
            if conn.armed != Some(at.into()) {
                continue;
            }
            conn.armed = None;
            let id = ConnId { reactor: self.index, serial };
            if conn.pace_due().is_some_and(|at| at <= self.now) {
                // Written at the end of the turn, and armed again there.
                conn.dirty = true;
                self.dirty.push(serial);
            }
            match conn.deadline(&self.config, self.now) {
                Some((deadline, None)) if deadline <= self.now => {
                    self.close_finished(id, CloseReason::Shutdown);
                }
                Some((deadline, Some(reason))) if deadline <= self.now => self.close(id, reason),
                _ => self.arm(serial),
            }
        }
    }

    /// Closes what is left at the shutdown's deadline.
    pub(super) fn expire_shutdown(&mut self) {
        if self.shutdown_at.is_some_and(|at| at <= self.now) {
            for id in self.ids_of(|_| true) {
                self.close_finished(id, CloseReason::Shutdown);
            }
        }
    }
}

impl Connection {
    /// When this connection has to be looked at, and why it ends if nothing
    /// has changed by then; `None` as the reason: the one it finishes with.
    pub(super) fn deadline(
        &self,
        config: &ReactorConfig,
        now: Instant,
    ) -> Option<(Instant, Option<CloseReason>)> {
        match &self.phase {
            Phase::AwaitingHeader { deadline } => {
                return Some(self.header_deadline((*deadline).into(), config.proxy_header_timeout));
            }
            Phase::Finishing(ending) | Phase::Lingering(ending) => {
                return Some((ending.deadline, None));
            }
            Phase::Closing(_) => return None,
            Phase::Open => {}
        }
        let idle = match self.idle_timeout() {
            Some(timeout) if self.wants_bytes() => {
                // Bytes that wait for their turn are no silence.
                let busy = self.readable || self.undecoded;
                let since = if busy { now } else { self.quiet_since.into() };
                Some((since + timeout, Some(CloseReason::Idle(timeout))))
            }
            _ => None,
        };
        let unfinished = self.frame_deadline(config.frame_timeout, now);
        let stalled = self.outbound.stalled_since().map(Instant::from).map(|since| {
            let timeout = config.write_timeout;
            (since + timeout, Some(CloseReason::WriteStalled(timeout)))
        });
        let half_closed = self
            .eof_at
            .map(Instant::from)
            .map(|at| (at + config.half_close_timeout, Some(CloseReason::HalfCloseExpired)));
        [idle, unfinished, stalled, half_closed].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// When the frame that has begun has to be whole: each part of it that
    /// comes gives it more time.
    fn frame_deadline(
        &self,
        timeout: Duration,
        now: Instant,
    ) -> Option<(Instant, Option<CloseReason>)> {
        let since = self.frame_since.filter(|_| self.wants_bytes())?.into();
        // What has come and waits for its turn is not the peer's delay.
        let busy = self.readable || self.undecoded;
        let since = if busy { now } else { since };
        let part = Duration::from_micros(self.inbound.len() as u64 * 1_000_000 / SLOWEST_RATE);
        Some((since + timeout + part, Some(CloseReason::FrameUnfinished(timeout))))
    }
}
