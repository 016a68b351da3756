//! What a member has sent, or wants to send again, and has no answer to.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::books::{Answer, Books, Key, Target};

/// A message that is not answered for so long is sent again.
const REPLY_DEADLINE: Duration = Duration::from_secs(10);

/// A message on its way.
struct Entry {
    key: Key,
    target: Target,
    text: String,
    attempts: usize,
    /// The `seq`s of its attempts on the present connection.
    seqs: Vec<u64>,
    state: State,
}

enum State {
    /// To be sent at this time.
    Due(Instant),
    /// Sent at this time.
    Sent(Instant),
}

/// Unanswered messages in the order in which they were written.
#[derive(Default)]
pub struct Outbox {
    entries: Vec<Entry>,
}

impl Outbox {
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// A new message, to be sent at once.
    pub fn write(&mut self, key: Key, target: Target, text: String) {
        let state = State::Due(Instant::now());
        self.entries.push(Entry { key, target, text, attempts: 0, seqs: Vec::new(), state });
    }

    /// The connection is lost: what it has not answered is sent again on the
    /// next one.
    pub fn connection_lost(&mut self) {
        for entry in &mut self.entries {
            entry.state = State::Due(Instant::now());
            entry.seqs.clear();
        }
    }

    /// The requests to be sent now, with their `seq`s from `last_seq` on.
    /// They stand in the books already.
    pub fn requests(&mut self, books: &Books, line: usize, last_seq: &mut u64) -> Vec<Value> {
        let now = Instant::now();
        let mut requests = Vec::new();
        for entry in &mut self.entries {
            match entry.state {
                State::Sent(at) if now >= at + REPLY_DEADLINE => books.overdue(&entry.key),
                State::Due(at) if now >= at => {}
                _ => continue,
            }
            *last_seq += 1;
            books.sending(&entry.key, entry.target, &entry.text, line);
            entry.attempts += 1;
            entry.seqs.push(*last_seq);
            entry.state = State::Sent(now);
            let (Key { mid, .. }, text) = (&entry.key, &entry.text);
            let mut request = match entry.target {
                Target::User(to) => json!({"msgid": 6, "to": to, "msg": text, "mid": mid}),
                Target::Group(group) => {
                    json!({"msgid": 10, "groupid": group, "msg": text, "mid": mid})
                }
            };
            request["seq"] = json!(*last_seq);
            requests.push(request);
        }
        requests
    }

    /// A 106 or 110. What was refused for now is sent again after `pause`.
    pub fn answered(&mut self, books: &Books, line: usize, reply: &Value, pause: Duration) {
        let seq = reply["seq"].as_u64();
        let nth = |entry: &Entry| entry.seqs.iter().position(|sent| Some(*sent) == seq);
        let found = self.entries.iter().enumerate().find_map(|(i, e)| Some((i, nth(e)?)));
        // None if it was sent twice and the other answer came first.
        let Some((position, nth)) = found else { return };
        let entry = &mut self.entries[position];
        let mid = reply["mid"].as_str();
        let is_last = nth + 1 == entry.seqs.len();
        let attempt = entry.attempts - entry.seqs.len() + nth;
        let answer = read_answer(reply);
        if Some(entry.key.mid.as_str()) != mid && answer != Answer::Refused(12) {
            books.wrong(Some(&entry.key), format!("the answer has another mid: {reply}"));
        }
        books.answered(&entry.key, attempt, line, answer);
        match answer {
            Answer::Refused(12 | 13) => {
                if is_last {
                    entry.state = State::Due(Instant::now() + pause);
                }
            }
            Answer::Refused(errno) => {
                books.wrong(Some(&entry.key), format!("refused for good, errno {errno}"));
                self.entries.remove(position);
            }
            _ => drop(self.entries.remove(position)),
        }
    }
}

fn read_answer(reply: &Value) -> Answer {
    let count = |name: &str| {
        let count = reply[name].as_u64().unwrap_or_else(|| panic!("no {name}: {reply}"));
        usize::try_from(count).unwrap()
    };
    match reply["errno"].as_i64().unwrap_or_else(|| panic!("no errno: {reply}")) {
        0 if reply["msgid"] == 110 => {
            Answer::Copies { delivered: count("delivered"), stored: count("stored") }
        }
        0 => match reply["status"].as_str() {
            Some("delivered") => Answer::Delivered,
            Some("stored") => Answer::Stored,
            _ => panic!("no status: {reply}"),
        },
        errno => Answer::Refused(errno),
    }
}
