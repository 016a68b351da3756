//! The one writer to the table of missed messages. It gathers what waits into
//! one transaction, and only after the commit tells the senders `stored` and
//! nudges the recipients.
//!
//! Thread: "offline-writer" runs [`run`]; [`OfflineWriter`]'s methods are safe
//! to call from any thread and never block.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use log::{debug, error, info, warn};

use super::Service;
use super::message::MessageCopy;
use super::offline_queue::{Deletion, Job, OfflineQueue};
use super::offline_quota::Quota;
use super::session::{LoginId, Post};
use super::settlement::Settled;
use crate::model::{OfflineKey, OfflineOp, StoreError, UserId};

/// The most jobs of one transaction.
const BATCH_JOBS: usize = 512;
/// No more jobs are taken into a transaction with this much text.
const BATCH_BYTES: usize = 4 << 20;
/// How often deletions that failed are tried again.
const RETRY: Duration = Duration::from_secs(1);

/// A part of a transaction, in the order taken.
enum Part {
    Copy(MessageCopy),
    Deletion(Deletion),
}

impl Part {
    fn ops(&self) -> Vec<OfflineOp> {
        match self {
            Part::Copy(copy) => vec![OfflineOp::Insert {
                to: copy.to,
                sender: copy.message.sender,
                mid: copy.message.mid.to_shared(),
                message: copy.message.body.to_shared(),
            }],
            Part::Deletion(deletion) => deletion.ops.clone(),
        }
    }
}

/// The way to the writer.
pub struct OfflineWriter {
    queue: OfflineQueue,
    started: AtomicBool,
}

impl OfflineWriter {
    pub(super) fn new(capacity: usize) -> OfflineWriter {
        OfflineWriter { queue: OfflineQueue::new(capacity), started: AtomicBool::new(false) }
    }

    /// Queues a copy; gives it back where too many of its sender's wait.
    pub(super) fn insert(&self, copy: MessageCopy) -> Result<(), MessageCopy> {
        self.queue.insert(copy)
    }

    /// Queues the deletion of what a user's login has confirmed, behind the
    /// copies for this user. The login hears [`Post::Deleted`] after the commit.
    pub(super) fn delete(&self, user: UserId, login: LoginId, ops: Vec<OfflineOp>) {
        self.after(user, Job::Delete(Deletion { login, ops }));
    }

    /// Calls `then` on the writer's thread once every copy for this user that
    /// was queued before is committed or refused, and every deletion committed.
    pub(super) fn after_all_for(&self, user: UserId, then: impl FnOnce() + Send + 'static) {
        self.after(user, Job::Barrier(Box::new(then)));
    }

    /// Ends the thread once everything is done, and calls `then` before. Takes
    /// no more copies.
    pub(super) fn stop(&self, then: impl FnOnce() + Send + 'static) {
        self.queue.close(Job::Barrier(Box::new(then)));
    }

    fn after(&self, user: UserId, job: Job) {
        if self.queue.after(user, job).is_err() {
            // Only when the server has stopped.
            warn!(target: "offline", "the offline writer has ended, a job is dropped");
        }
    }
}

/// Runs the writer until it is stopped.
pub fn run(service: &Arc<Service>) {
    let OfflineWriter { queue, started } = &service.writer;
    if started.swap(true, Ordering::Relaxed) {
        error!(target: "offline", "the offline writer was started twice");
        return;
    }
    let quota = Quota::new(service.settings.max_offline);
    let (overdue, barriers) = (Vec::new(), Vec::new());
    let mut writer = Writer { service, quota, overdue, barriers, failing: false };
    // Without a job too: what is overdue.
    while !writer.turn(queue.take(RETRY), queue) {}
}

struct Writer<'a> {
    service: &'a Arc<Service>,
    quota: Quota,
    /// Deletions that could not be made yet.
    overdue: Vec<Deletion>,
    /// What waits for those.
    barriers: Vec<Box<dyn FnOnce() + Send>>,
    failing: bool,
}

