//! Clients that confirm what they receive: delivered means confirmed.
//!
//! The servers wait a minute for a confirmation here, so that nothing is
//! settled by the clock; what happens then is told in `unconfirmed.rs`.

use serde_json::{Value, json};

use crate::support::client::TestClient;
use crate::support::door::{Door, Person, User};
use crate::support::talk::text_of;
use crate::support::wait::{SOON, eventually_some};
use crate::support::wire::frame;
use crate::support::world::{Flag, World};

const PATIENT: &[Flag] = &[("--ack-timeout", "60")];

stories! { everywhere [PATIENT]:
    a_message_is_delivered_once_it_is_confirmed_and_not_before,
    one_confirmation_settles_many,
    missed_messages_count_first_and_one_by_one,
    a_count_too_large_is_cut_and_a_smaller_one_is_ignored,
    counting_begins_anew_with_each_login,
    what_is_not_confirmed_at_a_log_out_is_stored_in_order,
    what_is_not_confirmed_when_the_connection_ends_is_stored_in_order,
    pushes_that_nobody_has_read_are_stored_too,
    a_group_message_counts_who_confirmed,
    confirming_is_nothing_for_who_did_not_ask_for_it,
    a_repeat_of_a_delivered_message_is_answered_and_is_known_as_a_double,
    a_repeat_of_a_stored_message_gives_one_row,
    a_message_to_oneself_is_confirmed_like_any_other,
}

mod reset {
    use super::*;

    // nginx makes a FIN of a reset.
    stories! { directly [PATIENT]: what_is_not_confirmed_at_a_reset_is_stored_in_order }

    fn what_is_not_confirmed_at_a_reset_is_stored_in_order(world: &World) {
        unconfirmed_is_stored(world, TestClient::reset);
    }
}

mod malformed {
    use super::*;

    stories! { alone: a_malformed_confirmation_is_refused_and_changes_nothing }

