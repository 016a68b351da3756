//! Servers that die, freeze and come back: their users are not locked out for
//! ever, and no message is lost.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::cluster::Cluster;
use crate::support::door::{Door, User};
use crate::support::process::Signal;
use crate::support::wait::{SOON, eventually, eventually_some};

/// A dead server is noticed after 10 s without a beat, looked for every 3 s.
const DEATH_DEADLINE: Duration = Duration::from_secs(20);

/// A reply comes within this time, or the server promises nothing.
const REPLY_DEADLINE: Duration = Duration::from_secs(10);

#[test]
fn users_of_a_killed_server_can_log_in_elsewhere_once_it_is_declared_dead() {
    let mut cluster = Cluster::start();
    let (one, other) = cluster.two();
    let mut carol = other.enter("carol");
    let dan = other.enter("dan");
    let bob = one.enter("bob");
    one.kill9();
    let begun = Instant::now();
    // Nobody knows yet that it is dead, and not just slow.
    other.connect().log_in(bob.me()).refused(2);
    let phone = eventually_some("bob's account is free", DEATH_DEADLINE, || {
        let mut client = other.connect();
        (client.log_in(bob.me()).errno() == 0).then_some(client)
    });
    assert!(begun.elapsed() > Duration::from_secs(5), "not before it can be dead");
    // Nobody else's users were touched.
    carol.befriend(&phone).done();
    assert_eq!(carol.friends(), ["bob:online"]);
    other.connect().log_in(dan.me()).refused(2);
}

#[test]
fn friends_see_users_of_a_killed_server_go_offline() {
    let mut cluster = Cluster::start();
    let (one, other) = cluster.two();
    let mut carol = other.enter("carol");
    let bob = one.enter("bob");
    carol.befriend(&bob).done();
    assert_eq!(carol.friends(), ["bob:online"]);
    one.kill9();
    eventually("bob is offline", DEATH_DEADLINE, || carol.friends() == ["bob:offline"]);
}

#[test]
fn a_killed_server_that_comes_back_frees_its_users_at_once() {
    let mut cluster = Cluster::start();
    let (one, other) = cluster.two();
    let bob = one.enter("bob");
    one.kill9();
    other.connect().log_in(bob.me()).refused(2);
    one.restart();
    let begun = Instant::now();
    let mut phone = other.login(bob.me());
    assert!(begun.elapsed() < Duration::from_secs(3));
    let mut alice = one.enter("alice");
    assert_eq!(alice.tell(&phone, "welcome back"), "delivered");
    assert_eq!(phone.next_text(), "welcome back");
}

#[test]
fn messages_to_users_of_a_killed_server_are_stored_and_arrive() {
    let mut cluster = Cluster::start();
    let (one, other) = cluster.two();
    let mut alice = other.enter("alice");
    let bob = one.enter("bob");
    assert_eq!(alice.tell(&bob, "warm the cache"), "delivered");
    one.kill9();
    let texts: Vec<String> = (0..20).map(|n| format!("message {n}")).collect();
    let statuses = alice.tell_all(&bob, &texts);
    assert!(statuses.iter().all(|s| s == "stored"), "{statuses:?}");
    one.restart();
    let mut phone = other.login(bob.me());
    assert_eq!(phone.texts_since_login(20), texts);
    phone.expect_no_push();
}

#[test]
fn a_group_message_is_settled_when_a_members_server_has_died() {
    let mut cluster = Cluster::start();
    let (one, other) = cluster.two();
    let mut alice = other.enter("alice");
    let mut carol = other.enter("carol");
    let mut bob = one.enter("bob");
    let group = alice.create_group("all", "");
    carol.join(group).done();
    bob.join(group).done();
    assert_eq!(alice.tell_group(group, "one"), (2, 0));
    one.kill9();
    assert_eq!(alice.tell_group(group, "two"), (1, 1));
    assert_eq!(carol.next_texts(2), ["one", "two"]);
    one.restart();
    assert_eq!(other.login(bob.me()).missed_texts(), ["two"]);
}

