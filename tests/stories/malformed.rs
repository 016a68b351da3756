//! What is not a request, or not a right one: each is answered, in the order of
//! reasons that the protocol gives, and the connection goes on. What is wrong
//! with single fields is in `fields`.

use serde_json::{Value, json};

use crate::support::client::TestClient;
use crate::support::door::{Door, User};
use crate::support::wire::frame;
use crate::support::world::World;

stories! { once:
    what_is_not_json_is_answered_and_the_connection_goes_on,
    what_is_no_object_with_an_integer_msgid_is_answered,
    an_unknown_msgid_is_answered_as_an_error,
    what_is_not_utf8_is_no_json,
    a_control_character_is_no_text_unless_it_is_escaped,
    a_pair_of_surrogate_escapes_is_one_character,
    of_duplicate_keys_the_last_one_stands,
    keys_may_be_written_with_escapes,
    null_in_an_optional_field_is_the_field_missing,
    unknown_fields_and_deep_nesting_do_no_harm,
    seq_is_echoed_exactly,
    reasons_are_looked_for_in_their_order,
    white_space_around_the_object_is_json_too,
}

/// Checks that an ERROR_MSG with this errno comes for `text`, and that the
/// connection then still serves.
#[track_caller]
fn expect_error(client: &mut TestClient, text: &[u8], errno: i64) -> Value {
    let error = client.say_bytes(&frame(text)).refused(errno);
    assert_eq!(error["msgid"], 200, "for {}", String::from_utf8_lossy(text));
    client.ping();
    error
}

fn what_is_not_json_is_answered_and_the_connection_goes_on(world: &World) {
    let mut bob = world.near().enter("bob");
    let texts: [&[u8]; 19] = [
        b" ",
        b"{",
        b"}",
        b"hello",
        b"\0",
        b"{'msgid':15}",
        b"{\"msgid\":15",
        b"{\"msgid\":15,}",
        b"{\"msgid\":15}{\"msgid\":15}",
        b"{\"msgid\":15} trailing",
        b"{\"msgid\":015}",
        b"{\"msgid\":+15}",
        b"{\"msgid\":.15}",
        b"{\"msgid\":15.}",
        b"{\"msgid\":0xf}",
        b"{\"msgid\":NaN}",
        b"{\"msgid\":15}\0",
        b"{\"msgid\":6,\"msg\":\"\\x41\"}",
        b"\xef\xbb\xbf{\"msgid\":15}",
    ];
    for text in texts {
        expect_error(&mut bob, text, 4);
    }
}

