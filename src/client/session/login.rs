//! Logging in, again after an outage, and out; registering.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::acks::Acks;
use super::core::{Core, DATABASE_AWAY};
use super::{Answer, Secret, Who};
use crate::client::message::Incoming;
use crate::client::render;
use crate::client::text::safe;
use crate::protocol::{Errno, MsgId};

/// A login or registration that is not answered by then has failed.
const ANSWER_PATIENCE: Duration = Duration::from_secs(30);
/// After a drop the old session may look online until the server has noticed:
/// at most its idle time-out (90 s) and some more.
const REFUSED_PATIENCE: Duration = Duration::from_secs(120);
/// The pause before a refused login is tried again, times the tries so far.
const RETRY_PAUSE: Duration = Duration::from_millis(250);
const MAX_RETRY_PAUSE: Duration = Duration::from_secs(5);
/// How long the answer to a logout may take.
const LOGOUT_PATIENCE: Duration = Duration::from_secs(5);
/// So many unanswered messages are named at a logout; the rest is counted.
const MAX_NAMED: usize = 20;
const LOGGED_OUT: &str = "Logged out.";
/// The person left during an outage.
const LEFT_OFF_LINE: &str = "Left without a connection: the server logs you out by itself, \
     until then the account may look online.";

/// As whom to be logged in, again after every outage.
pub(super) struct Account {
    id: u32,
    password: Secret,
    /// Spares the password, and takes over what still looks online.
    token: Option<Secret>,
    /// Since when logins after an outage have been refused.
    refused_since: Option<Instant>,
    refusals: u32,
    /// The refusal that the person was told of, as its `errno`.
    told_refusal: Option<i64>,
    /// When to try again after a refusal.
    again_at: Option<Instant>,
    /// Whether the person was told of the outage.
    told: bool,
}

/// A LOGIN_MSG that waits for its answer.
pub(super) struct LoginTry {
    seq: u64,
    by_token: bool,
    until: Instant,
}

/// What the menu waits for.
pub(super) enum Asked {
    LogIn {
        who: Who,
        password: Secret,
        /// Whether to try once more if the connection turns out to be dead.
        again: bool,
    },
    Register {
        name: String,
        password: Secret,
        /// The request, once it was sent.
        seq: Option<(u64, Instant)>,
    },
}

/// A logout under way.
pub(super) struct Leaving {
    until: Instant,
    /// The LOGINOUT_MSG, once it was sent.
    seq: Option<u64>,
}

impl Core {
    pub(super) fn ask_menu(&mut self, asked: Asked, now: Instant) {
        self.asked = Some(asked);
        if self.connected {
            self.begin_login(now);
        }
    }

    /// No connection can be had; `reason` is a sentence without its capital.
    pub fn on_unreachable(&mut self, reason: &str, now: Instant) {
        if self.account.is_none() && self.asked.take().is_some() {
            self.answer(Answer::Refused(reason.to_owned()));
        }
        self.leave_if_settled(now);
    }

    /// Sends what makes this connection useful: the login or registration.
    pub(super) fn begin_login(&mut self, now: Instant) {
        let until = now + ANSWER_PATIENCE;
        if let Some(account) = &self.account {
            let by_token = account.token.is_some();
            let fields = match &account.token {
                Some(token) => json!({"id": account.id, "token": token.0, "ack": true}),
                None => json!({"id": account.id, "password": account.password.0, "ack": true}),
            };
            return self.send_login(fields, by_token, now);
        }
        match &self.asked {
            Some(Asked::LogIn { who, password, .. }) => {
                let mut fields = json!({"password": password.0, "ack": true});
                match who {
                    Who::Id(id) => fields["id"] = json!(id),
                    Who::Name(name) => fields["name"] = json!(name),
                }
                self.send_login(fields, false, now);
            }
            Some(Asked::Register { name, password, .. }) => {
                let fields = json!({"name": name, "password": password.0});
                let (sent, payload) = self.request(MsgId::Register, fields);
                if let Some(Asked::Register { seq, .. }) = &mut self.asked {
                    *seq = Some((sent, until));
                }
                self.send(payload, now);
            }
            None => {}
        }
    }

