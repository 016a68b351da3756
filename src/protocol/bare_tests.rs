//! What those clients are told, compared with what they need.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::protocol::push::{Target, push as framed_push};
use crate::protocol::reply;
use crate::protocol::{MsgId, Refusal};

fn sent(text: &[u8]) -> Option<String> {
    match super::reply(text) {
        Told::Sent(text) => Some(String::from_utf8(text.into_owned()).unwrap()),
        Told::Logged { .. } => None,
    }
}

fn user(id: u32) -> User {
    User { id: UserId(id), name: format!("user {id}"), state: UserState::Online }
}

fn group_of(id: u32, members: u32) -> Group {
    let member = |id| {
        let User { id, name, state } = user(id);
        GroupMember { id, name, state, role: GroupRole::Normal }
    };
    Group {
        id: GroupId(id),
        groupname: format!("group {id}"),
        groupdesc: "what it is for".into(),
        users: (1..=members).map(member).collect(),
    }
}

/// A login's answer: its object, how many messages are in it.
fn login_of(friends: u32, groups: &[Group], messages: &[String]) -> (Value, usize) {
    let friends: Vec<User> = (1..=friends).map(user).collect();
    let fields = LoginFields {
        id: UserId(7),
        name: "\"ann\"",
        friends: &friends,
        groups,
        offlinemsg: messages,
        token: "secret",
        more: false,
    };
    let (text, taken) = login(Some(u64::MAX), &fields);
    assert!(text.len() <= LONGEST_OBJECT_BYTES, "{} bytes", text.len());
    assert_eq!(sent(&text).unwrap().as_bytes(), text, "it is sent as it is");
    (serde_json::from_slice(&text).unwrap(), taken)
}

fn message(number: u32, text: &str) -> String {
    let text = serde_json::to_string(text).unwrap();
    let push = framed_push(
        Target::User(UserId(7)),
        UserId(number),
        "bob",
        &text,
        r#""2026-11-21 12:00:00""#,
        r#""m""#,
    );
    String::from_utf8(push.to_vec()).unwrap()
}

fn count(answer: &Value, list: &str) -> usize {
    answer[list].as_array().map_or(0, Vec::len)
}

#[test]
fn a_login_answer_has_its_keys_in_order_and_its_lists_as_strings() {
    let (friends, groups) = ([user(2)], [group_of(3, 1)]);
    let fields = LoginFields {
        id: UserId(7),
        name: "ann",
        friends: &friends,
        groups: &groups,
        offlinemsg: &[message(2, "hi")],
        token: "secret",
        more: false,
    };
    let (text, taken) = login(None, &fields);
    assert_eq!(taken, 1);
    let expected = concat!(
        r#"{"errno":0,"#,
        r#""friends":["{\"id\":2,\"name\":\"user 2\",\"state\":\"online\"}"],"#,
        r#""groups":["{\"groupdesc\":\"what it is for\",\"groupname\":\"group 3\",\"id\":3,"#,
        r#"\"users\":[\"{\\\"id\\\":1,\\\"name\\\":\\\"user 1\\\",\\\"role\\\":\\\"normal\\\","#,
        r#"\\\"state\\\":\\\"online\\\"}\"]}"],"#,
        r#""id":7,"msgid":2,"name":"ann","#,
        r#""offlinemsg":["{\"id\":2,\"mid\":\"m\",\"msg\":\"hi\",\"msgid\":6,\"name\":\"bob\","#,
        r#"\"time\":\"2026-11-21 12:00:00\",\"to\":7,\"toid\":7}"]}"#,
    );
    assert_eq!(String::from_utf8(text).unwrap(), expected);
}

#[test]
fn empty_lists_are_left_out() {
    let (answer, taken) = login_of(0, &[], &[]);
    let expected = json!({"errno":0,"id":7,"msgid":2,"name":"\"ann\"","seq":u64::MAX});
    assert_eq!((answer, taken), (expected, 0));
}

