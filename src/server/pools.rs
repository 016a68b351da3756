//! The threads that may block: workers for the database, and a small pool for
//! password hashes, each behind a bounded queue in which everybody waits behind
//! their own: a user behind that user's, a stranger behind the address's.
//!
//! Thread: "worker-N" and "password-N"; [`Pools::submit`] is safe to call from
//! any thread and never blocks.

use std::io;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use log::error;

use super::fair_queue::{FairQueue, Pushed, Rank, SecondRank};
use super::requests::{REQUEST_TIMEOUT, too_late};
use crate::model::{Pushed as PushedMessages, StoreError, UserId};
use crate::protocol::{Errno, Refusal};
use crate::service::throttle::Source;
use crate::service::{
    Effects, End, Ended, Granted, Handled, Lane, LoginId, Place, Post, Service, Session,
};

/// How many requests of users may wait for each worker, and how many of
/// strangers. Those are paused while they wait; a refusal would let them go on
/// to their next request at once.
const QUEUE_PER_WORKER: usize = 1024;
/// How many logins and registrations may wait for each password thread: some
/// two seconds' worth.
const QUEUE_PER_HASHER: usize = 64;
/// What a login or registration takes of a password thread, for hints.
const HASH_TIME: Duration = Duration::from_millis(30);
/// Nobody is told to wait for longer than this and the queue.
const LONGEST_HINT: Duration = Duration::from_secs(60);

/// Something for a thread that may block.
pub(super) enum Job {
    /// Handle a request; the session goes back to its reactor.
    Request { session: Box<Session>, payload: Arc<[u8]>, submitted: Instant },
    /// Answer a login that is granted; the session goes back to its reactor.
    FinishLogin { session: Box<Session>, granted: Box<Granted> },
    /// Read a page of missed messages, passing over what was pushed.
    ReadPage { login: LoginId, user: UserId, pushed: Box<PushedMessages> },
}

/// Whose turn it is with the workers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Asker {
    User(UserId),
    /// Not logged in; logins are of them.
    Stranger(Source),
}

impl Job {
    /// Users come first: logins may be many, and each reads much. Who is granted
    /// one is a user: behind all those who ask for one, many at once would each
    /// be halfway when their time is over, and begin again, for ever.
    fn asker(&self) -> (Rank, Asker) {
        let user = match self {
            Job::ReadPage { user, .. } => *user,
            Job::FinishLogin { granted, .. } => granted.identity.user,
            Job::Request { session, .. } => match &session.identity {
                Some(identity) => identity.user,
                None => {
                    let stranger = Asker::Stranger(Source::of(session.peer.ip()));
                    return (Rank::Second, stranger);
                }
            },
        };
        (Rank::First, Asker::User(user))
    }
}

/// Both pools.
pub(super) struct Pools {
    service: Arc<Service>,
    workers: Arc<FairQueue<Asker, Job>>,
    hashers: Arc<FairQueue<Source, Job>>,
    hash_threads: u32,
    /// When those may come back who found the queue for passwords full: one
    /// after the other, at the pace at which it is worked off.
    next_turn: Mutex<Option<Instant>>,
}

impl Pools {
    /// Starts both pools.
    pub fn start(
        service: &Arc<Service>,
        workers: u16,
        hashers: u16,
    ) -> io::Result<(Pools, Vec<JoinHandle<()>>)> {
        let mut threads = Vec::new();
        let mut spawn = |name: String, work: Box<dyn FnOnce() + Send>| -> io::Result<()> {
            threads.push(std::thread::Builder::new().name(name).spawn(work)?);
            Ok(())
        };
        let count = usize::from(workers);
        let strangers = SecondRank {
            capacity: count * QUEUE_PER_WORKER,
            // What they ask for may take long: one worker is for users.
            at_once: count.saturating_sub(1).max(1),
        };
        let jobs = Arc::new(FairQueue::new(count * QUEUE_PER_WORKER, strangers));
        for number in 0..workers {
            let (worker, jobs) = (Worker { service: service.clone() }, jobs.clone());
            let work = move || jobs.serve(|job| worker.run(job));
            spawn(format!("worker-{number}"), Box::new(work))?;
        }
        let capacity = usize::from(hashers) * QUEUE_PER_HASHER;
        let queue = Arc::new(FairQueue::new(capacity, SecondRank::default()));
        for number in 0..hashers {
            let (worker, queue) = (Worker { service: service.clone() }, queue.clone());
            let work = move || queue.serve(|job| worker.run(job));
            spawn(format!("password-{number}"), Box::new(work))?;
        }
        let pools = Pools {
            service: service.clone(),
            workers: jobs,
            hashers: queue,
            hash_threads: hashers.into(),
            next_turn: Mutex::default(),
        };
        Ok((pools, threads))
    }

    /// Queues a job; gives it back where the queue is full or the pool has
    /// stopped.
    pub fn submit(&self, lane: Lane, job: Job) -> Result<(), Job> {
        let pushed = match (lane, job) {
            (Lane::Password, Job::Request { session, payload, submitted }) => {
                let source = Source::of(session.peer.ip());
                let job = Job::Request { session, payload, submitted };
                self.hashers.push(Rank::First, source, job)
            }
            (_, job) => {
                let (rank, asker) = job.asker();
                self.workers.push(rank, asker, job)
            }
        };
        match pushed {
            Pushed::Queued => Ok(()),
            Pushed::Instead(job) => {
                self.give_up(lane, job);
                Ok(())
            }
            Pushed::Refused(job) => Err(job),
        }
    }