    fn send_login(&mut self, fields: Value, by_token: bool, now: Instant) {
        let (seq, payload) = self.request(MsgId::Login, fields);
        self.login = Some(LoginTry { seq, by_token, until: now + ANSWER_PATIENCE });
        self.send(payload, now);
    }

    /// Takes the replies that belong here; false if `seq` is of no concern.
    pub(super) fn on_login_reply(&mut self, seq: u64, reply: &Incoming, now: Instant) -> bool {
        if self.login.as_ref().is_some_and(|login| login.seq == seq) {
            let by_token = self.login.take().is_some_and(|login| login.by_token);
            match self.asked.take() {
                Some(Asked::LogIn { password, .. }) => self.first_login(password, reply, now),
                other => {
                    self.asked = other;
                    self.login_again(by_token, reply, now);
                }
            }
            return true;
        }
        if matches!(&self.asked, Some(Asked::Register { seq: Some((sent, _)), .. }) if *sent == seq)
        {
            self.asked = None;
            self.answer(match reply.id {
                Some(id) if reply.is_done() => Answer::Registered(id),
                _ => Answer::Refused(refusal(reply)),
            });
            return true;
        }
        if self.leaving.as_ref().is_some_and(|leaving| leaving.seq == Some(seq)) {
            self.left();
            return true;
        }
        false
    }

    fn first_login(&mut self, password: Secret, reply: &Incoming, now: Instant) {
        let id = match reply.id {
            Some(id) if reply.is_done() => id,
            _ => return self.answer(Answer::Refused(refusal(reply))),
        };
        if self.roster.id != id {
            self.seen.clear();
        }
        self.account = Some(Account {
            id,
            password,
            token: None,
            refused_since: None,
            refusals: 0,
            told_refusal: None,
            again_at: None,
            told: false,
        });
        self.roster.log_in(reply, id);
        let name = safe(&self.roster.name);
        self.print(format!("Welcome, {name}: you are user {id}. help lists the commands."));
        self.print_all(render::friends(&self.roster));
        self.print_all(render::groups(&self.roster));
        self.logged_in(reply, now);
        self.answer(Answer::LoggedIn);
    }

    fn login_again(&mut self, by_token: bool, reply: &Incoming, now: Instant) {
        let Some(account) = &mut self.account else { return };
        if reply.is_done() {
            let id = account.id;
            self.roster.log_in(reply, id);
            self.print(format!("Connected again, logged in as {}.", self.roster.user(id)));
            return self.logged_in(reply, now);
        }
        let errno = reply.errno.unwrap_or_default();
        if by_token && errno != Errno::Unavailable as i64 && errno != Errno::SlowDown as i64 {
            // A token can be out of date where the password still holds.
            account.token = None;
            return self.begin_login(now);
        }
        let passing = [Errno::AlreadyOnline, Errno::SlowDown, Errno::Unavailable, Errno::Internal];
        let since = *account.refused_since.get_or_insert(now);
        let patient = errno == Errno::Unavailable as i64 || now < since + REFUSED_PATIENCE;
        if patient && passing.iter().any(|e| *e as i64 == errno) {
            account.refusals += 1;
            let pause = (RETRY_PAUSE * account.refusals).min(MAX_RETRY_PAUSE);
            account.again_at = Some(now + pause);
            if account.told_refusal.replace(errno) != Some(errno) {
                self.tell_of_refusal(errno);
            }
            return;
        }
        self.problem(format!("You are logged out: {} Log in again.", refusal(reply)));
        if self.leaving.is_some() {
            self.end_leaving(LOGGED_OUT);
        } else {
            self.forget_session();
        }
    }

    /// Why being connected again takes its time.
    fn tell_of_refusal(&mut self, errno: i64) {
        if errno == Errno::AlreadyOnline as i64 {
            self.problem(
                "The account still looks online on the server that was lost, \
                 this can take some 15 s...",
            );
        } else if errno == Errno::Unavailable as i64 {
            self.problem(DATABASE_AWAY);
        }
    }

