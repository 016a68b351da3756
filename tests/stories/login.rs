//! Logging in and out, and what is refused before it.

use serde_json::json;

use crate::support::door::Door;
use crate::support::wait::{SOON, eventually};
use crate::support::world::World;

stories! { everywhere:
    login_by_id_tells_who_one_is,
    login_by_name,
    an_account_that_is_online_is_refused_a_second_login,
    of_many_logins_at_once_one_succeeds,
    whoever_is_logged_in_cannot_log_in_again,
    logout_frees_the_account_and_keeps_the_connection,
    another_may_log_in_on_the_same_connection,
    a_client_that_vanishes_is_set_offline,
}

// nginx makes a FIN of a reset.
mod reset {
    use super::*;

    stories! { directly: a_connection_that_is_reset_is_set_offline }

    fn a_connection_that_is_reset_is_set_offline(world: &World) {
        let mut alice = world.near().enter("alice");
        let bob = world.far().enter("bob");
        alice.befriend(&bob).done();
        let person = bob.person();
        bob.reset();
        eventually("bob is offline", SOON, || alice.friends() == ["bob:offline"]);
        world.near().login(&person);
    }
}

fn login_by_id_tells_who_one_is(world: &World) {
    let bob = world.near().register("bob");
    let client = world.far().login(&bob);
    let welcome = client.welcome();
    assert_eq!((&welcome["id"], &welcome["name"]), (&json!(bob.id), &json!("bob")));
    for list in ["friends", "groups", "offlinemsg"] {
        assert_eq!(welcome[list], json!([]), "{list}");
    }
}

fn login_by_name(world: &World) {
    let bob = world.near().register("bob");
    let mut client = world.far().connect();
    let login = json!({"msgid": 1, "name": "bob", "password": bob.password});
    let welcome = client.log_in_with(&bob, login).done();
    assert_eq!(welcome["id"], bob.id);
    assert_eq!(welcome["name"], "bob");
}

fn an_account_that_is_online_is_refused_a_second_login(world: &World) {
    let mut bob = world.near().enter("bob");
    let mut second = world.far().connect();
    second.log_in(bob.me()).refused(2);
    // The first login stands, and a wrong password does not tell who is online.
    bob.ping();
    let wrong = json!({"msgid": 1, "id": bob.me().id, "password": "wrong"});
    second.request(wrong).refused(1);
    let alice = world.near().register("alice");
    assert_eq!(bob.tell(&alice, "still here"), "stored");
}

fn of_many_logins_at_once_one_succeeds(world: &World) {
    let bob = world.near().register("bob");
    let login = json!({"msgid": 1, "id": bob.id, "password": bob.password});
    let mut clients: Vec<_> = (0..6)
        .map(|i| if i % 2 == 0 { world.near().connect() } else { world.far().connect() })
        .collect();
    let pending: Vec<_> = clients.iter_mut().map(|c| c.send(login.clone())).collect();
    let mut errnos: Vec<i64> =
        clients.iter_mut().zip(pending).map(|(c, p)| c.reply_to(p).errno()).collect();
    errnos.sort();
    assert_eq!(errnos, [0, 2, 2, 2, 2, 2]);
}

fn whoever_is_logged_in_cannot_log_in_again(world: &World) {
    let mut bob = world.near().enter("bob");
    let carol = world.far().register("carol");
    let me = bob.person();
    bob.request(json!({"msgid": 1, "id": me.id, "password": me.password})).refused(8);
    bob.request(json!({"msgid": 1, "id": carol.id, "password": carol.password})).refused(8);
    bob.request(json!({"msgid": 1, "id": carol.id, "password": "wrong"})).refused(8);
    // Nothing of that logged carol in.
    world.far().login(&carol);
}

fn logout_frees_the_account_and_keeps_the_connection(world: &World) {
    let mut bob = world.near().enter("bob");
    let person = bob.person();
    bob.log_out();
    bob.request(json!({"msgid": 13})).refused(3);
    bob.request(json!({"msgid": 3})).refused(3);
    // Free everywhere at once, and on the same connection too.
    let mut elsewhere = world.far().login(&person);
    elsewhere.log_out();
    bob.log_in(&person).done();
    assert_eq!(bob.friends(), [""; 0]);
}

fn another_may_log_in_on_the_same_connection(world: &World) {
    let mut alice = world.near().enter("alice");
    let carol = world.near().register("carol");
    let mut phone = world.far().enter("bob");
    let bob = phone.person();
    phone.log_out();
    phone.log_in(&carol).done();
    assert_eq!(alice.tell(&bob, "for bob"), "stored");
    assert_eq!(alice.tell(&carol, "for carol"), "delivered");
    let push = phone.next_push();
    assert_eq!((&push["to"], &push["msg"]), (&json!(carol.id), &json!("for carol")));
    phone.expect_no_push();
    assert_eq!(phone.tell(alice.me(), "from carol"), "delivered");
    assert_eq!(alice.next_push()["id"], carol.id);
}

fn a_client_that_vanishes_is_set_offline(world: &World) {
    let mut alice = world.near().enter("alice");
    let bob = world.far().enter("bob");
    alice.befriend(&bob).done();
    assert_eq!(alice.friends(), ["bob:online"]);
    let person = bob.person();
    drop(bob);
    eventually("bob is offline", SOON, || alice.friends() == ["bob:offline"]);
    let _bob = world.far().login(&person);
    assert_eq!(alice.friends(), ["bob:online"]);
}

mod one_connection {
    use super::*;

    stories! { alone:
        everything_but_login_registration_and_ping_needs_a_login,
        ping_is_answered_before_and_after_login,
    }

    fn everything_but_login_registration_and_ping_needs_a_login(world: &World) {
        let mut nobody = world.near().connect();
        for msgid in [3, 6, 7, 8, 9, 10, 11, 12, 13] {
            nobody.request(json!({"msgid": msgid})).refused(3);
        }
        // A confirm has no reply of its own, so its refusal is an ERROR_MSG.
        let refusal = nobody.say(r#"{"msgid":14,"count":1,"seq":5}"#).refused(3);
        assert_eq!((&refusal["msgid"], &refusal["seq"]), (&json!(200), &json!(5)));
        nobody.ping();
    }

    fn ping_is_answered_before_and_after_login(world: &World) {
        let bob = world.near().register("bob");
        let mut client = world.near().connect();
        client.ping();
        client.log_in(&bob).done();
        client.ping();
        client.log_out();
        client.ping();
    }
}
