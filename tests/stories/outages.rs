//! Redis or the database goes away and comes back.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::cluster::Cluster;
use crate::support::door::Door;
use crate::support::wait::{SOON, eventually, eventually_some};

/// How long a server may take to find its way back to a service: its back-off,
/// and a look at what it missed.
const RECOVERY: Duration = Duration::from_secs(20);

#[test]
fn without_redis_messages_take_the_way_through_the_database() {
    let mut cluster = Cluster::start();
    let (one, other) = cluster.two();
    let (mut alice, mut carol) = (one.enter("alice"), one.enter("carol"));
    let mut bob = other.enter("bob");
    assert_eq!(alice.tell(&bob, "with"), "delivered");
    assert_eq!(bob.next_text(), "with");
    cluster.redis.kill();
    // On the same server nothing changes; to another it takes a little longer.
    assert_eq!(alice.tell(&carol, "near"), "delivered");
    assert_eq!(carol.next_text(), "near");
    assert_eq!(alice.tell(&bob, "without"), "stored");
    assert_eq!(bob.next_text(), "without");
    // People come and go meanwhile.
    let person = bob.person();
    bob.log_out();
    bob.log_in(&person).done();
    assert_eq!(alice.tell(&bob, "and again"), "stored");
    assert_eq!(bob.texts_since_login(1), ["and again"]);
}

#[test]
fn when_redis_comes_back_messages_go_straight_again() {
    let mut cluster = Cluster::start();
    let mut alice = cluster.servers[0].enter("alice");
    let mut bob = cluster.servers[1].enter("bob");
    cluster.redis.kill();
    assert_eq!(alice.tell(&bob, "down"), "stored");
    cluster.redis.restart();
    let mut sent = vec!["down".to_owned()];
    eventually("messages are delivered at once again", RECOVERY, || {
        let text = format!("try {}", sent.len());
        let status = alice.tell(&bob, &text);
        sent.push(text);
        status == "delivered"
    });
    assert_eq!(bob.next_texts(sent.len()), sent, "all of them, once, in order");
    bob.expect_no_push();
}

#[test]
fn whoever_logged_in_while_redis_was_away_is_found_afterwards() {
    let mut cluster = Cluster::start();
    let bob = cluster.servers[1].register("bob");
    cluster.redis.kill();
    let mut phone = cluster.servers[1].login(&bob);
    cluster.redis.restart();
    let mut alice = cluster.servers[0].enter("alice");
    eventually("alice's server finds bob", RECOVERY, || alice.tell(&bob, "hi") == "delivered");
    assert_eq!(phone.next_text(), "hi");
}

#[test]
fn with_a_frozen_redis_every_message_is_answered_and_arrives() {
    let cluster = Cluster::start();
    let mut alice = cluster.servers[0].enter("alice");
    let mut bob = cluster.servers[1].enter("bob");
    cluster.redis.freeze();
    let texts: Vec<String> = (0..10).map(|n| n.to_string()).collect();
    let begun = Instant::now();
    alice.tell_all(&bob, &texts);
    assert!(begun.elapsed() < Duration::from_secs(10), "took {:?}", begun.elapsed());
    let mut got = bob.next_texts(texts.len());
    cluster.redis.thaw();
    eventually("messages are delivered at once again", RECOVERY, || {
        alice.tell(&bob, "again") == "delivered"
    });
    got.dedup();
    assert_eq!(got, texts);
}

