//! One person writes to another.

use serde_json::json;

use crate::support::door::{Door, User};
use crate::support::world::World;

stories! { everywhere:
    a_message_to_somebody_online_is_delivered,
    a_message_to_somebody_offline_comes_with_the_login_once,
    several_missed_messages_come_in_order,
    whoever_is_back_gets_messages_at_once_again,
    one_may_write_to_oneself,
    nobody_can_write_to_somebody_who_does_not_exist,
    to_stands_where_toid_is_given_too,
    time_and_mid_are_made_where_they_are_missing,
    a_message_repeated_to_somebody_offline_is_kept_once,
    a_mid_is_the_senders_own,
    two_talk_at_the_same_time,
    many_messages_arrive_in_the_order_sent,
}

fn a_message_to_somebody_online_is_delivered(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter("bob");
    let request = json!({
        "msgid": 6, "id": alice.id(), "to": bob.id(), "msg": "hi", "time": "noon", "mid": "m-1",
        "foo": "not passed on"
    });
    let reply = alice.request(request).done();
    assert_eq!(
        (&reply["mid"], &reply["to"], &reply["status"]),
        (&json!("m-1"), &json!(bob.id()), &json!("delivered"))
    );
    let expected = json!({
        "msgid": 6, "id": alice.id(), "name": "alice", "to": bob.id(),
        "msg": "hi", "time": "noon", "mid": "m-1"
    });
    assert_eq!(bob.next_push(), expected, "these fields and no others");
    bob.expect_no_push();
    alice.expect_no_push();
    // What was delivered is not there again.
    let person = bob.person();
    bob.log_out();
    assert_eq!(world.near().login(&person).missed_texts(), [""; 0]);
}

fn a_message_to_somebody_offline_comes_with_the_login_once(world: &World) {
    let mut alice = world.near().enter("alice");
    let bob = world.far().register("bob");
    let request = json!({"msgid": 6, "to": bob.id, "msg": "later", "time": "noon", "mid": "m-1"});
    assert_eq!(alice.request(request).done()["status"], "stored");
    let mut first = world.far().login(&bob);
    let expected = json!({
        "msgid": 6, "id": alice.id(), "name": "alice", "to": bob.id,
        "msg": "later", "time": "noon", "mid": "m-1"
    });
    assert_eq!(first.missed(), [expected]);
    first.expect_no_push();
    first.log_out();
    let mut second = world.near().login(&bob);
    assert_eq!(second.missed_texts(), [""; 0]);
    second.expect_no_push();
}

fn several_missed_messages_come_in_order(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut carol = world.far().enter("carol");
    let bob = world.far().register("bob");
    let mut expected = Vec::new();
    for n in 0..20 {
        let text = format!("message {n}");
        let sender = if n % 3 == 0 { &mut carol } else { &mut alice };
        assert_eq!(sender.tell(&bob, &text), "stored");
        expected.push(text);
    }
    let mut bob = world.far().login(&bob);
    assert_eq!(bob.missed_texts(), expected);
    bob.expect_no_push();
}

fn whoever_is_back_gets_messages_at_once_again(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter("bob");
    let person = bob.person();
    for round in 0..3 {
        assert_eq!(alice.tell(&person, "while here"), "delivered", "round {round}");
        assert_eq!(bob.next_text(), "while here");
        bob.log_out();
        assert_eq!(alice.tell(&person, "while away"), "stored", "round {round}");
        bob.log_in(&person).done();
        assert_eq!(bob.missed_texts(), ["while away"]);
    }
}

fn one_may_write_to_oneself(world: &World) {
    let mut bob = world.near().enter("bob");
    let me = bob.person();
    assert_eq!(bob.tell(&me, "note to self"), "delivered");
    let push = bob.next_push();
    assert_eq!((&push["id"], &push["to"]), (&json!(me.id), &json!(me.id)));
    assert_eq!(push["msg"], "note to self");
    bob.expect_no_push();
}

fn nobody_can_write_to_somebody_who_does_not_exist(world: &World) {
    let mut alice = world.near().enter("alice");
    for id in [alice.id() + 1, 1_000_000, i64::from(i32::MAX)] {
        alice.request(json!({"msgid": 6, "to": id, "msg": "hello?"})).refused(6);
    }
    // Nor does the message wait for the one who gets that number.
    let unborn = alice.id() + 1;
    let mut born = world.far().enter("born later");
    if born.id() == unborn {
        assert_eq!(born.missed_texts(), [""; 0]);
    }
    assert_eq!(alice.tell(&born, "now"), "delivered");
    assert_eq!(born.next_text(), "now");
}

