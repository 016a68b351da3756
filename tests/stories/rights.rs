//! Who may do what, in whose name, and what others learn of it: no more than
//! the protocol gives.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::support::client::TestClient;
use crate::support::door::{Door, User};
use crate::support::wait::SOON;
use crate::support::wire::frame;
use crate::support::world::World;

stories! { once:
    nothing_is_done_in_the_name_of_another,
    what_a_sender_says_of_itself_is_not_passed_on,
    nobody_makes_oneself_a_creator,
    an_outsider_cannot_touch_a_group,
    whoever_has_left_is_an_outsider_again,
    a_refusal_tells_no_more_than_the_reason,
    a_reply_tells_no_more_than_the_protocol_gives,
}

// What names and secrets are compared with is the database's affair.
mod strangers {
    use super::*;

    stories! { databases: whoever_cannot_prove_an_account_does_not_learn_whether_it_is_there }

    /// The bytes of the answer to a request on a connection of its own.
    #[track_caller]
    fn answer_bytes(door: impl Door, request: &Value) -> Vec<u8> {
        let mut stream = TcpStream::connect(door.address()).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.write_all(&frame(request.to_string().as_bytes())).unwrap();
        let mut head = [0; 4];
        stream.read_exact(&mut head).unwrap();
        let mut body = vec![0; u32::from_be_bytes(head) as usize];
        stream.read_exact(&mut body).unwrap();
        body
    }

    /// Every one of these logins is refused in the same words, to the byte.
    #[track_caller]
    fn expect_refused_alike(door: impl Door + Copy, attempts: &[Value]) {
        let first = answer_bytes(door, &attempts[0]);
        let refusal: Value = serde_json::from_slice(&first).unwrap();
        assert_eq!((&refusal["msgid"], &refusal["errno"]), (&json!(2), &json!(1)), "{refusal}");
        for attempt in &attempts[1..] {
            let bytes = answer_bytes(door, attempt);
            assert!(bytes == first, "{attempt}: {}", String::from_utf8_lossy(&bytes));
        }
    }

    fn whoever_cannot_prove_an_account_does_not_learn_whether_it_is_there(world: &World) {
        let bob = world.near().register("bob");
        let mut alice = world.near().enter("alice");
        let (person, token, secret) = (alice.person(), alice.token(), &bob.password);
        let injection = "x' OR '1'='1";
        let passwords = [
            json!({"msgid": 1, "id": bob.id, "password": "wrong"}),
            json!({"msgid": 1, "id": i32::MAX, "password": secret}),
            json!({"msgid": 1, "name": "bob", "password": injection}),
            json!({"msgid": 1, "name": "nobody", "password": secret}),
            json!({"msgid": 1, "name": injection, "password": secret}),
            json!({"msgid": 1, "name": "BOB", "password": secret}),
            // Nor whether somebody is online.
            json!({"msgid": 1, "id": person.id, "password": "wrong"}),
            json!({"msgid": 1, "id": person.id, "password": "wrong", "takeover": true}),
        ];
        expect_refused_alike(world.far(), &passwords);
        let tokens = [
            json!({"msgid": 1, "id": bob.id, "token": "nobody's"}),
            json!({"msgid": 1, "id": bob.id, "token": token}),
            json!({"msgid": 1, "id": i32::MAX, "token": token}),
            json!({"msgid": 1, "id": i32::MAX, "token": "nobody's"}),
            json!({"msgid": 1, "id": person.id, "token": "nobody's"}),
            json!({"msgid": 1, "id": person.id, "token": format!("{token} "), "takeover": true}),
            json!({"msgid": 1, "id": person.id, "token": injection, "ack": true}),
        ];
        expect_refused_alike(world.far(), &tokens);
        // Nothing of that did anything to who was online, or to what is valid.
        alice.ping();
        world.far().resume(&person, &token);
        world.far().login(&bob);
    }
}

/// The names of an object's fields, sorted.
#[track_caller]
fn keys(value: &Value) -> Vec<&str> {
    let object = value.as_object().unwrap_or_else(|| panic!("no object: {value}"));
    let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
    keys.sort();
    keys
}

