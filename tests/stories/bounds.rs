//! How long, how large and of what kind each field may be: the last value that
//! is taken and the first that is refused.

use serde_json::{Value, json};

use crate::support::door::{Door, User};
use crate::support::world::World;

stories! { alone:
    a_name_has_1_to_50_characters,
    a_name_has_no_control_characters_and_no_blanks_at_its_ends,
    a_password_has_1_to_128_bytes,
    a_group_has_a_name_like_a_users_and_200_characters_of_description,
    ids_are_1_to_two_thousand_million_and_whole,
    a_mid_has_1_to_64_bytes,
    a_time_has_up_to_64_bytes,
    a_text_is_a_string,
    flags_are_booleans,
}

fn a_name_has_1_to_50_characters(world: &World) {
    let mut client = world.near().connect();
    // Characters, not bytes.
    for name in ["x".into(), "y".repeat(50), "é".repeat(50), "😀".repeat(50)] {
        client.register(&name, "p").done();
    }
    for name in ["".into(), "z".repeat(51), "😁".repeat(51), "long".repeat(1_000)] {
        let refusal = client.register(&name, "p").refused(4);
        let why = refusal["errmsg"].as_str().unwrap();
        assert!(why.contains("name"), "errmsg names the field: {why}");
    }
    for name in [json!(5), json!(null), json!(["a"]), json!(true)] {
        client.request(json!({"msgid": 4, "name": name, "password": "p"})).refused(4);
    }
    client.request(json!({"msgid": 4, "password": "p"})).refused(4);
}

