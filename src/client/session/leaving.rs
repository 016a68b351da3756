//! Logging out: first what was sent gets its answers, and what came is
//! confirmed.

use std::time::{Duration, Instant};

use serde_json::json;

use super::core::Core;
use super::{Answer, Effect};
use crate::client::render;
use crate::protocol::MsgId;

/// How long the answer to a logout may take.
const LOGOUT_PATIENCE: Duration = Duration::from_secs(5);
/// So many unanswered messages are named at a logout; the rest is counted.
const MAX_NAMED: usize = 20;
const LOGGED_OUT: &str = "Logged out.";
/// The server took no notice of the logout.
const NO_ANSWER: &str = "Left, but the server has not answered the logout: until it notices, \
     the account may look online.";
/// The person left during an outage.
const LEFT_OFF_LINE: &str = "Left without a connection: the server logs you out by itself, \
     until then the account may look online.";

/// A logout under way.
pub(super) struct Leaving {
    pub(super) until: Instant,
    /// The LOGINOUT_MSG, once it was sent.
    pub(super) seq: Option<u64>,
}

impl Core {
    pub(super) fn begin_leaving(&mut self, patience: Duration, now: Instant) {
        if self.account.is_none() {
            // The session may have ended by itself a moment ago.
            let unanswered = std::mem::take(&mut self.in_vain);
            return self.answer(Answer::LoggedOut { unanswered });
        }
        self.leaving = Some(Leaving { until: now + patience, seq: None });
        self.leave_if_settled(now);
    }

    /// Logs out if everything was answered or patience is at its end.
    pub(super) fn leave_if_settled(&mut self, now: Instant) {
        let Some(leaving) = &self.leaving else { return };
        let late = leaving.until <= now;
        if leaving.seq.is_some() {
            if late {
                self.end_leaving(NO_ANSWER);
            }
            return;
        }
        if !self.live {
            // Off line there is no one to tell: what waits may still be sent
            // if the connection comes back in time.
            if late || self.outbox.is_empty() {
                self.end_leaving(LEFT_OFF_LINE);
            }
            return;
        }
        if !late && !self.outbox.is_empty() {
            return;
        }
        // What is not confirmed before a logout comes again with the next
        // login.
        if let Some(count) = self.acks.take() {
            self.confirm(count, now);
        }
        let (seq, payload) = self.request(MsgId::Logout, json!({}));
        self.leaving = Some(Leaving { until: now + LOGOUT_PATIENCE, seq: Some(seq) });
        self.send(payload, now);
    }

    /// Whether a LOGINOUT_MSG waits for its answer.
    pub(super) fn is_logging_out(&self) -> bool {
        self.leaving.as_ref().is_some_and(|leaving| leaving.seq.is_some())
    }

    /// The logout has reached the server.
    pub(super) fn logged_out(&mut self) {
        self.end_leaving(LOGGED_OUT);
    }

    /// The server no longer lets this account in; `reason` is a sentence.
    pub(super) fn shut_out(&mut self, reason: &str) {
        self.problem(format!("You are logged out: {reason} Log in again."));
        if self.leaving.is_some() {
            self.end_leaving(LOGGED_OUT);
        } else {
            self.in_vain = self.forget_session();
        }
    }

    fn end_leaving(&mut self, sentence: &str) {
        self.leaving = None;
        let unanswered = self.forget_session();
        self.print(sentence);
        self.answer(Answer::LoggedOut { unanswered });
    }

    /// Ends the session here; returns how many requests were in vain.
    fn forget_session(&mut self) -> usize {
        let unanswered = self.outbox.take_all();
        for what in unanswered.iter().take(MAX_NAMED) {
            let reason = "there was no answer before the logout";
            self.problem(render::unsure(what, reason, &self.roster));
        }
        if unanswered.len() > MAX_NAMED {
            self.problem(format!("... and {} more.", unanswered.len() - MAX_NAMED));
        }
        if !self.live && self.connected && self.account.is_some() {
            // A login may still be under way on this connection.
            self.effects.push(Effect::HangUp("logged out".to_owned()));
        }
        self.live = false;
        self.account = None;
        self.login = None;
        let me = self.roster.id;
        self.roster.clear();
        self.roster.id = me;
        unanswered.len() + std::mem::take(&mut self.in_vain)
    }
}
