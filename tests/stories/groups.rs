//! Groups: who is in, who may write, and how many got it.

use std::time::Duration;

use serde_json::{Value, json};

use super::texts::awkward_texts;
use crate::support::door::{Door, User};
use crate::support::wait::eventually;
use crate::support::world::World;

/// A change of membership holds on every server within 3 s; a second on top
/// for a busy machine.
const MEMBERSHIP_DEADLINE: Duration = Duration::from_secs(4);

stories! { everywhere:
    whoever_creates_a_group_is_in_it,
    a_groups_name_can_be_had_once,
    joining_shows_the_group_and_who_is_in_it,
    the_login_answer_has_the_groups,
    what_cannot_be_joined_is_refused,
    a_group_message_goes_to_everybody_but_its_sender,
    members_who_are_offline_get_it_later_and_the_counts_say_so,
    a_group_of_one_has_nobody_to_tell,
    only_members_may_write,
    a_normal_member_leaves,
    the_creator_dissolves,
    a_dissolved_group_is_gone_for_good_but_its_messages_arrive,
    group_messages_are_kept_exactly_and_in_order,
    a_repeated_group_message_is_kept_once,
    whoever_joins_gets_what_is_written_afterwards,
}

/// A list of members as `name:state:role`, sorted.
#[track_caller]
fn members(users: &Value) -> Vec<String> {
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    let show =
        |u: &Value| format!("{}:{}:{}", text(&u["name"]), text(&u["state"]), text(&u["role"]));
    let mut list: Vec<String> = users.as_array().unwrap().iter().map(show).collect();
    list.sort();
    list
}

fn whoever_creates_a_group_is_in_it(world: &World) {
    let mut alice = world.near().enter("alice");
    let group = alice.create_group("rustaceans", "we write: \"Rust\" 🦀");
    assert!((1..1 << 31).contains(&group));
    let person = alice.person();
    alice.log_out();
    let alice = world.far().login(&person);
    let user = json!({"id": person.id, "name": "alice", "state": "online", "role": "creator"});
    let expected = json!([{
        "id": group, "groupname": "rustaceans", "groupdesc": "we write: \"Rust\" 🦀",
        "users": [user]
    }]);
    assert_eq!(alice.welcome()["groups"], expected, "these fields and no others");
}

fn a_groups_name_can_be_had_once(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter("bob");
    let first = alice.create_group("readers", "");
    let again = json!({"msgid": 8, "groupname": "readers", "groupdesc": "others"});
    bob.request(again.clone()).refused(1);
    alice.request(again).refused(1);
    let other = bob.create_group("Readers", "");
    assert_ne!(first, other);
    // A missing description is an empty one.
    bob.request(json!({"msgid": 8, "groupname": "writers"})).done();
}

fn joining_shows_the_group_and_who_is_in_it(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter("bob");
    let group = alice.create_group("choir", "Tuesdays");
    let reply = bob.join(group).done();
    assert_eq!(
        (&reply["groupid"], &reply["groupname"], &reply["groupdesc"]),
        (&json!(group), &json!("choir"), &json!("Tuesdays"))
    );
    assert_eq!(members(&reply["users"]), ["alice:online:creator", "bob:online:normal"]);
    alice.log_out();
    let reply = world.near().enter("carol").join(group).done();
    assert_eq!(
        members(&reply["users"]),
        ["alice:offline:creator", "bob:online:normal", "carol:online:normal"]
    );
}