    fn a_malformed_confirmation_is_refused_and_changes_nothing(world: &World) {
        let mut alice = world.near().enter("alice");
        let mut bob = world.near().enter_confirming("bob");
        let posted = alice.post(&bob, "hello");
        assert_eq!(bob.next_text(), "hello");
        for count in
            ["-1", "-99999999999999999999", "1.0", "1e0", "\"1\"", "null", "true", "[1]", "{}"]
        {
            let refusal = bob.say(&format!(r#"{{"msgid":14,"seq":9,"count":{count}}}"#)).refused(4);
            assert_eq!((&refusal["msgid"], &refusal["seq"]), (&json!(200), &json!(9)), "{count}");
            assert!(refusal["errmsg"].as_str().unwrap().contains("count"), "{refusal}");
        }
        assert_eq!(bob.say(r#"{"msgid":14}"#).refused(4)["msgid"], 200);
        let not_mine = format!(r#"{{"msgid":14,"id":{},"count":1}}"#, alice.id());
        assert_eq!(bob.say(&not_mine).refused(5)["msgid"], 200);
        alice.expect_nothing_settled();
        bob.confirm(1);
        assert_eq!(alice.status(posted), "delivered");
        bob.log_out();
        assert_eq!(bob.say(r#"{"msgid":14,"count":1}"#).refused(3)["msgid"], 200);
    }
}

/// `from`, `from + 1`, … as texts.
fn numbers(from: usize, to: usize) -> Vec<String> {
    (from..to).map(|n| n.to_string()).collect()
}

fn a_message_is_delivered_once_it_is_confirmed_and_not_before(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter_confirming("bob");
    let mut carol = world.far().enter("carol");
    let posted = alice.post(&bob, "hello");
    assert_eq!(bob.next_text(), "hello");
    // Time enough for an answer to come that should not.
    for _ in 0..3 {
        bob.ping();
        assert_eq!(alice.tell(&carol, "meanwhile"), "delivered");
        assert_eq!(carol.next_text(), "meanwhile");
    }
    alice.expect_nothing_settled();
    bob.confirm(1);
    assert_eq!(alice.status(posted), "delivered");
    let person = bob.person();
    bob.log_out();
    assert_eq!(world.near().login(&person).missed_texts(), [""; 0]);
}

fn one_confirmation_settles_many(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter_confirming("bob");
    let posted = alice.post_all(&bob, &numbers(0, 100));
    assert_eq!(bob.next_texts(100), numbers(0, 100));
    bob.confirm(40);
    assert!(alice.statuses(&posted[..40]).iter().all(|s| s == "delivered"));
    alice.expect_nothing_settled();
    bob.confirm(100);
    assert!(alice.statuses(&posted[40..]).iter().all(|s| s == "delivered"));
}

fn missed_messages_count_first_and_one_by_one(world: &World) {
    let mut alice = world.near().enter("alice");
    let bob = world.far().register("bob");
    alice.tell_all(&bob, &numbers(0, 3));
    let mut first = world.far().login_confirming(&bob);
    assert_eq!(first.missed_texts(), numbers(0, 3));
    let posted = alice.post(&bob, "live");
    assert_eq!(first.next_text(), "live");
    first.confirm(2);
    first.ping();
    alice.expect_nothing_settled();
    first.log_out();
    assert_eq!(alice.status(posted), "stored");
    let mut second = world.near().login_confirming(&bob);
    assert_eq!(second.missed_texts(), ["2", "live"], "0 and 1 were confirmed");
    let posted = alice.post(&bob, "again");
    assert_eq!(second.next_text(), "again");
    second.confirm(3);
    assert_eq!(alice.status(posted), "delivered");
    second.log_out();
    assert_eq!(world.far().login(&bob).missed_texts(), [""; 0]);
}

fn a_count_too_large_is_cut_and_a_smaller_one_is_ignored(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter_confirming("bob");
    let too_large = ["2", "1000", "9223372036854775807", "18446744073709551616"];
    for (handled, too_large) in (1..).zip(too_large) {
        let posted = alice.post(&bob, "hello");
        assert_eq!(bob.next_text(), "hello");
        for smaller in 0..handled {
            bob.confirm(smaller);
        }
        bob.ping();
        alice.expect_nothing_settled();
        // Cut to what was sent: the next round's message is not among it.
        bob.send_bytes(&frame(format!(r#"{{"msgid":14,"count":{too_large}}}"#).as_bytes()));
        assert_eq!(alice.status(posted), "delivered");
    }
}

fn counting_begins_anew_with_each_login(world: &World) {
    let mut alice = world.near().enter("alice");
    let carol = world.near().register("carol");
    let mut phone = world.far().enter_confirming("bob");
    let bob = phone.person();
    phone.log_out();
    for person in [&bob, &bob, &carol] {
        phone.log_in_with(person, confirming_login(person)).done();
        let posted = alice.post_all(person, &numbers(0, 3));
        assert_eq!(phone.next_texts(3), numbers(0, 3));
        phone.confirm(1);
        assert_eq!(alice.status(posted[0]), "delivered");
        phone.ping();
        alice.expect_nothing_settled();
        phone.confirm(3);
        assert_eq!(alice.statuses(&posted[1..]), ["delivered", "delivered"]);
        phone.log_out();
    }
}

fn what_is_not_confirmed_at_a_log_out_is_stored_in_order(world: &World) {
    unconfirmed_is_stored(world, |mut bob| bob.log_out());
}

fn what_is_not_confirmed_when_the_connection_ends_is_stored_in_order(world: &World) {
    unconfirmed_is_stored(world, drop);
}

/// Bob confirms two of five and goes, in some way.
fn unconfirmed_is_stored(world: &World, leave: impl FnOnce(TestClient)) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter_confirming("bob");
    let person = bob.person();
    let posted = alice.post_all(&bob, &numbers(0, 5));
    assert_eq!(bob.next_texts(5), numbers(0, 5));
    bob.confirm(2);
    assert_eq!(alice.statuses(&posted[..2]), ["delivered"; 2]);
    leave(bob);
    assert_eq!(alice.statuses(&posted[2..]), ["stored"; 3]);
    let mut phone = login_confirming_again(world, &person);
    let live = alice.post(&person, "live");
    assert_eq!(phone.confirm_texts_since_login(4), ["2", "3", "4", "live"]);
    assert_eq!(alice.status(live), "delivered");
    phone.log_out();
    assert_eq!(world.far().login(&person).missed_texts(), [""; 0]);
}

fn confirming_login(person: &Person) -> Value {
    json!({"msgid": 1, "id": person.id, "password": person.password, "ack": true})
}

fn login_confirming_again(world: &World, person: &Person) -> TestClient {
    eventually_some("the account is free again", SOON, || {
        let mut phone = world.near().connect();
        (phone.log_in_with(person, confirming_login(person)).errno() == 0).then_some(phone)
    })
}

fn pushes_that_nobody_has_read_are_stored_too(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut carol = world.near().enter("carol");
    let bob = world.far().enter_confirming("bob");
    let person = bob.person();
    let from_alice = alice.post_all(&bob, &numbers(0, 200));
    let from_carol = carol.post_all(&bob, &numbers(1_000, 1_200));
    drop(bob);
    assert!(alice.statuses(&from_alice).iter().all(|s| s == "stored"));
    assert!(carol.statuses(&from_carol).iter().all(|s| s == "stored"));
    let mut phone = login_confirming_again(world, &person);
    let (from_alice, from_carol): (Vec<_>, Vec<_>) = phone
        .confirm_texts_since_login(400)
        .into_iter()
        .partition(|text| text.parse::<usize>().unwrap() < 1_000);
    assert_eq!(from_alice, numbers(0, 200));
    assert_eq!(from_carol, numbers(1_000, 1_200));
    phone.expect_no_push();
}

fn a_group_message_counts_who_confirmed(world: &World) {
    let mut alice = world.near().enter("alice");
    let group = alice.create_group("team", "");
    let mut bob = world.far().enter_confirming("bob");
    let mut plain = world.far().enter("plain");
    let mut leaver = world.far().enter_confirming("leaver");
    let mut absent = world.far().enter("absent");
    for member in [&mut bob, &mut plain, &mut leaver, &mut absent] {
        member.join(group).done();
    }
    absent.log_out();
    let posted = alice.send(json!({"msgid": 10, "groupid": group, "msg": "lunch?"}));
    for member in [&mut bob, &mut plain, &mut leaver] {
        assert_eq!(member.next_text(), "lunch?");
    }
    leaver.log_out();
    bob.ping();
    alice.expect_nothing_settled();
    bob.confirm(1);
    let reply = alice.reply_to(posted).done();
    assert_eq!((&reply["delivered"], &reply["stored"]), (&json!(2), &json!(2)));
}

fn confirming_is_nothing_for_who_did_not_ask_for_it(world: &World) {
    let mut alice = world.near().enter("alice");
    let bob = world.far().register("bob");
    alice.tell_all(&bob, &numbers(0, 3));
    for ack in [json!(false), json!(null)] {
        let mut phone = world.far().connect();
        let login = json!({"msgid": 1, "id": bob.id, "password": bob.password, "ack": ack});
        phone.log_in_with(&bob, login).done();
        phone.confirm(1);
        assert_eq!(alice.tell(&bob, "live"), "delivered", "confirmed or not");
        assert_eq!(phone.next_text(), "live");
        phone.confirm(2);
        phone.expect_no_push();
        assert!(phone.take_replies().is_empty());
        phone.log_out();
    }
    assert_eq!(world.near().login(&bob).missed_texts(), [""; 0]);
}

/// What has come to `bob`, who confirms each, when `last` has come.
fn confirm_until(bob: &mut TestClient, last: &str) -> Vec<Value> {
    let mut got: Vec<Value> = Vec::new();
    while got.last().is_none_or(|message| text_of(message) != last) {
        got.push(bob.next_push());
        bob.confirm(got.len() as u64);
    }
    got
}

fn a_repeat_of_a_delivered_message_is_answered_and_is_known_as_a_double(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter_confirming("bob");
    let message = json!({"msgid": 6, "to": bob.id(), "msg": "hello", "mid": "m-1"});
    let person = bob.person();
    let (got, mut bob) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| (confirm_until(&mut bob, "bye"), bob));
        assert_eq!(alice.request(message.clone()).done()["status"], "delivered");
        for _ in 0..3 {
            let status = alice.request(message.clone()).done()["status"].clone();
            assert!(status == "delivered" || status == "stored", "{status}");
        }
        assert_eq!(alice.tell(&person, "bye"), "delivered");
        reader.join().unwrap()
    });
    let (bye, doubles) = got.split_last().unwrap();
    assert_eq!(bye["msg"], "bye");
    assert!((1..=4).contains(&doubles.len()), "{doubles:?}");
    for double in doubles {
        assert_eq!((&double["id"], &double["mid"]), (&json!(alice.id()), &json!("m-1")));
        assert_eq!(double["msg"], "hello");
    }
    bob.log_out();
    let left = world.near().login(&person).missed();
    assert!(left.iter().all(|double| double["mid"] == "m-1"), "{left:?}");
}

fn a_repeat_of_a_stored_message_gives_one_row(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut carol = world.far().enter("carol");
    let bob = world.far().register("bob");
    let message = |text: &str| json!({"msgid": 6, "to": bob.id, "msg": text, "mid": "m-1"});
    for text in ["first", "second"] {
        assert_eq!(alice.request(message(text)).done()["status"], "stored");
    }
    // Another sender's mid is another mid.
    assert_eq!(carol.request(message("carol's")).done()["status"], "stored");
    let mut phone = world.near().login_confirming(&bob);
    assert_eq!(phone.missed_texts(), ["first", "carol's"]);
    // Read, but not confirmed: they are still there, and still once.
    phone.log_out();
    assert_eq!(alice.request(message("third")).done()["status"], "stored");
    let mut phone = world.far().login_confirming(&bob);
    assert_eq!(phone.missed_texts(), ["first", "carol's"]);
    phone.confirm(2);
    phone.log_out();
    assert_eq!(world.far().login(&bob).missed_texts(), [""; 0]);
}

fn a_message_to_oneself_is_confirmed_like_any_other(world: &World) {
    let mut bob = world.far().enter_confirming("bob");
    let person = bob.person();
    let (one, two) = (bob.post(&person, "note"), bob.post(&person, "another"));
    assert_eq!(bob.next_texts(2), ["note", "another"]);
    bob.expect_nothing_settled();
    bob.confirm(1);
    assert_eq!(bob.status(one), "delivered");
    bob.expect_nothing_settled();
    // Its answer comes on the connection that sent it, whoever is there.
    bob.log_out();
    assert_eq!(bob.status(two), "stored");
    assert_eq!(world.near().login(&person).missed_texts(), ["another"]);
}
