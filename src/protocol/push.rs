//! What is pushed to recipients: built once per message, shared by all of
//! its copies and by the table of missed messages.

use std::sync::Arc;

use super::msgid::{GROUP_CHAT_PUSH, ONE_CHAT_PUSH};
use super::reply::json_string;
use crate::model::{GroupId, UserId};

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
/// `msg` and `time` are JSON strings, quotes included, already checked; the
/// sender's `name` and `mid` are plain text.
pub fn push(
    target: Target,
    sender: UserId,
    name: &str,
    msg: &str,
    time: &str,
    mid: &str,
) -> Arc<[u8]> {
    let mut out = Vec::with_capacity(96 + name.len() + msg.len() + time.len() + mid.len());
    let (msgid, key, number) = match target {
        Target::User(user) => (ONE_CHAT_PUSH, "to", user.0),
        Target::Group(group) => (GROUP_CHAT_PUSH, "groupid", group.0),
    };
    out.extend_from_slice(format!("{{\"msgid\":{msgid},\"id\":{sender},\"name\":").as_bytes());
    json_string(&mut out, name);
    out.extend_from_slice(format!(",\"{key}\":{number},\"msg\":").as_bytes());
    out.extend_from_slice(msg.as_bytes());
    out.extend_from_slice(b",\"time\":");
    out.extend_from_slice(time.as_bytes());
    out.extend_from_slice(b",\"mid\":");
    json_string(&mut out, mid);
    out.push(b'}');
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_is_json_with_the_fields_of_the_protocol() {
        let text =
            push(Target::Group(GroupId(7)), UserId(3), "a\"b", r#""h\u00e9""#, r#""now""#, "m\\1");
        let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"msgid":10,"id":3,"name":"a\"b","groupid":7,"msg":"hé","time":"now","mid":"m\\1"})
        );
    }
}
