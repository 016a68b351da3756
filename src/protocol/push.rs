//! What is pushed to recipients: built once per message, shared by all of
//! its copies and by the table of missed messages.

use std::cell::RefCell;
use std::sync::Arc;

use super::msgid::{GROUP_CHAT_PUSH, ONE_CHAT_PUSH};
use super::reply::{json_string, number};
use crate::model::{GroupId, UserId};

thread_local! {
    /// Where a push is put together before its length is known.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A longer push's memory is given back.
const MOST_SCRATCH_BYTES: usize = 64 * 1024;

/// Where a push goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// One user.
    User(UserId),
    /// A group.
    Group(GroupId),
}

/// Builds the JSON text of a push.
///
/// `msg`, `time` and `mid` are JSON strings, quotes included, already checked;
/// the sender's `name` is plain text.
pub fn push(
    target: Target,
    sender: UserId,
    name: &str,
    msg: &str,
    time: &str,
    mid: &str,
) -> Arc<[u8]> {
    let (msgid, key, to) = match target {
        Target::User(user) => (ONE_CHAT_PUSH, &br#","to":"#[..], user.0),
        Target::Group(group) => (GROUP_CHAT_PUSH, &br#","groupid":"#[..], group.0),
    };
    SCRATCH.with_borrow_mut(|out| {
        out.clear();
        out.extend_from_slice(br#"{"msgid":"#);
        number(out, msgid);
        out.extend_from_slice(br#","id":"#);
        number(out, sender.0);
        out.extend_from_slice(br#","name":"#);
        json_string(out, name);
        out.extend_from_slice(key);
        number(out, to);
        out.extend_from_slice(br#","msg":"#);
        out.extend_from_slice(msg.as_bytes());
        out.extend_from_slice(br#","time":"#);
        out.extend_from_slice(time.as_bytes());
        out.extend_from_slice(br#","mid":"#);
        out.extend_from_slice(mid.as_bytes());
        out.push(b'}');
        let push = Arc::from(&out[..]);
        out.shrink_to(MOST_SCRATCH_BYTES);
        push
    })
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
