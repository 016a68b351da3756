//! Logging in from the menu, and registering.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::core::Core;
use super::later::{NOTICEABLE, asked_to_wait};
use super::resume::{Account, Way};
use super::seen::MessageKey;
use super::{Answer, Effect, Secret, Who};
use crate::backoff::Backoff;
use crate::client::message::Incoming;
use crate::client::render;
use crate::client::text::safe;
use crate::protocol::{Errno, MsgId};

/// A login or registration that is not answered by then has failed.
const ANSWER_PATIENCE: Duration = Duration::from_secs(30);
/// So long a server that is busy is asked again, with these pauses: whoever
/// logs in together with a thousand others has only to wait a moment.
const BUSY_PATIENCE: Duration = Duration::from_secs(10);
const FIRST_BUSY_PAUSE: Duration = Duration::from_millis(300);
const LONGEST_BUSY_PAUSE: Duration = Duration::from_secs(2);

/// A LOGIN_MSG that waits for its answer.
pub(super) struct LoginTry {
    pub(super) seq: u64,
    /// How, if it is a login after an outage.
    way: Option<Way>,
    until: Instant,
}

/// What the menu waits for.
pub(super) enum Asked {
    LogIn {
        who: Who,
        password: Secret,
        takeover: bool,
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

/// A busy server that is asked again for what the menu waits for.
pub(super) struct Busy {
    until: Instant,
    pauses: Backoff,
    again_at: Option<Instant>,
}

/// A first login that was granted, until it is known what was shown to this
/// user before.
pub(super) struct Recalling {
    id: u32,
    password: Secret,
    takeover: bool,
    reply: Incoming,
    /// The frames that have come meanwhile.
    pub(super) later: Vec<Vec<u8>>,
}

impl Core {
    pub(super) fn ask_menu(&mut self, asked: Asked, now: Instant) {
        self.asked = Some(asked);
        self.busy = None;
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
        if self.resume(now) {
            return;
        }
        let until = now + ANSWER_PATIENCE;
        match &self.asked {
            Some(Asked::LogIn { who, password, takeover, .. }) => {
                let mut fields = json!({"password": password.0, "ack": true, "takeover": takeover});
                match who {
                    Who::Id(id) => fields["id"] = json!(id),
                    Who::Name(name) => fields["name"] = json!(name),
                }
                self.send_login(fields, None, now);
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

    pub(super) fn send_login(&mut self, fields: Value, way: Option<Way>, now: Instant) {
        let (seq, payload) = self.request(MsgId::Login, fields);
        self.login = Some(LoginTry { seq, way, until: now + ANSWER_PATIENCE });
        self.send(payload, now);
    }

    /// Takes the replies that belong here; false if `seq` is of no concern.
    pub(super) fn on_login_reply(&mut self, seq: u64, reply: &Incoming, now: Instant) -> bool {
        if reply.errno == Some(Errno::SlowDown as i64)
            && self.is_for_the_menu(seq)
            && self.ask_again_later(reply, now)
        {
            return true;
        }
        if self.login.as_ref().is_some_and(|login| login.seq == seq) {
            if let Some(way) = self.login.take().and_then(|login| login.way) {
                self.login_again(way, reply, now);
            } else if let Some(Asked::LogIn { password, takeover, .. }) = self.asked.take() {
                self.first_login(password, takeover, reply);
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
            if !reply.is_done() {
                // The end of the connection is a logout, too.
                self.hang_up("the server has not done the logout");
            }
            self.logged_out();
            return true;
        }
        false
    }

    fn is_for_the_menu(&self, seq: u64) -> bool {
        match &self.asked {
            Some(Asked::LogIn { .. }) => self.login.as_ref().is_some_and(|login| login.seq == seq),
            Some(Asked::Register { seq: sent, .. }) => sent.is_some_and(|(sent, _)| sent == seq),
            None => false,
        }
    }

    /// False if patience is at its end.
    fn ask_again_later(&mut self, reply: &Incoming, now: Instant) -> bool {
        let (chance, hinted) = (self.chance(), self.hinted_pause(reply));
        let busy = self.busy.get_or_insert_with(|| Busy {
            until: now + BUSY_PATIENCE,
            pauses: Backoff::new(FIRST_BUSY_PAUSE, LONGEST_BUSY_PAUSE),
            again_at: None,
        });
        // A pause of the client's own, where it is told none.
        let at = now + hinted.unwrap_or_else(|| busy.pauses.next(chance));
        if at > busy.until {
            return false;
        }
        busy.again_at = Some(at);
        if hinted.is_some_and(|pause| pause >= NOTICEABLE) {
            self.problem(asked_to_wait(reply, hinted));
        }
        self.login = None;
        if let Some(Asked::Register { seq, .. }) = &mut self.asked {
            *seq = None;
        }
        true
    }

    fn first_login(&mut self, password: Secret, takeover: bool, reply: &Incoming) {
        let elsewhere = reply.errno == Some(Errno::AlreadyOnline as i64);
        match reply.id {
            Some(id) if reply.is_done() => {
                let (reply, later) = (reply.clone(), Vec::new());
                self.recalling = Some(Recalling { id, password, takeover, reply, later });
                self.effects.push(Effect::Recall(id));
            }
            _ if elsewhere && !takeover => self.answer(Answer::OnlineElsewhere(refusal(reply))),
            _ => self.answer(Answer::Refused(refusal(reply))),
        }
    }

    /// The answer to [`Effect::Recall`]: what was shown to this user in earlier
    /// runs, oldest first.
    pub fn on_recalled(&mut self, known: Vec<MessageKey>, now: Instant) {
        let Some(recalling) = self.recalling.take() else { return };
        let Recalling { id, password, takeover, reply, later } = recalling;
        if self.roster.id != id {
            self.seen.clear();
        }
        for key in known {
            self.seen.first_time(key);
        }
        self.account = Some(Account::new(id, password, takeover));
        self.in_vain = 0;
        self.roster.log_in(&reply, id);
        let name = safe(&self.roster.name);
        self.print(format!("Welcome, {name}: you are user {id}. help lists the commands."));
        self.print_all(render::friends(&self.roster));
        self.print_all(render::groups(&self.roster));
        self.logged_in(&reply, None, now);
        self.answer(Answer::LoggedIn);
        for frame in later {
            self.on_frame(&frame, now);
        }
    }

    pub(super) fn login_disconnected(&mut self, reason: &str, closed: bool, now: Instant) {
        self.login = None;
        if self.recalling.take().is_some() {
            return self.answer(Answer::Refused(format!("{reason}.")));
        }
        if self.is_logging_out() {
            // The end of the connection is a logout, too.
            return self.logged_out();
        }
        if self.account.is_some() {
            return self.account_disconnected(reason, closed, now);
        }
        match self.asked.take() {
            // The server closes connections on which nobody logs in; that
            // may cross a login on its way.
            Some(Asked::LogIn { who, password, takeover, again: true }) => {
                self.ask_menu(Asked::LogIn { who, password, takeover, again: false }, now);
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
        if self.connected && self.again_at().is_some_and(|at| at <= now) {
            if let Some(busy) = &mut self.busy {
                busy.again_at = None;
            }
            self.begin_login(now);
        }
    }

    pub(super) fn next_login_time(&self) -> Option<Instant> {
        let registering = match &self.asked {
            Some(Asked::Register { seq, .. }) => seq.map(|(_, until)| until),
            _ => None,
        };
        let login = self.login.as_ref().map(|login| login.until);
        let leaving = self.leaving.as_ref().map(|leaving| leaving.until);
        [registering, login, self.again_at(), leaving].into_iter().flatten().min()
    }

    /// When to ask again after a refusal.
    fn again_at(&self) -> Option<Instant> {
        match &self.account {
            Some(account) => account.again_at(),
            None => self.busy.as_ref()?.again_at,
        }
    }
}

/// The reason of a refusal as a sentence, safe to show.
pub(super) fn refusal(reply: &Incoming) -> String {
    render::sentence_end(&safe(&reply.reason()))
}
