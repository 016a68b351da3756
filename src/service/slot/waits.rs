//! What a session's copies wait for: that it has caught up with the writer, or
//! that the sessions which it has taken over have ended.

use std::time::{Duration, Instant};

use thin_vec::ThinVec;

use super::{GoLive, Slot};
use crate::model::ServerId;
use crate::moment::Moment;
use crate::service::SessionId;

/// So long may copies wait for a session that is about to go live; then they
/// are stored after all.
const CATCH_UP_TIME: Duration = Duration::from_secs(2);

impl Slot {
    /// The session has read everything there was when it had been nudged so
    /// often. The second is whether the caller now routes what lined up.
    pub fn go_live(&mut self, session: SessionId, nudges: u32) -> (GoLive, bool) {
        let here = self.session.as_mut().filter(|here| here.id == session);
        match here {
            Some(here) if here.nudges == nudges && self.writing == 0 => {
                here.behind = false;
                (GoLive::Live, self.end_catch_up())
            }
            Some(here) if here.nudges == nudges => {
                if self.catching_up_since().is_none() {
                    self.hold().catching_up = Some(Instant::now().into());
                }
                (GoLive::Wait, false)
            }
            Some(_) | None => (GoLive::ReadAgain, false),
        }
    }

    /// Whether copies have waited too long for a session to catch up.
    pub fn is_catch_up_overdue(&self, now: Instant) -> bool {
        self.catching_up_since()
            .is_some_and(|since| now.duration_since(since.into()) >= CATCH_UP_TIME)
    }

    fn catching_up_since(&self) -> Option<Moment> {
        self.hold.as_ref()?.catching_up
    }

    /// The session is live, or over, or is not waited for any more. Whether
    /// the caller now routes what lined up for it.
    pub fn end_catch_up(&mut self) -> bool {
        let caught_up = self.hold.as_mut().and_then(|hold| hold.catching_up.take());
        caught_up.is_some() && self.let_go()
    }

    /// The session has taken over from logins on these servers: copies line up
    /// until [`Slot::end_takeover`].
    pub fn begin_takeover(&mut self, servers: ThinVec<ServerId>) {
        match self.hold.as_mut().and_then(|hold| hold.taking_over.as_mut()) {
            Some(former) => *former = servers,
            None => self.hold().taking_over = Some(servers),
        }
    }

    /// The login on `server` has ended. Whether all have, of which the login
    /// with this claim waits for one.
    pub fn former_ended(&mut self, claim: i64, server: &ServerId) -> bool {
        let is_here = self.session.as_ref().is_some_and(|here| here.claim == claim);
        let hold = self.hold.as_mut().filter(|_| is_here);
        let Some(waiting) = hold.and_then(|hold| hold.taking_over.as_mut()) else { return false };
        let Some(at) = waiting.iter().position(|other| other == server) else { return false };
        waiting.remove(at);
        waiting.is_empty()
    }

    /// No former session is waited for any more. Whether the caller now routes
    /// what lined up.
    pub fn end_takeover(&mut self) -> bool {
        let taken_over = self.hold.as_mut().and_then(|hold| hold.taking_over.take());
        taken_over.is_some() && self.let_go()
    }

    /// As [`Slot::end_takeover`], for the login with this claim.
    pub fn end_takeover_of(&mut self, claim: i64) -> bool {
        self.session.as_ref().is_some_and(|here| here.claim == claim) && self.end_takeover()
    }

    /// The session is over, and nothing waits for it any more. Whether the
    /// caller now routes what lined up.
    pub fn end_waits(&mut self) -> bool {
        let caught_up = self.end_catch_up();
        self.end_takeover() || caught_up
    }

    /// Whether the end of a session on this server is waited for.
    pub fn takes_over_from(&self, server: &ServerId) -> bool {
        let waiting = self.hold.as_ref().and_then(|hold| hold.taking_over.as_ref());
        waiting.is_some_and(|servers| servers.contains(server))
    }
}
