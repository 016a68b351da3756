//! What becomes of login tokens after the login: the former ones end when a
//! client shows that it has the new one, those of users who are online begin
//! their life anew, expired ones are deleted. And what becomes of missed
//! messages that nobody comes for: they are deleted too.
//!
//! Thread: "tokens" runs [`run`]; queueing never blocks. It has a thread of its
//! own because a thousand clients that come back at once keep it busy for a
//! while, and nobody waits for it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use log::{error, info, warn};

use super::Service;
use super::registry::NEVER_POISONED;
use crate::model::{TokenHash, UserId};

const RETRY: Duration = Duration::from_secs(1);
/// How often tokens of users who are online begin their life anew.
const REFRESH_EVERY: Duration = Duration::from_secs(3600);
/// After a start others are busier.
const FIRST_REFRESH: Duration = Duration::from_secs(60);

/// How often missed messages that are too old are looked for.
const DROP_EVERY: Duration = Duration::from_secs(3600);
const FIRST_DROP: Duration = Duration::from_secs(300);

enum Job {
    DropOlder(UserId, TokenHash),
    Stop,
}

/// The queue of the thread "tokens"; at most one job for each login.
pub struct TokenKeeper {
    jobs: Sender<Job>,
    waiting: Mutex<Option<Receiver<Job>>>,
}

impl TokenKeeper {
    pub(super) fn new() -> TokenKeeper {
        let (jobs, waiting) = unbounded();
        TokenKeeper { jobs, waiting: Mutex::new(Some(waiting)) }
    }

    /// Ends the tokens that were made before this one.
    pub(super) fn drop_older(&self, user: UserId, token: TokenHash) {
        self.send(Job::DropOlder(user, token));
    }

    /// Ends the thread once everything queued before was tried.
    pub(super) fn stop(&self) {
        self.send(Job::Stop);
    }

    fn send(&self, job: Job) {
        if self.jobs.send(job).is_err() {
            warn!(target: "account", "the thread \"tokens\" has ended, former tokens expire later");
        }
    }
}

/// Runs the thread until it is stopped.
pub fn run(service: &Arc<Service>) {
    let Some(jobs) = service.token_keeper.waiting.lock().expect(NEVER_POISONED).take() else {
        error!(target: "account", "the thread \"tokens\" was started twice");
        return;
    };
    let mut failed: Vec<(UserId, TokenHash)> = Vec::new();
    let mut next_retry = Instant::now() + RETRY;
    let mut next_refresh = Instant::now() + FIRST_REFRESH;
    let mut next_drop = Instant::now() + FIRST_DROP;
    loop {
        match jobs.recv_deadline(next_retry) {
            Ok(Job::DropOlder(user, token)) => failed.extend(attempt(service, user, token)),
            Ok(Job::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {}
        }
        let now = Instant::now();
        if now >= next_retry {
            next_retry = now + RETRY;
            let again = failed.into_iter();
            failed = again.filter_map(|(user, token)| attempt(service, user, token)).collect();
        }
        if now >= next_refresh {
            next_refresh = now + REFRESH_EVERY;
            if let Err(err) = service.store.refresh_tokens(service.server_id(), service.epoch()) {
                warn!(target: "account", "tokens not refreshed, trying again in an hour err={err}");
            }
        }
        if now >= next_drop {
            next_drop = now + drop_old_messages(service);
        }
    }
}

/// Deletes some of the missed messages that are too old; when to go on.
fn drop_old_messages(service: &Service) -> Duration {
    let Some(age) = service.settings.offline_age else { return DROP_EVERY };
    match service.store.drop_offline_older_than(age) {
        Ok(0) => DROP_EVERY,
        Ok(dropped) => {
            let days = age.as_secs() / 86_400;
            info!(target: "offline", "{dropped} missed messages older than {days} days deleted");
            // There may be more.
            RETRY
        }
        Err(err) => {
            warn!(target: "offline", "old missed messages not deleted, trying again in an hour err={err}");
            DROP_EVERY
        }
    }
}

/// Tries once; gives back what has to be tried again.
fn attempt(service: &Service, user: UserId, token: TokenHash) -> Option<(UserId, TokenHash)> {
    match service.store.drop_older_tokens(user, &token) {
        Ok(()) => None,
        Err(err) => {
            warn!(target: "account", "user={user} former tokens not ended yet, trying again err={err}");
            Some((user, token))
        }
    }
}
