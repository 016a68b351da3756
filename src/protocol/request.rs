//! Requests with their fields checked, borrowed from the payload.

use std::borrow::Cow;

use super::bounds::{check_description, check_mid, check_name, check_password, check_time};
use super::errno::Refusal;
use super::msgid::MsgId;
use super::raw::{RawRequest, count, flag, id};
use crate::model::{GroupId, UserId};

/// One well-formed request.
#[derive(Debug)]
pub enum Request<'a> {
    /// Log in.
    Login(Login<'a>),
    /// Log out.
    Logout,
    /// Register.
    Register {
        /// The wished name.
        name: Cow<'a, str>,
        /// The password to set.
        password: Cow<'a, str>,
    },
    /// A message to one user.
    OneChat {
        /// The recipient.
        to: UserId,
        /// The message.
        chat: Chat<'a>,
    },
    /// Befriend a user.
    AddFriend(UserId),
    /// Create a group.
    CreateGroup {
        /// The wished name.
        name: Cow<'a, str>,
        /// What it is for.
        description: Cow<'a, str>,
    },
    /// Join a group.
    AddGroup(GroupId),
    /// A message to a group.
    GroupChat {
        /// The group.
        group: GroupId,
        /// The message.
        chat: Chat<'a>,
    },
    /// Leave or dissolve a group.
    DelGroup(GroupId),
    /// End a friendship.
    DelFriend(UserId),
    /// Show the friend list.
    ShowFriendList,
    /// Confirm pushes, cumulatively.
    RecvAck(u64),
    /// Show life.
    Ping,
}

/// Who wants in, and with what proof.
#[derive(Debug)]
pub struct Login<'a> {
    /// The account.
    pub account: Account<'a>,
    /// The proof.
    pub proof: Proof<'a>,
    /// Whether the client confirms pushes.
    pub ack: bool,
    /// Whether a session that is online is taken over.
    pub takeover: bool,
}

/// How a login names its account.
#[derive(Debug, PartialEq, Eq, Hash)]
pub enum Account<'a> {
    /// By number.
    Id(UserId),
    /// By name.
    Name(Cow<'a, str>),
}

impl std::fmt::Display for Account<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Account::Id(id) => write!(f, "user={id}"),
            // Quoted and escaped: whoever is not logged in chooses it.
            Account::Name(name) => write!(f, "name={name:?}"),
        }
    }
}

/// What a login is proved with.
pub enum Proof<'a> {
    /// The password.
    Password(Cow<'a, str>),
    /// The token of a former login.
    Token(Cow<'a, str>),
}

impl std::fmt::Debug for Proof<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Neither ever reaches a log.
        f.write_str(match self {
            Proof::Password(_) => "Password(…)",
            Proof::Token(_) => "Token(…)",
        })
    }
}

/// What both kinds of message carry. Texts that are forwarded stay the JSON
/// text that the sender wrote, quotes and escapes included.
#[derive(Debug)]
pub struct Chat<'a> {
    /// The text, as a JSON string.
    pub msg: &'a str,
    /// The sender's time, as a JSON string.
    pub time: Option<&'a str>,
    /// The sender's own id of the message.
    pub mid: Option<Cow<'a, str>>,
    /// The same, as a JSON string.
    pub mid_json: Option<&'a str>,
}

