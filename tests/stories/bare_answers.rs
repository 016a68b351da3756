//! What a C++ client is answered, and what not: it would take an answer that it
//! does not know for something else.

use serde_json::json;

use crate::support::cpp_client::{SLOWLY, cpp, enter, login, message};
use crate::support::door::{Door, Person};
use crate::support::world::World;

stories! { alone [SLOWLY]:
    friends_and_groups_come_with_the_login,
    only_logins_and_registrations_are_answered,
    a_refused_login_says_what_the_cpp_server_says,
    several_people_may_use_one_connection_after_each_other,
    a_framed_login_may_take_over_from_a_cpp_client,
    no_answer_is_lost_to_a_full_queue,
}

fn friends_and_groups_come_with_the_login(world: &World) {
    let (mut ann, a) = enter(world.near(), "ann");
    let bob = world.far().register("bob");
    // None of these is answered; each takes effect before the next.
    for request in [
        json!({"msgid": 7, "id": a.id, "friendid": bob.id}),
        json!({"msgid": 8, "id": a.id, "groupname": "team", "groupdesc": "our \"team\""}),
        json!({"msgid": 8, "id": a.id, "groupname": "empty", "groupdesc": ""}),
        json!({"msgid": 3, "id": a.id}),
    ] {
        ann.send(&request);
    }
    let welcome = ann.log_in(&a);
    assert_eq!(welcome.friends, ["bob:offline"]);
    assert_eq!(welcome.groups, ["team (our \"team\"): ann:creator", "empty (): ann:creator"]);
    assert_eq!(welcome.missed, []);
}

fn only_logins_and_registrations_are_answered(world: &World) {
    let mut nobody = cpp(world.near());
    // Not logged in, unknown, incomplete: all of it is only logged.
    for request in [
        json!({"msgid": 13}),
        json!({"msgid": 6, "toid": 1, "msg": "who am I?"}),
        json!({"msgid": 15}),
        json!({"msgid": 99}),
        json!({"msgid": 14}),
        json!({"msgid": 3}),
    ] {
        nobody.send(&request);
    }
    let id = nobody.register("ann", "secret").unwrap();
    assert_eq!(nobody.register("ann", "secret"), Err(1));
    assert_eq!(nobody.register("", "secret"), Err(4));
    let ann = Person { id, name: "ann".into(), password: "secret".into() };
    nobody.log_in(&ann);
    for request in [
        json!({"msgid": 15}),
        json!({"msgid": 13}),
        json!({"msgid": 7, "friendid": 999_999}),
        json!({"msgid": 6, "toid": 999_999, "msg": "nobody there"}),
        json!({"msgid": 6, "id": id + 1, "toid": id, "msg": "not me"}),
        json!({"msgid": 10, "groupid": 1, "msg": "no member"}),
        json!({"msgid": 6, "msg": "to whom?"}),
        json!({"msgid": 99}),
        json!({"msgid": 14}),
    ] {
        nobody.send(&request);
        nobody.expect_nothing_more();
    }
    // To oneself it comes; what became of it is not told.
    nobody.chat(&ann, "note");
    assert_eq!(nobody.next_message().text, "note");
    nobody.expect_nothing_more();
}

fn a_refused_login_says_what_the_cpp_server_says(world: &World) {
    let mut ann = world.near().enter("ann");
    let person = ann.person();
    let mut other = cpp(world.near());
    let wrong = Person { password: "wrong".into(), ..person.clone() };
    assert_eq!(other.try_log_in(&wrong), Err("id or password is invalid!".into()));
    let online = Err("this account is using, input another!".into());
    assert_eq!(other.try_log_in(&person), online);
    ann.log_out();
    other.log_in(&person);
    // And a C++ client is as good at keeping an account.
    world.near().connect().log_in(&person).refused(2);
}

fn several_people_may_use_one_connection_after_each_other(world: &World) {
    let (ann, bob) = (world.near().register("ann"), world.near().register("bob"));
    let mut shared = cpp(world.near());
    shared.log_in(&ann);
    shared.chat(&bob, "are you there?");
    // All in one segment, the log-out with what it waits for as well.
    let (logout, login) = (json!({"msgid": 3, "id": ann.id}), login(&bob));
    shared.send_bytes(format!("{logout}\0{login}\0").as_bytes());
    let missed = shared.welcome().unwrap().missed;
    assert_eq!(missed, [message(ann.id, "ann", "are you there?", None)]);
    // The account of the first is free.
    world.near().login(&ann);
}

fn a_framed_login_may_take_over_from_a_cpp_client(world: &World) {
    let (mut old, ann) = enter(world.near(), "ann");
    let mut new = world.near().connect();
    let login = json!({"msgid": 1, "id": ann.id, "password": ann.password, "takeover": true});
    new.log_in_with(&ann, login).done();
    old.expect_closed();
    assert_eq!(new.tell(&ann, "mine"), "delivered");
}

/// At this pace four objects fill the queue.
fn no_answer_is_lost_to_a_full_queue(world: &World) {
    let ann = world.far().register("ann");
    let mut phone = cpp(world.near());
    let refused = "{\"msgid\":1}\0".repeat(9);
    phone.send_bytes(format!("{refused}{}\0", login(&ann)).as_bytes());
    let errnos: Vec<_> = (0..10).map(|_| phone.recv()["errno"].as_i64()).collect();
    assert_eq!(errnos, [vec![Some(4); 9], vec![Some(0)]].concat());
}
