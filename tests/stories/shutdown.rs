//! Stopping a server as asked: exit code 0, its own users offline, nobody
//! else's, nothing lost.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::cluster::Cluster;
use crate::support::door::Door;
use crate::support::process::Signal;
use crate::support::server::TestServer;
use crate::support::wait::{SOON, eventually};

#[test]
fn a_server_that_is_asked_to_stop_ends_with_0() {
    for signal in [Signal::Term, Signal::Int] {
        let mut server = TestServer::start();
        let mut bob = server.enter("bob");
        server.connect().ping();
        server.signal(signal);
        assert_eq!(server.wait_exit().code(), Some(0), "{signal:?}");
        bob.expect_closed();
    }
}

#[test]
fn a_server_without_clients_stops_at_once() {
    let mut server = TestServer::start();
    let begun = Instant::now();
    assert_eq!(server.interrupt(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(3), "took {:?}", begun.elapsed());
}

#[test]
fn users_of_a_stopped_server_are_offline_at_once() {
    for signal in [Signal::Term, Signal::Int] {
        let mut cluster = Cluster::start();
        let (one, other) = cluster.two();
        let mut carol = other.enter("carol");
        let people: Vec<_> = (0..5)
            .map(|n| {
                let user = one.enter(&format!("user {n}"));
                carol.befriend(&user).done();
                user
            })
            .collect();
        one.signal(signal);
        assert_eq!(one.wait_exit().code(), Some(0), "{signal:?}");
        assert!(carol.friends().iter().all(|f| f.ends_with(":offline")), "{:?}", carol.friends());
        for person in &people {
            other.login(person.me());
        }
    }
}

#[test]
fn a_stop_sets_only_its_own_users_offline() {
    let mut cluster = Cluster::start();
    let (one, other) = cluster.two();
    let mut carol = other.enter("carol");
    let mut dan = other.enter("dan");
    let bob = one.enter("bob");
    carol.befriend(&dan).done();
    carol.befriend(&bob).done();
    assert_eq!(one.interrupt(), Some(0));
    let mut states = carol.friends();
    states.sort();
    assert_eq!(states, ["bob:offline", "dan:online"]);
    other.connect().log_in(dan.me()).refused(2);
    assert_eq!(carol.tell(&dan, "still here"), "delivered");
    assert_eq!(dan.next_text(), "still here");
    // The one that stopped comes back and finds the others online.
    one.restart();
    one.connect().log_in(dan.me()).refused(2);
    one.login(bob.me());
}

#[test]
fn requests_under_way_are_answered_before_the_end() {
    let mut server = TestServer::start();
    let bob = server.register("bob");
    let mut alice = server.enter("alice");
    let requests = (0..200).map(|n| json!({"msgid": 6, "to": bob.id, "msg": n.to_string()}));
    let pending = alice.send_all(requests.collect());
    // The first is answered: the others are read, or waiting in the socket.
    let mut answered = 0;
    for (n, one) in pending.into_iter().enumerate() {
        match alice.reply_within(one, SOON) {
            Some(reply) => {
                assert_eq!(reply.done()["status"], "stored");
                answered += 1;
            }
            None => break,
        }
        if n == 0 {
            server.signal(Signal::Term);
        }
    }
    assert_eq!(server.wait_exit().code(), Some(0));
    server.restart();
    // Whoever got `stored` can rely on it.
    let mut bob = server.login(&bob);
    let expected: Vec<String> = (0..answered).map(|n| n.to_string()).collect();
    assert_eq!(bob.texts_since_login(answered)[..answered], expected);
}

#[test]
fn a_client_that_does_not_read_does_not_hold_a_stop_up() {
    let mut server = TestServer::start();
    let mut alice = server.enter("alice");
    let mut bob = server.enter("bob");
    // bob reads nothing; what waits for him fills his socket.
    let texts = vec!["x".repeat(20_000); 200];
    alice.tell_all(&bob, &texts);
    let begun = Instant::now();
    assert_eq!(server.stop(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(15), "took {:?}", begun.elapsed());
    assert!(bob.closes_within(SOON));
}

#[test]
fn a_stopping_server_takes_no_new_clients() {
    let mut server = TestServer::start();
    let address = server.address();
    server.stop();
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_second_ctrl_c_ends_at_once() {
    let mut cluster = Cluster::plan().own_mariadb().start();
    let _bob = cluster.servers[0].enter("bob");
    // With its database frozen the server cannot finish.
    cluster.mariadb().freeze();
    let (server, _) = cluster.two();
    server.signal(Signal::Int);
    let address = server.address();
    eventually("it has stopped accepting", SOON, || TcpStream::connect(address).is_err());
    assert!(server.is_running(), "it is still trying");
    // Signals that come together count as one, so somebody in a hurry goes on.
    let begun = Instant::now();
    eventually("a further Ctrl+C ends it", SOON, || {
        if server.is_running() {
            server.signal(Signal::Int);
        }
        !server.is_running()
    });
    let code = server.wait_exit().code();
    assert!(begun.elapsed() < Duration::from_secs(1), "took {:?}", begun.elapsed());
    assert_ne!(code, Some(0), "it did not stop as it should have");
}
