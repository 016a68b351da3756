//! The writers to the table of missed messages. Each gathers what waits for
//! its recipients into one transaction, and only after the commit tells the
//! senders `stored` and nudges the recipients. While one waits for its commit
//! the database works for another.
//!
//! Thread: "offline-N" runs [`run`]; [`OfflineWriters`]'s methods are
//! safe to call from any thread and never block.
//! Invariant: all that concerns one recipient goes through one writer.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use log::{debug, error, info, warn};
use rustc_hash::FxHashMap;

use super::Service;
use super::message::MessageCopy;
use super::offline_queue::{Deletion, Gather, Job, OfflineQueue};
use super::offline_quota::Quota;
use super::registry::NEVER_POISONED;
use super::session::{LoginId, Post};
use super::settlement::Settled;
use crate::model::{OfflineKey, OfflineOp, StoreError, UserId};

/// The most text that may wait, whatever the number of copies.
const QUEUE_BYTES: usize = 256 << 20;
/// How often deletions that failed are tried again.
const RETRY: Duration = Duration::from_secs(1);

/// The time that a transaction took, divided by this, is waited at most for
/// more to share the next one.
const GATHERING: u32 = 2;

/// A part of a transaction, in the order taken.
enum Part {
    Copy(MessageCopy),
    Deletion(Deletion),
}

impl Part {
    fn add_ops(&self, ops: &mut Vec<OfflineOp>) {
        match self {
            Part::Copy(copy) => ops.push(OfflineOp::Insert {
                to: copy.to,
                sender: copy.message.sender,
                mid: copy.message.mid.to_shared(),
                message: copy.message.body.clone(),
            }),
            Part::Deletion(deletion) => ops.extend(deletion.ops.iter().cloned()),
        }
    }
}

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

    /// How many threads are to [`run`].
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Queues a copy; gives it back where too many of its sender's wait.
    pub(super) fn insert(&self, copy: MessageCopy) -> Result<(), MessageCopy> {
        self.queue(copy.to).insert(copy)
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

    /// Ends the threads once everything is done; the last one calls `then`
    /// before. Takes no more copies.
    pub(super) fn stop(&self, then: impl FnOnce() + Send + 'static) {
        let ended = Arc::new(WhenAllEnded::new(self.count(), then));
        for Way { queue, .. } in &self.0 {
            let ended = ended.clone();
            queue.close(Job::Barrier(Box::new(move || ended.count())));
        }
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

/// Runs one of the writers until it is stopped.
pub fn run(service: &Arc<Service>, number: usize) {
    let Way { queue, started } = &service.writers.0[number];
    if started.swap(true, Ordering::Relaxed) {
        error!(target: "offline", "offline writer {number} was started twice");
        return;
    }
    let quota = Quota::new(service.settings.max_offline);
    let (overdue, barriers) = (Vec::new(), Vec::new());
    let mut writer = Writer { service, quota, overdue, barriers, failing: false };
    let mut gather = Gather::nothing();
    loop {
        let jobs = queue.take(RETRY, gather);
        let begun = Instant::now();
        let copies = jobs.iter().filter(|job| matches!(job, Job::Insert(_))).count();
        // Without a job too: what is overdue.
        if writer.turn(jobs) {
            return;
        }
        // Whoever was just answered is likely to send again, and those who
        // came in the meantime share a commit with them: with people who wait
        // for each answer that makes one full transaction of two halves.
        let now = Instant::now();
        let until = now + (now - begun) / GATHERING;
        gather = Gather { copies: copies + queue.copies(), until };
    }
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
    /// Does these. Whether to stop.
    fn turn(&mut self, jobs: Vec<Job>) -> bool {
        let mut parts = Vec::with_capacity(jobs.len());
        let mut stops = false;
        for job in jobs {
            match job {
                Job::Insert(copy) => parts.push(Part::Copy(copy)),
                Job::Delete(deletion) => parts.push(Part::Deletion(deletion)),
                // After this transaction.
                Job::Barrier(then) => self.barriers.push(then),
                Job::Stop => stops = true,
            }
        }
        self.write(parts);
        if stops {
            for then in self.barriers.drain(..) {
                then();
            }
        } else {
            self.pass_barriers();
        }
        stops
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
        match self.store(&parts) {
            Ok(()) => self.committed(parts),
            // Away or hung: the parts by themselves would fare no better.
            Err(err @ StoreError::Unavailable(_)) => self.failed(parts, &err),
            Err(err) => self.write_singly(parts, &err),
        }
    }

    fn store(&self, parts: &[Part]) -> Result<(), StoreError> {
        let mut ops = Vec::with_capacity(parts.len());
        for part in parts {
            part.add_ops(&mut ops);
        }
        self.service.store.apply_offline(&ops)
    }

    /// Something in a batch was refused for good: each part by itself, in
    /// order, so that it fails alone.
    fn write_singly(&mut self, parts: Vec<Part>, err: &StoreError) {
        error!(target: "offline", "a batch was refused, writing it one by one err={err}");
        let mut parts = parts.into_iter();
        for part in parts.by_ref() {
            match self.store(std::slice::from_ref(&part)) {
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
        let mut written: FxHashMap<UserId, u32> = FxHashMap::default();
        for copy in &copies {
            *written.entry(copy.to).or_default() += 1;
        }
        self.service.settle_all(copies, settled);
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
