//! The way to the writers of missed messages. While one waits for its commit
//! the database works for another.
//!
//! Thread: any; nothing here blocks.
//! Invariant: all that concerns one recipient goes through one writer.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use log::warn;

use super::message::MessageCopy;
use super::offline_queue::{Deletion, Job, OfflineQueue};
use super::registry::NEVER_POISONED;
use super::session::LoginId;
use crate::model::{OfflineOp, UserId};

/// The most text that may wait, whatever the number of copies.
const QUEUE_BYTES: usize = 256 << 20;

/// The way to the writers.
pub struct OfflineWriters(Vec<Way>);

struct Way {
    queue: OfflineQueue,
    started: AtomicBool,
}

impl OfflineWriters {
    /// So many, which share the room for so many copies.
    pub(super) fn new(count: usize, capacity: usize) -> OfflineWriters {
        let way = |_| Way {
            queue: OfflineQueue::new(capacity.div_ceil(count), QUEUE_BYTES / count),
            started: AtomicBool::new(false),
        };
        OfflineWriters((0..count).map(way).collect())
    }

    /// How many threads are to run [`super::offline_writer::run`].
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Queues a copy; gives it back where too many of its sender's wait.
    pub(super) fn insert(&self, copy: MessageCopy) -> Result<(), MessageCopy> {
        self.queue(copy.to).insert(copy)
    }

    /// Queues the deletion of what a user's login has confirmed, behind the
    /// copies for this user. The login hears [`super::session::Post::Deleted`] after the commit.
    pub(super) fn delete(&self, user: UserId, login: LoginId, ops: Vec<OfflineOp>) {
        self.after(user, Job::Delete(Deletion { login, ops }));
    }

    /// Calls `then` on the writer's thread once every copy for this user that
    /// was queued before is committed or refused, and every deletion committed.
    pub(super) fn after_all_for(&self, user: UserId, then: impl FnOnce() + Send + 'static) {
        self.after(user, Job::Barrier(Box::new(then)));
    }

    /// Ends the threads once everything is done; the last one calls `then`
    /// before. Takes no more copies.
    pub(super) fn stop(&self, then: impl FnOnce() + Send + 'static) {
        let ended = Arc::new(WhenAllEnded::new(self.count(), then));
        for Way { queue, .. } in &self.0 {
            let ended = ended.clone();
            queue.close(Job::Barrier(Box::new(move || ended.count())));
        }
    }

    /// The queue for the thread with this number; `None` for a second one.
    pub(super) fn start(&self, number: usize) -> Option<&OfflineQueue> {
        let Way { queue, started } = self.0.get(number)?;
        (!started.swap(true, Ordering::Relaxed)).then_some(queue)
    }

    fn after(&self, user: UserId, job: Job) {
        if self.queue(user).after(user, job).is_err() {
            // Only when the server has stopped.
            warn!(target: "offline", "the offline writer has ended, a job is dropped");
        }
    }

    fn queue(&self, user: UserId) -> &OfflineQueue {
        &self.0[user.0 as usize % self.0.len()].queue
    }
}

/// Calls something when the last of several has ended.
struct WhenAllEnded<F> {
    left: AtomicUsize,
    then: Mutex<Option<F>>,
}

impl<F: FnOnce()> WhenAllEnded<F> {
    fn new(count: usize, then: F) -> WhenAllEnded<F> {
        WhenAllEnded { left: AtomicUsize::new(count), then: Mutex::new(Some(then)) }
    }

    fn count(&self) {
        // AcqRel: the last one has what all the others did behind it.
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1
            && let Some(then) = self.then.lock().expect(NEVER_POISONED).take()
        {
            then();
        }
    }
}
