//! Staying logged in: again after every outage, by token where there is one.

use std::time::{Duration, Instant};

use serde_json::json;

use super::Secret;
use super::acks::Acks;
use super::core::Core;
use super::later::{DATABASE_AWAY, asked_to_wait};
use super::login::refusal;
use super::rivalry::Rivalry;
use crate::backoff::Backoff;
use crate::client::message::Incoming;
use crate::protocol::Errno;

/// How long an account may look online elsewhere, or a server have errors:
/// what a lost connection leaves is noticed by the idle time-out (90 s).
const REFUSED_PATIENCE: Duration = Duration::from_secs(120);
/// The pauses after refusals.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Whoever types something wants this client to have the account; but two
/// scripts that both write all the time must not steal it all the time.
const PAUSE_OF_WRITERS: Duration = Duration::from_secs(3);

/// As whom to be logged in, again after every outage.
pub(super) struct Account {
    id: u32,
    password: Secret,
    /// Spares the password, and takes over what still looks online. Replaced
    /// by each login's answer: if that is lost, the former one still holds.
    token: Option<Secret>,
    /// Since when logins after an outage have been refused.
    refused_since: Option<Instant>,
    refusals: Backoff,
    /// The refusal that the person was told of, as its `errno`.
    told_refusal: Option<i64>,
    /// When to try again after a refusal.
    again_at: Option<Instant>,
    /// Until when the server has asked to be left alone. It holds for new
    /// connections, too.
    hold: Option<Instant>,
    /// The pause that the person was told of: only a much longer one is news.
    told_pause: Duration,
    /// Whether the person was told of the outage.
    told: bool,
    rivalry: Rivalry,
    /// A pause before the next connection: when it began, when it ends.
    pause: Option<(Instant, Instant)>,
    /// Whether the person wants the account, whoever has it.
    wanted: bool,
    /// Whether the person was told that it is in use elsewhere.
    told_in_use: bool,
}

/// How an account is logged in again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// By token.
    Token,
    /// By password, taking over what is left of the lost session.
    Password,
    /// By password, only if the account is free.
    Asking,
}

impl Account {
    /// `took_over`: the person has asked for the account to be taken over.
    pub(super) fn new(id: u32, password: Secret, took_over: bool) -> Account {
        Account {
            id,
            password,
            token: None,
            refused_since: None,
            refusals: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            told_refusal: None,
            again_at: None,
            hold: None,
            told_pause: Duration::ZERO,
            told: false,
            rivalry: Rivalry::new(took_over),
            pause: None,
            wanted: false,
            told_in_use: false,
        }
    }

    /// When to try again after a refusal.
    pub(super) fn again_at(&self) -> Option<Instant> {
        self.again_at
    }

    /// The person wants something sent.
    pub(super) fn want(&mut self) {
        self.wanted = true;
        if let Some((begun, ends)) = &mut self.pause {
            *ends = (*ends).min(*begun + PAUSE_OF_WRITERS);
        }
    }
}

impl Core {
    /// No connection is to be tried before this.
    pub fn not_before(&self) -> Option<Instant> {
        let account = self.account.as_ref()?;
        account.pause.map(|(_, ends)| ends).max(account.hold)
    }

    /// Logs in again, if someone is to be logged in.
    pub(super) fn resume(&mut self, now: Instant) -> bool {
        let Some(account) = &mut self.account else { return false };
        account.pause = None;
        account.again_at = None;
        account.hold = None;
        let ask = account.rivalry.suspected() && !account.wanted;
        let mut fields = json!({"id": account.id, "ack": true});
        let way = match &account.token {
            Some(token) if !ask => {
                fields["token"] = json!(token.0);
                Way::Token
            }
            _ => {
                fields["password"] = json!(account.password.0);
                // What still looks online is this client's own lost session.
                fields["takeover"] = json!(!ask);
                if ask { Way::Asking } else { Way::Password }
            }
        };
        self.send_login(fields, Some(way), now);
        true
    }

