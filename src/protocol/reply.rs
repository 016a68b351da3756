//! Replies as JSON text.

use serde::Serialize;

use super::errno::{Errno, Refusal};
use super::msgid::{ERROR_MSG, MsgId};
use super::plain::plain_bytes;
use crate::model::{Group, GroupId, User, UserId};

/// The longest payload that any frame can carry: 16 MiB - 1, so that the
/// first byte of a frame's length is always 0.
pub const MAX_PAYLOAD_BYTES: usize = (16 << 20) - 1;

/// One reply, with the fields that its request's kind adds.
#[derive(Serialize)]
struct Reply<'a, T: Serialize> {
    msgid: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    errno: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    errmsg: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    #[serde(flatten)]
    fields: T,
}

/// A reply without fields of its own.
#[derive(Serialize)]
pub struct Nothing {}

/// A request was done.
pub fn done<T: Serialize>(msgid: MsgId, seq: Option<u64>, fields: T) -> Vec<u8> {
    let errno = Errno::Ok as u8;
    json(&Reply { msgid: msgid.reply(), seq, errno, errmsg: None, retry_after: None, fields })
}

/// Appends that a one-to-one message was delivered or stored: what [`done`]
/// would write, for the answer that is written most.
pub fn write_one_chat_done(
    out: &mut Vec<u8>,
    seq: Option<u64>,
    mid: &str,
    to: UserId,
    status: &str,
) {
    out.extend_from_slice(br#"{"msgid":106"#);
    if let Some(seq) = seq {
        out.extend_from_slice(br#","seq":"#);
        number(out, seq);
    }
    out.extend_from_slice(br#","errno":0,"mid":"#);
    json_string(out, mid);
    out.extend_from_slice(br#","to":"#);
    number(out, to.0);
    out.extend_from_slice(br#","status":""#);
    out.extend_from_slice(status.as_bytes());
    out.extend_from_slice(br#""}"#);
}

/// A request was refused.
pub fn refused(msgid: MsgId, seq: Option<u64>, refusal: &Refusal) -> Vec<u8> {
    refused_with(msgid, seq, refusal, Nothing {})
}

/// A request was refused, with fields that say which one it was.
pub fn refused_with<T: Serialize>(
    msgid: MsgId,
    seq: Option<u64>,
    refusal: &Refusal,
    fields: T,
) -> Vec<u8> {
    json(&refusing(msgid.reply(), seq, refusal, fields))
}

/// ERROR_MSG: the answer to what cannot be answered otherwise.
pub fn error(seq: Option<u64>, refusal: &Refusal) -> Vec<u8> {
    json(&refusing(ERROR_MSG, seq, refusal, Nothing {}))
}

fn refusing<T: Serialize>(
    msgid: u16,
    seq: Option<u64>,
    refusal: &Refusal,
    fields: T,
) -> Reply<'_, T> {
    let Refusal { errno, errmsg, retry_after } = refusal;
    let (errno, errmsg, retry_after) = (*errno as u8, Some(errmsg.as_str()), *retry_after);
    Reply { msgid, seq, errno, errmsg, retry_after, fields }
}

/// The fields of LOGIN_MSG_ACK. `friends` and `groups` are whole; of the
/// missed messages it takes what [`login`] is given.
#[derive(Serialize)]
pub struct LoginFields<'a> {
    /// The user's number.
    pub id: UserId,
    /// The user's name.
    pub name: &'a str,
    /// The user's friends.
    pub friends: &'a [User],
    /// The user's groups.
    pub groups: &'a [Group],
    /// The JSON text of each missed message, oldest first.
    pub offlinemsg: &'a [String],
    /// The proof of this login.
    pub token: &'a str,
    /// Whether entries had to be left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// LOGIN_MSG_ACK. Should it be longer than any frame can be, groups and then
/// friends are left out from the end, and `more` says so.
pub fn login(seq: Option<u64>, mut fields: LoginFields<'_>) -> Vec<u8> {
    loop {
        let bytes = done(MsgId::Login, seq, &fields);
        if bytes.len() <= MAX_PAYLOAD_BYTES {
            return bytes;
        }
        fields.more = true;
        if !fields.groups.is_empty() {
            fields.groups = &fields.groups[..fields.groups.len() / 2];
        } else {
            fields.friends = &fields.friends[..fields.friends.len() / 2];
        }
    }
}

/// The number of REG_MSG_ACK's new user.
#[derive(Serialize)]
pub struct Registered {
    /// The user's number.
    pub id: UserId,
}

/// What became of a one-to-one message.
#[derive(Serialize)]
pub struct OneChatFields<'a> {
    /// The sender's own id of the message.
    pub mid: &'a str,
    /// The recipient.
    pub to: UserId,
    /// `delivered` or `stored`; missing where it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<&'static str>,
}

/// What became of the copies of a group message.
#[derive(Serialize)]
pub struct GroupChatFields<'a> {
    /// The sender's own id of the message.
    pub mid: &'a str,
    /// The group.
    pub groupid: GroupId,
    /// How many members' clients have it; missing where it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivered: Option<u32>,
    /// For how many it is committed in the database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored: Option<u32>,
}

/// A new friend.
#[derive(Serialize)]
pub struct FriendAdded<'a> {
    /// The friend's number.
    pub friendid: UserId,
    /// The friend's name.
    pub name: &'a str,
    /// Online or offline.
    pub state: crate::model::UserState,
}

/// A former friend.
#[derive(Serialize)]
pub struct FriendRemoved {
    /// The friend's number.
    pub friendid: UserId,
}

/// The friend list.
#[derive(Serialize)]
pub struct FriendList<'a> {
    /// The user's friends.
    pub friends: &'a [User],
}

/// A new group.
#[derive(Serialize)]
pub struct GroupCreated {
    /// The group's number.
    pub groupid: GroupId,
}

/// A joined group.
#[derive(Serialize)]
pub struct GroupJoined<'a> {
    /// The group's number.
    pub groupid: GroupId,
    /// The group's name.
    pub groupname: &'a str,
    /// The group's description.
    pub groupdesc: &'a str,
    /// Its members.
    pub users: &'a [crate::model::GroupMember],
}