fn what_is_no_object_with_an_integer_msgid_is_answered(world: &World) {
    let mut nobody = world.near().connect();
    let texts = [
        "null",
        "15",
        "\"msgid\"",
        "[]",
        "[{\"msgid\":15}]",
        "{}",
        "{\"msg\":15}",
        "{\"MSGID\":15}",
        "{\"msgid\":null}",
        "{\"msgid\":\"15\"}",
        "{\"msgid\":1.5}",
        "{\"msgid\":15.0}",
        "{\"msgid\":15e0}",
        "{\"msgid\":1.5e1}",
        "{\"msgid\":1e400}",
        "{\"msgid\":-1e-400}",
        "{\"msgid\":15,\"msgid\":null}",
        "{\"msgid\":15,\"\\u006d\\u0073gid\":\"15\"}",
        "{\"msgid\":true}",
        "{\"msgid\":[15]}",
        "{\"msgid\":{\"msgid\":15}}",
    ];
    for text in texts {
        expect_error(&mut nobody, text.as_bytes(), 4);
    }
    assert_eq!(expect_error(&mut nobody, br#"{"seq":7}"#, 4)["seq"], 7, "seq where it is known");
}

fn an_unknown_msgid_is_answered_as_an_error(world: &World) {
    let mut bob = world.near().enter("bob");
    // The server's own numbers are no requests.
    let own = ["-1", "0", "2", "5", "16", "99", "100", "103", "106", "115", "200", "201"];
    // Nor are those that would be one if they were cut.
    let huge = [
        "-0",
        "-15",
        "65551",
        "4294967311",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551631",
        "-18446744073709551601",
        &"9".repeat(1_000),
    ];
    for msgid in own.iter().chain(&huge) {
        let text = format!(r#"{{"msgid":{msgid},"seq":9}}"#);
        let error = expect_error(&mut bob, text.as_bytes(), 14);
        assert_eq!(error["seq"], 9, "{msgid}");
    }
}

/// Sequences of bytes that no UTF-8 has.
const NO_UTF8: [&[u8]; 12] = [
    b"\x80",
    b"\xff",
    b"\xfe\xfe",
    // Too long for what they say: /, NUL, and the same with one more byte.
    b"\xc0\xaf",
    b"\xc0\x80",
    b"\xe0\x80\xaf",
    b"\xf0\x80\x80\xaf",
    // Halves of a pair, and a pair.
    b"\xed\xa0\x80",
    b"\xed\xa0\xbd\xed\xb8\x80",
    // Above the last character.
    b"\xf4\x90\x80\x80",
    // Ended too early.
    b"\xe2\x82",
    b"\xf0\x9f\x98",
];

fn what_is_not_utf8_is_no_json(world: &World) {
    let mut bob = world.near().enter("bob");
    let me = bob.id();
    for bytes in NO_UTF8 {
        let around = [
            (format!(r#"{{"msgid":6,"to":{me},"msg":"a"#), r#"b"}"#),
            (format!(r#"{{"msgid":6,"to":{me},"msg":"x","mid":""#), r#""}"#),
            (r#"{"msgid":15,"not looked at":{"x":""#.into(), r#""}}"#),
            (r#"{"msgid":15,"key"#.into(), r#"":1}"#),
            (r#"{"msgid"#.into(), r#"":15}"#),
            (r#"{"msgid":15"#.into(), "}"),
            (r#"{"msgid":15}"#.into(), ""),
        ];
        for (before, after) in around {
            let text = [before.as_bytes(), bytes, after.as_bytes()].concat();
            expect_error(&mut bob, &text, 4);
        }
    }
    bob.expect_no_push();
}

fn a_control_character_is_no_text_unless_it_is_escaped(world: &World) {
    let mut bob = world.near().enter("bob");
    let me = bob.id();
    for control in 0..0x20_u8 {
        let written = char::from(control);
        expect_error(
            &mut bob,
            format!(r#"{{"msgid":6,"to":{me},"msg":"{written}"}}"#).as_bytes(),
            4,
        );
        expect_error(&mut bob, format!(r#"{{"msgid":15,"x{written}":1}}"#).as_bytes(), 4);
        bob.say(&format!(r#"{{"msgid":6,"to":{me},"msg":"\u{control:04x}"}}"#)).done();
        assert_eq!(bob.next_text(), written.to_string());
    }
    bob.expect_no_push();
}

fn a_pair_of_surrogate_escapes_is_one_character(world: &World) {
    let mut bob = world.near().enter("bob");
    let me = bob.id();
    bob.say(&format!(r#"{{"msgid":6,"to":{me},"msg":"\ud83d\ude00"}}"#)).done();
    assert_eq!(bob.next_text(), "😀");
    // The other way round it is two halves.
    bob.say(&format!(r#"{{"msgid":6,"to":{me},"msg":"\ude00\ud83d"}}"#)).refused(4);
    bob.expect_no_push();
}

fn of_duplicate_keys_the_last_one_stands(world: &World) {
    let mut bob = world.near().enter("bob");
    let (me, other) = (bob.id(), world.near().register("other").id);
    assert_eq!(bob.say(r#"{"msgid":99,"msgid":15}"#).done()["msgid"], 115);
    assert_eq!(bob.say(r#"{"msgid":15,"msgid":99}"#).refused(14)["msgid"], 200);
    assert_eq!(bob.say(r#"{"msgid":15,"seq":1,"seq":2}"#).done()["seq"], 2);
    assert_eq!(bob.say(r#"{"msgid":15,"seq":"x","seq":3}"#).done()["seq"], 3);
    let reply = bob.say(&format!(
        r#"{{"msgid":6,"to":"?","to":{other},"to":{me},"msg":1,"msg":"first","msg":"last"}}"#
    ));
    assert_eq!(reply.done()["to"], me);
    assert_eq!(bob.next_text(), "last");
    // A key is the same however it is spelt.
    assert_eq!(bob.say(r#"{"msgid":99,"\u006dsgid":15}"#).done()["msgid"], 115);
    assert_eq!(
        bob.say(r#"{"\u006D\u0073\u0067\u0069\u0064":15,"msgid":99}"#).refused(14)["msgid"],
        200
    );
    let reply = bob.say(&format!(
        r#"{{"msgid":6,"t\u006f":{other},"to":{me},"msg":"first","\u006dsg":"last","mid":"m","mid":null}}"#
    ));
    let reply = reply.done();
    assert_eq!(reply["to"], me);
    assert_ne!(reply["mid"], "m", "null is the field missing");
    assert_eq!(bob.next_text(), "last");
    bob.expect_no_push();
}

fn keys_may_be_written_with_escapes(world: &World) {
    let mut bob = world.near().connect();
    let reply = bob.say(r#"{"\u006dsgid":15,"s\u0065q":4}"#).done();
    assert_eq!((&reply["msgid"], &reply["seq"]), (&json!(115), &json!(4)));
}

fn null_in_an_optional_field_is_the_field_missing(world: &World) {
    let mut bob = world.near().enter("bob");
    let me = bob.id();
    let reply = bob.say(r#"{"msgid":15,"seq":null,"id":null}"#).done();
    assert!(reply.get("seq").is_none(), "{reply}");
    let text = format!(
        r#"{{"msgid":6,"id":null,"to":null,"toid":{me},"msg":"x","time":null,"mid":null}}"#
    );
    bob.say(&text).done();
    let push = bob.next_push();
    assert!(push["time"].is_string() && push["mid"].is_string(), "{push}");
}

fn unknown_fields_and_deep_nesting_do_no_harm(world: &World) {
    let mut bob = world.near().connect();
    let deep = format!("{}1{}", "[".repeat(18), "]".repeat(18));
    bob.say(&format!(r#"{{"x":{deep},"msgid":15,"y":{{"msgid":99}},"":""}}"#)).done();
    bob.request(json!({"msgid": 15, "to": "?", "msg": 5, "friendid": [], "time": {}})).done();
}

fn seq_is_echoed_exactly(world: &World) {
    let mut bob = world.near().enter("bob");
    for seq in [0, 1, 1 << 53, (1 << 53) + 1, u64::MAX] {
        let reply = bob.say(&format!(r#"{{"msgid":13,"seq":{seq}}}"#)).done();
        assert_eq!(reply["seq"].as_u64(), Some(seq));
    }
    let reply = bob.say(r#"{"msgid":13}"#).done();
    assert!(reply.get("seq").is_none(), "{reply}");
    // A seq used twice is the client's own affair.
    for _ in 0..2 {
        assert_eq!(bob.say(r#"{"msgid":15,"seq":8}"#).done()["seq"], 8);
    }
}

fn reasons_are_looked_for_in_their_order(world: &World) {
    let bob = world.near().register("bob");
    let mut client = world.near().connect();
    // 14 before 3 before 4 before 5 before the rest.
    client.say(r#"{"msgid":99,"seq":-1,"id":"?"}"#).refused(14);
    client.say(r#"{"msgid":6,"seq":-1,"id":"?"}"#).refused(3);
    client.log_in(&bob).done();
    client.say(r#"{"msgid":99,"id":1000000}"#).refused(14);
    client.say(r#"{"msgid":6,"id":1000000,"to":0}"#).refused(4);
    client.say(r#"{"msgid":6,"id":1000000,"to":1000000,"msg":"x"}"#).refused(5);
    client.say(r#"{"msgid":6,"to":1000000,"msg":"x"}"#).refused(6);
    client.say(r#"{"msgid":9,"id":1000000,"groupid":1000000}"#).refused(5);
    client.say(r#"{"msgid":9,"groupid":1000000}"#).refused(7);
}

fn white_space_around_the_object_is_json_too(world: &World) {
    let mut bob = world.near().connect();
    bob.say("{\n  \"msgid\" :\t15\r\n}").done();
    // A frame that starts with a blank is a frame: only its length comes first.
    bob.say(" \r\n\t{\"msgid\":15} \n").done();
}