    pub(super) fn login_again(&mut self, way: Way, reply: &Incoming, now: Instant) {
        if reply.is_done() {
            self.roster.log_in(reply, self.roster.id);
            let me = self.roster.user(self.roster.id);
            self.print(format!("Connected again, logged in as {me}."));
            return self.logged_in(reply, Some(way), now);
        }
        let (chance, hinted) = (self.chance(), self.hinted_pause(reply));
        let Some(account) = &mut self.account else { return };
        let errno = reply.errno.unwrap_or_default();
        let is_one_of = |errnos: &[Errno]| errnos.iter().any(|e| *e as i64 == errno);
        let passing = [Errno::AlreadyOnline, Errno::SlowDown, Errno::Unavailable, Errno::Internal];
        if way == Way::Asking && errno == Errno::AlreadyOnline as i64 {
            return self.give_in(chance, now);
        }
        if way == Way::Token && !is_one_of(&passing) {
            // A token can be out of date where the password still holds.
            account.token = None;
            self.resume(now);
            return;
        }
        let since = *account.refused_since.get_or_insert(now);
        let patient = is_one_of(&[Errno::SlowDown, Errno::Unavailable]);
        if is_one_of(&passing) && (patient || now < since + REFUSED_PATIENCE) {
            if let Some(pause) = hinted {
                account.hold = Some(now + pause);
                account.again_at = account.hold;
                if pause > account.told_pause * 2 {
                    account.told_pause = pause;
                    self.problem(asked_to_wait(reply, hinted));
                }
                return;
            }
            account.again_at = Some(now + account.refusals.next(chance));
            if account.told_refusal.replace(errno) != Some(errno) {
                self.tell_of_refusal(errno);
            }
            return;
        }
        self.shut_out(&refusal(reply));
    }

    /// Why being connected again takes its time.
    fn tell_of_refusal(&mut self, errno: i64) {
        if errno == Errno::AlreadyOnline as i64 {
            self.problem(
                "The account still looks online on the server that was lost, \
                 this can take some 15 s...",
            );
        } else if errno == Errno::SlowDown as i64 {
            self.problem("The server is busy, trying again...");
        } else if errno == Errno::Unavailable as i64 {
            self.problem(DATABASE_AWAY);
        }
    }

    /// Somebody else has the account now.
    fn give_in(&mut self, chance: f64, now: Instant) {
        let Some(account) = &mut self.account else { return };
        account.pause = Some((now, now + account.rivalry.pause(chance)));
        if !std::mem::replace(&mut account.told_in_use, true) {
            self.problem(
                "This account is in use elsewhere now. This client waits until it is free, \
                 or takes it back as soon as you write something.",
            );
        }
        self.hang_up("the account is in use elsewhere");
    }

    /// The rest of every successful login: what was missed, what waits. `way`:
    /// how, after an outage.
    pub(super) fn logged_in(&mut self, reply: &Incoming, way: Option<Way>, now: Instant) {
        self.live = true;
        self.acks = Acks::default();
        if let Some(account) = &mut self.account {
            account.token = reply.token.clone().map(Secret);
            account.refused_since = None;
            account.refusals.reset();
            account.told_refusal = None;
            account.told_pause = Duration::ZERO;
            account.told = false;
            account.told_in_use = false;
            account.wanted = false;
            account.rivalry.logged_in(way == Some(Way::Asking), now);
        }
        let missed = reply.offlinemsg.as_deref().unwrap_or_default();
        self.on_missed(missed, way.is_some(), now);
        self.send_outbox(now);
    }

    /// The connection of an account ended; `closed`: by the server, in good
    /// order.
    pub(super) fn account_disconnected(&mut self, reason: &str, closed: bool, now: Instant) {
        let Some(account) = &mut self.account else { return };
        account.again_at = None;
        account.rivalry.ended(closed, now);
        if !std::mem::replace(&mut account.told, true) {
            self.problem(format!("Connection lost: {reason}. Connecting again..."));
        }
    }
}