#[test]
fn a_login_answer_leaves_out_messages_then_groups_then_friends() {
    let groups: Vec<Group> = (1..=3).map(|id| group_of(id, 1)).collect();
    let messages: Vec<String> = (1..=50).map(|n| message(n, "text")).collect();
    let mut before = (usize::MAX, usize::MAX);
    for friends in 0..40 {
        let (answer, taken) = login_of(friends, &groups, &messages);
        let all = |key| count(&answer, key);
        assert_eq!(all("offlinemsg"), taken);
        assert!(taken < 50);
        assert!(taken == 0 || all("groups") == 3, "a group left out before a message");
        assert!(all("groups") == 0 || all("friends") == friends as usize);
        // What is left is the front, in its order.
        for (n, text) in answer["offlinemsg"].as_array().into_iter().flatten().enumerate() {
            let message: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
            assert_eq!(message["id"], n + 1);
        }
        assert!((taken, all("groups")) <= before, "more friends leave less room");
        before = (taken, all("groups"));
    }
    assert_eq!(before, (0, 0));
}

#[test]
fn a_message_that_fits_no_answer_is_left_to_come_later_and_so_are_those_behind_it() {
    let messages = [message(1, "short"), message(2, &"long ".repeat(300)), message(3, "short")];
    assert_eq!(login_of(0, &[], &messages).1, 1);
    let no_push = [message(1, "short"), "{}".into(), message(3, "short")];
    assert_eq!(login_of(0, &[], &no_push).1, 1);
}

