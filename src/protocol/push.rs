//! What is pushed to recipients: built once per message, shared by all of
//! its copies and by the table of missed messages.

use std::cell::Cell;
use std::sync::Arc;

use super::msgid::{GROUP_CHAT_PUSH, ONE_CHAT_PUSH};
use super::reply::{number, quoted};
use crate::model::{GroupId, UserId};

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A longer push's memory is given back.
const MOST_SCRATCH_BYTES: usize = 64 * 1024;

/// Where a push is put together before its length is known: empty memory of this
/// thread, which goes back there by [`put_by`].
pub fn scratch() -> Vec<u8> {
    SCRATCH.take()
}

/// Keeps the memory of [`scratch`] for the next push.
pub fn put_by(mut text: Vec<u8>) {
    text.clear();
    text.shrink_to(MOST_SCRATCH_BYTES);
    SCRATCH.set(text);
}

/// Where a push goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// One user.
    User(UserId),
    /// A group.
    Group(GroupId),
}

/// What a push says. Its texts are JSON strings, quotes included, already
/// checked.
#[derive(Debug, Clone, Copy)]
pub struct Push<'a> {
    /// Where it goes.
    pub target: Target,
    /// Who wrote.
    pub sender: UserId,
    /// The sender's name.
    pub name: &'a str,
    /// What was written.
    pub msg: &'a str,
    /// When.
    pub time: &'a str,
    /// The sender's own id of it.
    pub mid: &'a str,
}

impl Push<'_> {
    /// Appends its JSON text.
    pub fn write(&self, out: &mut Vec<u8>) {
        let (msgid, key, to) = match self.target {
            Target::User(user) => (ONE_CHAT_PUSH, &br#","to":"#[..], user.0),
            Target::Group(group) => (GROUP_CHAT_PUSH, &br#","groupid":"#[..], group.0),
        };
        out.extend_from_slice(br#"{"msgid":"#);
        number(out, msgid);
        out.extend_from_slice(br#","id":"#);
        number(out, self.sender.0);
        out.extend_from_slice(br#","name":"#);
        out.extend_from_slice(self.name.as_bytes());
        out.extend_from_slice(key);
        number(out, to);
        out.extend_from_slice(br#","msg":"#);
        out.extend_from_slice(self.msg.as_bytes());
        out.extend_from_slice(br#","time":"#);
        out.extend_from_slice(self.time.as_bytes());
        out.extend_from_slice(br#","mid":"#);
        out.extend_from_slice(self.mid.as_bytes());
        out.push(b'}');
    }
}

/// The JSON text of a push from somebody whose `name` is plain text.
pub fn push(
    target: Target,
    sender: UserId,
    name: &str,
    msg: &str,
    time: &str,
    mid: &str,
) -> Arc<[u8]> {
    let mut text = Vec::new();
    Push { target, sender, name: &quoted(name), msg, time, mid }.write(&mut text);
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_is_json_with_the_fields_of_the_protocol() {
        let text = push(
            Target::Group(GroupId(7)),
            UserId(3),
            "a\"b",
            r#""h\u00e9""#,
            r#""now""#,
            r#""m\\1""#,
        );
        let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"msgid":10,"id":3,"name":"a\"b","groupid":7,"msg":"hé","time":"now","mid":"m\\1"})
        );
    }
}
