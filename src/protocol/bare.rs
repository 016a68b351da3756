//! What clients of the bare dialect are told: our own JSON texts as those
//! clients read them. Pure functions; the requests of both dialects are the
//! same.
//!
//! Those clients read fields without looking whether they are there, and take
//! whatever one read of 1,024 bytes returns for one object. So what is sent has
//! their fields, in the order in which their library would write them, is never
//! longer, and is of a kind that they know; the rest is only logged.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::errno::Errno;
use super::msgid::{GROUP_CHAT_PUSH, MsgId, ONE_CHAT_PUSH};
use super::raw::RawRequest;
use super::reply::{LoginFields, json_string};
use crate::model::{Group, GroupId, GroupMember, GroupRole, User, UserId, UserState};

/// The longest object, without its NUL.
pub const LONGEST_OBJECT_BYTES: usize = 1023;

/// Stands at the end of a text that was cut.
const CUT_MARK: char = '…';

const LOGIN_ACK: u16 = 2;
const REGISTER_ACK: u16 = 5;

/// What becomes of a reply.
#[derive(Debug, PartialEq, Eq)]
pub enum Told<'a> {
    /// The client gets this text.
    Sent(Cow<'a, [u8]>),
    /// It would take it for something else: it is only logged.
    Logged {
        /// The reply's number.
        msgid: u16,
        /// 0: it was done.
        errno: u16,
        /// Why not.
        errmsg: String,
    },
}

impl Told<'_> {
    /// Whether a client that heard of this refusal would send its message again.
    pub fn asks_to_repeat(&self) -> bool {
        let chat = [MsgId::OneChat.reply(), MsgId::GroupChat.reply()];
        match self {
            Told::Logged { errno: SLOW_DOWN | UNAVAILABLE, msgid, .. } => chat.contains(msgid),
            Told::Logged { .. } | Told::Sent(_) => false,
        }
    }
}

/// Whether a payload can be answered at all: an object with an integer `msgid`.
/// After anything else the stream cannot be picked up again.
pub fn is_message(payload: &[u8]) -> bool {
    RawRequest::read(payload).is_ok_and(|raw| raw.msgid().is_some())
}

/// What becomes of a reply's JSON text. A LOGIN_MSG_ACK that grants is written
/// for its client from the start, by [`login`].
pub fn reply(text: &[u8]) -> Told<'_> {
    let Ok(Reply { errmsg, errno, id, msgid, seq }) = serde_json::from_slice(text) else {
        return Told::Logged { msgid: 0, errno: Errno::Internal as u16, errmsg: String::new() };
    };
    let errmsg: Option<Cow<'_, str>> = match (msgid, errno) {
        (LOGIN_ACK, 0) => return Told::Sent(text.into()),
        (LOGIN_ACK, WRONG) => Some("id or password is invalid!".into()),
        (LOGIN_ACK, ONLINE) => Some("this account is using, input another!".into()),
        (LOGIN_ACK | REGISTER_ACK, _) => errmsg,
        _ => {
            let errmsg = errmsg.unwrap_or_default().into_owned();
            return Told::Logged { msgid, errno, errmsg };
        }
    };
    let ack = Reply { errmsg, errno, id, msgid, seq };
    Told::Sent(fitting(ack, |ack| ack.errmsg.as_mut()).into())
}

const WRONG: u16 = Errno::WrongOrTaken as u16;
const ONLINE: u16 = Errno::AlreadyOnline as u16;
const SLOW_DOWN: u16 = Errno::SlowDown as u16;
const UNAVAILABLE: u16 = Errno::Unavailable as u16;

/// A refusal, or a REG_MSG_ACK.
#[derive(Serialize, Deserialize)]
struct Reply<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    errmsg: Option<Cow<'a, str>>,
    errno: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<UserId>,
    msgid: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
}

/// A push's JSON text. Where it is too long its `mid` goes, which those clients
/// do not know, and then the end of its `msg`. `None`: it is no push of this server's.
pub fn push(text: &[u8]) -> Option<Vec<u8>> {
    let mut push: Push<'_> = serde_json::from_slice(text).ok()?;
    match push.msgid {
        ONE_CHAT_PUSH => {
            push.toid = push.to.or(push.toid);
            push.to = push.toid;
            push.toid?;
        }
        GROUP_CHAT_PUSH => {
            push.groupid?;
        }
        _ => return None,
    }
    let whole = json(&push);
    if whole.len() <= LONGEST_OBJECT_BYTES {
        return Some(whole);
    }
    push.mid = None;
    let cut = fitting(push, |push| Some(&mut push.msg));
    (cut.len() <= LONGEST_OBJECT_BYTES).then_some(cut)
}

/// What both kinds of push have. What another server family has left in the
/// table may lack some of it.
#[derive(Serialize, Deserialize)]
struct Push<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    groupid: Option<GroupId>,
    #[serde(default = "nobody")]
    id: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    mid: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    msg: Cow<'a, str>,
    msgid: u16,
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    time: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    toid: Option<UserId>,
}