#[test]
fn only_what_the_cpp_server_sends_is_sent() {
    let refusal = |errno| Refusal::new(errno, "why");
    for msgid in [3, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15] {
        let msgid = MsgId::from_number(msgid).unwrap();
        assert_eq!(sent(&reply::done(msgid, Some(1), reply::Nothing {})), None);
        assert_eq!(sent(&reply::refused(msgid, None, &refusal(Errno::SlowDown))), None);
    }
    assert_eq!(sent(&reply::error(None, &refusal(Errno::Malformed))), None);
    let logged = super::reply(br#"{"msgid":106,"errno":6,"errmsg":"why"}"#);
    assert_eq!(logged, Told::Logged { msgid: 106, errno: 6, errmsg: "why".into() });
    for (msgid, errno, asks) in [
        (106, 12, true),
        (106, 13, true),
        (110, 13, true),
        (110, 9, false),
        (106, 0, false),
        (107, 12, false),
        (2, 13, false),
    ] {
        let text = json!({"msgid": msgid, "errno": errno, "errmsg": "why"}).to_string();
        assert_eq!(reply(text.as_bytes()).asks_to_repeat(), asks, "{text}");
    }
}

#[test]
fn registrations_and_refused_logins_are_answered_as_the_cpp_server_does() {
    let done = reply::done(MsgId::Register, None, reply::Registered { id: UserId(9) });
    assert_eq!(sent(&done).unwrap(), r#"{"errno":0,"id":9,"msgid":5}"#);
    let refused = |msgid, errno, why: &str| {
        sent(&reply::refused(msgid, None, &Refusal::new(errno, why))).unwrap()
    };
    assert_eq!(
        refused(MsgId::Login, Errno::WrongOrTaken, "…"),
        r#"{"errmsg":"id or password is invalid!","errno":1,"msgid":2}"#
    );
    assert_eq!(
        refused(MsgId::Login, Errno::AlreadyOnline, "…"),
        r#"{"errmsg":"this account is using, input another!","errno":2,"msgid":2}"#
    );
    assert_eq!(
        refused(MsgId::Register, Errno::WrongOrTaken, "taken"),
        r#"{"errmsg":"taken","errno":1,"msgid":5}"#
    );
    assert_eq!(
        refused(MsgId::Login, Errno::Unavailable, "later"),
        r#"{"errmsg":"later","errno":13,"msgid":2}"#
    );
    let long = refused(MsgId::Login, Errno::SlowDown, &"because ".repeat(200));
    assert_eq!(long.len(), LONGEST_OBJECT_BYTES);
    assert!(long.contains("…\",\"errno\":12"));
}

#[test]
fn a_push_has_toid_beside_to_or_its_group() {
    let one =
        framed_push(Target::User(UserId(2)), UserId(1), "ann", r#""hi""#, r#""now""#, r#""m""#);
    assert_eq!(
        String::from_utf8(push(&one).unwrap()).unwrap(),
        r#"{"id":1,"mid":"m","msg":"hi","msgid":6,"name":"ann","time":"now","to":2,"toid":2}"#
    );
    let group = Target::Group(GroupId(4));
    let group = framed_push(group, UserId(1), "ann", r#""h\u00e9""#, r#""now""#, r#""m""#);
    assert_eq!(
        String::from_utf8(push(&group).unwrap()).unwrap(),
        r#"{"groupid":4,"id":1,"mid":"m","msg":"hé","msgid":10,"name":"ann","time":"now"}"#
    );
    // As a C++ server leaves one in the table.
    let theirs = br#"{"id":1,"msg":"hi","msgid":6,"name":"ann","toid":2}"#;
    assert_eq!(
        String::from_utf8(push(theirs).unwrap()).unwrap(),
        r#"{"id":1,"msg":"hi","msgid":6,"name":"ann","time":"","to":2,"toid":2}"#
    );
    for text in [&b"{}"[..], b"no", b"[6]", br#"{"msgid":6}"#, br#"{"msgid":10,"to":1}"#, b"\xff"] {
        assert_eq!(push(text), None);
    }
}

#[test]
fn a_push_of_the_longest_fields_is_cut_and_keeps_them_all() {
    let name = "\u{10ffff}".repeat(50);
    let time = format!("\"{}\"", "\\u0001".repeat(64));
    let mid = format!("\"{}\"", "\\u0001".repeat(64));
    let msg = serde_json::to_string(&"é\n".repeat(5_000)).unwrap();
    let (to, id) = (Target::User(UserId(i32::MAX as u32)), UserId(i32::MAX as u32));
    let text = push(&framed_push(to, id, &name, &msg, &time, &mid)).unwrap();
    assert!((LONGEST_OBJECT_BYTES - 1..=LONGEST_OBJECT_BYTES).contains(&text.len()));
    let object: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(object["name"], name);
    assert_eq!(object["time"], "\u{1}".repeat(64));
    assert!(object["msg"].as_str().unwrap().starts_with("é\né\n"));
    assert!(object["msg"].as_str().unwrap().ends_with('…'));
    assert_eq!(object.get("mid"), None);
}

#[test]
fn only_objects_with_an_integer_msgid_are_messages() {
    for text in [r#"{"msgid":1}"#, r#"{"msgid":99}"#, r#"{"msgid":99999999999999999999}"#] {
        assert!(is_message(text.as_bytes()), "{text}");
    }
    for text in ["{}", r#"{"msgid":"1"}"#, r#"{"msgid":1.0}"#, r#"{"msgid":1,}"#, "{]"] {
        assert!(!is_message(text.as_bytes()), "{text}");
    }
}

proptest! {
    #[test]
    fn any_push_fits_and_says_as_much_as_fits(
        msg in any::<String>().prop_map(|text| text.repeat(20)),
        name in "\\PC{1,50}",
        time in any::<String>().prop_map(|time| time.chars().take(16).collect::<String>()),
        padding in 0_usize..1100,
    ) {
        let msg = format!("{}{msg}", "x".repeat(padding));
        let (msg_json, time_json) = (json!(msg).to_string(), json!(time).to_string());
        let to = Target::Group(GroupId(1));
        let whole = framed_push(to, UserId(1), &name, &msg_json, &time_json, r#""mid""#);
        let text = push(&whole).unwrap();
        prop_assert!(text.len() <= LONGEST_OBJECT_BYTES);
        prop_assert!(!text.contains(&0));
        let object: Value = serde_json::from_slice(&text).unwrap();
        prop_assert_eq!(&object["name"], &name);
        prop_assert_eq!(&object["time"], &time);
        let told = object["msg"].as_str().unwrap();
        if told != msg {
            prop_assert!(msg.starts_with(told.strip_suffix('…').unwrap()));
            // One more character and its mark would not have fitted.
            prop_assert!(text.len() > LONGEST_OBJECT_BYTES - 8);
        }
        for (character, written) in msg.chars().map(|c| (c, json!(c.to_string()).to_string())) {
            prop_assert_eq!(written_bytes(character), written.len() - 2);
        }
    }
}
