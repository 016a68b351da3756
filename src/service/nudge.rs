//! Nudges: telling the server on which a user is online that messages for the
//! user were committed; and when a session leaves the stored path.
//!
//! A nudge that cannot be sent is kept and tried again: until it is out, the
//! user's copies count as still with the writer, so that nothing newer
//! overtakes them.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use log::{debug, warn};

use super::Service;
use super::message::MessageCopy;
use super::registry::NEVER_POISONED;
use super::session::{LoginId, Post, SessionId};
use super::slot::{GoLive, Slot};
use crate::bus::{BusError, Item, Presence};
use crate::model::UserId;

/// So many users are located for one question to the bus.
const USERS_PER_QUESTION: usize = 512;
/// Beyond this many users with a nudge to come, newer ones are left to the
/// sweep of their server.
const MOST_UNNUDGED: usize = 100_000;

impl Service {
    /// Copies were committed (or refused) for these users, so many for each.
    /// Sessions here are nudged at once, other servers as soon as may be.
    pub(super) fn written(&self, written: impl IntoIterator<Item = (UserId, u32)>) {
        let mut elsewhere = Vec::new();
        for (user, count) in written {
            if self.bus.has_peers() && self.registry.session(user).is_none() {
                elsewhere.push((user, count));
            } else {
                self.written_and_nudged(user, count);
            }
        }
        self.nudge_elsewhere(elsewhere);
    }

    fn nudge_elsewhere(&self, mut written: Vec<(UserId, u32)>) {
        while !written.is_empty() {
            let rest = written.split_off(written.len().min(USERS_PER_QUESTION));
            let asked = std::mem::replace(&mut written, rest);
            let Some(this) = self.this() else { return };
            let users = asked.iter().map(|(user, _)| *user).collect();
            self.bus.locate(users, Box::new(move |answer| this.nudge_located(asked, answer)));
        }
    }

    fn nudge_located(
        &self,
        asked: Vec<(UserId, u32)>,
        answer: Result<Vec<Option<Presence>>, BusError>,
    ) {
        let presences = match answer {
            Ok(presences) => presences,
            Err(err) => {
                debug!(target: "bus", "users not located, nudging them later err={err}");
                return self.nudge_later(asked);
            }
        };
        let mut later = Vec::new();
        for (index, (user, count)) in asked.into_iter().enumerate() {
            let elsewhere = presences
                .get(index)
                .and_then(Option::as_ref)
                .filter(|presence| presence.server != self.settings.server_id);
            if elsewhere.is_none() {
                // Nobody is nudged, so nothing newer may go by an older memory.
                self.registry.with(user, Slot::forget_location);
            }
            let sent = elsewhere
                .map_or(Ok(()), |presence| self.bus.send(&presence.server, Item::Nudge { user }));
            match sent {
                Ok(()) => self.written_and_nudged(user, count),
                Err(err) => {
                    debug!(target: "bus", "user={user} nudging later err={err}");
                    later.push((user, count));
                }
            }
        }
        self.nudge_later(later);
    }

    fn nudge_later(&self, users: Vec<(UserId, u32)>) {
        let mut too_many = Vec::new();
        {
            let mut unnudged = self.unnudged.lock().expect(NEVER_POISONED);
            for (user, count) in users {
                if unnudged.len() >= MOST_UNNUDGED && !unnudged.contains_key(&user) {
                    too_many.push((user, count));
                } else {
                    *unnudged.entry(user).or_default() += count;
                }
            }
        }
        if !too_many.is_empty() {
            warn!(target: "bus", "{} nudges given up, the sweeps make them good", too_many.len());
        }
        for (user, count) in too_many {
            self.written_and_nudged(user, count);
        }
    }

    /// Tries the nudges again that could not be sent: to users who have come
    /// here since, and to the others once the bus is up.
    pub fn retry_nudges(&self) {
        let unnudged: HashMap<UserId, u32> = {
            let mut unnudged = self.unnudged.lock().expect(NEVER_POISONED);
            if unnudged.is_empty() {
                return;
            }
            std::mem::take(&mut *unnudged)
        };
        if self.bus.is_up() {
            return self.written(unnudged);
        }
        let (here, away): (Vec<_>, Vec<_>) =
            unnudged.into_iter().partition(|(user, _)| self.registry.session(*user).is_some());
        for (user, count) in here {
            self.written_and_nudged(user, count);
        }
        self.nudge_later(away);
    }

    /// Copies are no longer with the writer and, where the user is elsewhere,
    /// that server has been nudged. A session here goes behind.
    pub(super) fn written_and_nudged(&self, user: UserId, count: u32) {
        let nudged = self.registry.with(user, |slot| {
            slot.writing = slot.writing.saturating_sub(count);
            nudge_slot(slot)
        });
        self.tell_nudged(nudged);
    }

    /// Rows may wait for this user: a session here goes behind.
    pub fn nudge_here(&self, user: UserId) {
        let nudged = self.registry.with(user, nudge_slot);
        self.tell_nudged(nudged);
    }

    /// Nudges may have been missed: until the next sweep is through nothing
    /// that comes from other servers is pushed, or it could come before what
    /// those were for.
    pub(super) fn want_sweep(&self) {
        self.sweeps_wanted.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether such a sweep is still to come.
    pub(super) fn is_sweep_due(&self) -> bool {
        self.sweeps_done.load(Ordering::Acquire) < self.sweeps_wanted.load(Ordering::Acquire)
    }

    fn tell_nudged(&self, nudged: Option<LoginId>) {
        if let Some(login) = nudged {
            self.tell(login.session, Post::Nudged { login });
        }
    }

    /// A session's read found nothing beyond what it has: it goes live, unless
    /// there is something that this read could not have seen.
    pub fn try_go_live(&self, user: UserId, session: SessionId, nudges: u32) -> GoLive {
        let (live, flush) = self.registry.with(user, |slot| slot.go_live(session, nudges));
        if flush {
            self.flush_held(user);
        }
        live
    }

    /// A session goes behind by itself; `unconfirmed` is stored before
    /// anything that comes later.
    pub fn go_behind(&self, user: UserId, session: SessionId, unconfirmed: Vec<MessageCopy>) {
        self.store_first(user, |slot| {
            if let Some(here) = slot.session.as_mut().filter(|here| here.id == session) {
                here.behind = true;
            }
            unconfirmed
        });
    }

    /// The nudges that this user's session has had; a read begins with it.
    pub fn nudges(&self, user: UserId) -> u32 {
        self.registry.session(user).map_or(0, |session| session.nudges)
    }
}

/// Marks a slot's session behind; whom to tell.
fn nudge_slot(slot: &mut Slot) -> Option<LoginId> {
    let session = slot.session.as_mut()?;
    session.behind = true;
    session.nudges = session.nudges.wrapping_add(1);
    Some(LoginId { session: session.id, claim: session.claim })
}
