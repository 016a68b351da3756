//! Whatever stands in a payload: no panic, no field beyond its bounds, and
//! what is forwarded is JSON with the same text.
//!
//! An input is the payload itself.

use cluster_chat::model::{GroupId, UserId};
use cluster_chat::protocol::bounds::{
    MAX_DESCRIPTION_CHARS, MAX_ID, MAX_MID_BYTES, MAX_NAME_CHARS, MAX_PASSWORD_BYTES,
    MAX_TIME_BYTES,
};
use cluster_chat::protocol::push::{Target, push};
use cluster_chat::protocol::request::{Account, Chat, Login, Proof};
use cluster_chat::protocol::{Errno, Integer, MsgId, RawRequest, Refusal, Request};
use serde_json::{Value, json};

/// A sender's name that is not the same text in JSON.
const SENDER: &str = "a \"b\" \\ 字";

/// Panics where the property does not hold.
pub fn check(payload: &[u8]) {
    let general = serde_json::from_slice::<Value>(payload).ok().filter(Value::is_object);
    let raw = match RawRequest::read(payload) {
        Ok(raw) => raw,
        Err(why) => {
            assert!(general.is_none(), "a JSON object was refused: {why}");
            assert!(!why.0.is_empty());
            return;
        }
    };
    // Whatever was read is JSON by another's judgement, too.
    serde_json::from_slice::<serde::de::IgnoredAny>(payload).expect("only JSON is read");
    if let Some(object) = &general {
        check_fields(&raw, object);
    }
    check_seq(&raw);
    for msgid in (0..=300).filter_map(MsgId::from_number) {
        match Request::parse(msgid, &raw) {
            Ok(request) => check_request(&request),
            Err(refusal) => check_refusal(&refusal),
        }
    }
}

/// The fields are those that a general JSON parser finds.
fn check_fields(raw: &RawRequest<'_>, object: &Value) {
    macro_rules! same {
        ($($field:ident)*) => {$(
            let found = raw.$field.map_or(Value::Null, |text| {
                serde_json::from_str(text).expect("a field of a JSON object is JSON")
            });
            assert_eq!(found, object[stringify!($field)], stringify!($field));
        )*};
    }
    same!(msgid seq id to toid msg time mid name password token ack takeover);
    same!(friendid groupname groupdesc groupid count);
    // A parser of numbers makes a float of one that is too large.
    if let Some(Integer::Small(number)) = raw.msgid()
        && raw.msgid.is_some_and(|text| text != "-0")
    {
        assert_eq!(object["msgid"].as_i64(), Some(number));
    }
}

fn check_seq(raw: &RawRequest<'_>) {
    match raw.seq() {
        Ok(None) => assert!(raw.seq.is_none()),
        Ok(Some(seq)) => assert_eq!(raw.seq, Some(&*seq.to_string())),
        Err(refusal) => check_refusal(&refusal),
    }
}

fn check_refusal(refusal: &Refusal) {
    assert_eq!(refusal.errno, Errno::Malformed);
    assert!(!refusal.errmsg.is_empty());
}

fn check_request(request: &Request<'_>) {
    match request {
        Request::Login(login) => check_login(login),
        Request::Register { name, password } => {
            check_name(name);
            check_password(password);
        }
        Request::CreateGroup { name, description } => {
            check_name(name);
            assert!(description.chars().count() <= MAX_DESCRIPTION_CHARS);
        }
        Request::OneChat { to, chat } => {
            check_id(to.0);
            check_chat(Target::User(*to), "to", to.0, chat);
        }
        Request::GroupChat { group, chat } => {
            check_id(group.0);
            check_chat(Target::Group(*group), "groupid", group.0, chat);
        }
        Request::AddFriend(UserId(id)) | Request::DelFriend(UserId(id)) => check_id(*id),
        Request::AddGroup(GroupId(id)) | Request::DelGroup(GroupId(id)) => check_id(*id),
        Request::RecvAck(_) | Request::Logout | Request::ShowFriendList | Request::Ping => {}
    }
}

fn check_login(login: &Login<'_>) {
    if let Account::Id(id) = &login.account {
        check_id(id.0);
    }
    match &login.proof {
        Proof::Password(password) => check_password(password),
        Proof::Token(_) => assert!(matches!(login.account, Account::Id(_))),
    }
    // The same print whatever the secret is.
    let printed = format!("{:?}", login.proof);
    assert!(matches!(&*printed, "Password(…)" | "Token(…)"), "{printed}");
}

fn check_id(id: u32) {
    assert!((1..=MAX_ID).contains(&id), "{id}");
}

fn check_name(name: &str) {
    assert!((1..=MAX_NAME_CHARS).contains(&name.chars().count()), "{name:?}");
    assert!(!name.chars().any(char::is_control), "{name:?}");
    assert_eq!(name.trim(), name);
}

fn check_password(password: &str) {
    assert!((1..=MAX_PASSWORD_BYTES).contains(&password.len()));
}

/// What a chat carries is within its bounds, and its push says the same.
fn check_chat(target: Target, key: &str, number: u32, chat: &Chat<'_>) {
    let msg = text_of(chat.msg);
    let time = chat.time.map(text_of);
    assert!(time.as_ref().is_none_or(|time| time.len() <= MAX_TIME_BYTES));
    let mid = chat.mid.as_deref().unwrap_or("m1");
    assert!((1..=MAX_MID_BYTES).contains(&mid.len()));
    let mid_json = chat.mid_json.unwrap_or("\"m1\"");
    assert_eq!(text_of(mid_json), mid);
    let text = push(target, UserId(7), SENDER, chat.msg, chat.time.unwrap_or("\"\""), mid_json);
    let pushed: Value = serde_json::from_slice(&text).expect("a push is JSON");
    let msgid = if key == "to" { 6 } else { 10 };
    let mut wanted = json!({
        "msgid": msgid, "id": 7, "name": SENDER, "msg": msg,
        "time": time.unwrap_or_default(), "mid": mid,
    });
    wanted[key] = number.into();
    assert_eq!(pushed, wanted);
}

/// The text of a JSON string.
fn text_of(json: &str) -> String {
    serde_json::from_str(json).expect("what is forwarded is a JSON string")
}