fn to_stands_where_toid_is_given_too(world: &World) {
    let mut alice = world.near().enter("alice");
    let (mut bob, mut carol) = (world.far().enter("bob"), world.near().enter("carol"));
    alice.request(json!({"msgid": 6, "toid": bob.id(), "msg": "alias"})).done();
    assert_eq!(bob.next_text(), "alias");
    let both = json!({"msgid": 6, "toid": carol.id(), "to": bob.id(), "msg": "both"});
    assert_eq!(alice.request(both).done()["to"], bob.id());
    assert_eq!(bob.next_text(), "both");
    alice.request(json!({"msgid": 6, "toid": carol.id(), "to": 0, "msg": "x"})).refused(4);
    carol.expect_no_push();
    bob.expect_no_push();
}

fn time_and_mid_are_made_where_they_are_missing(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter("bob");
    let mut mids = Vec::new();
    for _ in 0..3 {
        let reply = alice.chat(&bob, "same text").done();
        let push = bob.next_push();
        assert_eq!(push["mid"], reply["mid"]);
        let mid = push["mid"].as_str().unwrap().to_owned();
        assert!((1..=64).contains(&mid.len()), "{mid}");
        assert!(!mids.contains(&mid), "each message gets one of its own");
        mids.push(mid);
        let time = push["time"].as_str().unwrap();
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "RFC 3339: {time}");
        assert!(time.ends_with('Z'), "in UTC: {time}");
    }
}

fn a_message_repeated_to_somebody_offline_is_kept_once(world: &World) {
    let mut alice = world.near().enter("alice");
    let bob = world.far().register("bob");
    for text in ["first", "first", "what came later does not stand"] {
        let request = json!({"msgid": 6, "to": bob.id, "msg": text, "mid": "same"});
        assert_eq!(alice.request(request).done()["status"], "stored");
    }
    let mut bob = world.far().login(&bob);
    assert_eq!(bob.missed_texts(), ["first"]);
    bob.expect_no_push();
}

fn a_mid_is_the_senders_own(world: &World) {
    let (mut alice, mut carol) = (world.near().enter("alice"), world.far().enter("carol"));
    let (bob, dan) = (world.far().register("bob"), world.far().register("dan"));
    for to in [&bob, &dan] {
        for sender in [&mut alice, &mut carol] {
            let request = json!({"msgid": 6, "to": to.id, "msg": "x", "mid": "same"});
            sender.request(request).done();
        }
    }
    for person in [&bob, &dan] {
        assert_eq!(world.near().login(person).missed_texts(), ["x", "x"]);
    }
    // Nor does case, or a blank at the end, make two mids one.
    let eve = world.near().register("eve");
    for mid in ["m", "M", "m ", "ḿ"] {
        alice.request(json!({"msgid": 6, "to": eve.id, "msg": mid, "mid": mid})).done();
    }
    assert_eq!(world.near().login(&eve).missed_texts(), ["m", "M", "m ", "ḿ"]);
}

fn two_talk_at_the_same_time(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter("bob");
    let numbered = |n| (0..n).map(|i| i.to_string()).collect::<Vec<_>>();
    std::thread::scope(|scope| {
        let (a, b) = (alice.person(), bob.person());
        for (client, to) in [(&mut alice, b), (&mut bob, a)] {
            scope.spawn(move || {
                let statuses = client.tell_all(&to, &numbered(300));
                assert!(statuses.iter().all(|s| s == "delivered"), "{statuses:?}");
                assert_eq!(client.next_texts(300), numbered(300));
            });
        }
    });
}

fn many_messages_arrive_in_the_order_sent(world: &World) {
    let mut bob = world.far().enter("bob");
    let to = bob.person();
    let senders = 4;
    let each: usize = 200;
    std::thread::scope(|scope| {
        for sender in 0..senders {
            let to = &to;
            scope.spawn(move || {
                let door = if sender % 2 == 0 { world.near() } else { world.far() };
                let mut client = door.enter(&format!("sender {sender}"));
                let texts: Vec<String> = (0..each).map(|n| format!("{sender} {n}")).collect();
                let statuses = client.tell_all(to, &texts);
                assert!(statuses.iter().all(|s| s == "delivered"), "{statuses:?}");
            });
        }
        let got = bob.next_texts(senders * each);
        for sender in 0..senders {
            let prefix = format!("{sender} ");
            let from_one: Vec<&String> = got.iter().filter(|t| t.starts_with(&prefix)).collect();
            let sent: Vec<String> = (0..each).map(|n| format!("{sender} {n}")).collect();
            assert!(from_one.iter().copied().eq(&sent), "from {sender}: {from_one:?}");
        }
    });
    bob.expect_no_push();
}