fn the_login_answer_has_the_groups(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter("bob");
    let (one, two) = (alice.create_group("one", ""), bob.create_group("two", ""));
    let other = alice.create_group("not bob's", "");
    bob.join(one).done();
    let person = bob.person();
    bob.log_out();
    let bob = world.near().login(&person);
    let groups = bob.welcome()["groups"].as_array().unwrap();
    let ids: Vec<i64> = groups.iter().map(|g| g["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, [one, two], "without {other}");
    assert_eq!(members(&groups[0]["users"]), ["alice:online:creator", "bob:online:normal"]);
    assert_eq!(members(&groups[1]["users"]), ["bob:online:creator"]);
}

fn what_cannot_be_joined_is_refused(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter("bob");
    let group = alice.create_group("club", "");
    alice.join(group).refused(8);
    bob.join(group).done();
    bob.join(group).refused(8);
    bob.join(group + 1_000).refused(7);
    bob.leave(group + 1_000).refused(7);
    bob.chat_in(group + 1_000, "echo").refused(7);
}

fn a_group_message_goes_to_everybody_but_its_sender(world: &World) {
    let mut alice = world.near().enter("alice");
    let (mut bob, mut carol) = (world.near().enter("bob"), world.far().enter("carol"));
    let mut dan = world.far().enter("dan");
    let group = alice.create_group("all", "");
    for member in [&mut bob, &mut carol] {
        member.join(group).done();
    }
    let request = json!({
        "msgid": 10, "id": carol.id(), "groupid": group, "msg": "hello all", "time": "noon",
        "mid": "m-1"
    });
    let reply = carol.request(request).done();
    let counts = (&reply["delivered"], &reply["stored"]);
    assert_eq!(counts, (&json!(2), &json!(0)));
    assert_eq!((&reply["mid"], &reply["groupid"]), (&json!("m-1"), &json!(group)));
    let expected = json!({
        "msgid": 10, "id": carol.id(), "name": "carol", "groupid": group, "msg": "hello all",
        "time": "noon", "mid": "m-1"
    });
    assert_eq!(alice.next_push(), expected, "these fields and no others");
    assert_eq!(bob.next_push(), expected);
    carol.expect_no_push();
    dan.expect_no_push();
}

fn members_who_are_offline_get_it_later_and_the_counts_say_so(world: &World) {
    let mut alice = world.near().enter("alice");
    let group = alice.create_group("all", "");
    let mut away = Vec::new();
    let mut here = Vec::new();
    for (i, name) in ["bob", "carol", "dan", "eve", "fay"].iter().enumerate() {
        let door = if i % 2 == 0 { world.near() } else { world.far() };
        let mut member = door.enter(name);
        member.join(group).done();
        if i < 2 {
            away.push(member.person());
            member.log_out();
        } else {
            here.push(member);
        }
    }
    assert_eq!(alice.tell_group(group, "who is there?"), (3, 2));
    for member in &mut here {
        assert_eq!(member.next_text(), "who is there?");
    }
    for person in &away {
        let mut member = world.far().login(person);
        assert_eq!(member.missed_texts(), ["who is there?"]);
        let missed = &member.missed()[0];
        assert_eq!((&missed["msgid"], &missed["groupid"]), (&json!(10), &json!(group)));
        member.expect_no_push();
    }
}

fn a_group_of_one_has_nobody_to_tell(world: &World) {
    let mut alice = world.near().enter("alice");
    let group = alice.create_group("me", "");
    assert_eq!(alice.tell_group(group, "echo?"), (0, 0));
    alice.expect_no_push();
    let person = alice.person();
    alice.log_out();
    assert_eq!(world.far().login(&person).missed_texts(), [""; 0]);
}

fn only_members_may_write(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter("bob");
    let group = alice.create_group("closed", "");
    bob.chat_in(group, "let me in").refused(9);
    bob.leave(group).refused(9);
    alice.expect_no_push();
    bob.join(group).done();
    eventually("bob may write", MEMBERSHIP_DEADLINE, || bob.chat_in(group, "hi").errno() == 0);
    assert_eq!(alice.next_text(), "hi");
}

fn a_normal_member_leaves(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter("bob");
    let group = alice.create_group("pub", "");
    bob.join(group).done();
    assert_eq!(alice.tell_group(group, "cheers"), (1, 0));
    assert_eq!(bob.next_text(), "cheers");
    let reply = bob.leave(group).done();
    assert_eq!((&reply["groupid"], &reply["dissolved"]), (&json!(group), &json!(false)));
    bob.leave(group).refused(9);
    eventually("bob may not write", MEMBERSHIP_DEADLINE, || {
        bob.chat_in(group, "still here").errno() == 9
    });
    eventually("alice is alone", MEMBERSHIP_DEADLINE, || alice.tell_group(group, "bob?") == (0, 0));
    let person = bob.person();
    bob.log_out();
    assert_eq!(world.near().login(&person).welcome()["groups"], json!([]));
}

fn the_creator_dissolves(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter("bob");
    let group = alice.create_group("band", "");
    bob.join(group).done();
    assert_eq!(bob.tell_group(group, "one two"), (1, 0));
    let reply = alice.leave(group).done();
    assert_eq!((&reply["groupid"], &reply["dissolved"]), (&json!(group), &json!(true)));
    eventually("the group is gone for bob too", MEMBERSHIP_DEADLINE, || {
        bob.chat_in(group, "three?").errno() == 7
    });
    bob.leave(group).refused(7);
    bob.join(group).refused(7);
    let person = bob.person();
    bob.log_out();
    assert_eq!(world.near().login(&person).welcome()["groups"], json!([]));
    // The name is free again; the number is not used again.
    assert_ne!(alice.create_group("band", ""), group);
}

fn a_dissolved_group_is_gone_for_good_but_its_messages_arrive(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter("bob");
    let group = alice.create_group("farewell", "");
    bob.join(group).done();
    let person = bob.person();
    bob.log_out();
    assert_eq!(alice.tell_group(group, "goodbye"), (0, 1));
    alice.leave(group).done();
    let bob = world.far().login(&person);
    assert_eq!(bob.welcome()["groups"], json!([]));
    assert_eq!(bob.missed_texts(), ["goodbye"]);
}

fn group_messages_are_kept_exactly_and_in_order(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter("bob");
    let mut carol = world.near().enter("carol");
    let group = alice.create_group("texts", "");
    bob.join(group).done();
    carol.join(group).done();
    let away = carol.person();
    carol.log_out();
    let mut texts = awkward_texts();
    texts.extend((0..100).map(|n| format!("number {n}")));
    let requests =
        texts.iter().map(|text| json!({"msgid": 10, "groupid": group, "msg": text})).collect();
    for pending in alice.send_all(requests) {
        let reply = alice.reply_to(pending).done();
        assert_eq!((&reply["delivered"], &reply["stored"]), (&json!(1), &json!(1)));
    }
    assert_eq!(bob.next_texts(texts.len()), texts);
    let mut carol = world.far().login(&away);
    assert_eq!(carol.texts_since_login(texts.len()), texts);
    carol.expect_no_push();
}

fn a_repeated_group_message_is_kept_once(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter("bob");
    let group = alice.create_group("twice", "");
    bob.join(group).done();
    let person = bob.person();
    bob.log_out();
    for _ in 0..2 {
        let request = json!({"msgid": 10, "groupid": group, "msg": "once", "mid": "same"});
        assert_eq!(alice.request(request).done()["stored"], 1);
    }
    assert_eq!(world.far().login(&person).missed_texts(), ["once"]);
}

fn whoever_joins_gets_what_is_written_afterwards(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter("bob");
    let group = alice.create_group("growing", "");
    assert_eq!(alice.tell_group(group, "before"), (0, 0));
    bob.join(group).done();
    eventually("bob counts", MEMBERSHIP_DEADLINE, || alice.tell_group(group, "after").0 == 1);
    assert_eq!(bob.next_text(), "after");
    bob.expect_no_push();
}