    /// The rest of every successful login: what was missed, what waits.
    fn logged_in(&mut self, reply: &Incoming, now: Instant) {
        self.live = true;
        self.acks = Acks::default();
        if let Some(account) = &mut self.account {
            account.token = reply.token.clone().map(Secret);
            account.refused_since = None;
            account.refusals = 0;
            account.told_refusal = None;
            account.told = false;
        }
        let missed = reply.offlinemsg.as_deref().unwrap_or_default();
        let mut lines = Vec::new();
        for text in missed {
            match serde_json::from_str::<Incoming>(text) {
                Ok(push) => lines.extend(self.received(&push, true)),
                Err(e) => {
                    log::warn!(target: "client", "a missed message was not understood: err={e}");
                }
            }
        }
        if !lines.is_empty() {
            self.print(format!("Missed messages: {}", lines.len()));
        }
        self.print_all(lines);
        self.acks.handled(missed.len(), now);
        self.send_outbox(now);
    }

    pub(super) fn login_disconnected(&mut self, reason: &str, now: Instant) {
        self.login = None;
        if let Some(account) = &mut self.account {
            account.again_at = None;
            if self.leaving.as_ref().is_some_and(|leaving| leaving.seq.is_some()) {
                // The end of the connection is a logout, too.
                self.left();
            } else if !account.told {
                account.told = true;
                self.problem(format!("Connection lost: {reason}. Connecting again..."));
            }
            return;
        }
        match self.asked.take() {
            // The server closes connections on which nobody logs in; that
            // may cross a login on its way.
            Some(Asked::LogIn { who, password, again: true }) => {
                self.ask_menu(Asked::LogIn { who, password, again: false }, now);
            }
            Some(_) => self.answer(Answer::Refused(format!("{reason}."))),
            None => {}
        }
    }

    pub(super) fn login_time(&mut self, now: Instant) {
        let registering = match &self.asked {
            Some(Asked::Register { seq: Some((_, until)), .. }) => Some(*until),
            _ => None,
        };
        let until = self.login.as_ref().map(|login| login.until).or(registering);
        if self.connected && until.is_some_and(|until| until <= now) {
            if let Some(Asked::LogIn { again, .. }) = &mut self.asked {
                *again = false;
            }
            self.login = None;
            return self.hang_up("the server does not answer");
        }
        if let Some(account) = &mut self.account
            && self.connected
            && account.again_at.is_some_and(|at| at <= now)
        {
            account.again_at = None;
            self.begin_login(now);
        }
    }

    pub(super) fn next_login_time(&self) -> Option<Instant> {
        let registering = match &self.asked {
            Some(Asked::Register { seq, .. }) => seq.map(|(_, until)| until),
            _ => None,
        };
        let login = self.login.as_ref().map(|login| login.until);
        let again = self.account.as_ref().and_then(|account| account.again_at);
        let leaving = self.leaving.as_ref().map(|leaving| leaving.until);
        [registering, login, again, leaving].into_iter().flatten().min()
    }

    pub(super) fn begin_leaving(&mut self, patience: Duration, now: Instant) {
        if self.account.is_none() {
            return self.answer(Answer::LoggedOut { unanswered: 0 });
        }
        self.leaving = Some(Leaving { until: now + patience, seq: None });
        self.leave_if_settled(now);
    }

    /// Logs out if everything was answered or patience is at its end.
    pub(super) fn leave_if_settled(&mut self, now: Instant) {
        let Some(leaving) = &self.leaving else { return };
        let late = leaving.until <= now;
        if leaving.seq.is_some() || !self.live {
            // Off line there is no one to tell: what waits may still be sent
            // if the connection comes back in time.
            if late || (!self.live && self.outbox.is_empty()) {
                self.left();
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

    fn left(&mut self) {
        let told_server = self.leaving.as_ref().is_some_and(|leaving| leaving.seq.is_some());
        self.end_leaving(if told_server { LOGGED_OUT } else { LEFT_OFF_LINE });
    }

    fn end_leaving(&mut self, sentence: &str) {
        self.leaving = None;
        let unanswered = self.forget_session();
        self.print(sentence);
        self.answer(Answer::LoggedOut { unanswered });
    }

    /// Ends the session here; returns how many requests got no answer.
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
            self.hang_up("logged out");
        }
        self.live = false;
        self.account = None;
        self.login = None;
        let me = self.roster.id;
        self.roster.clear();
        self.roster.id = me;
        unanswered.len()
    }
}

fn refusal(reply: &Incoming) -> String {
    render::sentence_end(&safe(&reply.reason()))
}
