//! Who has too many missed messages waiting: senders are told, nothing that
//! was promised is lost, and what is read makes room.

use serde_json::json;

use crate::support::client::TestClient;
use crate::support::door::{Door, Person, User};
use crate::support::server::ServerPlan;
use crate::support::wait::{SOON, eventually};
use crate::support::world::World;

stories! { everywhere [&[("--max-offline", "3")]]:
    a_sender_is_told_that_the_recipient_has_too_many,
    a_member_who_has_too_many_is_in_neither_count,
    a_repeat_of_what_waits_is_stored_even_if_the_recipient_is_full,
    who_is_online_is_not_bound_by_what_was_missed,
}

/// Stores as many as there is room for; the next one is refused.
#[track_caller]
fn fill(alice: &mut TestClient, bob: &Person) {
    for text in ["one", "two", "three"] {
        assert_eq!(alice.tell(bob, text), "stored");
    }
    let refusal = alice.chat(bob, "too many").refused(12);
    let why = refusal["errmsg"].as_str().unwrap();
    assert!(why.contains("wait for the recipient"), "{why}");
    assert_eq!(refusal["to"], bob.id());
    assert!(refusal["mid"].is_string(), "{refusal}");
}

fn a_sender_is_told_that_the_recipient_has_too_many(world: &World) {
    let mut alice = world.near().enter("alice");
    let [bob, carol] = ["bob", "carol"].map(|name| world.far().register(name));
    fill(&mut alice, &bob);
    assert_eq!(alice.tell(&carol, "for you there is room"), "stored");

    let mut phone = world.far().login(&bob);
    assert_eq!(phone.missed_texts(), ["one", "two", "three"]);
    phone.log_out();
    // The sender's server may have to look at the table for that.
    eventually("there is room again", SOON, || {
        let reply = alice.chat(&bob, "room again");
        reply.errno() == 0 && reply.done()["status"] == "stored"
    });
    assert_eq!(world.far().login(&bob).missed_texts(), ["room again"]);
}

fn a_member_who_has_too_many_is_in_neither_count(world: &World) {
    let mut alice = world.near().enter("alice");
    let group = alice.create_group("team", "");
    let bob = world.far().register("bob");
    let mut phone = world.far().login(&bob);
    phone.join(group).done();
    phone.log_out();
    let mut carol = world.far().enter("carol");
    carol.join(group).done();
    eventually("the members are known", SOON, || alice.tell_group(group, "hello") == (1, 1));
    let more = (0..3).map(|_| alice.chat_in(group, "more").done()).last().unwrap();
    assert_eq!((&more["delivered"], &more["stored"]), (&json!(1), &json!(0)));
}

fn a_repeat_of_what_waits_is_stored_even_if_the_recipient_is_full(world: &World) {
    let mut alice = world.near().enter("alice");
    let bob = world.far().register("bob");
    let first = json!({"msgid": 6, "to": bob.id(), "msg": "zero", "mid": "m0"});
    alice.request(first.clone()).done();
    for text in ["one", "two"] {
        assert_eq!(alice.tell(&bob, text), "stored");
    }
    alice.chat(&bob, "too many").refused(12);
    assert_eq!(alice.request(first).done()["status"], "stored");
    assert_eq!(world.far().login(&bob).missed_texts(), ["zero", "one", "two"]);
}

fn who_is_online_is_not_bound_by_what_was_missed(world: &World) {
    let mut alice = world.near().enter("alice");
    let bob = world.far().register("bob");
    fill(&mut alice, &bob);
    let mut phone = world.far().login(&bob);
    eventually("bob is served live", SOON, || {
        let reply = alice.chat(&bob, "live");
        reply.errno() == 0 && reply.done()["status"] == "delivered"
    });
    for n in 0..10 {
        assert_eq!(alice.tell(&bob, &format!("live {n}")), "delivered");
    }
    let texts: Vec<String> = std::iter::from_fn(|| Some(phone.next_text()))
        .take_while(|text| text != "live 9")
        .filter(|text| text != "live")
        .collect();
    let expected: Vec<String> = (0..9).map(|n| format!("live {n}")).collect();
    assert_eq!(texts, expected);
}

#[test]
fn large_messages_fill_a_recipients_share_by_their_bytes() {
    let server = ServerPlan::new().flag("--max-offline-bytes", 100_000).start();
    let mut alice = server.enter("alice");
    let bob = server.register("bob");
    let large = "x".repeat(30_000);
    for _ in 0..3 {
        assert_eq!(alice.tell(&bob, &large), "stored");
    }
    let refusal = alice.chat(&bob, &large).refused(12);
    let why = refusal["errmsg"].as_str().unwrap();
    assert!(why.contains("wait for the recipient"), "{why}");
    let mut phone = server.login(&bob);
    assert_eq!(phone.texts_since_login(3), [&*large, &large, &large]);
    phone.log_out();
    assert_eq!(alice.tell(&bob, &large), "stored", "read here, so there is room at once");
}