impl Writer<'_> {
    /// Takes what waits, up to a transaction's worth. Whether to stop.
    fn turn(&mut self, first: Option<Job>, queue: &OfflineQueue) -> bool {
        let (mut parts, mut bytes) = (Vec::new(), 0);
        let mut next = first;
        let mut taken = 0;
        while let Some(job) = next.take() {
            taken += 1;
            match job {
                Job::Insert(copy) => {
                    bytes += copy.message.body.len();
                    parts.push(Part::Copy(copy));
                }
                Job::Delete(deletion) => parts.push(Part::Deletion(deletion)),
                // After this transaction.
                Job::Barrier(then) => self.barriers.push(then),
                Job::Stop => {
                    self.write(parts);
                    for then in self.barriers.drain(..) {
                        then();
                    }
                    return true;
                }
            }
            if taken < BATCH_JOBS && bytes < BATCH_BYTES {
                next = queue.try_take();
            }
        }
        self.write(parts);
        self.pass_barriers();
        false
    }

    /// One transaction, of what is overdue and of these.
    fn write(&mut self, new: Vec<Part>) {
        let mut parts: Vec<Part> = self.overdue.drain(..).map(Part::Deletion).collect();
        parts.extend(new);
        if parts.is_empty() {
            return;
        }
        let (parts, too_many) = self.admit(parts);
        if !parts.is_empty() {
            self.apply(parts);
        }
        self.refuse(too_many);
        self.service.flush_outcomes();
    }

    /// Takes the copies out of which their recipients have too many.
    fn admit(&mut self, parts: Vec<Part>) -> (Vec<Part>, Vec<MessageCopy>) {
        let now = Instant::now();
        let (mut admitted, mut too_many) = (Vec::with_capacity(parts.len()), Vec::new());
        self.quota.begin();
        for part in parts {
            match part {
                Part::Copy(copy) => {
                    let look = |limit| self.service.store.offline_size(copy.to, limit).ok();
                    let bytes = copy.message.body.len() as u64;
                    if self.quota.admit(copy.to, bytes, now, look) {
                        admitted.push(Part::Copy(copy));
                    } else {
                        too_many.push(copy);
                    }
                }
                deletion @ Part::Deletion(_) => admitted.push(deletion),
            }
        }
        (admitted, too_many)
    }

    /// Tells the senders that too much waits for the recipient, but for what
    /// is there already: a repeat is stored like the first.
    fn refuse(&self, copies: Vec<MessageCopy>) {
        if copies.is_empty() {
            return;
        }
        let key = |copy: &MessageCopy| OfflineKey {
            to: copy.to,
            sender: copy.message.sender,
            mid: copy.message.mid.to_shared(),
        };
        let keys: Vec<OfflineKey> = copies.iter().map(key).collect();
        match self.service.store.are_offline(&keys) {
            Ok(there) => {
                let (mut stored, mut refused) = (Vec::new(), Vec::new());
                for (copy, is_there) in copies.into_iter().zip(there) {
                    if is_there { stored.push(copy) } else { refused.push(copy) }
                }
                for copy in &refused {
                    debug!(target: "offline", "user={} too many missed messages wait", copy.to);
                }
                self.settle(stored, Settled::Stored);
                self.settle(refused, Settled::RecipientFull);
            }
            Err(err) => {
                debug!(target: "offline", "copies beyond the limit not looked for err={err}");
                self.settle(copies, Settled::Unavailable);
            }
        }
    }

    fn apply(&mut self, parts: Vec<Part>) {
        let ops: Vec<OfflineOp> = parts.iter().flat_map(Part::ops).collect();
        match self.service.store.apply_offline(&ops) {
            Ok(()) => self.committed(parts),
            // Away or hung: the parts by themselves would fare no better.
            Err(err @ StoreError::Unavailable(_)) => self.failed(parts, &err),
            Err(err) => self.write_singly(parts, &err),
        }
    }

    /// Something in a batch was refused for good: each part by itself, in
    /// order, so that it fails alone.
    fn write_singly(&mut self, parts: Vec<Part>, err: &StoreError) {
        error!(target: "offline", "a batch was refused, writing it one by one err={err}");
        let mut parts = parts.into_iter();
        for part in parts.by_ref() {
            match self.service.store.apply_offline(&part.ops()) {
                Ok(()) => self.committed(vec![part]),
                Err(err @ StoreError::Unavailable(_)) => {
                    self.failed(vec![part], &err);
                    break;
                }
                Err(err) => {
                    error!(target: "offline", "a message or a deletion was refused err={err}");
                    match part {
                        Part::Copy(copy) => self.settle(vec![copy], Settled::Unavailable),
                        // Its rows would be read again and again: the session
                        // ends, and they come with the next login.
                        Part::Deletion(Deletion { login, .. }) => {
                            let reason = "its missed messages could not be deleted";
                            let post = Post::Close { login, reason, successor: None };
                            self.service.tell(login.session, post);
                        }
                    }
                }
            }
        }
        let rest: Vec<Part> = parts.collect();
        if !rest.is_empty() {
            self.failed(rest, err);
        }
    }

    fn committed(&mut self, parts: Vec<Part>) {
        if std::mem::take(&mut self.failing) {
            info!(target: "offline", "missed messages are kept again");
        }
        let mut copies = Vec::new();
        for part in parts {
            match part {
                Part::Copy(copy) => copies.push(copy),
                Part::Deletion(Deletion { login, ops }) => {
                    for op in ops {
                        if let OfflineOp::DeleteRows { to, .. } = op {
                            self.quota.deleted(to);
                        }
                    }
                    self.service.tell(login.session, Post::Deleted { login });
                }
            }
        }
        self.settle(copies, Settled::Stored);
    }

    fn failed(&mut self, parts: Vec<Part>, err: &StoreError) {
        if !std::mem::replace(&mut self.failing, true) {
            error!(target: "offline", "missed messages cannot be kept, senders are told so err={err}");
        }
        let mut copies = Vec::new();
        for part in parts {
            match part {
                Part::Copy(copy) => copies.push(copy),
                Part::Deletion(deletion) => self.overdue.push(deletion),
            }
        }
        self.settle(copies, Settled::Unavailable);
    }

    /// Tells the senders, then the recipients' sessions.
    fn settle(&self, copies: Vec<MessageCopy>, settled: Settled) {
        let mut written: HashMap<UserId, u32> = HashMap::new();
        for copy in copies {
            *written.entry(copy.to).or_default() += 1;
            self.service.settle(copy, settled);
        }
        self.service.written(written);
    }

    fn pass_barriers(&mut self) {
        if self.overdue.is_empty() {
            for then in self.barriers.drain(..) {
                then();
            }
        }
    }
}
