//! What is not a request, or not a right one: each is answered, in the order of
//! reasons that the protocol gives, and the connection goes on.

use serde_json::{Value, json};

use crate::support::client::TestClient;
use crate::support::door::{Door, User};
use crate::support::wire::frame;
use crate::support::world::World;

stories! { alone:
    what_is_not_json_is_answered_and_the_connection_goes_on,
    what_is_no_object_with_an_integer_msgid_is_answered,
    an_unknown_msgid_is_answered_as_an_error,
    the_refusal_of_a_known_request_is_its_reply,
    a_lone_surrogate_is_no_text,
    of_duplicate_keys_the_last_one_stands,
    keys_may_be_written_with_escapes,
    null_in_an_optional_field_is_the_field_missing,
    unknown_fields_and_deep_nesting_do_no_harm,
    seq_is_echoed_exactly,
    a_seq_that_is_no_u64_is_malformed_and_not_echoed,
    reasons_are_looked_for_in_their_order,
    an_id_that_is_not_ones_own_is_refused,
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
    let texts: [&[u8]; 14] = [
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
        b"{\"msgid\":6,\"msg\":\"\xff\xfe\"}",
        b"{\"msgid\":6,\"msg\":\"a\nb\"}",
        b"{\"msgid\":6,\"msg\":\"\\x41\"}",
    ];
    for text in texts {
        expect_error(&mut bob, text, 4);
    }
    let nested = "[".repeat(30_000);
    expect_error(&mut bob, nested.as_bytes(), 4);
    let nested = format!("{}1{}", "{\"a\":".repeat(5_000), "}".repeat(5_000));
    expect_error(&mut bob, nested.as_bytes(), 4);
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
    for msgid in [-1, 0, 2, 5, 16, 99, 100, 103, 106, 115, 200, 201, 65_536 + 15] {
        let text = json!({"msgid": msgid, "seq": 9}).to_string();
        let error = expect_error(&mut bob, text.as_bytes(), 14);
        assert_eq!(error["seq"], 9, "{msgid}");
    }
}

fn the_refusal_of_a_known_request_is_its_reply(world: &World) {
    let mut bob = world.near().enter("bob");
    // `request` checks the number of the reply.
    for msgid in [6, 7, 8, 9, 10, 11, 12, 4] {
        bob.request(json!({"msgid": msgid})).refused(4);
    }
    world.near().connect().request(json!({"msgid": 1})).refused(4);
    let refusal = bob.say(r#"{"msgid":14,"count":"two","seq":3}"#).refused(4);
    assert_eq!((&refusal["msgid"], &refusal["seq"]), (&json!(200), &json!(3)));
}

fn a_lone_surrogate_is_no_text(world: &World) {
    let mut bob = world.near().enter("bob");
    let me = bob.id();
    for escape in ["\\ud800", "\\udc00", "\\ud800x", "\\ud800\\ud800", "\\udc00\\ud800"] {
        bob.say(&format!(r#"{{"msgid":6,"to":{me},"msg":"{escape}"}}"#)).refused(4);
        bob.say(&format!(r#"{{"msgid":4,"name":"a{escape}","password":"p"}}"#)).refused(4);
    }
    bob.say(&format!(r#"{{"msgid":6,"to":{me},"msg":"\ud83d\ude00"}}"#)).done();
    assert_eq!(bob.next_text(), "😀");
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
    bob.request(json!({"msgid": 8, "groupname": "g", "groupdesc": null})).done();
    // In a field that is not optional null is no value.
    bob.request(json!({"msgid": 6, "to": me, "msg": null})).refused(4);
    bob.request(json!({"msgid": 7, "friendid": null})).refused(4);
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

fn a_seq_that_is_no_u64_is_malformed_and_not_echoed(world: &World) {
    let mut bob = world.near().enter("bob");
    for seq in ["-1", "1.5", "\"1\"", "true", "[1]", "{}", "18446744073709551616", "1e400"] {
        let refusal = bob.say(&format!(r#"{{"msgid":13,"seq":{seq}}}"#)).refused(4);
        assert!(refusal.get("seq").is_none(), "{seq}: {refusal}");
    }
    let refusal = bob.say(r#"{"msgid":13,"seq":-1}"#).refused(4);
    assert_eq!(refusal["msgid"], 113);
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

fn an_id_that_is_not_ones_own_is_refused(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.near().enter("bob");
    let (a, b) = (alice.id(), bob.id());
    alice.befriend(&bob).done();
    for request in [
        json!({"msgid": 3, "id": b}),
        json!({"msgid": 6, "id": b, "to": b, "msg": "x"}),
        json!({"msgid": 7, "id": b, "friendid": b}),
        json!({"msgid": 8, "id": b, "groupname": "of another"}),
        json!({"msgid": 12, "id": b, "friendid": b}),
        json!({"msgid": 13, "id": b}),
        json!({"msgid": 15, "id": b}),
    ] {
        alice.request(request).refused(5);
    }
    assert_eq!(alice.friends(), ["bob:online"], "nothing was done");
    bob.expect_no_push();
    // One's own may be there, and a name is never believed.
    alice.request(json!({"msgid": 6, "id": a, "name": "the bank", "to": b, "msg": "hi"})).done();
    let push = bob.next_push();
    assert_eq!((&push["id"], &push["name"]), (&json!(a), &json!("alice")));
    for id in [json!(0), json!(-1), json!(1u64 << 31), json!("1"), json!(1.5), json!([])] {
        alice.request(json!({"msgid": 13, "id": id})).refused(4);
    }
}

fn white_space_around_the_object_is_json_too(world: &World) {
    let mut bob = world.near().connect();
    bob.say("{\n  \"msgid\" :\t15\r\n}").done();
    // A frame that starts with a blank is a frame: only its length comes first.
    bob.say(" \r\n\t{\"msgid\":15} \n").done();
}