/// Checks that an object has these fields and no others.
#[track_caller]
fn expect_keys(value: &Value, expected: &[&str]) {
    let mut expected = expected.to_vec();
    expected.sort();
    assert_eq!(keys(value), expected, "{value}");
}

fn nothing_is_done_in_the_name_of_another(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.near().enter("bob");
    let b = bob.id();
    let group = bob.create_group("bob's", "");
    let other = bob.create_group("not alice's", "");
    alice.join(group).done();
    alice.befriend(&bob).done();
    let carol = world.near().register("carol");
    for request in [
        json!({"msgid": 3, "id": b}),
        json!({"msgid": 4, "id": b, "name": "new", "password": "p"}),
        json!({"msgid": 6, "id": b, "to": b, "msg": "x"}),
        json!({"msgid": 7, "id": b, "friendid": carol.id}),
        json!({"msgid": 8, "id": b, "groupname": "of another"}),
        json!({"msgid": 9, "id": b, "groupid": other}),
        json!({"msgid": 10, "id": b, "groupid": group, "msg": "x"}),
        json!({"msgid": 11, "id": b, "groupid": group}),
        json!({"msgid": 12, "id": b, "friendid": b}),
        json!({"msgid": 13, "id": b}),
        json!({"msgid": 15, "id": b}),
    ] {
        alice.request(request).refused(5);
    }
    bob.expect_no_push();
    assert_eq!(alice.friends(), ["bob:online"]);
    assert_eq!(bob.friends(), ["alice:online"]);
    assert_eq!(alice.tell_group(group, "still a member"), (1, 0));
    alice.chat_in(other, "and not of the other").refused(9);
    alice.create_group("of another", "");
    world.near().register("new");
}

