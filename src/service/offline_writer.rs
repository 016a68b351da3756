//! The one writer to the table of missed messages. It gathers what waits into
//! one transaction, and only after the commit tells the senders `stored` and
//! nudges the recipients.
//!
//! Thread: "offline-writer" runs [`run`]; [`OfflineWriter`]'s methods are safe
//! to call from any thread and never block.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use log::{debug, error, info, warn};

use super::Service;
use super::message::MessageCopy;
use super::offline_quota::Quota;
use super::registry::NEVER_POISONED;
use super::session::{LoginId, Post};
use super::settlement::Settled;
use crate::model::{OfflineKey, OfflineOp, StoreError, UserId};

/// The most jobs of one transaction.
const BATCH_JOBS: usize = 512;
/// No more jobs are taken into a transaction with this much text.
const BATCH_BYTES: usize = 4 << 20;
/// The most text that may wait, whatever the number of copies.
const QUEUE_BYTES: usize = 256 << 20;
/// How often deletions that failed are tried again.
const RETRY: Duration = Duration::from_secs(1);

enum Job {
    Insert(MessageCopy),
    Delete(Deletion),
    /// Runs once every copy before it is committed or refused, and every
    /// deletion committed.
    Barrier(Box<dyn FnOnce() + Send>),
    Stop,
}

/// Rows that a session has confirmed. Tried again until it is committed.
struct Deletion {
    login: LoginId,
    ops: Vec<OfflineOp>,
}

/// A part of a transaction, in the order queued.
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
                mid: copy.message.mid.clone(),
                message: copy.message.body.clone(),
            }],
            Part::Deletion(deletion) => deletion.ops.clone(),
        }
    }
}

/// The queue to the writer. Copies are bounded in number and bytes; of deletions
/// there is one at a time for each session, of barriers one or two.
pub struct OfflineWriter {
    jobs: Sender<Job>,
    waiting: Mutex<Option<Receiver<Job>>>,
    capacity: usize,
    copies: AtomicUsize,
    bytes: AtomicUsize,
}

impl OfflineWriter {
    pub(super) fn new(capacity: usize) -> OfflineWriter {
        let (jobs, waiting) = unbounded();
        OfflineWriter {
            jobs,
            waiting: Mutex::new(Some(waiting)),
            capacity,
            copies: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
        }
    }

    /// Queues a copy; gives it back where too many wait.
    pub(super) fn insert(&self, copy: MessageCopy) -> Result<(), MessageCopy> {
        let size = copy.message.body.len();
        if self.copies.load(Ordering::Relaxed) >= self.capacity
            || self.bytes.load(Ordering::Relaxed) + size > QUEUE_BYTES
        {
            return Err(copy);
        }
        self.copies.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(size, Ordering::Relaxed);
        match self.jobs.send(Job::Insert(copy)) {
            Ok(()) => Ok(()),
            Err(unsent) => match unsent.into_inner() {
                Job::Insert(copy) => Err(copy),
                _ => Ok(()),
            },
        }
    }

    /// Queues the deletion of what a login has confirmed. It hears
    /// [`Post::Deleted`] after the commit.
    pub(super) fn delete(&self, login: LoginId, ops: Vec<OfflineOp>) {
        self.send(Job::Delete(Deletion { login, ops }));
    }

    /// Calls `then` on the writer's thread once every copy queued before is
    /// committed or refused, and every deletion committed.
    pub(super) fn after_all(&self, then: impl FnOnce() + Send + 'static) {
        self.send(Job::Barrier(Box::new(then)));
    }

    /// Ends the thread once everything queued before is done.
    pub(super) fn stop(&self) {
        self.send(Job::Stop);
    }

    fn send(&self, job: Job) {
        if self.jobs.send(job).is_err() {
            // Only after the thread has ended, when the server has stopped.
            warn!(target: "offline", "the offline writer has ended, a job is dropped");
        }
    }
}

/// Runs the writer until it is stopped.
pub fn run(service: &Arc<Service>) {
    let Some(jobs) = service.writer.waiting.lock().expect(NEVER_POISONED).take() else {
        error!(target: "offline", "the offline writer was started twice");
        return;
    };
    let quota = Quota::new(service.settings.max_offline);
    let (overdue, barriers) = (Vec::new(), Vec::new());
    let mut writer = Writer { service, quota, overdue, barriers, failing: false };
    loop {
        let first = match jobs.recv_timeout(RETRY) {
            Ok(job) => job,
            Err(RecvTimeoutError::Timeout) => {
                writer.write(Vec::new());
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if writer.turn(first, &jobs) {
            return;
        }
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
    /// Takes what waits, up to a transaction's worth. Whether to stop.
    fn turn(&mut self, first: Job, jobs: &Receiver<Job>) -> bool {
        let (mut parts, mut bytes) = (Vec::new(), 0);
        let mut next = Some(first);
        let mut taken = 0;
        while let Some(job) = next.take() {
            taken += 1;
            match job {
                Job::Insert(copy) => {
                    bytes += copy.message.body.len();
                    parts.push(Part::Copy(copy));
                }
                Job::Delete(deletion) => parts.push(Part::Deletion(deletion)),
                Job::Barrier(then) => {
                    self.write(std::mem::take(&mut parts));
                    self.barriers.push(then);
                    self.pass_barriers();
                }
                Job::Stop => {
                    self.write(parts);
                    for then in self.barriers.drain(..) {
                        then();
                    }
                    return true;
                }
            }
            if taken < BATCH_JOBS && bytes < BATCH_BYTES {
                next = jobs.try_recv().ok();
            }
        }
        self.write(parts);
        false
    }

    /// One transaction, of what is overdue and of these.
    fn write(&mut self, new: Vec<Part>) {
        let mut parts: Vec<Part> = self.overdue.drain(..).map(Part::Deletion).collect();
        parts.extend(new);
        if parts.is_empty() {
            return;
        }
        self.count_out(&parts);
        let (parts, too_many) = self.admit(parts);
        if !parts.is_empty() {
            self.apply(parts);
        }
        self.refuse(too_many);
        self.service.flush_outcomes();
        self.pass_barriers();
    }

    /// Takes the copies out of which their recipients have too many.
    fn admit(&mut self, parts: Vec<Part>) -> (Vec<Part>, Vec<MessageCopy>) {
        let now = Instant::now();
        let (mut admitted, mut too_many) = (Vec::with_capacity(parts.len()), Vec::new());
        self.quota.begin();
        for part in parts {
            match part {
                Part::Copy(copy) => {
                    let look = |limit| self.service.store.count_offline(copy.to, limit).ok();
                    if self.quota.admit(copy.to, now, look) {
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
            mid: copy.message.mid.clone(),
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
        let now = Instant::now();
        let mut copies = Vec::new();
        for part in parts {
            match part {
                Part::Copy(copy) => copies.push(copy),
                Part::Deletion(Deletion { login, ops }) => {
                    for op in ops {
                        if let OfflineOp::DeleteRows { to, rows } = op {
                            self.quota.deleted(to, rows.len(), now);
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

    fn count_out(&self, parts: &[Part]) {
        let counters = &self.service.writer;
        let mut bytes = 0;
        let mut copies = 0;
        for part in parts {
            if let Part::Copy(copy) = part {
                copies += 1;
                bytes += copy.message.body.len();
            }
        }
        counters.copies.fetch_sub(copies, Ordering::Relaxed);
        counters.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}
