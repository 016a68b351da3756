//! The rules of the session, against a server that is only JSON.

mod doubles;
mod later;
mod outages;
mod resume;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::*;
use crate::client::command::parse;

const SECOND: Duration = Duration::from_secs(1);

/// A core with what came out of it, and a clock that only the test moves.
struct Story {
    core: Core,
    now: Instant,
    sent: Vec<Value>,
    lines: Vec<String>,
    answers: Vec<Answer>,
    hung_up: Option<String>,
    /// What was remembered, and what is found when the core asks for it.
    disk: Vec<MessageKey>,
    /// What was done besides the answers, in order.
    order: Vec<&'static str>,
}

impl Story {
    fn begin() -> Story {
        Story::begin_with(Vec::new())
    }

    /// A client of which earlier runs have left this.
    fn begin_with(disk: Vec<MessageKey>) -> Story {
        let now = Instant::now();
        let mut bits = 0;
        let random = move || {
            bits += 1;
            Some(bits)
        };
        let core = Core::new(Box::new(random), now);
        let mut story = Story {
            core,
            now,
            sent: Vec::new(),
            lines: Vec::new(),
            answers: Vec::new(),
            hung_up: None,
            disk,
            order: Vec::new(),
        };
        story.connect();
        story
    }

    /// Ann (1) with friend Bob (2) and group 5, logged in.
    fn logged_in() -> Story {
        let mut story = Story::begin();
        story.log_in();
        let login = story.take_sent();
        assert_eq!(login[0]["msgid"], 1);
        story.reply(&login[0], 2, login_ack(&[]));
        assert_eq!(story.answers, [Answer::LoggedIn]);
        story.forget();
        story
    }

    fn log_in(&mut self) {
        let (who, password) = (Who::Id(1), Secret("pw".into()));
        self.ask(Ask::LogIn { who, password, takeover: false });
    }

    fn connect(&mut self) {
        self.core.on_connected(self.now);
        self.collect();
    }

    fn drop_connection(&mut self) {
        self.core.on_disconnected("the cable is out", false, self.now);
        self.collect();
    }

    /// The server closes the connection.
    fn close_connection(&mut self) {
        self.core.on_disconnected("the server closed the connection", true, self.now);
        self.collect();
    }

    fn ask(&mut self, ask: Ask) {
        self.core.on_ask(ask, self.now);
        self.collect();
    }

    fn type_line(&mut self, line: &str) {
        self.ask(Ask::Do(parse(line).unwrap()));
    }

    fn receive(&mut self, message: &Value) {
        self.core.on_frame(message.to_string().as_bytes(), self.now);
        self.collect();
    }

    /// Answers `request` with number `msgid` and these fields.
    fn reply(&mut self, request: &Value, msgid: i64, mut fields: Value) {
        fields["msgid"] = json!(msgid);
        fields["seq"] = request["seq"].clone();
        if fields.get("errno").is_none() {
            fields["errno"] = json!(0);
        }
        self.receive(&fields);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.core.on_time(self.now);
        self.collect();
    }

    fn collect(&mut self) {
        loop {
            let effects = self.core.take_effects();
            if effects.is_empty() {
                return;
            }
            effects.into_iter().for_each(|effect| self.carry_out(effect));
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Send(payload) | Effect::Confirm(payload) => {
                self.order.push("send");
                self.sent.push(serde_json::from_slice(&payload).unwrap());
            }
            Effect::Print(line) => {
                self.order.push("print");
                self.lines.push(line.text);
            }
            Effect::Answer(answer) => self.answers.push(answer),
            Effect::HangUp(reason) => self.hung_up = Some(reason),
            Effect::Recall(user) => {
                assert_eq!(user, 1);
                self.core.on_recalled(self.disk.clone(), self.now);
            }
            Effect::Remember(message) => {
                self.order.push("remember");
                self.disk.push(message);
            }
        }
    }

    fn take_sent(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.sent)
    }

    fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    fn forget(&mut self) {
        self.sent.clear();
        self.lines.clear();
        self.answers.clear();
    }
}

fn login_ack(missed: &[Value]) -> Value {
    json!({
        "id": 1, "name": "ann",
        "friends": [{"id": 2, "name": "bob", "state": "online"}],
        "groups": [{"id": 5, "groupname": "team", "groupdesc": "", "users": [
            {"id": 1, "name": "ann", "state": "online", "role": "creator"},
            {"id": 3, "name": "eve", "state": "offline", "role": "normal"}]}],
        "offlinemsg": missed.iter().map(Value::to_string).collect::<Vec<_>>(),
    })
}

fn from_bob(mid: &str, msg: &str) -> Value {
    json!({"msgid": 6, "id": 2, "name": "bob", "to": 1, "msg": msg, "mid": mid, "time": "t"})
}