fn what_a_sender_says_of_itself_is_not_passed_on(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.near().enter("bob");
    let (a, b) = (alice.id(), bob.id());
    let group = alice.create_group("team", "");
    bob.join(group).done();
    let forged = r#""name":"the bank","\u006eame":"the bank","role":"creator","state":"offline",
        "from":1,"errno":0,"errmsg":"x","status":"stored","token":"t","groupname":"g","seq":9"#;
    let one =
        json!({"msgid": 6, "id": a, "name": "alice", "to": b, "msg": "m", "time": "t", "mid": "1"});
    let all = json!({
        "msgid": 10, "id": a, "name": "alice", "groupid": group, "msg": "m", "time": "t", "mid": "2"
    });
    // One's own id may be there, or none.
    for id in ["", &format!("\"id\":{a},")] {
        alice.say(&format!(
            r#"{{"msgid":6,{id}"to":{b},"toid":{a},"groupid":{group},{forged},"msg":"m","time":"t","mid":"1"}}"#
        ));
        assert_eq!(bob.next_push(), one);
        alice.say(&format!(
            r#"{{"msgid":10,{id}"to":{a},"groupid":{group},{forged},"msg":"m","time":"t","mid":"2"}}"#
        ));
        assert_eq!(bob.next_push(), all);
    }
    // Nor is it kept for later.
    let away = bob.person();
    bob.log_out();
    alice.say(&format!(r#"{{"msgid":6,"to":{b},{forged},"msg":"m","time":"t","mid":"1"}}"#)).done();
    alice
        .say(&format!(
            r#"{{"msgid":10,"groupid":{group},{forged},"msg":"m","time":"t","mid":"2"}}"#
        ))
        .done();
    assert_eq!(world.near().login(&away).missed(), [one, all]);
}

fn nobody_makes_oneself_a_creator(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.near().enter("bob");
    let group = alice.create_group("alice's", "");
    let join = json!({"msgid": 9, "groupid": group, "role": "creator", "groupname": "bob's"});
    let joined = bob.request(join).done();
    assert_eq!(joined["groupname"], "alice's");
    assert_eq!(
        (&joined["users"][1]["name"], &joined["users"][1]["role"]),
        (&json!("bob"), &json!("normal"))
    );
    let leave = json!({"msgid": 11, "groupid": group, "role": "creator", "dissolved": true});
    assert_eq!(bob.request(leave).done()["dissolved"], false);
    assert_eq!(bob.join(group).done()["users"][1]["role"], "normal", "nor by coming back");
    assert_eq!(alice.tell_group(group, "it is there"), (1, 0));
    // The creator only ever dissolves, whatever role it claims.
    let leave = json!({"msgid": 11, "groupid": group, "role": "normal", "dissolved": false});
    assert_eq!(alice.request(leave).done()["dissolved"], true);
}

fn an_outsider_cannot_touch_a_group(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.near().enter("bob");
    let mut eve = world.near().enter("eve");
    let group = alice.create_group("closed", "");
    bob.join(group).done();
    // A friend of the creator, who has a group too, is an outsider still.
    eve.befriend(&alice).done();
    eve.create_group("eve's", "");
    for _ in 0..2 {
        eve.leave(group).refused(9);
        eve.chat_in(group, "psst").refused(9);
    }
    assert_eq!(alice.tell_group(group, "only us"), (1, 0));
    assert_eq!(bob.next_text(), "only us");
    bob.expect_no_push();
    eve.expect_no_push();
    alice.expect_no_push();
    let away = eve.person();
    eve.log_out();
    assert_eq!(alice.tell_group(group, "only us"), (1, 0));
    let eve = world.near().login(&away);
    assert_eq!(eve.missed_texts(), [""; 0]);
    assert_eq!(eve.welcome()["groups"].as_array().unwrap().len(), 1);
}

fn whoever_has_left_is_an_outsider_again(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.near().enter("bob");
    let mut carol = world.near().enter("carol");
    let group = alice.create_group("pub", "");
    bob.join(group).done();
    carol.join(group).done();
    bob.leave(group).done();
    bob.chat_in(group, "one more").refused(9);
    bob.leave(group).refused(9);
    assert_eq!(alice.tell_group(group, "without bob"), (1, 0));
    assert_eq!(carol.next_text(), "without bob");
    bob.expect_no_push();
    // A name that is free again gives no right to the group that had it.
    alice.leave(group).done();
    let anew = carol.create_group("pub", "");
    alice.chat_in(anew, "mine?").refused(9);
    alice.leave(anew).refused(9);
    assert_eq!(carol.tell_group(anew, "nobody but me"), (0, 0));
}

fn a_refusal_tells_no_more_than_the_reason(world: &World) {
    let mut alice = world.near().enter("alice");
    let bob = world.near().enter("bob");
    let carol = world.near().register("carol");
    alice.befriend(&bob).done();
    let group = alice.create_group("alice's", "not for everybody's eyes");
    let mut eve = world.near().enter("eve");
    let nobody = i32::MAX;
    let expect = |client: &mut TestClient, request: Value, errno: i64, more: &[&str]| {
        let refusal = client.request(request).refused(errno);
        expect_keys(&refusal, &[&["msgid", "errno", "errmsg", "seq"], more].concat());
        refusal["errmsg"].as_str().unwrap().to_owned()
    };
    let request = json!({"msgid": 6, "to": nobody, "msg": "x"});
    expect(&mut eve, request, 6, &["mid", "to"]);
    expect(&mut eve, json!({"msgid": 7, "friendid": nobody}), 6, &[]);
    let herself = eve.id();
    expect(&mut eve, json!({"msgid": 7, "friendid": herself}), 10, &[]);
    expect(&mut alice, json!({"msgid": 7, "friendid": bob.id()}), 8, &[]);
    expect(&mut eve, json!({"msgid": 8, "groupname": "alice's"}), 1, &[]);
    expect(&mut eve, json!({"msgid": 9, "groupid": nobody}), 7, &[]);
    expect(&mut alice, json!({"msgid": 9, "groupid": group}), 8, &[]);
    let request = |groupid| json!({"msgid": 10, "groupid": groupid, "msg": "x"});
    expect(&mut eve, request(nobody.into()), 7, &["mid", "groupid"]);
    let outside = expect(&mut eve, request(group), 9, &["mid", "groupid"]);
    expect(&mut eve, json!({"msgid": 11, "groupid": nobody}), 7, &[]);
    let not_in = expect(&mut eve, json!({"msgid": 11, "groupid": group}), 9, &[]);
    expect(&mut eve, json!({"msgid": 12, "friendid": nobody}), 6, &[]);
    // Whether they are online, and whose friends they are, is nothing to eve.
    let online = expect(&mut eve, json!({"msgid": 12, "friendid": bob.id()}), 9, &[]);
    let offline = expect(&mut eve, json!({"msgid": 12, "friendid": carol.id}), 9, &[]);
    assert_eq!(online, offline);
    for told in [outside, not_in, online] {
        for secret in ["alice", "bob", "carol", "eyes"] {
            assert!(!told.contains(secret), "{told}");
        }
    }
    expect(&mut eve, json!({"msgid": 4, "name": "carol", "password": "p"}), 1, &[]);
    let mut other = world.near().connect();
    let login = json!({"msgid": 1, "id": bob.id(), "password": bob.me().password});
    expect(&mut other, login.clone(), 2, &[]);
    expect(&mut eve, login, 8, &[]);
    expect(&mut other, json!({"msgid": 13}), 3, &[]);
    expect(&mut other, json!({"msgid": 10, "groupid": group, "msg": "x", "mid": "m"}), 3, &[]);
    expect(&mut eve, json!({"msgid": 10, "groupid": group, "msg": 5, "mid": "m"}), 4, &[]);
    expect(&mut eve, json!({"msgid": 6, "id": nobody, "to": 1, "msg": "x", "mid": "m"}), 5, &[]);
}

fn a_reply_tells_no_more_than_the_protocol_gives(world: &World) {
    let bob = world.near().enter("bob");
    let mut client = world.near().connect();
    let mut expect = |request: Value, fields: &[&str]| {
        let reply = client.request(request).done();
        expect_keys(&reply, &[&["msgid", "errno", "seq"], fields].concat());
        reply
    };
    let id = expect(json!({"msgid": 4, "name": "alice", "password": "p"}), &["id"])["id"].clone();
    let login = json!({"msgid": 1, "id": id, "password": "p"});
    let welcome = ["id", "name", "friends", "groups", "offlinemsg", "token"];
    expect(login.clone(), &welcome);
    expect(json!({"msgid": 6, "to": bob.id(), "msg": ""}), &["mid", "to", "status"]);
    let added = expect(json!({"msgid": 7, "friendid": bob.id()}), &["friendid", "name", "state"]);
    assert_eq!((&added["name"], &added["state"]), (&json!("bob"), &json!("online")));
    let request = json!({"msgid": 8, "groupname": "alice's", "groupdesc": "d"});
    expect(request, &["groupid"]);
    let mut carol = world.near().enter("carol");
    let theirs = carol.create_group("carol's", "d");
    let joined = expect(
        json!({"msgid": 9, "groupid": theirs}),
        &["groupid", "groupname", "groupdesc", "users"],
    );
    for user in joined["users"].as_array().unwrap() {
        expect_keys(user, &["id", "name", "state", "role"]);
    }
    let request = json!({"msgid": 10, "groupid": theirs, "msg": ""});
    expect(request, &["mid", "groupid", "delivered", "stored"]);
    let list = expect(json!({"msgid": 13}), &["friends"]);
    expect_keys(&list["friends"][0], &["id", "name", "state"]);
    expect(json!({"msgid": 15}), &[]);
    expect(json!({"msgid": 3}), &[]);
    let welcomed = expect(login, &welcome);
    expect_keys(&welcomed["friends"][0], &["id", "name", "state"]);
    for group in welcomed["groups"].as_array().unwrap() {
        expect_keys(group, &["id", "groupname", "groupdesc", "users"]);
    }
    expect(json!({"msgid": 11, "groupid": theirs}), &["groupid", "dissolved"]);
    expect(json!({"msgid": 12, "friendid": bob.id()}), &["friendid"]);
}
