//! The one writer to the table of missed messages. It gathers what waits into
//! one transaction, and only after the commit tells the senders `stored` and
//! nudges the recipients.
//!
//! Thread: "offline-writer" runs [`run`]; [`OfflineWriter`]'s methods are safe
//! to call from any thread and never block.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use log::{error, warn};

use super::message::MessageCopy;
use super::registry::NEVER_POISONED;
use super::session::{Post, SessionId};
use super::settlement::Settled;
use super::{Message, Service};
use crate::model::{OfflineOp, StoreError, UserId};

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
    /// Runs once everything before it has been committed or refused.
    Barrier(Box<dyn FnOnce() + Send>),
    Stop,
}

/// Rows that a session's socket has taken. Tried again until it is committed.
struct Deletion {
    session: SessionId,
    ops: Vec<OfflineOp>,
}

/// The queue to the writer. Copies are bounded in number and bytes; deletions
/// and barriers are few, at most one or two for each session.
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

    /// Queues the deletion of what a session's socket has taken. The session
    /// hears [`Post::Deleted`] after the commit.
    pub(super) fn delete(&self, session: SessionId, ops: Vec<OfflineOp>) {
        self.send(Job::Delete(Deletion { session, ops }));
    }

    /// Calls `then` on the writer's thread once everything queued before is
    /// committed or refused.
    pub(super) fn after_all(&self, then: impl FnOnce() + Send + 'static) {
        self.send(Job::Barrier(Box::new(then)));
    }

    /// Ends the thread once everything queued before is done.
    pub(super) fn stop(&self) {
        self.send(Job::Stop);
    }

    /// How many copies wait.
    pub fn backlog(&self) -> usize {
        self.copies.load(Ordering::Relaxed)
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
    let mut writer = Writer { service, overdue: Vec::new(), failing: false };
    loop {
        let first = match jobs.recv_timeout(RETRY) {
            Ok(job) => job,
            Err(RecvTimeoutError::Timeout) => {
                writer.write(Vec::new(), Vec::new());
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
    /// Deletions that could not be made yet.
    overdue: Vec<Deletion>,
    failing: bool,
}

impl Writer<'_> {
    /// Takes what waits, up to a transaction's worth. Whether to stop.
    fn turn(&mut self, first: Job, jobs: &Receiver<Job>) -> bool {
        let (mut copies, mut deletions, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut next = Some(first);
        let mut taken = 0;
        while let Some(job) = next.take() {
            taken += 1;
            match job {
                Job::Insert(copy) => {
                    bytes += copy.message.body.len();
                    copies.push((copy, deletions.len()));
                }
                Job::Delete(deletion) => deletions.push((deletion, copies.len())),
                Job::Barrier(then) => {
                    self.write(std::mem::take(&mut copies), std::mem::take(&mut deletions));
                    then();
                }
                Job::Stop => {
                    self.write(copies, deletions);
                    return true;
                }
            }
            if taken < BATCH_JOBS && bytes < BATCH_BYTES {
                next = jobs.try_recv().ok();
            }
        }
        self.write(copies, deletions);
        false
    }

    /// One transaction. Each copy and deletion comes with how many of the
    /// other kind were queued before it, so that the order is kept.
    fn write(&mut self, copies: Vec<(MessageCopy, usize)>, deletions: Vec<(Deletion, usize)>) {
        if copies.is_empty() && deletions.is_empty() && self.overdue.is_empty() {
            return;
        }
        let mut ops: Vec<OfflineOp> =
            self.overdue.iter().flat_map(|deletion| deletion.ops.iter().cloned()).collect();
        let mut deletions_in = deletions.iter().peekable();
        for (index, (copy, _)) in copies.iter().enumerate() {
            while let Some((deletion, _)) = deletions_in.next_if(|(_, before)| *before <= index) {
                ops.extend(deletion.ops.iter().cloned());
            }
            ops.push(insertion(copy.to, &copy.message));
        }
        ops.extend(deletions_in.flat_map(|(deletion, _)| deletion.ops.iter().cloned()));

        let result = self.service.store.apply_offline(&ops);
        let copies: Vec<MessageCopy> = copies.into_iter().map(|(copy, _)| copy).collect();
        self.count_out(&copies);
        self.overdue.extend(deletions.into_iter().map(|(deletion, _)| deletion));
        match result {
            Ok(()) => self.committed(copies),
            // Away or hung: the rest of the batch would fare no better.
            Err(err @ StoreError::Unavailable(_)) => self.failed(copies, &err),
            Err(err) => self.write_singly(copies, &err),
        }
    }

    /// Something in a batch was refused for good: each by itself, so that it
    /// fails alone.
    fn write_singly(&mut self, copies: Vec<MessageCopy>, err: &StoreError) {
        error!(target: "offline", "a batch was refused, writing it one by one err={err}");
        let store = &self.service.store;
        let (mut kept, mut refused) = (Vec::new(), Vec::new());
        self.overdue.retain(|deletion| match store.apply_offline(&deletion.ops) {
            Ok(()) => {
                let session = deletion.session;
                self.service.tell(session, Post::Deleted { session });
                false
            }
            Err(err) => {
                error!(target: "offline", "conn={} a deletion is put off err={err}", deletion.session);
                true
            }
        });
        for copy in copies {
            match store.apply_offline(&[insertion(copy.to, &copy.message)]) {
                Ok(()) => kept.push(copy),
                Err(err) => {
                    error!(target: "offline", "user={} a message was refused err={err}", copy.to);
                    refused.push(copy);
                }
            }
        }
        self.settle_stored(kept);
        self.settle_refused(refused);
    }

    fn count_out(&self, copies: &[MessageCopy]) {
        let counters = &self.service.writer;
        counters.copies.fetch_sub(copies.len(), Ordering::Relaxed);
        let bytes = copies.iter().map(|copy| copy.message.body.len()).sum();
        counters.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn committed(&mut self, copies: Vec<MessageCopy>) {
        if std::mem::take(&mut self.failing) {
            warn!(target: "offline", "missed messages are kept again");
        }
        for deletion in self.overdue.drain(..) {
            let session = deletion.session;
            self.service.tell(session, Post::Deleted { session });
        }
        self.settle_stored(copies);
    }

    fn settle_stored(&self, copies: Vec<MessageCopy>) {
        let mut written: HashMap<UserId, u32> = HashMap::new();
        for copy in copies {
            *written.entry(copy.to).or_default() += 1;
            self.service.settle(copy, Settled::Stored);
        }
        // A user of this server is nudged at once; the others' servers are
        // asked for, and until they are nudged the copies count as written.
        let mut elsewhere = Vec::new();
        for (user, count) in written {
            if self.service.bus.has_peers() && self.service.registry.session(user).is_none() {
                elsewhere.push((user, count));
            } else {
                self.service.written_and_nudged(user, count);
            }
        }
        if !elsewhere.is_empty() {
            self.service.nudge_elsewhere(elsewhere);
        }
    }

    fn failed(&mut self, copies: Vec<MessageCopy>, err: &StoreError) {
        if !std::mem::replace(&mut self.failing, true) {
            error!(target: "offline", "missed messages cannot be kept, senders are told so err={err}");
        }
        self.settle_refused(copies);
    }

    fn settle_refused(&self, copies: Vec<MessageCopy>) {
        for copy in copies {
            let user = copy.to;
            self.service.registry.with(user, |slot| slot.writing = slot.writing.saturating_sub(1));
            self.service.settle(copy, Settled::Unavailable);
        }
    }
}

fn insertion(to: UserId, message: &Message) -> OfflineOp {
    OfflineOp::Insert {
        to,
        sender: message.sender,
        mid: message.mid.clone(),
        message: message.body.clone(),
    }
}
