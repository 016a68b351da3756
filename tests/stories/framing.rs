//! Bytes on the wire: frames cut and joined in every way, frames too long and
//! empty, other dialects, half-closed connections.

use serde_json::json;

use crate::support::client::{Reply, TestClient};
use crate::support::door::{Door, User};
use crate::support::wait::SOON;
use crate::support::wire::frame;
use crate::support::world::World;

/// The default of `--max-frame`, in bytes.
const MAX_FRAME: usize = 65_536;

stories! { alone:
    a_frame_cut_at_every_byte_is_put_together,
    a_frame_that_comes_byte_by_byte_is_put_together,
    many_frames_in_one_segment_are_all_answered_in_order,
    a_request_as_long_as_the_limit_is_served,
    a_frame_over_the_limit_is_answered_and_ends_the_connection,
    an_empty_frame_is_answered_and_ends_the_connection,
    other_first_bytes_are_closed,
    requests_before_a_broken_frame_are_answered,
}

// One reactor takes what is there in the order in which it came.
mod slowly {
    use super::*;

    stories! { once: a_whole_session_may_come_a_byte_at_a_time }

    fn a_whole_session_may_come_a_byte_at_a_time(world: &World) {
        let mut alice = world.near().enter("alice");
        let bob = world.near().register("bob");
        let mut slow = world.near().connect();
        // Once another connection has its answer, the byte before has been read.
        let mut clock = world.near().connect();
        let mut say = |slow: &mut TestClient, text: String| {
            for byte in frame(text.as_bytes()) {
                slow.send_bytes(&[byte]);
                clock.ping();
            }
            slow.next_reply().done()
        };
        let (a, b, secret) = (alice.id(), bob.id, &bob.password);
        say(&mut slow, format!(r#"{{"msgid":1,"id":{b},"password":"{secret}"}}"#));
        let chat =
            format!(r#"{{"msgid":6,"to":{a},"msg":"sl\u006fw é 😀 {}","seq":9}}"#, "x".repeat(300));
        let reply = say(&mut slow, chat);
        assert_eq!((&reply["seq"], &reply["status"]), (&json!(9), &json!("delivered")));
        assert_eq!(alice.next_text(), format!("slow é 😀 {}", "x".repeat(300)));
        let group = say(&mut slow, r#"{"msgid":8,"groupname":"räte"}"#.into())["groupid"].clone();
        assert_eq!(
            say(&mut slow, format!(r#"{{"msgid":11,"groupid":{group}}}"#))["dissolved"],
            true
        );
        say(&mut slow, r#"{"msgid":3}"#.into());
        world.near().login(&bob);
    }
}

// nginx closes both directions when one is closed.
mod half_close {
    use super::*;

    stories! { directly:
        whoever_has_said_all_still_gets_every_reply,
        whoever_has_said_all_goes_offline,
        a_frame_that_never_ends_is_dropped_with_its_connection,
    }

    fn whoever_has_said_all_still_gets_every_reply(world: &World) {
        let bob = world.near().register("bob");
        let mut alice = world.near().enter("alice");
        let texts: Vec<String> = (0..50).map(|n| format!("last words {n}")).collect();
        let mut requests: Vec<_> =
            texts.iter().map(|text| json!({"msgid": 6, "to": bob.id, "msg": text})).collect();
        requests.push(json!({"msgid": 13}));
        requests.push(json!({"msgid": 15}));
        let pending = alice.send_all(requests);
        alice.finish_sending();
        for one in pending {
            alice.reply_to(one).done();
        }
        alice.expect_closed();
        assert_eq!(world.far().login(&bob).texts_since_login(50), texts);
    }

    fn whoever_has_said_all_goes_offline(world: &World) {
        let mut bob = world.near().enter("bob");
        bob.finish_sending();
        bob.expect_closed();
        world.far().login_again(bob.me());
    }

    fn a_frame_that_never_ends_is_dropped_with_its_connection(world: &World) {
        let mut client = world.near().connect();
        client.ping();
        client.send_bytes(&frame(br#"{"msgid":15}"#)[..10]);
        client.finish_sending();
        client.expect_closed();
    }
}

fn a_frame_cut_at_every_byte_is_put_together(world: &World) {
    let mut client = world.near().connect();
    let bytes = frame(br#"{"msgid":15,"seq":77}"#);
    for cut in 1..bytes.len() {
        client.send_bytes(&bytes[..cut]);
        // On another connection, so that the first piece has surely been read.
        world.near().connect().ping();
        assert_eq!(client.say_bytes(&bytes[cut..]).done()["seq"], 77, "cut at {cut}");
    }
}

fn a_frame_that_comes_byte_by_byte_is_put_together(world: &World) {
    let mut client = world.near().connect();
    let body = json!({"msgid": 15, "seq": 5, "x": "é😀".repeat(20)}).to_string();
    for byte in frame(body.as_bytes()) {
        client.send_bytes(&[byte]);
    }
    assert_eq!(client.next_reply().done()["seq"], 5);
}

fn many_frames_in_one_segment_are_all_answered_in_order(world: &World) {
    let mut client = world.near().enter("bob");
    let mut bytes = Vec::new();
    for seq in 0..1_000 {
        // Some from memory, some that need the database: the order holds.
        let msgid = if seq % 10 == 0 { 13 } else { 15 };
        bytes.extend(frame(json!({"msgid": msgid, "seq": seq}).to_string().as_bytes()));
    }
    client.send_bytes(&bytes);
    for seq in 0..1_000 {
        assert_eq!(client.next_reply().done()["seq"], seq);
    }
}

/// A PING_MSG of exactly this many bytes.
fn ping_of(length: usize) -> Vec<u8> {
    let empty = r#"{"msgid":15,"seq":1,"x":""}"#;
    let filler = "x".repeat(length - empty.len());
    format!(r#"{{"msgid":15,"seq":1,"x":"{filler}"}}"#).into_bytes()
}

fn a_request_as_long_as_the_limit_is_served(world: &World) {
    let mut client = world.near().connect();
    for length in [MAX_FRAME, MAX_FRAME - 1, 4_096, 65_535] {
        client.say_bytes(&frame(&ping_of(length))).done();
    }
}

/// The server answers `bytes` with errno 11 and closes the connection.
#[track_caller]
fn expect_too_large(client: &mut TestClient, bytes: &[u8]) {
    let error = client.say_bytes(bytes).refused(11);
    assert_eq!(error["msgid"], 200);
    client.expect_closed();
}

fn a_frame_over_the_limit_is_answered_and_ends_the_connection(world: &World) {
    expect_too_large(&mut world.near().connect(), &frame(&ping_of(MAX_FRAME + 1)));
    // From its length alone, before the rest has come.
    expect_too_large(&mut world.near().connect(), &[0, 1, 0, 1]);
    expect_too_large(&mut world.near().connect(), &[0, 0xff, 0xff, 0xff]);
    let mut bob = world.near().enter("bob");
    expect_too_large(&mut bob, &[0xff, 0xff, 0xff, 0xff]);
    world.near().login_again(bob.me());
    // The answer is not overtaken by a reset because of what is still coming.
    let mut flooder = world.near().connect();
    let bytes = [vec![0, 0x10, 0, 0], vec![b'x'; 1_000_000]].concat();
    expect_too_large(&mut flooder, &bytes);
}

fn an_empty_frame_is_answered_and_ends_the_connection(world: &World) {
    expect_too_large(&mut world.near().connect(), &[0, 0, 0, 0]);
    let mut bob = world.near().enter("bob");
    expect_too_large(&mut bob, &[0, 0, 0, 0]);
    world.near().login_again(bob.me());
}

fn other_first_bytes_are_closed(world: &World) {
    for bytes in [
        &b" {\"msgid\":15}\0"[..],
        b"GET / HTTP/1.1\r\nHost: chat\r\n\r\n",
        b"POST / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        b"\x01",
        b"\xff\xff\xff\xff",
        b"\n",
    ] {
        let mut client = world.near().connect();
        client.send_bytes(bytes);
        client.expect_closed();
    }
}

fn requests_before_a_broken_frame_are_answered(world: &World) {
    let bob = world.far().register("bob");
    let mut alice = world.near().enter("alice");
    // The reply to a message may be overtaken by the end; the message is not.
    alice.send(json!({"msgid": 6, "to": bob.id, "msg": "just in time"}));
    let list = alice.send(json!({"msgid": 13}));
    let ping = alice.send(json!({"msgid": 15}));
    alice.send_bytes(&[0, 0, 0, 0]);
    alice.reply_to(list).done();
    alice.reply_to(ping).done();
    assert!(alice.closes_within(SOON));
    let errnos: Vec<i64> = alice.take_replies().iter().map(Reply::errno).collect();
    assert_eq!(errnos.last(), Some(&11), "{errnos:?}");
    assert_eq!(world.far().login(&bob).texts_since_login(1), ["just in time"]);
}
