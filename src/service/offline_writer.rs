//! A writer to the table of missed messages. It gathers what waits for its
//! recipients into one transaction, and only after the commit tells the
//! senders `stored` and nudges the recipients.
//!
//! Thread: "offline-N" runs [`run`].

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::{debug, error, info, warn};
use rustc_hash::FxHashMap;

use super::Service;
use super::message::MessageCopy;
use super::offline_queue::{BATCH_JOBS, Deletion, Gather, Job};
use super::offline_quota::Quota;
use super::session::Post;
use super::settlement::Settled;
use crate::model::{OfflineKey, OfflineOp, StoreError, UserId};
use crate::moment::Moment;

/// How often what failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// And how soon at most, however many transactions there are meanwhile.
const EARLIEST_RETRY: Duration = Duration::from_millis(500);
/// So many copies, and so much text, each writer tries again for senders who could not
/// be told to repeat them; whatever is beyond that is lost to them.
const MOST_COPIES_OVERDUE: usize = 4096;
const MOST_BYTES_OVERDUE: usize = 16 << 20;

/// The time that a transaction took, divided by this, is waited at most for
/// more to share the next one.
const GATHERING: u32 = 2;
/// A transaction that took long did not take long because it was small.
const LONGEST_GATHERING: Duration = Duration::from_millis(5);

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
                message: copy.message.body.to_shared(),
            }),
            Part::Deletion(deletion) => ops.extend(deletion.ops.iter().cloned()),
        }
    }

    /// The recipient.
    fn to(&self) -> Option<UserId> {
        match self {
            Part::Copy(copy) => Some(copy.to),
            Part::Deletion(deletion) => deletion.ops.first().map(OfflineOp::to),
        }
    }

    fn copy(&self) -> Option<&MessageCopy> {
        match self {
            Part::Copy(copy) => Some(copy),
            Part::Deletion(_) => None,
        }
    }

    /// Whether it is tried again where it cannot be done.
    fn is_tried_again(&self) -> bool {
        self.copy().is_none_or(is_tried_again)
    }
}

/// Whether a copy is tried again for a sender who could not be told to repeat it.
fn is_tried_again(copy: &MessageCopy) -> bool {
    copy.message.tried_until.is_some_and(|until| Moment::from(Instant::now()) < until)
}

/// Runs one of the writers until it is stopped.
pub fn run(service: &Arc<Service>, number: usize) {
    let Some(queue) = service.writers.start(number) else {
        error!(target: "offline", "offline writer {number} was started twice");
        return;
    };
    let quota = Quota::new(service.settings.max_offline);
    let (overdue, barriers) = (Vec::new(), Vec::new());
    let next_try = Instant::now();
    let mut writer = Writer { service, quota, overdue, next_try, barriers, failing: false };
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
        let until = now + ((now - begun) / GATHERING).min(LONGEST_GATHERING);
        gather = Gather { copies: copies + queue.copies(), until };
    }
}

struct Writer<'a> {
    service: &'a Arc<Service>,
    quota: Quota,
    /// Deletions that could not be made yet, and copies that are tried again.
    overdue: Vec<Part>,
    /// When those are tried again.
    next_try: Instant,
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
        self.write(parts, stops);
        if stops {
            self.give_up();
            for then in self.barriers.drain(..) {
                then();
            }
        } else {
            self.pass_barriers();
        }
        stops
    }

    /// What is overdue, if it is time or this is the last time, and then these:
    /// by themselves, so that nothing else fails with them.
    fn write(&mut self, new: Vec<Part>, is_last: bool) {
        if is_last || Instant::now() >= self.next_try {
            self.write_overdue();
        }
        let new = self.in_turn(new);
        self.write_together(new);
    }

    /// In transactions like any other, up to the first that leaves something.
    fn write_overdue(&mut self) {
        let mut overdue = std::mem::take(&mut self.overdue);
        while !overdue.is_empty() {
            let later = overdue.split_off(overdue.len().min(BATCH_JOBS));
            self.write_together(std::mem::replace(&mut overdue, later));
            if !self.overdue.is_empty() {
                self.next_try = Instant::now() + EARLIEST_RETRY;
                return self.wait(overdue);
            }
        }
    }

    /// Parts that come behind none that is overdue; the others are so, too.
    fn in_turn(&mut self, new: Vec<Part>) -> Vec<Part> {
        if self.overdue.is_empty() {
            return new;
        }
        let waiting: HashSet<UserId> = self.overdue.iter().filter_map(Part::to).collect();
        let is_behind = |part: &Part| {
            part.is_tried_again() && part.to().is_some_and(|to| waiting.contains(&to))
        };
        let (behind, new) = new.into_iter().partition(is_behind);
        self.wait(behind);
        new
    }

    /// One transaction.
    fn write_together(&mut self, parts: Vec<Part>) {
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
    fn refuse(&mut self, copies: Vec<MessageCopy>) {
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
                self.wait(copies.into_iter().map(Part::Copy).collect());
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
        self.wait(parts);
    }

    /// Has parts wait for another try; copies that get none are settled.
    fn wait(&mut self, parts: Vec<Part>) {
        let copies = self.overdue.iter().filter_map(Part::copy);
        let (mut count, mut bytes) =
            copies.fold((0, 0), |(n, bytes), copy| (n + 1, bytes + copy.message.body.len()));
        let mut refused = Vec::new();
        for part in parts {
            let has_room = count < MOST_COPIES_OVERDUE && bytes < MOST_BYTES_OVERDUE;
            match part {
                Part::Copy(copy) if !(has_room && is_tried_again(&copy)) => refused.push(copy),
                Part::Copy(copy) => {
                    (count, bytes) = (count + 1, bytes + copy.message.body.len());
                    self.overdue.push(Part::Copy(copy));
                }
                deletion @ Part::Deletion(_) => self.overdue.push(deletion),
            }
        }
        self.settle(refused, Settled::Unavailable);
    }

    /// There is no further try.
    fn give_up(&mut self) {
        let copies = self.overdue.drain(..).filter_map(|part| match part {
            Part::Copy(copy) => Some(copy),
            Part::Deletion(_) => None,
        });
        let copies: Vec<MessageCopy> = copies.collect();
        if !copies.is_empty() {
            warn!(target: "offline", "messages that could not be kept are lost: {}", copies.len());
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
