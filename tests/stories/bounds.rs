//! How long and how large each field may be: the last value that is taken, and
//! the first that is refused where that needs a context. `fields` has the rest
//! of what is refused.

use serde_json::json;

use crate::support::client::{Reply, TestClient};
use crate::support::door::{Door, User};
use crate::support::world::World;

stories! { databases:
    a_name_has_1_to_50_characters,
    a_name_has_no_control_characters_and_no_blanks_at_its_ends,
    a_password_has_1_to_128_bytes,
    a_groups_description_has_up_to_200_characters,
    the_greatest_id_is_one_like_another,
    a_mid_has_1_to_64_bytes,
    a_time_has_up_to_64_bytes,
}

/// Registers a user, or creates a group, of this name.
#[track_caller]
fn take_name(client: &mut TestClient, of_group: bool, name: &str) -> Reply {
    if of_group {
        client.request(json!({"msgid": 8, "groupname": name}))
    } else {
        client.register(name, "p")
    }
}

fn a_name_has_1_to_50_characters(world: &World) {
    let mut alice = world.near().enter("alice");
    for of_group in [false, true] {
        // Characters, not bytes; and a letter with an accent of its own is two.
        for name in
            ["x", &"y".repeat(50), &"é".repeat(50), &"😀".repeat(50), &"e\u{301}".repeat(25)]
        {
            take_name(&mut alice, of_group, name).done();
        }
        for name in
            ["", &"z".repeat(51), &"😁".repeat(51), &"e\u{301}".repeat(26), &"long".repeat(1_000)]
        {
            take_name(&mut alice, of_group, name).refused(4);
        }
    }
}

fn a_name_has_no_control_characters_and_no_blanks_at_its_ends(world: &World) {
    let mut alice = world.near().enter("alice");
    for of_group in [false, true] {
        for control in (0..0x20).chain(0x7f..0xa0).map(|c| char::from_u32(c).unwrap()) {
            take_name(&mut alice, of_group, &format!("a{control}b")).refused(4);
        }
        for blank in [" ", "\u{a0}", "\u{1680}", "\u{2003}", "\u{3000}", "\u{2028}", "\u{2029}"] {
            for name in [format!("{blank}a"), format!("a{blank}"), blank.to_owned()] {
                take_name(&mut alice, of_group, &name).refused(4);
            }
            take_name(&mut alice, of_group, &format!("a{blank}b")).done();
        }
    }
}

fn a_password_has_1_to_128_bytes(world: &World) {
    let mut client = world.near().connect();
    // Bytes, not characters: é has two.
    for (name, password) in [("a", "x".into()), ("b", "y".repeat(128)), ("c", "é".repeat(64))] {
        let id = client.register(name, &password).done()["id"].clone();
        let mut login = world.near().connect();
        login.request(json!({"msgid": 1, "id": id, "password": password})).done();
    }
    for password in [String::new(), "y".repeat(129), "é".repeat(65)] {
        let why = client.register("d", &password).refused(4);
        assert!(why["errmsg"].as_str().unwrap().contains("password"), "{why}");
        client.request(json!({"msgid": 1, "name": "a", "password": password})).refused(4);
    }
    // What the end of a long password is matters.
    let id = client.register("e", &format!("{}1", "z".repeat(127))).done()["id"].clone();
    let wrong = format!("{}2", "z".repeat(127));
    client.request(json!({"msgid": 1, "id": id, "password": wrong})).refused(1);
}

fn a_groups_description_has_up_to_200_characters(world: &World) {
    let mut bob = world.near().enter("bob");
    let mut create = |description: &str| {
        let name = format!("{} {}", description.len(), description.chars().count());
        bob.request(json!({"msgid": 8, "groupname": name, "groupdesc": description}))
    };
    for description in ["", &"d".repeat(200), &"😀".repeat(200), " one\ntwo\tthree\0 "] {
        create(description).done();
    }
    for description in ["d".repeat(201), "é".repeat(201)] {
        create(&description).refused(4);
    }
    // What was refused did not take the name.
    bob.request(json!({"msgid": 8, "groupname": "201 201"})).done();
}

fn the_greatest_id_is_one_like_another(world: &World) {
    let mut bob = world.near().enter("bob");
    // Nobody has it.
    bob.request(json!({"msgid": 6, "to": i32::MAX, "msg": "x"})).refused(6);
    bob.request(json!({"msgid": 7, "friendid": i32::MAX})).refused(6);
    bob.request(json!({"msgid": 9, "groupid": i32::MAX})).refused(7);
    // The least one is somebody's.
    bob.request(json!({"msgid": 6, "to": 1, "msg": "x"})).done();
}

fn a_mid_has_1_to_64_bytes(world: &World) {
    let mut bob = world.near().enter("bob");
    let to = bob.id();
    for mid in ["m".into(), "m".repeat(64), "é".repeat(32), "a:b\"c\\d\0e".into()] {
        let reply = bob.request(json!({"msgid": 6, "to": to, "msg": "x", "mid": mid})).done();
        assert_eq!(reply["mid"], mid);
        assert_eq!(bob.next_push()["mid"], mid);
    }
    for mid in ["".into(), "m".repeat(65), "é".repeat(33)] {
        bob.request(json!({"msgid": 6, "to": to, "msg": "x", "mid": mid})).refused(4);
    }
    bob.expect_no_push();
}

fn a_time_has_up_to_64_bytes(world: &World) {
    let mut bob = world.near().enter("bob");
    let to = bob.id();
    for time in
        ["".into(), "2026-01-02 03:04:05".into(), "t".repeat(64), "é".repeat(32), "gestern".into()]
    {
        bob.request(json!({"msgid": 6, "to": to, "msg": "x", "time": time})).done();
        assert_eq!(bob.next_push()["time"], time);
    }
    for time in ["t".repeat(65), "é".repeat(33)] {
        bob.request(json!({"msgid": 6, "to": to, "msg": "x", "time": time})).refused(4);
    }
    bob.expect_no_push();
}
