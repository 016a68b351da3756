//! One object per write, and a pause behind each: for peers that take whatever
//! one read returns for exactly one object.
//!
//! Thread: the reactor's.
//! Invariants:
//! - No write has bytes of two objects. One that the socket has not taken whole
//!   goes on as soon as it can; the next begins no sooner than the pace after
//!   its end.
//! - What waits for its pace is no slow reader's queue: a full one takes
//!   nothing more, and its connection stays.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use super::buffer_pool::BufferPool;
use super::connection::Connection;
use super::outbound::{Outbound, Written};

/// What waits is written in so long at most, if the peer takes it.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// So many objects may wait whatever the pace is.
const LEAST_ROOM: usize = 2;
/// A peer whose system confirms nothing for so long is gone. It says nothing by
/// itself that would be missed, and TCP alone would try on for a quarter of an
/// hour, in which all that is sent looks delivered.
#[cfg(target_os = "linux")]
const UNCONFIRMED_FOR: Duration = Duration::from_secs(90);

/// When a connection's objects leave.
#[derive(Debug)]
pub(super) struct Pacing {
    pace: Duration,
    /// What is left of each object that is queued, in bytes.
    objects: VecDeque<usize>,
    /// When the next object may begin.
    next_at: Option<Instant>,
}

impl Pacing {
    pub(super) fn new(pace: Duration) -> Self {
        Self { pace, objects: VecDeque::new(), next_at: None }
    }

    /// An object was queued, with what stands around it.
    pub(super) fn queued(&mut self, bytes: usize) {
        self.objects.push_back(bytes);
    }

    /// Whether so many objects wait that another one would take too long.
    pub(super) fn is_full(&self) -> bool {
        let room = LONGEST_WAIT.as_micros().checked_div(self.pace.as_micros());
        room.is_some_and(|room| self.objects.len() as u128 >= room.max(LEAST_ROOM as u128))
    }

    /// When the next object may leave; `None` where there is none.
    fn due(&self) -> Option<Instant> {
        if self.objects.is_empty() { None } else { self.next_at }
    }

    /// Writes what may leave now.
    ///
    /// # Errors
    /// The socket failed; what is left will never be written.
    pub(super) fn write(
        &mut self,
        outbound: &mut Outbound,
        socket: &mut impl Write,
        pool: &mut BufferPool,
    ) -> io::Result<Written> {
        let mut bytes = 0;
        while let Some(left) = self.objects.front_mut() {
            // Not the turn's time: a long turn would eat up the pace.
            if self.next_at.is_some_and(|at| at > Instant::now()) {
                break;
            }
            let written = outbound.write_first(*left, socket, pool)?;
            if written.bytes == 0 {
                return Ok(Written { bytes, ..written });
            }
            bytes += written.bytes;
            *left -= written.bytes;
            if *left == 0 {
                self.objects.pop_front();
                self.next_at = Some(Instant::now() + self.pace);
            } else {
                // Its rest waits for nothing but the socket.
                self.next_at = None;
            }
        }
        if self.objects.is_empty() {
            self.objects = VecDeque::new();
        }
        Ok(Written { bytes, blocked: false })
    }
}

impl Connection {
    /// From now on what it is sent leaves object by object.
    pub(super) fn begin_pacing(&mut self, pace: Duration) {
        self.pacing = Some(Box::new(Pacing::new(pace)));
        #[cfg(target_os = "linux")]
        {
            let socket = socket2::SockRef::from(&self.stream);
            if let Err(e) = socket.set_tcp_user_timeout(Some(UNCONFIRMED_FOR)) {
                log::debug!(target: "reactor", "peer={} socket option not set: err={e}", self.peer);
            }
        }
    }

    /// When its next object is to leave, if that is what it waits for.
    pub(super) fn pace_due(&self) -> Option<Instant> {
        let pacing = self.pacing.as_ref()?;
        if self.dirty || self.blocked || self.is_closing() { None } else { pacing.due() }
    }
}
