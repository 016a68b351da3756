//! Letting go of claims: each is tried again until the database has committed
//! it, however long that takes.
//!
//! Thread: "claim-releaser" runs [`run`]; queueing never blocks.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use log::{debug, error, warn};

use super::Service;
use super::registry::NEVER_POISONED;
use crate::bus::Presence;
use crate::model::{Claim, UserId};

const RETRY: Duration = Duration::from_millis(500);

enum Job {
    Release(Release),
    Stop,
}

struct Release {
    user: UserId,
    claim: Claim,
    then: Option<Box<dyn FnOnce() + Send>>,
}

/// The queue of claims to let go of; at most one for each session that ended.
pub struct Releaser {
    jobs: Sender<Job>,
    waiting: Mutex<Option<Receiver<Job>>>,
}

impl Releaser {
    pub(super) fn new() -> Releaser {
        let (jobs, waiting) = unbounded();
        Releaser { jobs, waiting: Mutex::new(Some(waiting)) }
    }

    /// Lets go of a claim, and calls `then` after the first attempt: from
    /// there on it is only a matter of time.
    pub(super) fn release(
        &self,
        user: UserId,
        claim: Claim,
        then: Option<Box<dyn FnOnce() + Send>>,
    ) {
        self.send(Job::Release(Release { user, claim, then }));
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
            Ok(Job::Stop) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Tries once; gives the release back where it has to be tried again.
fn attempt(service: &Service, mut release: Release) -> Option<Release> {
    let Release { user, claim, .. } = &release;
    let presence =
        Presence { server: claim.server.clone(), epoch: claim.epoch, claim: claim.number };
    let result = service.store.release_claim(*user, claim);
    let left = match result {
        Ok(released) => {
            if !released {
                debug!(target: "claims", "user={user} the claim had gone already");
            }
            service.bus.withdraw(*user, presence);
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
