//! What people do on a connection, in the words of the stories.

use serde_json::{Value, json};

use super::client::{Pending, Reply, TestClient};
use super::door::{Person, User};

impl TestClient {
    // ---- accounts ----

    /// REG_MSG.
    #[track_caller]
    pub fn register(&mut self, name: &str, password: &str) -> Reply {
        self.request(json!({"msgid": 4, "name": name, "password": password}))
    }

    /// LOGIN_MSG by number.
    #[track_caller]
    pub fn log_in(&mut self, person: &Person) -> Reply {
        let login = json!({"msgid": 1, "id": person.id, "password": person.password});
        self.log_in_with(person, login)
    }

    /// LOGIN_MSG by token, as a client that confirms.
    #[track_caller]
    pub fn resume(&mut self, person: &Person, token: &str) -> Reply {
        let login = json!({"msgid": 1, "id": person.id, "token": token, "ack": true});
        self.log_in_with(person, login)
    }

    /// The token that the last login's answer brought.
    #[track_caller]
    pub fn token(&self) -> String {
        self.welcome["token"].as_str().expect("a login answer has a token").to_owned()
    }

    /// A LOGIN_MSG of one's own making for `person`; what follows is done in
    /// that person's name if it succeeds.
    #[track_caller]
    pub fn log_in_with(&mut self, person: &Person, login: Value) -> Reply {
        let reply = self.request(login);
        if reply.errno() == 0 {
            self.person = Some(person.clone());
            self.welcome = reply.clone().done();
        }
        reply
    }

    /// LOGINOUT_MSG; the connection stays open.
    #[track_caller]
    pub fn log_out(&mut self) {
        self.request(json!({"msgid": 3})).done();
        self.person = None;
    }

    /// Who is logged in here.
    #[track_caller]
    pub fn me(&self) -> &Person {
        self.person.as_ref().expect("somebody is logged in on this connection")
    }

    /// A copy of [`TestClient::me`], for when this connection has gone.
    #[track_caller]
    pub fn person(&self) -> Person {
        self.me().clone()
    }

    /// The answer to the last login.
    pub fn welcome(&self) -> &Value {
        &self.welcome
    }

    /// The missed messages that came with the login, each parsed.
    #[track_caller]
    pub fn missed(&self) -> Vec<Value> {
        let missed = self.welcome["offlinemsg"].as_array().expect("a login answer has offlinemsg");
        missed
            .iter()
            .map(|m| serde_json::from_str(m.as_str().expect("offlinemsg holds strings")).unwrap())
            .collect()
    }

    /// The texts of the missed messages that came with the login.
    #[track_caller]
    pub fn missed_texts(&self) -> Vec<String> {
        self.missed().iter().map(text_of).collect()
    }

    // ---- chat ----

    /// ONE_CHAT_MSG.
    #[track_caller]
    pub fn chat(&mut self, to: &impl User, text: &str) -> Reply {
        self.request(json!({"msgid": 6, "to": to.id(), "msg": text}))
    }

    /// Chats and returns the message's status, `delivered` or `stored`.
    #[track_caller]
    pub fn tell(&mut self, to: &impl User, text: &str) -> String {
        let reply = self.chat(to, text).done();
        assert_eq!(reply["to"], to.id(), "{reply}");
        reply["status"].as_str().expect("106 has a status").to_owned()
    }

    /// Chats and does not wait for the reply.
    #[track_caller]
    pub fn post(&mut self, to: &impl User, text: &str) -> Pending {
        self.send(json!({"msgid": 6, "to": to.id(), "msg": text}))
    }

    /// Chats many times in one write and does not wait for the replies.
    #[track_caller]
    pub fn post_all(&mut self, to: &impl User, texts: &[String]) -> Vec<Pending> {
        let request = |text| json!({"msgid": 6, "to": to.id(), "msg": text});
        self.send_all(texts.iter().map(request).collect())
    }

    /// What became of a message that was posted.
    #[track_caller]
    pub fn status(&mut self, posted: Pending) -> String {
        let reply = self.reply_to(posted).done();
        reply["status"].as_str().expect("106 has a status").to_owned()
    }

    /// What became of messages that were posted.
    #[track_caller]
    pub fn statuses(&mut self, posted: &[Pending]) -> Vec<String> {
        posted.iter().map(|one| self.status(*one)).collect()
    }

    /// Nothing that was posted is settled yet but what was waited for.
    #[track_caller]
    pub fn expect_nothing_settled(&mut self) {
        self.ping();
        let replies = self.take_replies();
        assert!(replies.is_empty(), "unexpected: {replies:?}");
    }