#[test]
fn a_login_welcomes_and_shows_friends_groups_and_missed_messages_once_each() {
    let mut story = Story::begin();
    story.log_in();
    let login = story.take_sent().remove(0);
    assert_eq!(login["id"], 1);
    assert_eq!(login["ack"], true);
    let missed = [from_bob("a", "one"), from_bob("a", "one"), from_bob("b", "two")];
    story.reply(&login, 2, login_ack(&missed));
    let text = story.take_lines().join("\n");
    assert!(text.contains("Welcome, ann: you are user 1."), "{text}");
    assert!(text.contains("bob   online"), "{text}");
    assert!(text.contains("team"), "{text}");
    let tail = "Missed messages: 2\n[t] 2 (bob): one\n[t] 2 (bob): two";
    assert!(text.ends_with(tail), "{text}");
    // All three were handled, doubles too.
    story.pass(SECOND);
    assert_eq!(story.take_sent()[0]["count"], 3);
}

#[test]
fn a_login_by_name_then_remembers_the_number() {
    let mut story = Story::begin();
    let who = Who::Name("ann".into());
    story.ask(Ask::LogIn { who, password: Secret("pw".into()), takeover: false });
    let login = story.take_sent().remove(0);
    assert_eq!((&login["name"], login.get("id")), (&json!("ann"), None));
    story.reply(&login, 2, login_ack(&[]));
    story.drop_connection();
    story.connect();
    assert_eq!(story.take_sent()[0]["id"], 1);
}

#[test]
fn a_refused_login_says_why_and_is_not_tried_again() {
    let mut story = Story::begin();
    story.log_in();
    let login = story.take_sent().remove(0);
    let refusal = json!({"errno": 1, "errmsg": "wrong id or password"});
    story.reply(&login, 2, refusal);
    assert_eq!(story.answers, [Answer::Refused("wrong id or password.".into())]);
    assert!(!story.core.wants_connection());
    story.pass(SECOND * 200);
    assert_eq!(story.take_sent(), Vec::<Value>::new());
}

#[test]
fn replies_come_in_any_order_and_each_names_its_request() {
    let mut story = Story::logged_in();
    story.type_line("chat:2:first");
    story.type_line("addfriend:3");
    story.type_line("chat:3:sec:ond");
    let sent = story.take_sent();
    assert_eq!(sent[2]["msg"], "sec:ond");
    assert_ne!(sent[0]["mid"], sent[2]["mid"]);
    story.reply(&sent[2], 106, json!({"status": "stored"}));
    story.reply(&sent[1], 107, json!({"friendid": 3, "name": "eve", "state": "offline"}));
    story.reply(&sent[0], 106, json!({"status": "delivered"}));
    assert_eq!(
        story.take_lines(),
        [
            "Stored for 3 (eve): it comes with the next login.",
            "3 (eve) is now your friend (offline).",
            "Delivered to 2 (bob)."
        ]
    );
    assert_eq!(story.core.waiting(), 0);
}

#[test]
fn the_lists_follow_what_was_done() {
    let mut story = Story::logged_in();
    story.type_line("creategroup:new:for us");
    let sent = story.take_sent();
    story.reply(&sent[0], 108, json!({"groupid": 8}));
    story.type_line("delgroup:5");
    let sent = story.take_sent();
    story.reply(&sent[0], 111, json!({"groupid": 5, "dissolved": true}));
    story.forget();
    story.type_line("showgrouplist");
    let lines = story.take_lines().join("\n");
    assert!(lines.contains("8   new   creator  for us"), "{lines}");
    assert!(!lines.contains("team"), "{lines}");
    story.type_line("showfriendlist");
    let sent = story.take_sent();
    story.reply(&sent[0], 113, json!({"friends": []}));
    assert_eq!(story.take_lines(), ["You have no friends yet: addfriend:friendid makes one."]);
}

#[test]
fn a_refusal_shows_the_servers_sentence_even_where_it_comes_as_an_error_message() {
    let mut story = Story::logged_in();
    story.type_line("addfriend:9");
    let sent = story.take_sent();
    story.reply(&sent[0], 200, json!({"errno": 6, "errmsg": "no user has the id 9"}));
    assert_eq!(story.take_lines(), ["addfriend:9 was not done: no user has the id 9."]);
}

#[test]
fn received_messages_are_shown_once_and_confirmed_in_time() {
    let mut story = Story::logged_in();
    story.receive(&from_bob("x", "hi"));
    story.receive(&from_bob("x", "hi"));
    assert_eq!(story.take_lines(), ["[t] 2 (bob): hi"]);
    assert_eq!(story.take_sent(), Vec::<Value>::new());
    let due = story.core.next_time().unwrap();
    assert!(due <= story.now + Duration::from_millis(200));
    story.pass(due - story.now);
    let ack = story.take_sent().remove(0);
    assert_eq!((&ack["msgid"], &ack["count"]), (&json!(14), &json!(2)));
    for i in 0..32 {
        story.receive(&from_bob(&format!("n{i}"), "hi"));
    }
    assert_eq!(story.take_sent()[0]["count"], 34);
}

