//! Letting go of what ended sessions held: each claim, and after a log-out the
//! tokens, is tried again until the database has committed it, however long
//! that takes.
//!
//! Thread: "claim-releaser" runs [`run`]; queueing never blocks.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use log::{debug, error, warn};

use super::Service;
use super::account::presence_of;
use super::registry::NEVER_POISONED;
use crate::model::{Claim, TokenHash, UserId};

const RETRY: Duration = Duration::from_millis(500);

enum Job {
    Release(Release),
    Stop,
}

/// The claim of a session that has ended.
pub(super) struct Release {
    pub user: UserId,
    pub claim: Claim,
    /// Where the session was logged out: its token, which ends with all that
    /// were made before it.
    pub token: Option<TokenHash>,
    /// Called after the first attempt: from there on it is only a matter of
    /// time.
    pub then: Option<Box<dyn FnOnce() + Send>>,
}

/// The queue of what is to be let go of; at most one for each session that
/// ended.
pub struct Releaser {
    jobs: Sender<Job>,
    waiting: Mutex<Option<Receiver<Job>>>,
}

impl Releaser {
    pub(super) fn new() -> Releaser {
        let (jobs, waiting) = unbounded();
        Releaser { jobs, waiting: Mutex::new(Some(waiting)) }
    }

    /// Lets go of a claim.
    pub(super) fn release(&self, release: Release) {
        self.send(Job::Release(release));
    }

    /// Ends the thread; what could not be released is left to the server's
    /// own stop.
    pub(super) fn stop(&self) {
        self.send(Job::Stop);
    }

    fn send(&self, job: Job) {
        if self.jobs.send(job).is_err() {
            warn!(target: "claims", "the releaser has ended, a claim is left to the next start");
        }
    }
}

/// Runs the releaser until it is stopped.
pub fn run(service: &Arc<Service>) {
    let Some(jobs) = service.releaser.waiting.lock().expect(NEVER_POISONED).take() else {
        error!(target: "claims", "the releaser was started twice");
        return;
    };
    let mut failed: Vec<Release> = Vec::new();
    let mut next_retry = Instant::now() + RETRY;
    loop {
        // Looked at first: a steady stream of releases must not starve it.
        if Instant::now() >= next_retry {
            failed = failed.into_iter().filter_map(|r| attempt(service, r)).collect();
            next_retry = Instant::now() + RETRY;
        }
        match jobs.recv_deadline(next_retry) {
            Ok(Job::Release(release)) => failed.extend(attempt(service, release)),
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Job::Stop) | Err(RecvTimeoutError::Disconnected) => {
                let left = failed.into_iter().filter_map(|r| attempt(service, r)).count();
                if left > 0 {
                    warn!(target: "claims", "{left} sessions that ended are left to the stop");
                }
                return;
            }
        }
    }
}

/// Tries once; gives the release back where it has to be tried again.
fn attempt(service: &Service, mut release: Release) -> Option<Release> {
    let Release { user, claim, token, .. } = &release;
    let user = *user;
    let forgotten = match token {
        Some(token) => service.store.drop_tokens_until(user, token),
        None => Ok(()),
    };
    let result = forgotten.and_then(|()| service.store.release_claim(user, claim));
    let left = match result {
        Ok(released) => {
            if !released {
                debug!(target: "claims", "user={user} the claim had gone already");
            }
            service.bus.withdraw(user, presence_of(claim));
            false
        }
        Err(err) => {
            warn!(target: "claims", "user={user} not set offline yet, trying again err={err}");
            true
        }
    };
    if let Some(then) = release.then.take() {
        then();
    }
    left.then_some(release)
}
