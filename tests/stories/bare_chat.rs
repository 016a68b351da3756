//! Unmodified C++ clients among themselves and with everybody else, on one
//! server and across two.

use serde_json::json;

use crate::support::client::TestClient;
use crate::support::cpp_client::{SLOWLY, cpp, enter, message};
use crate::support::door::{Door, User};
use crate::support::wait::{SOON, eventually};
use crate::support::world::World;

stories! { everywhere [SLOWLY]:
    cpp_clients_chat_with_each_other,
    all_dialects_meet_in_one_group,
    what_was_missed_comes_with_the_login,
}

fn cpp_clients_chat_with_each_other(world: &World) {
    let (mut ann, a) = enter(world.near(), "ann");
    let (mut bob, b) = enter(world.far(), "bob");
    ann.chat(&b, "hello");
    assert_eq!(bob.next_message(), message(a.id, "ann", "hello", None));
    bob.chat(&a, "quoted \"ü\\字😀\"\n");
    assert_eq!(ann.next_message(), message(b.id, "bob", "quoted \"ü\\字😀\"\n", None));
    // Fast typing: two in one segment, and they come as two.
    let one = |text| json!({"msgid": 6, "id": a.id, "toid": b.id, "msg": text, "time": "now"});
    ann.send_bytes(format!("{}\0{}", one("first"), one("second")).as_bytes());
    assert_eq!(bob.next_texts(2), ["first", "second"]);
    // One that is longer than their buffer is cut, not lost.
    ann.chat(&b, &"long ".repeat(1000));
    let text = bob.next_message().text;
    assert!(text.starts_with("long long ") && text.ends_with('…') && text.len() > 800);
    ann.expect_nothing_more();
    bob.expect_nothing_more();
}

fn all_dialects_meet_in_one_group(world: &World) {
    let (mut ann, a) = enter(world.near(), "ann");
    let (mut bob, _) = enter(world.far(), "bob");
    let mut carol = world.far().enter("carol");
    let mut dave = world.near().enter("dave");
    let group = dave.create_group("team", "of all sorts");
    ann.send(&json!({"msgid": 9, "id": a.id, "groupid": group}));
    bob.send(&json!({"msgid": 9, "groupid": group}));
    carol.join(group).done();
    ann.expect_nothing_more();
    bob.expect_nothing_more();
    // A membership is known everywhere within 3 s.
    eventually("all four are in it", SOON, || dave.tell_group(group, "here?") == (3, 0));
    assert_eq!(dave.tell_group(group, "all?"), (3, 0));
    while ann.next_message().text != "all?" {}
    while bob.next_message().text != "all?" {}
    read_on_to(&mut carol, "all?");

    ann.chat_in(group, "from C++");
    assert_eq!(bob.next_message(), message(a.id, "ann", "from C++", Some(group)));
    read_on_to(&mut carol, "from C++");
    let push = dave.next_push();
    assert_eq!((&push["id"], &push["name"]), (&json!(a.id), &json!("ann")));
    assert_eq!(push["time"], "2026-11-21 12:00:00");
    assert_eq!(push.get("toid"), None, "framed clients get what they always got");
}

#[track_caller]
fn read_on_to(client: &mut TestClient, text: &str) {
    while client.next_text() != text {}
}

fn what_was_missed_comes_with_the_login(world: &World) {
    let (mut ann, a) = enter(world.near(), "ann");
    let mut dave = world.near().enter("dave");
    let bob = world.far().register("bob");
    let team = dave.create_group("team", "");
    world.far().login(&bob).join(team).done();
    // Whoever is gone may still look online for a moment.
    eventually("bob is offline", SOON, || dave.tell(&bob, "there?") == "stored");
    ann.chat(&bob, "later, then");
    ann.expect_nothing_more();
    eventually("the group knows bob", SOON, || dave.tell_group(team, "all") == (0, 1));
    let mut phone = cpp(world.far());
    let mut texts: Vec<_> = phone.log_in(&bob).missed;
    while texts.last().is_none_or(|last| last.text != "all") {
        texts.push(phone.next_message());
    }
    let ids: Vec<i64> = texts.iter().map(|message| message.from).collect();
    let dave_id = dave.id();
    assert!(texts.contains(&message(a.id, "ann", "later, then", None)), "{texts:?}");
    assert!(texts.contains(&message(dave_id, "dave", "all", Some(team))), "{texts:?}");
    assert_eq!(ids.iter().filter(|id| **id == a.id).count(), 1);
    // Nothing of it comes again.
    phone.send(&json!({"msgid": 3, "id": bob.id}));
    let again = phone.log_in(&bob);
    assert_eq!(again.missed, []);
    phone.expect_nothing_more();
}