/// A left or dissolved group.
#[derive(Serialize)]
pub struct GroupLeft {
    /// The group's number.
    pub groupid: GroupId,
    /// Whether it is no more.
    pub dissolved: bool,
}

/// Appends a number.
pub(super) fn number(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends a text as a JSON string, quotes included.
pub fn json_string(out: &mut Vec<u8>, text: &str) {
    if plain_bytes(text.as_bytes()) == text.len() {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    // Writing a string to memory has no way to fail.
    serde_json::to_writer(out, text).expect("a string serialises to memory");
}

/// A text as a JSON string, quotes included.
pub fn quoted(text: &str) -> Box<str> {
    serde_json::to_string(text).expect("a string serialises to memory").into()
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    // The types above hold only strings, numbers and lists of them.
    serde_json::to_vec(value).expect("a reply serialises to memory")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn value(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn a_reply_carries_errno_and_echoes_seq() {
        assert_eq!(
            value(&done(MsgId::Ping, Some(7), Nothing {})),
            json!({"msgid":115,"seq":7,"errno":0})
        );
    }

    #[test]
    fn the_answer_that_is_written_most_is_what_the_others_would_be() {
        for (seq, mid) in [(None, "m"), (Some(u64::MAX), "q\"\\\n\u{1}é")] {
            let (to, status) = (UserId(7), "stored");
            let fields = OneChatFields { mid, to, status: Some(status) };
            let expected = done(MsgId::OneChat, seq, fields);
            let mut written = Vec::new();
            write_one_chat_done(&mut written, seq, mid, to, status);
            assert_eq!(written, expected);
        }
    }

    #[test]
    fn a_refusal_carries_a_sentence() {
        let refusal = Refusal::new(Errno::NoSuchUser, "no user 9");
        assert_eq!(
            value(&refused(MsgId::AddFriend, None, &refusal)),
            json!({"msgid":107,"errno":6,"errmsg":"no user 9"})
        );
        assert_eq!(value(&error(Some(1), &refusal))["msgid"], 200);
    }

    #[test]
    fn a_login_answer_beyond_any_frame_leaves_entries_out_and_says_so() {
        let user = |n| User {
            id: UserId(n),
            name: "n".repeat(50),
            state: crate::model::UserState::Online,
        };
        let friends: Vec<User> = (1..250_000).map(user).collect();
        let fields = LoginFields {
            id: UserId(1),
            name: "a",
            friends: &friends,
            groups: &[],
            token: "t",
            offlinemsg: &[],
            more: false,
        };
        let bytes = login(None, fields);
        assert!(bytes.len() <= MAX_PAYLOAD_BYTES);
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.ends_with(r#""more":true}"#));
    }
}
