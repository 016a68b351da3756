//! Who lives and who is online: this server's beat, the death of others, and
//! the audit of claims.
//!
//! Thread: "claims" runs [`run`]; it is the only one that asks the database
//! for this, every [`BEAT_EVERY`].

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use log::{debug, error, info, warn};

use super::account::presence_of;
use super::registry::NEVER_POISONED;
use super::releaser::Release;
use super::slot::LocalSession;
use super::{Service, random_positive};
use crate::bus::BusError;
use crate::model::store::Result;
use crate::model::{Claim, HeldClaim, ServerId, ServerRow, UserId};

/// How often a server raises its beat and looks at the others'.
pub const BEAT_EVERY: Duration = Duration::from_secs(3);
/// A beat that has not changed for so long is a dead server's.
pub const DEAD_AFTER: Duration = Duration::from_secs(10);
/// How often the claims in the database are compared with the sessions here.
const AUDIT_EVERY: Duration = Duration::from_secs(10);

/// A server that has beaten so often has lived for some seconds.
const GROWN_UP: i64 = 2;

/// The row of a server that has been dead for so long is taken out.
const FORGET_AFTER: Duration = Duration::from_secs(3600);

/// So many presences are written again at once, and how long that may take.
const ANNOUNCED_AT_ONCE: usize = 512;
const ANNOUNCE_TIMEOUT: Duration = Duration::from_secs(2);

/// What the claims thread is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Redis is there again, or has lost what was written to it.
    Refresh,
    /// Something that other servers sent was missed, nudges perhaps.
    Sweep,
    /// A server that this one waited for at its start has answered.
    Answered,
    /// The server stops.
    Stop,
}

