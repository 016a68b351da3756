//! The core: requests out, sentences in. See the module's text.

use std::time::Instant;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::acks::Acks;
use super::heart::{Beat, Heart};
use super::leaving::Leaving;
use super::login::{Asked, Busy, LoginTry, Recalling};
use super::outbox::{Due, MAX_WAITING, Outbox, What};
use super::pushes::is_push;
use super::resume::Account;
use super::roster::Roster;
use super::seen::Seen;
use super::{Answer, Ask, Effect};
use crate::client::command::Command;
use crate::client::message::Incoming;
use crate::client::printer::Line;
use crate::client::text::safe;
use crate::client::{render, wire};
use crate::protocol::{Errno, MsgId};

/// Gives 128 random bits. `None`: the system gives no random numbers.
pub type Random = Box<dyn FnMut() -> Option<u128> + Send>;

/// Everything that the client knows; see the module's text.
pub struct Core {
    /// Whether there is a connection.
    pub(super) connected: bool,
    /// Whether this connection is logged in.
    pub(super) live: bool,
    /// As whom to be logged in, from the first login to the logout.
    pub(super) account: Option<Account>,
    /// The LOGIN_MSG that waits for its answer.
    pub(super) login: Option<LoginTry>,
    /// A first login that waits for what was shown before.
    pub(super) recalling: Option<Recalling>,
    /// What the menu waits for.
    pub(super) asked: Option<Asked>,
    /// A busy server that is asked for it again.
    pub(super) busy: Option<Busy>,
    /// The logout under way.
    pub(super) leaving: Option<Leaving>,
    pub(super) outbox: Outbox,
    pub(super) roster: Roster,
    pub(super) seen: Seen,
    pub(super) acks: Acks,
    /// How many requests since the login were not sent or never answered.
    pub(super) in_vain: usize,
    pub(super) heart: Heart,
    next_seq: u64,
    random: Random,
    pub(super) effects: Vec<Effect>,
}

impl Core {
    /// A client that is not connected.
    pub fn new(random: Random, now: Instant) -> Core {
        Core {
            connected: false,
            live: false,
            account: None,
            login: None,
            recalling: None,
            asked: None,
            busy: None,
            leaving: None,
            outbox: Outbox::default(),
            roster: Roster::default(),
            seen: Seen::default(),
            acks: Acks::default(),
            in_vain: 0,
            heart: Heart::new(now),
            next_seq: 1,
            random,
            effects: Vec::new(),
        }
    }

    /// What is to be done now, in this order.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Whether a connection is needed.
    pub fn wants_connection(&self) -> bool {
        self.account.is_some() || self.asked.is_some() || self.recalling.is_some()
    }

    /// Whether someone is logged in, or is to be again after an outage.
    pub fn is_logged_in(&self) -> bool {
        self.account.is_some()
    }

    /// Whether this connection is logged in.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// How many requests wait for their answers.
    pub fn waiting(&self) -> usize {
        self.outbox.len()
    }

    /// The people and groups that can be named.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// There is a new connection.
    pub fn on_connected(&mut self, now: Instant) {
        self.connected = true;
        self.heart = Heart::new(now);
        self.begin_login(now);
    }

    /// The connection is gone; `reason` says why. `closed`: by the server, in
    /// good order.
    pub fn on_disconnected(&mut self, reason: &str, closed: bool, now: Instant) {
        if !self.connected {
            return;
        }
        self.connected = false;
        self.live = false;
        self.acks = Acks::default();
        self.login_disconnected(reason, closed, now);
        for what in self.outbox.disconnected() {
            self.lost(&what, "the connection was lost before the answer");
        }
        self.leave_if_settled(now);
    }

    /// What the person asks for.
    pub fn on_ask(&mut self, ask: Ask, now: Instant) {
        match ask {
            Ask::LogIn { who, password, takeover } => {
                self.ask_menu(Asked::LogIn { who, password, takeover, again: true }, now);
            }
            Ask::Register { name, password } => {
                self.ask_menu(Asked::Register { name, password, seq: None }, now);
            }
            Ask::Do(command) => self.on_command(command, now),
            Ask::LogOut { patience } => self.begin_leaving(patience, now),
        }
    }