    /// Chats many times without waiting in between (in batches, as a person's
    /// client that is in a hurry would) and returns the statuses.
    #[track_caller]
    pub fn tell_all(&mut self, to: &impl User, texts: &[String]) -> Vec<String> {
        let mut statuses = Vec::new();
        for batch in texts.chunks(100) {
            let posted = self.post_all(to, batch);
            statuses.extend(self.statuses(&posted));
        }
        statuses
    }

    /// The text of the next message pushed.
    #[track_caller]
    pub fn next_text(&mut self) -> String {
        text_of(&self.next_push())
    }

    /// The texts of the next messages pushed.
    #[track_caller]
    pub fn next_texts(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.next_text()).collect()
    }

    /// The texts of everything since the login, `count` in all: what came with
    /// the answer first, then what was pushed.
    #[track_caller]
    pub fn texts_since_login(&mut self, count: usize) -> Vec<String> {
        let mut texts = self.missed_texts();
        while texts.len() < count {
            texts.push(self.next_text());
        }
        texts
    }

    /// The texts of everything since the login, up to this one.
    #[track_caller]
    pub fn texts_since_login_up_to(&mut self, last: &str) -> Vec<String> {
        let mut texts = self.missed_texts();
        while texts.last().is_none_or(|text| text != last) {
            texts.push(self.next_text());
        }
        texts
    }

    /// RECV_ACK_MSG: this many messages have been handled since the login.
    #[track_caller]
    pub fn confirm(&mut self, count: u64) {
        let confirm = json!({"msgid": 14, "count": count}).to_string();
        self.wire.send_text(&confirm);
    }

    /// As [`TestClient::texts_since_login`], as a client does that confirms: at
    /// every 32nd message, and at the last.
    #[track_caller]
    pub fn confirm_texts_since_login(&mut self, count: usize) -> Vec<String> {
        let mut texts = self.missed_texts();
        self.confirm(texts.len() as u64);
        while texts.len() < count {
            texts.push(self.next_text());
            if texts.len().is_multiple_of(32) || texts.len() == count {
                self.confirm(texts.len() as u64);
            }
        }
        texts
    }

    // ---- friends ----

    /// ADD_FRIEND_MSG.
    #[track_caller]
    pub fn befriend(&mut self, friend: &impl User) -> Reply {
        self.request(json!({"msgid": 7, "friendid": friend.id()}))
    }

    /// DEL_FRIEND_MSG.
    #[track_caller]
    pub fn unfriend(&mut self, friend: &impl User) -> Reply {
        self.request(json!({"msgid": 12, "friendid": friend.id()}))
    }

    /// SHOW_FRIEND_LIST_MSG: the list as `name:state`, in the server's order.
    #[track_caller]
    pub fn friends(&mut self) -> Vec<String> {
        let reply = self.request(json!({"msgid": 13})).done();
        names_and_states(&reply["friends"])
    }

    // ---- groups ----

    /// CREATE_GROUP_MSG; returns the group's number.
    #[track_caller]
    pub fn create_group(&mut self, name: &str, description: &str) -> i64 {
        let request = json!({"msgid": 8, "groupname": name, "groupdesc": description});
        let reply = self.request(request).done();
        reply["groupid"].as_i64().expect("a new group has a number")
    }

    /// ADD_GROUP_MSG.
    #[track_caller]
    pub fn join(&mut self, group: i64) -> Reply {
        self.request(json!({"msgid": 9, "groupid": group}))
    }

    /// DEL_GROUP_MSG: the creator dissolves, anybody else leaves.
    #[track_caller]
    pub fn leave(&mut self, group: i64) -> Reply {
        self.request(json!({"msgid": 11, "groupid": group}))
    }

    /// GROUP_CHAT_MSG.
    #[track_caller]
    pub fn chat_in(&mut self, group: i64, text: &str) -> Reply {
        self.request(json!({"msgid": 10, "groupid": group, "msg": text}))
    }

    /// Chats in a group and returns how many copies were delivered and stored.
    #[track_caller]
    pub fn tell_group(&mut self, group: i64, text: &str) -> (i64, i64) {
        let reply = self.chat_in(group, text).done();
        assert_eq!(reply["groupid"], group, "{reply}");
        (reply["delivered"].as_i64().unwrap(), reply["stored"].as_i64().unwrap())
    }
}

/// The text of a message.
#[track_caller]
pub fn text_of(message: &Value) -> String {
    message["msg"].as_str().unwrap_or_else(|| panic!("no text: {message}")).to_owned()
}

/// A list of users as `name:state`.
#[track_caller]
pub fn names_and_states(users: &Value) -> Vec<String> {
    let users = users.as_array().unwrap_or_else(|| panic!("no list: {users}"));
    let show =
        |u: &Value| format!("{}:{}", u["name"].as_str().unwrap(), u["state"].as_str().unwrap());
    users.iter().map(show).collect()
}