impl<'a> Request<'a> {
    /// Checks the fields of a message of this kind, but for [`RawRequest::seq`].
    ///
    /// # Errors
    /// Errno 4, naming the field.
    pub fn parse(msgid: MsgId, raw: &RawRequest<'a>) -> Result<Request<'a>, Refusal> {
        if raw.id.is_some() {
            id("id", raw.id)?;
        }
        Ok(match msgid {
            MsgId::Login => Request::Login(login(raw)?),
            MsgId::Logout => Request::Logout,
            MsgId::Register => Request::Register {
                name: bounded(raw, "name", raw.name, |name| check_name("name", name))?,
                password: bounded(raw, "password", raw.password, check_password)?,
            },
            MsgId::OneChat => {
                let (field, to) = if raw.to.is_none() && raw.toid.is_some() {
                    ("toid", raw.toid)
                } else {
                    ("to", raw.to)
                };
                Request::OneChat { to: UserId(id(field, to)?), chat: chat(raw)? }
            }
            MsgId::AddFriend => Request::AddFriend(UserId(id("friendid", raw.friendid)?)),
            MsgId::DelFriend => Request::DelFriend(UserId(id("friendid", raw.friendid)?)),
            MsgId::CreateGroup => Request::CreateGroup {
                name: bounded(raw, "groupname", raw.groupname, |name| {
                    check_name("groupname", name)
                })?,
                description: match raw.groupdesc {
                    Some(_) => bounded(raw, "groupdesc", raw.groupdesc, check_description)?,
                    None => Cow::Borrowed(""),
                },
            },
            MsgId::AddGroup => Request::AddGroup(GroupId(id("groupid", raw.groupid)?)),
            MsgId::DelGroup => Request::DelGroup(GroupId(id("groupid", raw.groupid)?)),
            MsgId::GroupChat => {
                Request::GroupChat { group: GroupId(id("groupid", raw.groupid)?), chat: chat(raw)? }
            }
            MsgId::ShowFriendList => Request::ShowFriendList,
            MsgId::RecvAck => Request::RecvAck(count("count", raw.count)?),
            MsgId::Ping => Request::Ping,
        })
    }
}

fn login<'a>(raw: &RawRequest<'a>) -> Result<Login<'a>, Refusal> {
    let proof = match (raw.token, raw.password) {
        (Some(_), None) => Proof::Token(raw.text("token", raw.token)?),
        _ => Proof::Password(bounded(raw, "password", raw.password, check_password)?),
    };
    let account = match (raw.id, &proof) {
        (Some(_), _) => Account::Id(UserId(id("id", raw.id)?)),
        (None, Proof::Token(_)) => {
            return Err(Refusal::malformed("id is missing: a token goes with an id"));
        }
        (None, Proof::Password(_)) if raw.name.is_none() => {
            return Err(Refusal::malformed("id is missing (or name, with a password)"));
        }
        (None, Proof::Password(_)) => {
            Account::Name(bounded(raw, "name", raw.name, |name| check_name("name", name))?)
        }
    };
    Ok(Login {
        account,
        proof,
        ack: flag("ack", raw.ack)?,
        takeover: flag("takeover", raw.takeover)?,
    })
}

fn chat<'a>(raw: &RawRequest<'a>) -> Result<Chat<'a>, Refusal> {
    raw.text("msg", raw.msg)?;
    if raw.time.is_some() {
        bounded(raw, "time", raw.time, check_time)?;
    }
    let mid = raw.mid.map(|mid| bounded(raw, "mid", Some(mid), check_mid)).transpose()?;
    // Present and checked just above.
    let msg = raw.msg.unwrap_or("\"\"");
    Ok(Chat { msg, time: raw.time, mid, mid_json: raw.mid })
}

fn bounded<'a>(
    request: &RawRequest<'a>,
    field: &str,
    raw: Option<&'a str>,
    check: impl Fn(&str) -> Result<(), String>,
) -> Result<Cow<'a, str>, Refusal> {
    let text = request.text(field, raw)?;
    check(&text).map_err(Refusal::malformed)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Errno;

    fn parse(msgid: MsgId, json: &str) -> Result<String, String> {
        let raw = RawRequest::read(json.as_bytes()).unwrap();
        match Request::parse(msgid, &raw) {
            Ok(request) => Ok(format!("{request:?}")),
            Err(refusal) => {
                assert_eq!(refusal.errno, Errno::Malformed);
                Err(refusal.errmsg)
            }
        }
    }

    #[test]
    fn to_stands_where_both_to_and_toid_are_given() {
        let both = parse(MsgId::OneChat, r#"{"to":2,"toid":3,"msg":""}"#).unwrap();
        assert!(both.contains("UserId(2)"), "{both}");
        let alias = parse(MsgId::OneChat, r#"{"toid":3,"msg":""}"#).unwrap();
        assert!(alias.contains("UserId(3)"), "{alias}");
    }

    #[test]
    fn a_refusal_names_the_field() {
        let missing = parse(MsgId::OneChat, r#"{"to":2}"#).unwrap_err();
        assert!(missing.contains("msg is missing"), "{missing}");
        let wrong = parse(MsgId::Register, r#"{"name":5,"password":"x"}"#).unwrap_err();
        assert!(wrong.contains("name must be a string"), "{wrong}");
    }

    #[test]
    fn a_field_that_the_request_does_not_know_is_not_looked_at() {
        assert!(parse(MsgId::Ping, r#"{"msg":5,"to":"x"}"#).is_ok());
    }

    #[test]
    fn text_is_forwarded_as_it_was_written() {
        let chat = parse(MsgId::OneChat, r#"{"to":2,"msg":"a\u0041\n"}"#).unwrap();
        assert!(chat.contains(r#"a\\u0041\\n"#), "{chat}");
    }

    #[test]
    fn no_password_reaches_a_debug_print() {
        let login = parse(MsgId::Login, r#"{"id":2,"password":"hunter2"}"#).unwrap();
        assert!(!login.contains("hunter2"), "{login}");
    }
}
