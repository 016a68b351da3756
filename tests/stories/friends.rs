//! Friendships: two sides, and who of one's friends is online.

use serde_json::json;

use crate::support::door::{Door, User};
use crate::support::talk::names_and_states;
use crate::support::wait::{SOON, eventually};
use crate::support::world::World;

stories! { everywhere:
    a_friendship_has_two_sides,
    the_list_shows_who_is_online,
    the_login_answer_has_the_friends,
    friends_already_is_nothing_to_do,
    nobody_befriends_oneself_or_a_stranger_who_is_not_there,
    either_side_may_end_a_friendship,
    a_friendship_that_is_not_there_cannot_be_ended,
    two_who_befriend_each_other_at_once_are_friends_once,
    friends_are_kept_while_everybody_is_away,
}

fn a_friendship_has_two_sides(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter("bob");
    let reply = alice.befriend(&bob).done();
    assert_eq!(
        (&reply["friendid"], &reply["name"], &reply["state"]),
        (&json!(bob.id()), &json!("bob"), &json!("online"))
    );
    assert_eq!(alice.friends(), ["bob:online"]);
    assert_eq!(bob.friends(), ["alice:online"]);
    let list = alice.request(json!({"msgid": 13})).done();
    let entry = json!({"id": bob.id(), "name": "bob", "state": "online"});
    assert_eq!(list["friends"], json!([entry]), "these fields and no others");
    // It is told to nobody by a message.
    bob.expect_no_push();
}

fn the_list_shows_who_is_online(world: &World) {
    let mut alice = world.near().enter("alice");
    let bob = world.far().register("bob");
    assert_eq!(alice.befriend(&bob).done()["state"], "offline");
    assert_eq!(alice.friends(), ["bob:offline"]);
    let mut phone = world.far().login(&bob);
    assert_eq!(alice.friends(), ["bob:online"]);
    phone.log_out();
    assert_eq!(alice.friends(), ["bob:offline"]);
    phone.log_in(&bob).done();
    assert_eq!(alice.friends(), ["bob:online"]);
    drop(phone);
    eventually("bob is offline", SOON, || alice.friends() == ["bob:offline"]);
}

fn the_login_answer_has_the_friends(world: &World) {
    let mut alice = world.near().enter("alice");
    let bob = world.near().enter("bob");
    let carol = world.far().register("carol");
    alice.befriend(&bob).done();
    alice.befriend(&carol).done();
    let person = alice.person();
    alice.log_out();
    let again = world.far().login(&person);
    let mut friends = names_and_states(&again.welcome()["friends"]);
    friends.sort();
    assert_eq!(friends, ["bob:online", "carol:offline"]);
    let carol = world.far().login(&carol);
    assert_eq!(names_and_states(&carol.welcome()["friends"]), ["alice:online"]);
}

fn friends_already_is_nothing_to_do(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter("bob");
    alice.befriend(&bob).done();
    alice.befriend(&bob).refused(8);
    // Nor does the other side make a second friendship.
    bob.befriend(&alice).refused(8);
    assert_eq!(alice.friends(), ["bob:online"]);
    assert_eq!(bob.friends(), ["alice:online"]);
}

fn nobody_befriends_oneself_or_a_stranger_who_is_not_there(world: &World) {
    let mut alice = world.near().enter("alice");
    let me = alice.person();
    alice.befriend(&me).refused(10);
    alice.request(json!({"msgid": 7, "friendid": 1_000_000})).refused(6);
    assert_eq!(alice.friends(), [""; 0]);
}

fn either_side_may_end_a_friendship(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter("bob");
    for round in 0..2 {
        alice.befriend(&bob).done();
        let reply = if round == 0 { alice.unfriend(&bob) } else { bob.unfriend(&alice) };
        let ended_with = if round == 0 { bob.id() } else { alice.id() };
        assert_eq!(reply.done()["friendid"], ended_with);
        assert_eq!(alice.friends(), [""; 0]);
        assert_eq!(bob.friends(), [""; 0]);
    }
    // One may still write to somebody who is no friend.
    assert_eq!(alice.tell(&bob, "no hard feelings"), "delivered");
    assert_eq!(bob.next_text(), "no hard feelings");
}

fn a_friendship_that_is_not_there_cannot_be_ended(world: &World) {
    let mut alice = world.near().enter("alice");
    let bob = world.far().enter("bob");
    alice.unfriend(&bob).refused(9);
    alice.befriend(&bob).done();
    alice.unfriend(&bob).done();
    alice.unfriend(&bob).refused(9);
    alice.request(json!({"msgid": 12, "friendid": 1_000_000})).refused(6);
}

fn two_who_befriend_each_other_at_once_are_friends_once(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter("bob");
    let (a, b) = (alice.id(), bob.id());
    for round in 0..10 {
        let one = alice.send(json!({"msgid": 7, "friendid": b}));
        let other = bob.send(json!({"msgid": 7, "friendid": a}));
        let mut errnos = [alice.reply_to(one).errno(), bob.reply_to(other).errno()];
        errnos.sort();
        assert_eq!(errnos, [0, 8], "round {round}");
        assert_eq!(alice.friends(), ["bob:online"]);
        let one = alice.send(json!({"msgid": 12, "friendid": b}));
        let other = bob.send(json!({"msgid": 12, "friendid": a}));
        let mut errnos = [alice.reply_to(one).errno(), bob.reply_to(other).errno()];
        errnos.sort();
        assert_eq!(errnos, [0, 9], "round {round}");
        assert_eq!(bob.friends(), [""; 0]);
    }
}

fn friends_are_kept_while_everybody_is_away(world: &World) {
    let mut alice = world.near().enter("alice");
    let bob = world.far().register("bob");
    alice.befriend(&bob).done();
    alice.log_out();
    let bob = world.far().login(&bob);
    assert_eq!(names_and_states(&bob.welcome()["friends"]), ["alice:offline"]);
}