#[test]
fn a_logout_waits_for_answers_confirms_what_came_and_then_leaves() {
    let mut story = Story::logged_in();
    story.type_line("chat:2:last words");
    let chat = story.take_sent().remove(0);
    story.receive(&from_bob("z", "bye"));
    story.ask(Ask::LogOut { patience: SECOND * 10 });
    assert_eq!(story.take_sent(), Vec::<Value>::new());
    story.reply(&chat, 106, json!({"status": "delivered"}));
    let sent = story.take_sent();
    assert_eq!((&sent[0]["msgid"], &sent[0]["count"]), (&json!(14), &json!(1)));
    assert_eq!(sent[1]["msgid"], 3);
    story.reply(&sent[1], 103, json!({}));
    assert_eq!(story.answers, [Answer::LoggedOut { unanswered: 0 }]);
    assert!(!story.core.wants_connection());
}

#[test]
fn a_logout_does_not_wait_for_ever_and_says_what_had_no_answer() {
    let mut story = Story::logged_in();
    story.type_line("chat:2:hello?");
    story.ask(Ask::LogOut { patience: SECOND * 3 });
    story.pass(SECOND * 3);
    let logout = story.take_sent().pop().unwrap();
    assert_eq!(logout["msgid"], 3);
    story.pass(SECOND * 5);
    assert_eq!(story.answers, [Answer::LoggedOut { unanswered: 1 }]);
    let lines = story.take_lines();
    assert!(lines[0].contains("may not have been sent"), "{lines:?}");
    assert!(lines[1].starts_with("Left, but the server has not answered"), "{lines:?}");
}

#[test]
fn a_logout_without_connection_is_immediate_unless_something_waits() {
    let mut story = Story::logged_in();
    story.drop_connection();
    story.ask(Ask::LogOut { patience: SECOND * 10 });
    assert_eq!(story.answers, [Answer::LoggedOut { unanswered: 0 }]);
    let last = story.take_lines().pop().unwrap();
    assert!(last.starts_with("Left without a connection: "), "{last}");

    let mut story = Story::logged_in();
    story.drop_connection();
    story.type_line("chat:2:wait for me");
    story.ask(Ask::LogOut { patience: SECOND * 10 });
    assert_eq!(story.answers, []);
    story.connect();
    let login = story.take_sent().remove(0);
    story.reply(&login, 2, login_ack(&[]));
    let chat = story.take_sent().remove(0);
    story.reply(&chat, 106, json!({"status": "stored"}));
    let logout = story.take_sent().remove(0);
    story.reply(&logout, 103, json!({}));
    assert_eq!(story.answers, [Answer::LoggedOut { unanswered: 0 }]);
    assert_eq!(story.take_lines().pop().unwrap(), "Logged out.");
}

#[test]
fn a_login_on_a_connection_that_the_server_has_just_closed_is_tried_once_more() {
    let mut story = Story::begin();
    story.log_in();
    story.drop_connection();
    assert_eq!(story.answers, []);
    story.connect();
    story.drop_connection();
    assert_eq!(story.answers, [Answer::Refused("the cable is out.".into())]);
}

#[test]
fn a_registration_gives_the_number_and_a_taken_name_its_reason() {
    let mut story = Story::begin();
    let register = || Ask::Register { name: "ann".into(), password: Secret("pw".into()) };
    story.ask(register());
    let sent = story.take_sent();
    assert_eq!((&sent[0]["msgid"], &sent[0]["name"]), (&json!(4), &json!("ann")));
    story.reply(&sent[0], 5, json!({"id": 17}));
    story.ask(register());
    let sent = story.take_sent();
    story.reply(&sent[0], 5, json!({"errno": 1, "errmsg": "this name is taken"}));
    let taken = Answer::Refused("this name is taken.".into());
    assert_eq!(story.answers, [Answer::Registered(17), taken]);
}

#[test]
fn nonsense_from_a_server_changes_nothing() {
    let mut story = Story::logged_in();
    for junk in [&b"not json"[..], b"[]", b"{\"msgid\":\"x\"}", b"\xff", b"{}", b"{\"msgid\":6}"] {
        story.core.on_frame(junk, story.now);
    }
    story.receive(&json!({"msgid": 106, "seq": 999_999, "errno": 0}));
    assert!(story.core.is_live());
}

#[test]
fn passwords_do_not_show_in_debug_output() {
    let password = Secret("hunter2".into());
    let ask = Ask::LogIn { who: Who::Id(1), password, takeover: false };
    assert!(!format!("{ask:?}").contains("hunter2"));
}
