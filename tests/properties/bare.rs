//! Whatever is to be told to a client of the bare dialect: it fits their
//! buffer, and has every field that those clients read.
//!
//! An input is the JSON text of a request, a push or a reply.

use cluster_chat::model::{GroupId, UserId};
use cluster_chat::protocol::bare::{self, LONGEST_OBJECT_BYTES, Told};
use cluster_chat::protocol::push::{Target, push};
use cluster_chat::protocol::{MsgId, RawRequest, Request};
use serde_json::Value;

/// Panics where the property does not hold.
pub fn check(text: &[u8]) {
    if let Some(object) = bare::push(text) {
        check_push(&object);
    }
    if let Told::Sent(object) = bare::reply(text)
        // A login that is granted was written for such a client already.
        && object != text
    {
        let ack = check_object(&object);
        assert!(matches!(ack["msgid"].as_u64(), Some(2 | 5)), "{ack}");
        assert!(ack["errno"].is_u64());
    }
    let Ok(raw) = RawRequest::read(text) else {
        assert!(!bare::is_message(text));
        return;
    };
    for (msgid, target) in [
        (MsgId::OneChat, Target::User(UserId(i32::MAX as u32))),
        (MsgId::GroupChat, Target::Group(GroupId(i32::MAX as u32))),
    ] {
        if let Ok(Request::OneChat { chat, .. } | Request::GroupChat { chat, .. }) =
            Request::parse(msgid, &raw)
        {
            // Any message that is served can be told.
            let time = chat.time.unwrap_or("\"\"");
            let mid = chat.mid_json.unwrap_or("\"m\"");
            let pushed = push(target, UserId(1), &"\u{10ffff}".repeat(50), chat.msg, time, mid);
            check_push(&bare::push(&pushed).expect("a push of our own"));
        }
    }
}

fn check_push(object: &[u8]) {
    let push = check_object(object);
    assert!(push["id"].is_u64() && push["name"].is_string(), "{push}");
    assert!(push["msg"].is_string() && push["time"].is_string(), "{push}");
    match push["msgid"].as_u64() {
        Some(6) => assert!(push["toid"].is_u64() && push["toid"] == push["to"], "{push}"),
        Some(10) => assert!(push["groupid"].is_u64(), "{push}"),
        _ => panic!("not for such a client: {push}"),
    }
}

/// One object that fits, written as their library would.
fn check_object(object: &[u8]) -> Value {
    assert!(object.len() <= LONGEST_OBJECT_BYTES, "{} bytes", object.len());
    let value: Value = serde_json::from_slice(object).expect("it is JSON");
    assert!(value.is_object());
    assert_eq!(value.to_string().as_bytes(), object, "compact, and in order");
    value
}