    /// A frame's payload.
    pub fn on_frame(&mut self, payload: &[u8], now: Instant) {
        self.heart.received(now);
        if let Some(recalling) = &mut self.recalling {
            return recalling.later.push(payload.to_vec());
        }
        match serde_json::from_slice::<Incoming>(payload) {
            Ok(push) if is_push(push.msgid) => self.on_push(&push, now),
            Ok(reply) => self.on_reply(&reply, now),
            Err(e) => {
                log::warn!(target: "client", "the server's message was not understood: err={e}");
                self.on_unreadable(payload, now);
            }
        }
        self.on_time(now);
    }

    /// The time has come for something, or may have.
    pub fn on_time(&mut self, now: Instant) {
        self.login_time(now);
        if self.live {
            // What comes after a LOGINOUT_MSG comes again with the next login.
            if !self.is_logging_out()
                && let Some(count) = self.acks.take_due(now)
            {
                self.confirm(count, now);
            }
            for due in self.outbox.take_due(now) {
                match due {
                    Due::Send(payload) => self.send(payload, now),
                    Due::Overdue(payload) => {
                        self.send(payload, now);
                        // Perhaps there is nobody left to answer.
                        if self.heart.doubt(now) {
                            self.ping(now);
                        }
                    }
                    Due::GivenUp(what) => self.lost(&what, "the server gave no answer"),
                }
            }
            match self.heart.beat(now) {
                Beat::Wait => {}
                Beat::Ping => self.ping(now),
                Beat::Gone => self.hang_up("the server does not answer"),
            }
        }
        self.leave_if_settled(now);
    }

    /// When to call [`Core::on_time`] at the latest.
    pub fn next_time(&self) -> Option<Instant> {
        let ack = self.acks.next_due().filter(|_| !self.is_logging_out());
        let live = [ack, self.outbox.next_due(), Some(self.heart.next())];
        let live = live.into_iter().flatten().filter(|_| self.live).min();
        [live, self.next_login_time()].into_iter().flatten().min()
    }

    fn on_command(&mut self, command: Command, now: Instant) {
        let Some(account) = &mut self.account else {
            return self.problem("You are not logged in.");
        };
        account.want();
        let (msgid, what, fields) = match command {
            Command::Help => return self.print_all(render::help()),
            Command::ShowGroupList => return self.print_all(render::groups(&self.roster)),
            // These are the input's own business.
            Command::LoginOut | Command::Quit | Command::Wait(_) => return,
            Command::Chat { to, msg } => {
                let fields = json!({"to": to, "msg": msg, "time": sending_time()});
                (MsgId::OneChat, What::Chat { to }, fields)
            }
            Command::GroupChat { group, msg } => {
                let fields = json!({"groupid": group, "msg": msg, "time": sending_time()});
                (MsgId::GroupChat, What::GroupChat { group }, fields)
            }
            Command::AddFriend(id) => {
                (MsgId::AddFriend, What::AddFriend(id), json!({"friendid": id}))
            }
            Command::DelFriend(id) => {
                (MsgId::DelFriend, What::DelFriend(id), json!({"friendid": id}))
            }
            Command::CreateGroup { name, desc } => {
                let fields = json!({"groupname": name, "groupdesc": desc});
                (MsgId::CreateGroup, What::CreateGroup { name, desc }, fields)
            }
            Command::AddGroup(id) => (MsgId::AddGroup, What::AddGroup(id), json!({"groupid": id})),
            Command::DelGroup(id) => (MsgId::DelGroup, What::DelGroup(id), json!({"groupid": id})),
            Command::ShowFriendList => (MsgId::ShowFriendList, What::FriendList, json!({})),
        };
        self.add_request(msgid, what, fields, now);
    }

