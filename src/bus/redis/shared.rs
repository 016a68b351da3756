//! What the bus's two threads and its callers know of each other.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, TrySendError};

use super::job::Job;
use super::link::Connector;
use crate::model::ServerId;

/// State that all parts of one [`RedisBus`](super::RedisBus) share.
pub(super) struct Shared {
    pub(super) server: ServerId,
    /// The channel that this server hears.
    pub(super) channel: String,
    pub(super) connector: Connector,
    /// Where jobs go; `None` once the bus is shutting down, which lets the
    /// publisher see the queue's end.
    queue: RwLock<Option<Sender<Job>>>,
    /// Whether the publisher's connection is good: jobs are taken.
    publishing: AtomicBool,
    /// How often the publisher's connection has failed.
    failures: AtomicU64,
    /// The subscriber has heard nothing: the publisher's connection may be
    /// as dead as its own.
    rebuild: AtomicBool,
    /// What `Bus::is_up` answers; only the subscriber changes it.
    up: AtomicBool,
    /// The subscriber is to unsubscribe and end.
    deaf: AtomicBool,
    closing: Closing,
}

/// The signal that the bus ends, and by when.
struct Closing {
    /// Dropped at the end; nothing is ever sent.
    held: Mutex<Option<Sender<()>>>,
    ended: Receiver<()>,
    deadline: Mutex<Option<Instant>>,
}

impl Shared {
    pub(super) fn new(server: ServerId, connector: Connector, queue: Sender<Job>) -> Self {
        let (held, ended) = crossbeam_channel::bounded(0);
        Self {
            channel: super::server_channel(&server),
            server,
            connector,
            queue: RwLock::new(Some(queue)),
            publishing: AtomicBool::new(false),
            failures: AtomicU64::new(0),
            rebuild: AtomicBool::new(false),
            up: AtomicBool::new(false),
            deaf: AtomicBool::new(false),
            closing: Closing { held: Mutex::new(Some(held)), ended, deadline: Mutex::new(None) },
        }
    }

    /// Queues a job, or hands it back: `Disconnected` while Redis is away.
    /// Nothing is called from in here, so no callback ever sees the lock held.
    pub(super) fn enqueue(&self, job: Job) -> Result<(), TrySendError<Job>> {
        if !self.publishing.load(Ordering::Acquire) {
            return Err(TrySendError::Disconnected(job));
        }
        match &*self.queue.read().unwrap_or_else(PoisonError::into_inner) {
            Some(queue) => queue.try_send(job),
            None => Err(TrySendError::Disconnected(job)),
        }
    }

    pub(super) fn set_publishing(&self, good: bool) {
        self.publishing.store(good, Ordering::Release);
    }

    pub(super) fn is_publishing(&self) -> bool {
        self.publishing.load(Ordering::Acquire)
    }

    /// The publisher's connection failed.
    pub(super) fn note_failure(&self) {
        self.failures.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Acquire)
    }

    /// Asks the publisher for a new connection.
    pub(super) fn request_rebuild(&self) {
        self.rebuild.store(true, Ordering::Release);
    }

    /// Whether a new connection was asked for since this was last called.
    pub(super) fn take_rebuild(&self) -> bool {
        self.rebuild.swap(false, Ordering::AcqRel)
    }

    pub(super) fn set_up(&self, up: bool) {
        self.up.store(up, Ordering::Release);
    }

    pub(super) fn is_up(&self) -> bool {
        self.up.load(Ordering::Acquire)
    }

    /// Asks the subscriber to unsubscribe and end.
    pub(super) fn stop_listening(&self) {
        self.deaf.store(true, Ordering::Release);
    }

    /// Whether the subscriber is to end.
    pub(super) fn is_deaf(&self) -> bool {
        self.deaf.load(Ordering::Acquire) || self.is_closing()
    }

    /// Ends the queue and wakes who waits; the publisher may go on sending
    /// what is queued for `drain`. False if the bus was closing already.
    pub(super) fn close(&self, drain: Duration) -> bool {
        let held = self.closing.held.lock().unwrap_or_else(PoisonError::into_inner).take();
        if held.is_none() {
            return false;
        }
        *self.closing.deadline.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Instant::now() + drain);
        self.queue.write().unwrap_or_else(PoisonError::into_inner).take();
        true
    }

    /// Whether the bus is ending.
    pub(super) fn is_closing(&self) -> bool {
        self.closing.ended.try_recv() == Err(TryRecvError::Disconnected)
    }

    /// Whether the bus is ending and the time to send is over.
    pub(super) fn is_past_deadline(&self) -> bool {
        let deadline = *self.closing.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Waits, at most so long, for the bus to end. True if it is ending.
    pub(super) fn wait_for_close(&self, most: Duration) -> bool {
        matches!(self.closing.ended.recv_timeout(most), Err(RecvTimeoutError::Disconnected))
    }
}
