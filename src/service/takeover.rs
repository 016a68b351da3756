//! Taking a login over from a session that looks online: here or on another
//! server, alive, hung or dead.
//!
//! The new login takes the claim and enters the registry first, with its slot
//! held, so that nothing newer reaches it before what the former session left.
//! Then the former session is ended, which stores what it had not confirmed,
//! and its server says so: [`Post::FormerEnded`]. Whoever waits for that does
//! not wait longer than [`FORMER_TIMEOUT`]; what is stored after it reaches the
//! new session as a nudge like any other.

use std::time::Duration;

use log::debug;

use super::Service;
use super::session::{LoginId, Post};
use crate::bus::Item;
use crate::model::{Claim, ServerId, UserId};

/// How long a login waits for the session that it took over to be ended.
pub const FORMER_TIMEOUT: Duration = Duration::from_millis(500);

/// Who is to hear that a session has ended and that what it left is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Successor {
    /// The server of the new login.
    pub server: ServerId,
    /// Whose login.
    pub user: UserId,
    /// The new login's claim.
    pub claim: i64,
}

/// The session that a new login takes over.
#[derive(Debug)]
pub(super) enum Former {
    /// On a connection of this server.
    Here(LoginId),
    /// Whatever holds this claim: a session of another server, or one of this
    /// server that has ended and is being let go.
    Claim(Claim),
}

impl Former {
    /// The server that it is on, `own` being this one.
    pub fn server(&self, own: &ServerId) -> ServerId {
        match self {
            Former::Here(_) => own.clone(),
            Former::Claim(claim) => claim.server.clone(),
        }
    }
}

impl Service {
    /// Has the former sessions ended. Whether to wait for [`Post::FormerEnded`].
    pub(super) fn end_formers(&self, formers: Vec<Former>, successor: &Successor) -> bool {
        let Successor { user, claim, .. } = *successor;
        let mut wait = false;
        for former in formers {
            let server = former.server(&self.settings.server_id);
            if self.end_former(former, successor.clone()) {
                wait = true;
            } else {
                self.registry.with(user, |slot| slot.former_ended(claim, &server));
            }
        }
        wait
    }

    /// Has a former session ended. Whether its end will be told.
    fn end_former(&self, former: Former, successor: Successor) -> bool {
        let user = successor.user;
        match former {
            Former::Here(login) => {
                let reason = "taken over by a newer login";
                let post = Post::Close { login, reason, successor: Some(Box::new(successor)) };
                self.post(login.session, post).is_ok()
            }
            Former::Claim(claim) if claim.server == self.settings.server_id => {
                self.close_claim(user, claim.number, "taken over", Some(successor));
                true
            }
            Former::Claim(claim) => {
                let item = Item::Close { user, claim: claim.number, successor: successor.claim };
                match self.bus.send(&claim.server, item) {
                    Ok(()) => true,
                    Err(err) => {
                        debug!(
                            target: "claims",
                            "user={user} server={} not asked to end its session err={err}",
                            claim.server
                        );
                        false
                    }
                }
            }
        }
    }

    /// Ends the session that holds this claim, if it is here. Either way the
    /// successor hears of it once what was left is committed.
    pub(super) fn close_claim(
        &self,
        user: UserId,
        claim: i64,
        reason: &'static str,
        successor: Option<Successor>,
    ) {
        let here = self.registry.with(user, |slot| {
            if slot.logging_in {
                // Its login may be about to enter with this claim.
                slot.revoked.push(claim);
            }
            slot.session.as_ref().filter(|here| here.claim == claim).map(|here| here.id)
        });
        match (here, successor) {
            (Some(session), successor) => {
                let login = LoginId { session, claim };
                let successor = successor.map(Box::new);
                self.tell(session, Post::Close { login, reason, successor });
            }
            (None, Some(successor)) => self.tell_when_written(successor),
            (None, None) => {}
        }
    }

    /// Tells a successor once all that is with the writer now for its user is
    /// committed.
    pub fn tell_when_written(&self, successor: Successor) {
        let Some(this) = self.this() else { return };
        self.writers.after_all_for(successor.user, move || this.tell_successor(&successor));
    }

    /// Tells a successor that the former session has ended.
    pub fn tell_successor(&self, successor: &Successor) {
        let Successor { server, user, claim } = successor;
        if *server == self.settings.server_id {
            return self.former_ended(*user, *claim, server);
        }
        if let Err(err) = self.bus.send(server, Item::Closed { user: *user, successor: *claim }) {
            debug!(target: "claims", "user={user} server={server} not told of an end err={err}");
        }
    }

    /// A session on `server` that the login with this claim has taken over has
    /// ended, and what it left is committed.
    pub(super) fn former_ended(&self, user: UserId, claim: i64, server: &ServerId) {
        let here = self.registry.with(user, |slot| {
            let here = slot.session.clone().filter(|here| here.claim == claim)?;
            let waited = slot.takes_over_from(server);
            Some((here.id, waited, slot.former_ended(claim, server)))
        });
        match here {
            Some((session, _, true)) => {
                let login = LoginId { session, claim };
                self.tell(session, Post::FormerEnded { login });
            }
            // It has not been waited for so long: what it left is new here.
            Some((_, false, _)) => self.nudge_here(user),
            Some((_, true, false)) | None => {}
        }
    }

    /// A server cannot be reached: nobody waits any more for its sessions' ends.
    pub(super) fn formers_unreachable(&self, server: &ServerId) {
        for user in self.users_where(|slot| slot.takes_over_from(server)) {
            if let Some(here) = self.registry.session(user) {
                self.former_ended(user, here.claim, server);
            }
        }
    }
}