#[test]
fn messages_to_users_of_a_frozen_server_are_stored_and_arrive() {
    let mut cluster = Cluster::start();
    let (one, other) = cluster.two();
    let mut alice = other.enter("alice");
    let mut bob = one.enter("bob");
    one.signal(Signal::Stop);
    // Redis still counts the frozen server among the receivers.
    let request = json!({"msgid": 6, "to": bob.id(), "msg": "are you there?", "mid": "m-1"});
    let pending = alice.send(request);
    let reply = alice.reply_within(pending, REPLY_DEADLINE).expect("an answer in time");
    assert_eq!(reply.done()["status"], "stored");
    one.signal(Signal::Cont);
    // Bob is on the connection he had, or must come again; either way he gets
    // it, perhaps twice under the same mid.
    let push = match bob.push_within(SOON) {
        Some(push) => push,
        None => {
            let mut again = other.login_again(bob.me());
            again.missed().into_iter().next().unwrap_or_else(|| again.next_push())
        }
    };
    assert_eq!((&push["msg"], &push["mid"]), (&json!("are you there?"), &json!("m-1")));
}

#[test]
fn a_server_that_was_frozen_until_declared_dead_starts_afresh() {
    let mut cluster = Cluster::start();
    let (one, other) = cluster.two();
    let mut bob = one.enter("bob");
    let person = bob.person();
    one.signal(Signal::Stop);
    let mut elsewhere = eventually_some("bob's account is free", DEATH_DEADLINE, || {
        let mut client = other.connect();
        (client.log_in(&person).errno() == 0).then_some(client)
    });
    one.signal(Signal::Cont);
    // Its old session ends, and ends nothing of the new one.
    assert!(bob.closes_within(SOON), "the old connection is closed");
    let mut alice = eventually_some("the server serves again", SOON, || {
        let mut client = one.connect();
        let pending = client.send(json!({"msgid": 4, "name": "alice", "password": "p"}));
        let reply = client.reply_within(pending, SOON)?;
        let id = reply.done()["id"].clone();
        client.request(json!({"msgid": 1, "id": id, "password": "p"})).done();
        Some(client)
    });
    let reply = alice.chat(&person, "found you").done();
    assert_eq!(reply["status"], "delivered");
    assert_eq!(elsewhere.next_text(), "found you");
    one.connect().log_in(&person).refused(2);
}

#[test]
fn whoever_moves_to_another_server_gets_messages_there() {
    let cluster = Cluster::plan().servers(3).start();
    let [one, two, three] = &cluster.servers[..] else { unreachable!("three were asked for") };
    let mut alice = one.enter("alice");
    let mut bob = two.enter("bob");
    let person = bob.person();
    for round in 0..4 {
        // alice's server remembers for a while where bob was.
        let text = format!("round {round}");
        assert_eq!(alice.tell(&person, &text), "delivered");
        assert_eq!(bob.next_text(), text);
        bob.log_out();
        let next = if round % 2 == 0 { three } else { two };
        bob = next.login(&person);
        let text = format!("moved {round}");
        // The wrong guess bounces: delivered at once or stored and nudged.
        alice.tell(&person, &text);
        assert_eq!(bob.texts_since_login(1), [text]);
    }
    bob.log_out();
    assert_eq!(alice.tell(&person, "left for good"), "stored");
    bob = three.login(&person);
    assert_eq!(bob.missed_texts(), ["left for good"]);
    bob.expect_no_push();
}

#[test]
fn clients_behind_nginx_come_to_the_server_that_is_left() {
    let mut cluster = Cluster::start();
    let nginx = cluster.nginx();
    let bob = nginx.register("bob");
    let (one, _) = cluster.two();
    assert_eq!(one.stop(), Some(0));
    for _ in 0..6 {
        let mut client = nginx.login(&bob);
        client.log_out();
    }
}
