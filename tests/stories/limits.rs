//! How many friends, groups and members there may be: the bound, one beyond
//! it, and room made again.

use serde_json::json;

use crate::support::client::Reply;
use crate::support::door::Door;
use crate::support::world::World;

stories! { everywhere [&[("--max-friends", "2"), ("--max-groups", "2"), ("--max-members", "2")]]:
    nobody_has_more_friends_than_allowed,
    groups_and_their_members_are_bounded,
}

/// Asserts a refusal with errno 12 whose sentence says what is to be done.
#[track_caller]
fn refused(reply: Reply, advice: &str) {
    let refusal = reply.refused(12);
    let why = refusal["errmsg"].as_str().unwrap();
    assert!(why.contains(advice), "{why}");
}

fn nobody_has_more_friends_than_allowed(world: &World) {
    let mut alice = world.near().enter("alice");
    let [mut bob, mut carol, mut dave] =
        ["bob", "carol", "dave"].map(|name| world.far().enter(name));
    alice.befriend(&bob).done();
    carol.befriend(&alice).done();
    refused(alice.befriend(&dave), "end a friendship");
    refused(dave.befriend(&alice), "this user");
    alice.befriend(&bob).refused(8);
    assert_eq!(dave.friends(), [""; 0]);

    bob.unfriend(&alice).done();
    dave.befriend(&alice).done();
    assert_eq!(alice.friends(), ["carol:online", "dave:online"]);
}

fn groups_and_their_members_are_bounded(world: &World) {
    let mut alice = world.near().enter("alice");
    let [mut bob, mut carol] = ["bob", "carol"].map(|name| world.far().enter(name));
    let first = alice.create_group("first", "");
    bob.join(first).done();
    refused(carol.join(first), "have to leave it");
    bob.leave(first).done();
    carol.join(first).done();

    let second = carol.create_group("second", "");
    let third = bob.create_group("third", "");
    refused(carol.join(third), "leave one");
    let create = json!({"msgid": 8, "groupname": "fourth", "groupdesc": ""});
    refused(carol.request(create.clone()), "leave one");
    carol.leave(second).done();
    carol.request(create).done();
}