    /// What is said to whoever finds a queue full: when to come back.
    pub fn refusal(&self, lane: Lane) -> Refusal {
        let busy = "the server is busy";
        if lane != Lane::Password {
            return Refusal::slow_down(busy, Duration::ZERO);
        }
        let now = Instant::now();
        let mut next_turn = self.next_turn.lock().expect(NEVER_POISONED);
        let turn = next_turn.map_or(now, |at| at.max(now));
        let wait = turn.duration_since(now).min(LONGEST_HINT);
        *next_turn = Some(now + wait + HASH_TIME / self.hash_threads.max(1));
        // Not before those who wait already.
        let queue = HASH_TIME * u32::try_from(QUEUE_PER_HASHER).unwrap_or(u32::MAX);
        Refusal::slow_down(busy, queue + wait)
    }

    /// A job that had to make room.
    fn give_up(&self, lane: Lane, job: Job) {
        match job {
            Job::Request { session, payload, .. } => {
                let effects = self.service.refuse(&payload, &self.refusal(lane));
                self.service.tell(session.id, Post::done(session, effects));
            }
            Job::FinishLogin { session, granted } => {
                let end = End::default();
                self.service.end_session(session.id, &granted.identity, Ended::default(), end);
                let effects = Effects::login_refused(granted.seq, &self.refusal(lane));
                self.service.tell(session.id, Post::done(session, effects));
            }
            Job::ReadPage { login, .. } => {
                let busy = StoreError::Unavailable("too many wait for the workers".to_owned());
                self.service.tell(
                    login.session,
                    Post::Page { login, nudges: 0, page: Box::new(Err(busy)) },
                );
            }
        }
    }

    /// Lets the threads end once their queues are empty.
    pub fn stop(&self) {
        self.workers.close();
        self.hashers.close();
    }
}

const NEVER_POISONED: &str = "a panic ends the process";

struct Worker {
    service: Arc<Service>,
}

impl Worker {
    fn run(&self, job: Job) {
        match job {
            Job::Request { session, payload, submitted } => {
                self.request(session, &payload, submitted);
            }
            Job::FinishLogin { session, granted } => self.finish_login(session, &granted),
            Job::ReadPage { login, user, pushed } => {
                // Counted before the read: a nudge during it counts.
                let nudges = self.service.nudges(user);
                let page = Box::new(self.service.read_page(user, &pushed));
                self.service.tell(login.session, Post::Page { login, nudges, page });
            }
        }
    }

    fn finish_login(&self, mut session: Box<Session>, granted: &Granted) {
        let effects = match self.service.finish_login(&mut session, granted) {
            Ok(effects) => effects,
            Err(refusal) => Effects::login_refused(granted.seq, &refusal),
        };
        self.service.tell(session.id, Post::done(session, effects));
    }

    fn request(&self, mut session: Box<Session>, payload: &[u8], submitted: Instant) {
        if submitted.elapsed() >= REQUEST_TIMEOUT {
            // Answered with errno 13 already: doing it would only keep the
            // others waiting.
            let effects = self.service.refuse(payload, &too_late());
            return self.service.tell(session.id, Post::done(session, effects));
        }
        let effects = match self.service.handle(&mut session, payload, Place::Worker) {
            Handled::Done(effects) => effects,
            Handled::Later(lane) => {
                // A worker may do whatever a request needs.
                error!(target: "worker", "a handler on a worker asked for {lane:?}");
                let refusal = Refusal::new(Errno::Internal, "the server met an internal error");
                self.service.refuse(payload, &refusal)
            }
        };
        self.service.tell(session.id, Post::done(session, effects));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TokenHash;
    use crate::serial::Serial;
    use crate::service::token::Token;
    use crate::service::{Identity, OwnClaim, SessionId};

    /// A thousand who came back at once to take over what a dead server had
    /// were all halfway when their time was over, again and again.
    #[test]
    fn whoever_is_granted_a_login_does_not_wait_behind_those_who_ask_for_one() {
        let id = SessionId { reactor: 0, serial: Serial::MIN };
        let stranger = || {
            let peer = "192.0.2.1:4000".parse().unwrap();
            Box::new(Session { id, peer, bare: false, identity: None })
        };
        let identity = Arc::new(Identity {
            user: UserId(7),
            quoted_name: "\"ann\"".into(),
            claim: OwnClaim { epoch: 1, number: 1 },
            token: TokenHash([0; 32]),
        });
        let (name, token) = ("ann".into(), Token::random());
        let granted = Granted { identity, name, token, presented: None, acks: true, seq: None };
        let asks = |_| Job::Request {
            session: stranger(),
            payload: Arc::from(*b"{}"),
            submitted: Instant::now(),
        };
        let queue = FairQueue::new(100, SecondRank { capacity: 100, at_once: 1 });
        let mut push = |job: Job| {
            let (rank, asker) = job.asker();
            assert!(matches!(queue.push(rank, asker, job), Pushed::Queued));
        };
        (0..50).map(asks).for_each(&mut push);
        push(Job::FinishLogin { session: stranger(), granted: Box::new(granted) });
        queue.close();
        let mut order = Vec::new();
        queue.serve(|job| order.push(matches!(job, Job::FinishLogin { .. })));
        let place = order.iter().position(|finishes| *finishes).unwrap();
        assert!(place <= 1, "it came as number {place} of {}", order.len());
    }
}
