//! Coming back by token, and taking over a session that still looks online.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::cluster::Cluster;
use crate::support::door::Door;
use crate::support::process::Signal;
use crate::support::wait::{SOON, eventually};
use crate::support::world::World;

stories! { everywhere:
    a_token_is_proof_enough_and_each_login_makes_a_new_one,
    a_token_is_nobody_elses_and_nonsense_is_refused,
    the_former_token_is_valid_until_the_new_connection_speaks,
    a_log_out_ends_the_token_and_its_former_one,
    a_resume_takes_over_and_brings_what_was_not_confirmed_first,
    a_password_takes_over_when_asked_to,
    of_two_that_take_over_from_each_other_the_last_stands,
    a_resumed_session_is_written_to_and_writes,
}

fn a_token_is_proof_enough_and_each_login_makes_a_new_one(world: &World) {
    let bob = world.near().enter_confirming("bob");
    let (person, first) = (bob.person(), bob.token());
    drop(bob);
    let phone = world.far().resume(&person, &first);
    assert_eq!(phone.welcome()["id"], person.id);
    assert_eq!(phone.welcome()["name"], "bob");
    assert_ne!(phone.token(), first);
    let tablet = world.near().resume(&person, &phone.token());
    assert_ne!(tablet.token(), phone.token());
}

fn a_token_is_nobody_elses_and_nonsense_is_refused(world: &World) {
    let bob = world.near().enter("bob");
    let eve = world.far().register("eve");
    world.far().connect().resume(&eve, &bob.token()).refused(1);
    for token in ["", "0", &"f".repeat(48), &bob.token().to_uppercase()] {
        world.far().connect().resume(&bob.person(), token).refused(1);
    }
    let by_name = json!({"msgid": 1, "name": "bob", "token": bob.token()});
    world.near().connect().request(by_name).refused(4);
}

fn the_former_token_is_valid_until_the_new_connection_speaks(world: &World) {
    let bob = world.near().enter_confirming("bob");
    let (person, first) = (bob.person(), bob.token());
    // Two answers are lost.
    drop(world.far().resume(&person, &first));
    drop(world.near().resume(&person, &first));
    let mut phone = world.far().resume(&person, &first);
    eventually("the former token is of no more use", SOON, || {
        phone.ping();
        let mut early = world.near().connect();
        if early.resume(&person, &first).errno() == 1 {
            return true;
        }
        // The ping has not ended it yet: this one has taken over.
        phone = early;
        false
    });
    world.near().resume(&person, &phone.token());
}

fn a_log_out_ends_the_token_and_its_former_one(world: &World) {
    let bob = world.near().enter_confirming("bob");
    let (person, first) = (bob.person(), bob.token());
    let mut phone = world.far().resume(&person, &first);
    let second = phone.token();
    phone.log_out();
    for token in [first, second] {
        world.near().connect().resume(&person, &token).refused(1);
    }
    world.near().login(&person);
}

fn a_resume_takes_over_and_brings_what_was_not_confirmed_first(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter_confirming("bob");
    let (person, token) = (bob.person(), bob.token());
    let sent: Vec<_> = ["one", "two", "three"]
        .map(|text| alice.send(json!({"msgid": 6, "to": person.id, "msg": text})))
        .into();
    assert_eq!(bob.next_texts(3), ["one", "two", "three"]);
    bob.confirm(1);
    let mut sent = sent.into_iter();
    assert_eq!(alice.reply_to(sent.next().unwrap()).done()["status"], "delivered");
    let mut phone = world.near().resume(&person, &token);
    assert_eq!(phone.missed_texts(), ["two", "three"]);
    for pending in sent {
        assert_eq!(alice.reply_to(pending).done()["status"], "stored");
    }
    bob.expect_closed();
    phone.confirm(2);
    // The former session's server may still say that it has stored something:
    // until that is looked for, what comes is stored first and pushed then.
    let mut handled = 2;
    eventually("what comes is pushed at once", SOON, || {
        let later = alice.send(json!({"msgid": 6, "to": person.id, "msg": "later"}));
        assert_eq!(phone.next_text(), "later");
        handled += 1;
        phone.confirm(handled);
        alice.reply_to(later).done()["status"] == "delivered"
    });
    phone.log_out();
    assert_eq!(world.far().login(&person).missed_texts(), Vec::<String>::new());
}

fn a_password_takes_over_when_asked_to(world: &World) {
    let mut bob = world.near().enter("bob");
    let person = bob.person();
    world.far().connect().log_in(&person).refused(2);
    let login = json!({
        "msgid": 1, "id": person.id, "password": person.password, "takeover": true,
    });
    let mut phone = world.far().connect();
    phone.log_in_with(&person, login).done();
    bob.expect_closed();
    phone.ping();
}

fn of_two_that_take_over_from_each_other_the_last_stands(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.near().enter_confirming("bob");
    let person = bob.person();
    for round in 0..10 {
        let door = if round % 2 == 0 { world.far() } else { world.near() };
        let newer = door.resume(&person, &bob.token());
        bob.expect_closed();
        bob = newer;
    }
    let pending = alice.send(json!({"msgid": 6, "to": person.id, "msg": "still there?"}));
    assert_eq!(bob.next_text(), "still there?");
    bob.confirm(1);
    assert_eq!(alice.reply_to(pending).done()["status"], "delivered");
}

fn a_resumed_session_is_written_to_and_writes(world: &World) {
    let mut alice = world.near().enter("alice");
    let bob = world.near().enter_confirming("bob");
    let mut phone = world.far().resume(&bob.person(), &bob.token());
    let pending = alice.send(json!({"msgid": 6, "to": phone.me().id, "msg": "hello"}));
    assert_eq!(phone.next_text(), "hello");
    phone.confirm(1);
    assert_eq!(alice.reply_to(pending).done()["status"], "delivered");
    assert_eq!(phone.tell(&alice, "hello yourself"), "delivered");
}

/// What an honest resume may take: far below what it takes to notice a death.
const AT_ONCE: Duration = Duration::from_secs(3);

#[test]
fn a_resume_does_not_wait_for_a_killed_server_to_be_declared_dead() {
    let mut cluster = Cluster::start();
    let (one, other) = cluster.two();
    let mut alice = other.enter("alice");
    let bob = one.enter_confirming("bob");
    assert_eq!(alice.chat(&bob, "before").errno(), 0);
    one.kill9();
    let begun = Instant::now();
    let mut phone = other.resume(&bob.person(), &bob.token());
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    let before = phone.missed_texts();
    assert!(before.len() <= 1, "{before:?}");
    let pending = alice.send(json!({"msgid": 6, "to": phone.me().id, "msg": "after"}));
    while phone.next_text() != "after" {}
    phone.confirm(2);
    assert_eq!(alice.reply_to(pending).done()["status"], "delivered");
}

#[test]
fn a_resume_does_not_wait_for_a_frozen_server() {
    let mut cluster = Cluster::start();
    let (one, other) = cluster.two();
    let mut bob = one.enter_confirming("bob");
    let (person, token) = (bob.person(), bob.token());
    one.signal(Signal::Stop);
    let begun = Instant::now();
    let mut phone = other.resume(&person, &token);
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    one.signal(Signal::Cont);
    bob.expect_closed();
    phone.ping();
}