/// Runs the claims thread until it is told to stop. `joined` is dropped once
/// this server stands in its cluster: it has looked at the others, hears them,
/// and has looked for what they stored before it did.
pub fn run(service: &Arc<Service>, events: &Receiver<Event>, joined: Sender<()>) {
    let mut watch = Watch::new(service);
    let mut joined = Some(joined);
    let mut next_beat = Instant::now();
    let mut next_audit = Instant::now() + AUDIT_EVERY;
    loop {
        if joined.is_some() && watch.has_joined() {
            drop(joined.take());
        }
        match events.recv_deadline(next_beat) {
            Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Ok(Event::Sweep) => {
                log_failure("sweep", watch.sweep());
                continue;
            }
            Ok(Event::Answered) => continue,
            Ok(Event::Refresh) => {
                log_failure("presence and sweep", watch.refresh());
                // A word that a session here was taken over may have been lost.
                log_failure("audit of claims", watch.audit());
                next_audit = next_audit.min(Instant::now() + BEAT_EVERY);
                continue;
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        let now = Instant::now();
        next_beat = now + BEAT_EVERY;
        if !log_failure("beat", watch.beat()) {
            // The database is away; the rest would say the same.
            continue;
        }
        log_failure("watch over the other servers", watch.observe(Instant::now()));
        if !service.bus.is_up() || service.is_sweep_due() {
            log_failure("sweep", watch.sweep());
        }
        if now >= next_audit {
            next_audit = now + AUDIT_EVERY;
            log_failure("audit of claims", watch.audit());
            // Redis may have lost its keys without losing a connection.
            log_failure("presence and sweep", watch.refresh());
        }
    }
}

/// Logs what failed, and says whether it did not.
fn log_failure(what: &str, result: Result<()>) -> bool {
    if let Err(err) = &result {
        warn!(target: "claims", "{what} failed, trying again in {} s err={err}", BEAT_EVERY.as_secs());
    }
    result.is_ok()
}

/// What this server has seen of another.
struct Seen {
    epoch: i64,
    beat: i64,
    /// When this epoch and beat were first seen, by this server's own clock.
    since: Instant,
    /// This server, or one that it watched, declared it dead.
    dead: bool,
}

struct Watch<'a> {
    service: &'a Arc<Service>,
    /// Servers that lived before this one were told that it is new.
    has_greeted: bool,
    seen: HashMap<ServerId, Seen>,
    last_look: Option<Instant>,
    /// Claims that had no session, and sessions that had no claim, at the
    /// last audit. A login or log-out under way looks like that for a moment.
    suspect_claims: Suspects,
    suspect_sessions: Suspects,
}

/// What an audit has found, and when for the first time.
#[derive(Default)]
struct Suspects(HashMap<(UserId, i64), Instant>);

/// Claims by their users' numbers, to be searched: lists of all who are online
/// are large, and sets of them several times as large.
fn sorted(mut claims: Vec<(UserId, i64)>) -> Vec<(UserId, i64)> {
    claims.sort_unstable();
    claims
}

/// Which of these sorted claims are not among the others.
fn missing(
    claims: &[(UserId, i64)],
    others: &[(UserId, i64)],
) -> impl Iterator<Item = (UserId, i64)> {
    claims.iter().copied().filter(|claim| others.binary_search(claim).is_err())
}

impl Suspects {
    /// Which of what was found now has been found for long enough.
    fn confirm(&mut self, found: impl Iterator<Item = (UserId, i64)>) -> Vec<(UserId, i64)> {
        let now = Instant::now();
        let before = std::mem::take(&mut self.0);
        let since = |suspect| before.get(&suspect).copied().unwrap_or(now);
        self.0 = found.map(|suspect| (suspect, since(suspect))).collect();
        let long = |since: &Instant| now.duration_since(*since) >= BEAT_EVERY;
        self.0.iter().filter(|(_, since)| long(since)).map(|(suspect, _)| *suspect).collect()
    }
}

impl<'a> Watch<'a> {
    fn new(service: &'a Arc<Service>) -> Watch<'a> {
        Watch {
            service,
            has_greeted: false,
            seen: HashMap::new(),
            last_look: None,
            suspect_claims: Suspects::default(),
            suspect_sessions: Suspects::default(),
        }
    }

    /// Whether this server stands in its cluster; greets it if it can.
    fn has_joined(&mut self) -> bool {
        if self.last_look.is_none() || !self.service.bus.is_up() {
            return false;
        }
        if !std::mem::replace(&mut self.has_greeted, true) {
            self.greet();
        }
        !self.service.is_sweep_due() && self.service.have_all_answered()
    }

    /// Tells the servers that lived before this one that what they have sent
    /// to a former life of it is missing here, before anybody here is written
    /// to. One as new as this one has sent nothing yet, and must not be told
    /// when it may have.
    fn greet(&self) {
        for (id, seen) in &self.seen {
            if !seen.dead && seen.beat >= GROWN_UP {
                self.service.await_answer(id);
                self.service.say_missed(id);
            }
        }
    }

    /// Raises this server's beat. Where it has been declared dead its claims
    /// are freed already: its sessions end, and it starts a new life.
    fn beat(&mut self) -> Result<()> {
        let service = self.service;
        if service.store.beat(service.server_id(), service.epoch())? {
            return Ok(());
        }
        error!(
            target: "claims",
            "this server was declared dead by another one (was it stopped, or cut off from the \
             database, or does another server have the same --server-id?): closing all sessions \
             and starting afresh"
        );
        let epoch = random_positive();
        service.store.start_server(service.server_id(), epoch)?;
        service.epoch.store(epoch, Ordering::Release);
        for (user, claim) in service.registry.claims() {
            service.close_claim(user, claim, "this server was declared dead", None);
        }
        Ok(())
    }

    /// Looks at the other servers' beats and declares the dead dead.
    fn observe(&mut self, now: Instant) -> Result<()> {
        let service = self.service;
        let rows = service.store.servers()?;
        // Who has not looked for a while (no database, or stopped itself)
        // knows nothing of the time between.
        let gap = self.last_look.is_none_or(|last| now.duration_since(last) > 2 * BEAT_EVERY);
        self.last_look = Some(now);
        let others: Vec<ServerRow> =
            rows.into_iter().filter(|row| row.id != *service.server_id()).collect();
        // Whoever left, or began a new life, may have left nudges unsent.
        let known = |seen: &Seen, row: &ServerRow| seen.epoch == row.epoch;
        let mut someone_left = self
            .seen
            .iter()
            .any(|(id, seen)| !others.iter().any(|row| row.id == *id && known(seen, row)));
        self.seen.retain(|id, _| others.iter().any(|row| row.id == *id));
        for row in &others {
            let seen = self.seen.entry(row.id.clone()).or_insert_with(|| Seen {
                epoch: row.epoch,
                beat: row.beat,
                since: now,
                dead: false,
            });
            if (seen.epoch, seen.beat) != (row.epoch, row.beat) {
                // Another observer that declares it dead raises the epoch only.
                let declared = seen.beat == row.beat && seen.epoch + 1 == row.epoch;
                let dead = declared || (seen.dead && seen.beat == row.beat);
                *seen = Seen { epoch: row.epoch, beat: row.beat, since: now, dead };
            } else if gap {
                seen.since = now;
            } else if seen.dead && now.duration_since(seen.since) >= FORGET_AFTER {
                if service.store.forget_server(row)? {
                    info!(target: "claims", "server={} was dead for long, forgotten", row.id);
                }
            } else if !seen.dead && now.duration_since(seen.since) >= DEAD_AFTER {
                match service.store.declare_dead(row) {
                    Ok(Some(freed)) => {
                        seen.dead = true;
                        seen.epoch += 1;
                        someone_left = true;
                        warn!(
                            target: "claims",
                            "server={} declared dead after {} s without a beat, {freed} users set \
                             offline",
                            row.id,
                            DEAD_AFTER.as_secs()
                        );
                    }
                    // Its row has changed: the next look sees how.
                    Ok(None) => {}
                    Err(err) => warn!(
                        target: "claims",
                        "server={} not declared dead yet, trying again err={err}", row.id
                    ),
                }
            }
        }
        let alive = self.seen.iter().filter(|(_, seen)| !seen.dead).map(|(id, _)| id.clone());
        *service.peers.write().expect(NEVER_POISONED) = alive.collect();
        if someone_left {
            self.sweep()?;
        }
        Ok(())
    }

    /// Presence is written again for claims that stand in the database, and
    /// what other servers stored meanwhile is looked for.
    fn refresh(&mut self) -> Result<()> {
        let service = self.service;
        if service.bus.has_peers() {
            let held = service.store.claims_of(service.server_id(), service.epoch())?;
            for some in held.chunks(ANNOUNCED_AT_ONCE) {
                if !self.announce(some) {
                    break;
                }
            }
        }
        self.sweep()
    }

    /// Writes presence for claims whose sessions are here, and waits for the
    /// last: all at once would fill the bus's queue. Whether it was taken.
    fn announce(&self, held: &[HeldClaim]) -> bool {
        let service = self.service;
        let (done, announced) = crossbeam_channel::bounded(held.len());
        let mut asked = 0;
        for HeldClaim { user, number } in held {
            let is_here = |here: &LocalSession| here.claim == *number;
            if !service.registry.session(*user).as_ref().is_some_and(is_here) {
                continue;
            }
            asked += 1;
            let claim = Claim {
                server: service.server_id().clone(),
                epoch: service.epoch(),
                number: *number,
            };
            let (this, user, done) = (service.clone(), *user, done.clone());
            let presence = presence_of(&claim);
            let then = Box::new(move |result: std::result::Result<(), BusError>| {
                // It may have logged out between the look and the write.
                let here = this.registry.session(user);
                if here.is_none_or(|here| here.claim != claim.number) {
                    this.bus.withdraw(user, presence_of(&claim));
                }
                if done.send(result.is_ok()).is_err() {
                    debug!(target: "bus", "user={user} presence written late");
                }
            });
            service.bus.announce(user, presence, then);
        }
        let deadline = Instant::now() + ANNOUNCE_TIMEOUT;
        (0..asked).all(|_| announced.recv_deadline(deadline).unwrap_or(false))
    }

    /// Feeds every user here for whom messages wait.
    fn sweep(&self) -> Result<()> {
        let service = self.service;
        let wanted = service.sweeps_wanted.load(Ordering::Acquire);
        for user in service.store.users_with_offline(service.server_id(), service.epoch())? {
            service.nudge_here(user);
        }
        service.sweeps_done.fetch_max(wanted, Ordering::AcqRel);
        Ok(())
    }

    /// Compares the claims in the database with the sessions here, twice and
    /// some seconds apart before it acts: frees claims without a session, ends sessions without
    /// a claim.
    fn audit(&mut self) -> Result<()> {
        let service = self.service;
        let epoch = service.epoch();
        let held = service.store.claims_of(service.server_id(), epoch)?;
        let held = sorted(held.into_iter().map(|held| (held.user, held.number)).collect());
        let here = sorted(service.registry.claims());
        for (user, number) in self.suspect_claims.confirm(missing(&held, &here)) {
            info!(target: "claims", "user={user} freeing a stray claim");
            let claim = Claim { server: service.server_id().clone(), epoch, number };
            service.releaser.release(Release { user, claim, token: None, then: None });
        }
        for (user, number) in self.suspect_sessions.confirm(missing(&here, &held)) {
            warn!(target: "claims", "user={user} its claim is gone, ending the session");
            service.close_claim(user, number, "its claim is gone", None);
        }
        Ok(())
    }
}