fn a_name_has_no_control_characters_and_no_blanks_at_its_ends(world: &World) {
    let mut client = world.near().connect();
    for control in ["\0", "\u{1}", "\t", "\n", "\u{1b}", "\u{1f}", "\u{7f}", "\u{80}", "\u{9f}"] {
        client.register(&format!("a{control}b"), "p").refused(4);
    }
    for blank in [" ", "\u{a0}", "\u{2003}", "\u{3000}", "\u{2028}"] {
        client.register(&format!("{blank}a"), "p").refused(4);
        client.register(&format!("a{blank}"), "p").refused(4);
        client.register(blank, "p").refused(4);
        client.register(&format!("a{blank}b"), "p").done();
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
    client.request(json!({"msgid": 4, "name": "d"})).refused(4);
    client.request(json!({"msgid": 4, "name": "d", "password": 12345})).refused(4);
    // What the end of a long password is matters.
    let id = client.register("e", &format!("{}1", "z".repeat(127))).done()["id"].clone();
    let wrong = format!("{}2", "z".repeat(127));
    client.request(json!({"msgid": 1, "id": id, "password": wrong})).refused(1);
}

fn a_group_has_a_name_like_a_users_and_200_characters_of_description(world: &World) {
    let mut bob = world.near().enter("bob");
    let mut create = |name: &str, description: Value| {
        bob.request(json!({"msgid": 8, "groupname": name, "groupdesc": description})).errno()
    };
    assert_eq!(create("x", json!("")), 0);
    assert_eq!(create(&"😀".repeat(50), json!("é".repeat(200))), 0);
    assert_eq!(
        create("lines", json!("one\ntwo\tthree")),
        0,
        "a description may have any character"
    );
    assert_eq!(create("", json!("")), 4);
    assert_eq!(create(&"y".repeat(51), json!("")), 4);
    assert_eq!(create(" y", json!("")), 4);
    assert_eq!(create("y\u{7}", json!("")), 4);
    assert_eq!(create("y", json!("d".repeat(201))), 4);
    assert_eq!(create("y", json!(7)), 4);
    // Nothing that was refused took the name.
    assert_eq!(create("y", json!("d".repeat(200))), 0);
}

fn ids_are_1_to_two_thousand_million_and_whole(world: &World) {
    let mut bob = world.near().enter("bob");
    let wrong = [
        json!(0),
        json!(-1),
        json!(1u64 << 31),
        json!(u64::MAX),
        json!(1.5),
        json!("1"),
        json!(true),
        json!([1]),
        json!({}),
    ];
    for id in wrong {
        bob.request(json!({"msgid": 6, "to": id, "msg": "x"})).refused(4);
        bob.request(json!({"msgid": 6, "toid": id, "msg": "x"})).refused(4);
        bob.request(json!({"msgid": 7, "friendid": id})).refused(4);
        bob.request(json!({"msgid": 12, "friendid": id})).refused(4);
        for msgid in [9, 11] {
            bob.request(json!({"msgid": msgid, "groupid": id})).refused(4);
        }
        bob.request(json!({"msgid": 10, "groupid": id, "msg": "x"})).refused(4);
        let mut other = world.near().connect();
        other.request(json!({"msgid": 1, "id": id, "password": "p"})).refused(4);
    }
    // The greatest is an id like another; nobody has it.
    bob.request(json!({"msgid": 6, "to": i32::MAX, "msg": "x"})).refused(6);
    bob.request(json!({"msgid": 7, "friendid": i32::MAX})).refused(6);
    bob.request(json!({"msgid": 9, "groupid": i32::MAX})).refused(7);
}

fn a_mid_has_1_to_64_bytes(world: &World) {
    let mut bob = world.near().enter("bob");
    let to = bob.id();
    for mid in ["m".into(), "m".repeat(64), "é".repeat(32), "a:b\"c\\d\0e".into()] {
        let reply = bob.request(json!({"msgid": 6, "to": to, "msg": "x", "mid": mid})).done();
        assert_eq!(reply["mid"], mid);
        assert_eq!(bob.next_push()["mid"], mid);
    }
    for mid in [json!(""), json!("m".repeat(65)), json!("é".repeat(33)), json!(5), json!([])] {
        bob.request(json!({"msgid": 6, "to": to, "msg": "x", "mid": mid})).refused(4);
    }
    bob.expect_no_push();
}

fn a_time_has_up_to_64_bytes(world: &World) {
    let mut bob = world.near().enter("bob");
    let to = bob.id();
    for time in ["2026-01-02 03:04:05".into(), "t".repeat(64), "é".repeat(32), "gestern".into()] {
        bob.request(json!({"msgid": 6, "to": to, "msg": "x", "time": time})).done();
        assert_eq!(bob.next_push()["time"], time);
    }
    for time in [json!("t".repeat(65)), json!("é".repeat(33)), json!(1_700_000_000), json!({})] {
        bob.request(json!({"msgid": 6, "to": to, "msg": "x", "time": time})).refused(4);
    }
    bob.expect_no_push();
}

fn a_text_is_a_string(world: &World) {
    let mut bob = world.near().enter("bob");
    let to = bob.id();
    let group = bob.create_group("g", "");
    for text in [json!(5), json!(null), json!(["x"]), json!({"x": 1}), json!(false)] {
        bob.request(json!({"msgid": 6, "to": to, "msg": text})).refused(4);
        bob.request(json!({"msgid": 10, "groupid": group, "msg": text})).refused(4);
    }
    bob.request(json!({"msgid": 6, "to": to})).refused(4);
    bob.request(json!({"msgid": 6, "msg": "for nobody"})).refused(4);
    bob.request(json!({"msgid": 10, "msg": "for no group"})).refused(4);
    bob.expect_no_push();
}

fn flags_are_booleans(world: &World) {
    let bob = world.near().register("bob");
    let mut client = world.near().connect();
    for flag in ["ack", "takeover"] {
        for value in [json!(1), json!("true"), json!([])] {
            let mut login = json!({"msgid": 1, "id": bob.id, "password": bob.password});
            login[flag] = value;
            client.request(login).refused(4);
        }
    }
    let login = json!({"msgid": 1, "id": bob.id, "password": bob.password, "ack": null});
    client.request(login).done();
}
