//! The threads that may block: workers for the database, and a small pool for
//! password hashes, each behind a bounded queue.
//!
//! Thread: "worker-N" and "password-N"; [`Pools::submit`] is safe to call from
//! any thread and never blocks.

use std::io;
use std::sync::{Arc, RwLock};
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use log::error;

use super::requests::{REQUEST_TIMEOUT, too_late};
use crate::model::{Pushed, UserId};
use crate::protocol::{Errno, Refusal};
use crate::service::{Effects, Granted, Handled, Lane, LoginId, Place, Post, Service, Session};

/// How many requests may wait for each worker.
const QUEUE_PER_WORKER: usize = 1024;
/// How many logins and registrations may wait for each password thread: some
/// two seconds' worth.
const QUEUE_PER_HASHER: usize = 64;

/// Something for a thread that may block.
pub(super) enum Job {
    /// Handle a request; the session goes back to its reactor.
    Request { session: Box<Session>, payload: Arc<[u8]>, submitted: Instant },
    /// Answer a login that is granted; the session goes back to its reactor.
    FinishLogin { session: Box<Session>, granted: Box<Granted> },
    /// Read a page of missed messages, passing over what was pushed.
    ReadPage { login: LoginId, user: UserId, pushed: Box<Pushed> },
}

/// Both pools.
pub(super) struct Pools {
    /// `None` once stopped.
    queues: RwLock<Option<Queues>>,
}

struct Queues {
    workers: Sender<Job>,
    hashers: Sender<Job>,
}

impl Pools {
    /// Starts both pools.
    pub fn start(
        service: &Arc<Service>,
        workers: u16,
        hashers: u16,
    ) -> io::Result<(Pools, Vec<JoinHandle<()>>)> {
        let mut threads = Vec::new();
        let mut pool = |name: &str, size: u16, queue: usize| -> io::Result<Sender<Job>> {
            let (sender, jobs) = bounded(usize::from(size) * queue);
            for number in 0..size {
                let worker = Worker { service: service.clone(), jobs: jobs.clone() };
                let thread = std::thread::Builder::new().name(format!("{name}-{number}"));
                threads.push(thread.spawn(move || worker.run())?);
            }
            Ok(sender)
        };
        let queues = Queues {
            workers: pool("worker", workers, QUEUE_PER_WORKER)?,
            hashers: pool("password", hashers, QUEUE_PER_HASHER)?,
        };
        Ok((Pools { queues: RwLock::new(Some(queues)) }, threads))
    }

    /// Queues a job; gives it back where the queue is full or the pool has
    /// stopped.
    pub fn submit(&self, lane: Lane, job: Job) -> Result<(), Job> {
        let queues = self.queues.read().expect("a panic ends the process");
        let Some(queues) = queues.as_ref() else { return Err(job) };
        let queue = match lane {
            Lane::Password => &queues.hashers,
            Lane::Memory | Lane::Database => &queues.workers,
        };
        queue.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(job) | TrySendError::Disconnected(job) => job,
        })
    }

    /// Lets the threads end once their queues are empty.
    pub fn stop(&self) {
        *self.queues.write().expect("a panic ends the process") = None;
    }
}

struct Worker {
    service: Arc<Service>,
    jobs: Receiver<Job>,
}

impl Worker {
    fn run(&self) {
        for job in &self.jobs {
            match job {
                Job::Request { session, payload, submitted } => {
                    self.request(session, &payload, submitted);
                }
                Job::FinishLogin { session, granted } => self.finish_login(session, &granted),
                Job::ReadPage { login, user, pushed } => {
                    // Counted before the read: a nudge during it counts.
                    let nudges = self.service.nudges(user);
                    let page = self.service.read_page(user, &pushed);
                    self.service.tell(login.session, Post::Page { login, nudges, page });
                }
            }
        }
    }

    fn finish_login(&self, mut session: Box<Session>, granted: &Granted) {
        let effects = match self.service.finish_login(&mut session, granted) {
            Ok(effects) => effects,
            Err(refusal) => Effects::login_refused(granted.seq, &refusal),
        };
        self.service.tell(session.id, Post::Done { session, effects });
    }

    fn request(&self, mut session: Box<Session>, payload: &[u8], submitted: Instant) {
        if submitted.elapsed() >= REQUEST_TIMEOUT {
            // Answered with errno 13 already: doing it would only keep the
            // others waiting.
            let effects = self.service.refuse(payload, &too_late());
            return self.service.tell(session.id, Post::Done { session, effects });
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
        self.service.tell(session.id, Post::Done { session, effects });
    }
}