    fn add_request(&mut self, msgid: MsgId, what: What, mut fields: Value, now: Instant) {
        if self.outbox.len() >= MAX_WAITING {
            let reason = format!("{MAX_WAITING} requests wait for their answers already");
            return self.not_sent(&what, &reason);
        }
        if matches!(msgid, MsgId::OneChat | MsgId::GroupChat) {
            let Some(bits) = (self.random)() else {
                return self.not_sent(&what, "this system gives no random numbers");
            };
            fields["mid"] = Value::String(format!("{bits:032x}"));
        }
        let (seq, payload) = self.request(msgid, fields);
        if payload.len() > wire::MAX_SENT_BYTES {
            let reason = format!(
                "it makes {} bytes, a server takes {}: send it in parts",
                payload.len(),
                wire::MAX_SENT_BYTES
            );
            return self.not_sent(&what, &reason);
        }
        self.outbox.add(seq, what, payload);
        if self.live {
            self.send_outbox(now);
        } else {
            self.print("Not connected: this is kept and sent once the connection is back.");
        }
    }

    /// Sends everything that has not been sent on this connection.
    pub(super) fn send_outbox(&mut self, now: Instant) {
        for payload in self.outbox.send_all(now) {
            self.send(payload, now);
        }
    }

    fn on_reply(&mut self, reply: &Incoming, now: Instant) {
        let Some(seq) = reply.seq else {
            return self.on_notice(reply);
        };
        if self.on_login_reply(seq, reply, now) {
            return;
        }
        if self.repeats_later(seq, reply, now) {
            return;
        }
        // The answer to a ping, or the second one to a message sent twice,
        // finds nothing: all was said.
        let Some(what) = self.outbox.answered(seq) else { return };
        if reply.is_done() {
            let sentence = render::done(&what, reply, &self.roster);
            self.roster.follow(&what, reply);
            match what {
                What::FriendList => self.print_all(render::friends(&self.roster)),
                _ => self.print(sentence),
            }
        } else {
            self.print(render::not_done(&what, &reply.reason(), &self.roster));
        }
    }

    /// Something that answers no request: the server is about to close.
    fn on_notice(&mut self, notice: &Incoming) {
        if notice.errno == Some(Errno::TooLarge as i64)
            && let Some(what) = self.outbox.remove_longest()
        {
            return self.not_sent(&what, &notice.reason());
        }
        self.problem(format!("The server says: {}", safe(&notice.reason())));
    }

    /// A request that will not be sent.
    pub(super) fn not_sent(&mut self, what: &What, reason: &str) {
        self.in_vain += 1;
        self.problem(render::not_done(what, reason, &self.roster));
    }

    /// A request of which nobody knows whether it was done.
    fn lost(&mut self, what: &What, reason: &str) {
        self.in_vain += 1;
        self.problem(render::unsure(what, reason, &self.roster));
    }

    fn ping(&mut self, now: Instant) {
        let (_, payload) = self.request(MsgId::Ping, json!({}));
        self.send(payload, now);
    }

    /// From 0 to 1, by chance.
    pub(super) fn chance(&mut self) -> f64 {
        let bits = (self.random)().unwrap_or(u128::MAX);
        (bits >> 64) as f64 / u64::MAX as f64
    }

    /// A request's `seq` and its JSON.
    pub(super) fn request(&mut self, msgid: MsgId, mut fields: Value) -> (u64, Vec<u8>) {
        let seq = self.next_seq;
        self.next_seq += 1;
        fields["msgid"] = json!(msgid as u16);
        fields["seq"] = json!(seq);
        (seq, fields.to_string().into_bytes())
    }

    pub(super) fn send(&mut self, payload: Vec<u8>, now: Instant) {
        self.heart.sent(now);
        self.effects.push(Effect::Send(payload));
    }

    pub(super) fn print(&mut self, text: impl Into<String>) {
        self.effects.push(Effect::Print(Line::plain(text)));
    }

    pub(super) fn print_all(&mut self, lines: impl IntoIterator<Item = Line>) {
        self.effects.extend(lines.into_iter().map(Effect::Print));
    }

    pub(super) fn problem(&mut self, text: impl Into<String>) {
        self.effects.push(Effect::Print(Line::problem(text)));
    }

    pub(super) fn answer(&mut self, answer: Answer) {
        self.effects.push(Effect::Answer(answer));
    }

    pub(super) fn hang_up(&mut self, reason: &str) {
        self.effects.push(Effect::HangUp(reason.to_owned()));
    }
}

/// What a message says about when it was sent: RFC 3339, UTC.
fn sending_time() -> String {
    format!("{:.3}", Timestamp::now())
}