#[test]
fn without_the_database_people_online_still_talk() {
    let mut cluster = Cluster::plan().own_mariadb().start();
    let (one, other) = cluster.two();
    let (mut alice, mut carol) = (one.enter("alice"), one.enter("carol"));
    let mut bob = other.enter("bob");
    let absent = one.register("absent");
    // They have talked before, so everybody is known.
    for to in [bob.person(), carol.person()] {
        assert_eq!(alice.tell(&to, "before"), "delivered");
    }
    assert_eq!((bob.next_text(), carol.next_text()), ("before".into(), "before".into()));
    cluster.mariadb().kill();
    assert_eq!(alice.tell(&carol, "near"), "delivered");
    assert_eq!(carol.next_text(), "near");
    assert_eq!(alice.tell(&bob, "far"), "delivered");
    assert_eq!(bob.next_text(), "far");
    // What needs it is refused within three seconds and a little.
    let begun = Instant::now();
    alice.chat(&absent, "stored?").refused(13);
    alice.request(json!({"msgid": 13})).refused(13);
    assert!(begun.elapsed() < Duration::from_secs(8), "took {:?}", begun.elapsed());
    alice.ping();
}

#[test]
fn a_frozen_database_is_told_within_three_seconds_and_holds_no_chat_up() {
    let mut cluster = Cluster::plan().own_mariadb().start();
    let (one, _) = cluster.two();
    let (mut alice, mut carol) = (one.enter("alice"), one.enter("carol"));
    assert_eq!(alice.tell(&carol, "before"), "delivered");
    assert_eq!(carol.next_text(), "before");
    cluster.mariadb().freeze();
    let begun = Instant::now();
    let list = alice.send(json!({"msgid": 13}));
    assert_eq!(carol.tell(&alice, "during"), "delivered");
    assert!(begun.elapsed() < Duration::from_secs(2), "took {:?}", begun.elapsed());
    alice.reply_to(list).refused(13);
    assert!(begun.elapsed() < Duration::from_secs(5), "took {:?}", begun.elapsed());
    assert_eq!(alice.next_text(), "during");
    cluster.mariadb().thaw();
    eventually("lists are shown again", RECOVERY, || {
        alice.request(json!({"msgid": 13})).errno() == 0
    });
}

#[test]
fn when_the_database_comes_back_everything_works_again() {
    let mut cluster = Cluster::plan().own_mariadb().start();
    let mut alice = cluster.servers[0].enter("alice");
    let bob = cluster.servers[1].register("bob");
    cluster.mariadb().kill();
    alice.chat(&bob, "lost").refused(13);
    cluster.mariadb().restart();
    let request = json!({"msgid": 6, "to": bob.id, "msg": "kept", "mid": "m-1"});
    eventually("the message is taken", RECOVERY, || {
        alice.is_open() && alice.request(request.clone()).errno() == 0
    });
    let phone = eventually_some("bob can log in", SOON, || {
        let mut phone = cluster.servers[1].connect();
        (phone.log_in(&bob).errno() == 0).then_some(phone)
    });
    let missed = phone.missed_texts();
    assert!(missed.contains(&"kept".to_owned()), "{missed:?}");
    cluster.servers[0].connect().log_in(&bob).refused(2);
}

#[test]
fn whoever_leaves_while_the_database_is_away_is_offline_afterwards() {
    let mut cluster = Cluster::plan().own_mariadb().start();
    let bob = cluster.servers[0].enter("bob").person();
    let bob_again = cluster.servers[0].login_again(&bob);
    cluster.mariadb().kill();
    drop(bob_again);
    cluster.mariadb().restart();
    eventually("bob can log in elsewhere", RECOVERY, || {
        let mut client = cluster.servers[1].connect();
        client.log_in(&bob).errno() == 0
    });
}

#[test]
fn a_log_out_is_answered_in_time_while_the_database_hangs_and_frees_the_account_later() {
    let mut cluster = Cluster::plan().own_mariadb().start();
    let mut bob = cluster.servers[0].enter("bob");
    let person = bob.person();
    cluster.mariadb().freeze();
    let begun = Instant::now();
    bob.log_out();
    assert!(begun.elapsed() < Duration::from_secs(5), "took {:?}", begun.elapsed());
    bob.ping();
    cluster.mariadb().thaw();
    eventually("bob is free to log in on the other server", RECOVERY, || {
        cluster.servers[1].connect().log_in(&person).errno() == 0
    });
}
