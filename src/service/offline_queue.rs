//! What waits for an offline writer. Senders take turns, so that whoever
//! sends to hundreds who are offline keeps nobody else waiting; and the less
//! room there is the less each may have, so that nobody takes it all.
//!
//! Invariants:
//! - One sender's copies to one recipient leave in the order in which they
//!   came.
//! - A deletion or a barrier leaves after every copy, deletion and barrier for
//!   the same recipient that came before it. It does not wait for what is for
//!   others.
//!
//! Thread: any may queue, without blocking; the writer takes. One lock, a leaf,
//! held for a few instructions.

use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::message::MessageCopy;
use super::registry::NEVER_POISONED;
use super::session::LoginId;
use crate::model::{OfflineOp, UserId};

/// The most jobs that are taken at once.
pub(super) const BATCH_JOBS: usize = 512;
/// No more jobs are taken with this much text.
const BATCH_BYTES: usize = 4 << 20;
/// So many are taken while a reactor may wait for the lock.
const TAKEN_UNDER_LOCK: usize = 16;

/// Something for an offline writer.
pub(super) enum Job {
    Insert(MessageCopy),
    Delete(Deletion),
    /// Runs once every copy before it is committed or refused, and every
    /// deletion committed.
    Barrier(Box<dyn FnOnce() + Send>),
    Stop,
}

/// Rows that a session has confirmed. Tried again until it is committed.
pub(super) struct Deletion {
    pub login: LoginId,
    pub ops: Vec<OfflineOp>,
}

/// What is worth waiting for, though something is there already.
#[derive(Clone, Copy)]
pub(super) struct Gather {
    /// So many copies.
    pub copies: usize,
    /// Not beyond this time.
    pub until: Instant,
}

impl Gather {
    /// Whatever is there is enough.
    pub fn nothing() -> Gather {
        Gather { copies: 0, until: Instant::now() }
    }
}

/// See the head of this file. Copies are bounded in number and bytes; of
/// deletions there is one at a time for each session, of barriers one or two.
pub(super) struct OfflineQueue {
    capacity: usize,
    capacity_bytes: usize,
    state: Mutex<State>,
    pushed: Condvar,
}

#[derive(Default)]
struct State {
    senders: HashMap<UserId, Sender>,
    /// Every key of `senders` once, the next one first.
    turns: VecDeque<UserId>,
    recipients: HashMap<UserId, Recipient>,
    /// Deletions and barriers that wait for no copy.
    ready: VecDeque<Job>,
    /// The last job taken was one of `ready`: now it is a copy's turn.
    copys_turn: bool,
    copies: usize,
    bytes: usize,
    /// The writer sleeps until there are so many copies: no need to wake it
    /// before.
    wanted: Option<usize>,
    end: End,
}

#[derive(Default)]
enum End {
    #[default]
    Open,
    /// No more copies: after what waits, this and the stop.
    Closed(Option<Job>),
    /// The writer has been told to stop.
    Ended,
}

/// The copies of one sender that wait. There while there are any.
#[derive(Default)]
struct Sender {
    /// Each with its stage.
    copies: VecDeque<(MessageCopy, u64)>,
    bytes: usize,
}

/// What waits for one recipient, in stages: some copies, then some jobs that
/// wait for those. There while there are copies.
#[derive(Default)]
struct Recipient {
    /// The number of the first stage.
    first: u64,
    stages: VecDeque<Stage>,
}

#[derive(Default)]
struct Stage {
    copies: usize,
    then: Vec<Job>,
}

impl OfflineQueue {
    /// Room for so many copies, and so much text.
    pub fn new(capacity: usize, capacity_bytes: usize) -> OfflineQueue {
        let (state, pushed) = (Mutex::default(), Condvar::new());
        OfflineQueue { capacity, capacity_bytes, state, pushed }
    }

    /// Queues a copy; gives it back where its sender has more than its share:
    /// as much as there is room left (a dynamic threshold, as for
    /// [`crate::net`]'s buffers). So one alone may have half of it, ten a
    /// twelfth each.
    pub fn insert(&self, copy: MessageCopy) -> Result<(), MessageCopy> {
        let mut state = self.state();
        let size = copy.message.body.len();
        let (copies, bytes) = state.held_by(copy.message.sender);
        let has_its_share = copies >= self.capacity.saturating_sub(state.copies)
            || bytes + size > self.capacity_bytes.saturating_sub(state.bytes);
        if has_its_share || !matches!(state.end, End::Open) {
            return Err(copy);
        }
        state.add(copy);
        let is_enough = state.wanted.is_some_and(|wanted| state.copies >= wanted);
        drop(state);
        if is_enough {
            self.pushed.notify_one();
        }
        Ok(())
    }

    /// Queues a deletion or a barrier behind what waits for this user. Gives
    /// it back where the writer has ended.
    pub fn after(&self, user: UserId, job: Job) -> Result<(), Job> {
        let mut state = self.state();
        if matches!(state.end, End::Ended) {
            return Err(job);
        }
        match state.recipients.get_mut(&user).and_then(|waits| waits.stages.back_mut()) {
            Some(stage) => stage.then.push(job),
            None => state.ready.push_back(job),
        }
        drop(state);
        self.pushed.notify_one();
        Ok(())
    }

