//! The thread that talks to Redis for everybody: it takes what waits and sends
//! it in one pipeline.
//!
//! Thread: "bus-publisher".
//! Invariants: while the connection is not known to be good no job is taken
//! in, and what is in the queue by then is failed, never kept for later: a
//! server whose items were lost must not get those that followed them before
//! the sink has heard of the loss.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::redis::Connection;
use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::job::Job;
use super::link::Backoff;
use super::shared::Shared;
use super::turn::{Sent, Turn};
use crate::bus::BusSink;
use crate::model::ServerId;

/// How often the server publishes to itself.
const BEAT_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Publisher {
    shared: Arc<Shared>,
    jobs: Receiver<Job>,
    sink: Arc<dyn BusSink>,
    backoff: Backoff,
    next_beat: Instant,
    sent: Sent,
    /// A job taken from the queue just before the connection was given up.
    held: Option<Job>,
}

/// Why a connection is no longer served.
enum End {
    /// The bus is shutting down and the queue is empty, or its time is over.
    Closed,
    /// The subscriber asked for a new connection.
    Rebuild,
    /// Redis did not answer as it should.
    Broken(::redis::RedisError),
}

impl Publisher {
    pub(super) fn new(shared: Arc<Shared>, jobs: Receiver<Job>, sink: Arc<dyn BusSink>) -> Self {
        Self {
            shared,
            jobs,
            sink,
            backoff: Backoff::new(),
            next_beat: Instant::now(),
            sent: Sent::new(),
            held: None,
        }
    }

    /// Serves the queue until the bus is shut down.
    pub(super) fn run(mut self) {
        while let Some(mut link) = self.connect() {
            self.next_beat = Instant::now();
            self.shared.set_publishing(true);
            let end = self.serve(&mut link);
            self.shared.set_publishing(false);
            match end {
                End::Closed => break,
                // Nothing was lost: what is queued leaves on the next one.
                End::Rebuild => {}
                End::Broken(err) => {
                    log::warn!(target: "bus", "publisher lost Redis err=\"{err}\"");
                    self.shared.note_failure();
                    let wait = self.backoff.next_wait();
                    if !self.fail_for(wait) {
                        break;
                    }
                }
            }
        }
        self.fail_queued();
    }

    /// Tries until Redis answers. `None`: the bus is shutting down.
    fn connect(&mut self) -> Option<Connection> {
        loop {
            if self.shared.is_closing() {
                return None;
            }
            // A connection made now is as new as one asked for until now.
            self.shared.take_rebuild();
            match self.shared.connector.open() {
                Ok(link) => return Some(link),
                Err(err) => log::debug!(target: "bus", "publisher cannot connect err=\"{err}\""),
            }
            let wait = self.backoff.next_wait();
            if !self.fail_for(wait) {
                return None;
            }
        }
    }

    /// Takes turns on a good connection.
    fn serve(&mut self, link: &mut Connection) -> End {
        loop {
            if self.held.is_none() {
                self.held = match self.jobs.recv_deadline(self.next_beat) {
                    Ok(job) => Some(job),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => return End::Closed,
                };
            }
            if self.shared.is_past_deadline() {
                return End::Closed;
            }
            if self.shared.take_rebuild() {
                return End::Rebuild;
            }
            let turn = self.gather();
            let broken = || self.shared.set_publishing(false);
            if let Err(err) = turn.run(link, &mut self.sent, &*self.sink, broken) {
                return End::Broken(err);
            }
            self.backoff.reset();
        }
    }

    /// Everything that waits, up to what one turn may hold.
    fn gather(&mut self) -> Turn {
        let mut turn = Turn::new(&self.shared.server, self.sink.epoch());
        let mut next = self.held.take();
        while let Some(job) = next {
            turn.add(job, &self.shared.channel);
            next = if turn.is_full() { None } else { self.jobs.try_recv().ok() };
        }
        let now = Instant::now();
        if now >= self.next_beat {
            turn.add_beat(&self.shared.channel);
        }
        if turn.has_beat() {
            self.next_beat = now + BEAT_EVERY;
        }
        turn
    }

    /// Fails what arrives for so long. False: the bus is shutting down.
    fn fail_for(&mut self, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        self.fail_queued();
        loop {
            match self.jobs.recv_deadline(until) {
                Ok(job) => job.fail(&*self.sink),
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    /// Fails what is queued; the sink hears of each server once.
    fn fail_queued(&mut self) {
        let mut unreachable: HashSet<ServerId> = HashSet::new();
        for job in self.held.take().into_iter().chain(self.jobs.try_iter()) {
            match job {
                Job::Send { to, .. } => {
                    unreachable.insert(to);
                }
                job => job.fail(&*self.sink),
            }
        }
        for server in &unreachable {
            self.sink.on_unreachable(server);
        }
    }
}