fn nobody() -> UserId {
    UserId(0)
}

/// A LOGIN_MSG_ACK that grants, and how many of its missed messages are in it.
/// What does not fit is left out from the end: missed messages first, then
/// groups, then friends. The token stays here: those clients have no use for
/// it, and friends need the room.
pub fn login(seq: Option<u64>, fields: &LoginFields<'_>) -> (Vec<u8>, usize) {
    let mut ack = LoginAck {
        errno: Errno::Ok as u8,
        friends: Vec::new(),
        groups: Vec::new(),
        id: fields.id,
        msgid: MsgId::Login.reply(),
        name: fields.name,
        offlinemsg: Vec::new(),
        seq,
    };
    let mut room = Room(LONGEST_OBJECT_BYTES.saturating_sub(json(&ack).len()));
    let mut whole;
    (ack.friends, whole) = room.list("friends", fields.friends.iter().map(friend));
    if whole {
        (ack.groups, whole) = room.list("groups", fields.groups.iter().map(group));
    }
    if whole {
        let messages = fields.offlinemsg.iter().map_while(|message| {
            let push = push(message.as_bytes())?;
            String::from_utf8(push).ok()
        });
        (ack.offlinemsg, _) = room.list("offlinemsg", messages);
    }
    (json(&ack), ack.offlinemsg.len())
}

#[derive(Serialize)]
struct LoginAck<'a> {
    errno: u8,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    friends: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    id: UserId,
    msgid: u16,
    name: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    offlinemsg: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
}

/// How many bytes an object may still get.
struct Room(usize);

impl Room {
    /// The first entries of a list that fit, and whether these are all.
    fn list(&mut self, key: &str, entries: impl Iterator<Item = String>) -> (Vec<String>, bool) {
        let mut taken = Vec::new();
        let mut text = Vec::new();
        for entry in entries {
            text.clear();
            json_string(&mut text, &entry);
            // A comma before it; the first one also brings key and brackets.
            let around = if taken.is_empty() { r#""":[],"#.len() + key.len() } else { 1 };
            let Some(left) = self.0.checked_sub(text.len() + around) else {
                return (taken, false);
            };
            self.0 = left;
            taken.push(entry);
        }
        (taken, true)
    }
}

fn friend(user: &User) -> String {
    #[derive(Serialize)]
    struct Friend<'a> {
        id: UserId,
        name: &'a str,
        state: UserState,
    }
    text(&Friend { id: user.id, name: &user.name, state: user.state })
}

fn group(group: &Group) -> String {
    #[derive(Serialize)]
    struct Entry<'a> {
        groupdesc: &'a str,
        groupname: &'a str,
        id: GroupId,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        users: Vec<String>,
    }
    text(&Entry {
        groupdesc: &group.groupdesc,
        groupname: &group.groupname,
        id: group.id,
        users: group.users.iter().map(member).collect(),
    })
}

fn member(member: &GroupMember) -> String {
    #[derive(Serialize)]
    struct Member<'a> {
        id: UserId,
        name: &'a str,
        role: GroupRole,
        state: UserState,
    }
    let GroupMember { id, name, state, role } = member;
    text(&Member { id: *id, name, role: *role, state: *state })
}

/// The object, with one of its texts cut where it would be too long.
fn fitting<'a, T: Serialize>(
    mut object: T,
    field: impl Fn(&mut T) -> Option<&mut Cow<'a, str>>,
) -> Vec<u8> {
    let whole = json(&object);
    let Some(over) = whole.len().checked_sub(LONGEST_OBJECT_BYTES).filter(|over| *over > 0) else {
        return whole;
    };
    let Some(text) = field(&mut object) else { return whole };
    let written: usize = text.chars().map(written_bytes).sum();
    cut(text, written.saturating_sub(over));
    json(&object)
}

/// Cuts a text so that no more than so many bytes are written for it.
fn cut(text: &mut Cow<'_, str>, most: usize) {
    let mut left = most.saturating_sub(CUT_MARK.len_utf8());
    let end = text.char_indices().find_map(|(at, character)| {
        match left.checked_sub(written_bytes(character)) {
            Some(rest) => {
                left = rest;
                None
            }
            None => Some(at),
        }
    });
    if let Some(end) = end {
        let text = text.to_mut();
        text.truncate(end);
        text.push(CUT_MARK);
    }
}

/// How many bytes stand for a character in a JSON string.
fn written_bytes(character: char) -> usize {
    match character {
        '"' | '\\' | '\u{8}' | '\u{c}' | '\n' | '\r' | '\t' => 2,
        '\0'..' ' => 6,
        other => other.len_utf8(),
    }
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    // The types above hold only strings, numbers and lists of them.
    serde_json::to_vec(value).expect("a reply serialises to memory")
}

fn text<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("a reply serialises to memory")
}

#[cfg(test)]
#[path = "bare_tests.rs"]
mod tests;