    /// Takes no more copies. Once all that waits is taken, this job and then
    /// [`Job::Stop`] are.
    pub fn close(&self, last: Job) {
        self.state().end = End::Closed(Some(last));
        self.pushed.notify_one();
    }

    /// Takes what waits, up to a transaction's worth. Waits for the first job
    /// at most for so long, and for more as far as `gather` says; deletions and
    /// barriers behind no copy wait for nothing. [`Job::Stop`] is the last one.
    pub fn take(&self, wait: Duration, gather: Gather) -> Vec<Job> {
        let mut now = Instant::now();
        let end = now + wait;
        let mut state = self.state();
        loop {
            let gathers = now < gather.until;
            let wanted = if gathers { gather.copies.clamp(1, BATCH_JOBS) } else { 1 };
            if state.copies >= wanted || state.has_more_than_copies() || now >= end {
                break;
            }
            let until = if gathers { gather.until.min(end) } else { end };
            state.wanted = Some(wanted);
            let timeout = until.saturating_duration_since(now);
            state = self.pushed.wait_timeout(state, timeout).expect(NEVER_POISONED).0;
            state.wanted = None;
            now = Instant::now();
        }
        drop(state);
        self.take_at_once()
    }

    /// What is there. Between some and some more others get at the queue.
    fn take_at_once(&self) -> Vec<Job> {
        let (mut jobs, mut bytes) = (Vec::new(), 0);
        while jobs.len() < BATCH_JOBS && bytes < BATCH_BYTES {
            let before = jobs.len();
            bytes += self.state().take_some(&mut jobs);
            if jobs.len() == before {
                break;
            }
        }
        jobs
    }

    /// Copies that wait.
    pub fn copies(&self) -> usize {
        self.state().copies
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect(NEVER_POISONED)
    }
}

impl State {
    fn held_by(&self, sender: UserId) -> (usize, usize) {
        self.senders.get(&sender).map_or((0, 0), |sender| (sender.copies.len(), sender.bytes))
    }

    fn add(&mut self, copy: MessageCopy) {
        let size = copy.message.body.len();
        let stage = self.recipients.entry(copy.to).or_default().count_in();
        let name = copy.message.sender;
        let sender = self.senders.entry(name).or_default();
        if sender.copies.is_empty() {
            self.turns.push_back(name);
        }
        sender.copies.push_back((copy, stage));
        sender.bytes += size;
        self.copies += 1;
        self.bytes += size;
    }

    /// Whether there is something that waits for no copies.
    fn has_more_than_copies(&self) -> bool {
        !self.ready.is_empty() || matches!(self.end, End::Closed(_))
    }

    /// Moves some jobs; how much text they have.
    fn take_some(&mut self, jobs: &mut Vec<Job>) -> usize {
        let mut bytes = 0;
        for job in std::iter::from_fn(|| self.next()).take(TAKEN_UNDER_LOCK) {
            if let Job::Insert(copy) = &job {
                bytes += copy.message.body.len();
            }
            jobs.push(job);
        }
        bytes
    }

    /// Copies and what is ready take turns: neither can hold the other up.
    fn next(&mut self) -> Option<Job> {
        if !std::mem::take(&mut self.copys_turn)
            && let Some(job) = self.ready.pop_front()
        {
            self.copys_turn = true;
            return Some(job);
        }
        self.next_copy().map(Job::Insert).or_else(|| self.ready.pop_front()).or_else(|| self.end())
    }

    fn next_copy(&mut self) -> Option<MessageCopy> {
        let name = self.turns.pop_front()?;
        let sender = self.senders.get_mut(&name)?;
        let (copy, stage) = sender.copies.pop_front()?;
        let size = copy.message.body.len();
        sender.bytes -= size;
        self.copies -= 1;
        self.bytes -= size;
        if sender.copies.is_empty() {
            self.senders.remove(&name);
        } else {
            self.turns.push_back(name);
        }
        if let Some(recipient) = self.recipients.get_mut(&copy.to) {
            recipient.count_out(stage, &mut self.ready);
            if recipient.stages.is_empty() {
                self.recipients.remove(&copy.to);
            }
        }
        Some(copy)
    }

    fn end(&mut self) -> Option<Job> {
        match &mut self.end {
            End::Open | End::Ended => None,
            End::Closed(last @ Some(_)) => last.take(),
            End::Closed(None) => {
                self.end = End::Ended;
                Some(Job::Stop)
            }
        }
    }
}

impl Recipient {
    /// Counts a copy in; its stage.
    fn count_in(&mut self) -> u64 {
        // Behind jobs that wait begins another stage.
        if self.stages.back().is_none_or(|stage| !stage.then.is_empty()) {
            self.stages.push_back(Stage::default());
        }
        if let Some(stage) = self.stages.back_mut() {
            stage.copies += 1;
        }
        self.first + self.stages.len() as u64 - 1
    }

    /// Counts a copy out; what waits for no other one any more is ready.
    fn count_out(&mut self, stage: u64, ready: &mut VecDeque<Job>) {
        let index = (stage - self.first) as usize;
        if let Some(stage) = self.stages.get_mut(index) {
            stage.copies -= 1;
        }
        while self.stages.front().is_some_and(|stage| stage.copies == 0) {
            self.first += 1;
            ready.extend(self.stages.pop_front().into_iter().flat_map(|stage| stage.then));
        }
    }
}

#[cfg(test)]
#[path = "offline_queue_tests.rs"]
mod tests;
