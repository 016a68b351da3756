//! Peers that are silent, gone without a word or never said who they are.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::client::TestClient;
use crate::support::cluster::Cluster;
use crate::support::door::Door;
use crate::support::server::{ServerPlan, TestServer};
use crate::support::wait::{SOON, eventually};
use crate::support::wire::frame;
use crate::support::world::{Flag, World};

/// Long enough that a client on a busy machine does not seem silent by mistake.
const IDLE: Duration = Duration::from_secs(2);

const IDLE_FLAGS: &[Flag] = &[("--idle-timeout", "2"), ("--ack-timeout", "60")];

stories! { everywhere [IDLE_FLAGS]: a_silent_client_is_closed_and_what_it_did_not_confirm_stored }

fn a_silent_client_is_closed_and_what_it_did_not_confirm_stored(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter_confirming("bob");
    let person = bob.person();
    let texts = ["one".to_owned(), "two".to_owned()];
    let posted = alice.post_all(&bob, &texts);
    let mut settled = Vec::new();
    eventually("bob's silence is noticed", SOON, || {
        alice.ping();
        settled.extend(alice.take_replies());
        settled.len() == posted.len()
    });
    assert!(settled.iter().all(|reply| reply["status"] == "stored"), "{settled:?}");
    // What he got before is still there to read; he had confirmed none of it.
    assert_eq!(bob.next_texts(2), texts);
    bob.expect_closed();
    assert_eq!(world.near().login(&person).missed_texts(), texts);
}

#[test]
fn any_frame_counts_as_life() {
    let server = ServerPlan::new().flag("--idle-timeout", IDLE.as_secs()).start();
    let mut silent = server.enter("silent");
    let signs_of_life = [
        ("ping", r#"{"msgid":15}"#),
        ("confirm", r#"{"msgid":14,"count":0}"#),
        ("friends", r#"{"msgid":13}"#),
        ("unknown", r#"{"msgid":77}"#),
        ("nonsense", "nonsense"),
    ];
    let mut living: Vec<(TestClient, &str)> =
        signs_of_life.map(|(name, text)| (server.enter_confirming(name), text)).into();
    // Nobody is logged in here.
    living.push((server.connect(), r#"{"msgid":15}"#));
    let begun = Instant::now();
    eventually("three times the idle timeout is over", SOON, || {
        for (client, text) in &mut living {
            client.send_bytes(&frame(text.as_bytes()));
        }
        begun.elapsed() > 3 * IDLE
    });
    for (client, text) in &mut living {
        assert!(client.is_open(), "{text} is a sign of life");
    }
    silent.expect_closed();
}

#[test]
fn a_frame_that_does_not_become_whole_in_time_ends_its_connection() {
    let server = ServerPlan::new().flag("--frame-timeout", 1).start();
    let mut alice = server.enter("alice");
    let mut bob = server.enter("bob");
    let mut stranger = server.connect();
    let text = frame(br#"{"msgid":15}"#);
    // Whole frames before it, and pushes to it, are no excuse.
    bob.say_bytes(&[&text[..], &text[..7]].concat()).done();
    stranger.send_bytes(&text[..2]);
    eventually("bob's unfinished frame is noticed", SOON, || alice.tell(&bob, "hello") == "stored");
    bob.expect_closed();
    stranger.expect_closed();
    alice.ping();
}

#[test]
fn a_push_to_a_silent_client_is_no_sign_of_its_life() {
    let server = ServerPlan::new().flag("--idle-timeout", IDLE.as_secs()).start();
    let mut alice = server.enter("alice");
    let mut bob = server.enter("bob");
    eventually("bob's silence is noticed", SOON, || alice.tell(&bob, "hello") == "stored");
    bob.expect_closed();
}

mod half_open {
    use super::*;

    // With nothing to wait for but their own resume.
    stories! { everywhere:
        a_half_open_client_resumes_at_once,
        a_half_open_client_whose_socket_is_full_resumes_at_once,
    }

    /// Far below what it takes to notice that a peer is gone.
    const AT_ONCE: Duration = Duration::from_secs(4);

    /// `lost` is what a cut cable leaves: a connection that the server holds
    /// for good, on which nobody reads or writes.
    fn resume_at_once(world: &World, lost: &TestClient) -> TestClient {
        let begun = Instant::now();
        let phone = world.near().resume(&lost.person(), &lost.token());
        assert!(begun.elapsed() < AT_ONCE, "took {:?}", begun.elapsed());
        phone
    }

    fn a_half_open_client_resumes_at_once(world: &World) {
        let mut alice = world.near().enter("alice");
        let lost = world.far().enter_confirming("bob");
        let posted = alice.post(&lost, "lost");
        let mut bob = resume_at_once(world, &lost);
        assert_eq!(bob.confirm_texts_since_login(1), ["lost"]);
        let status = alice.status(posted);
        assert!(status == "stored" || status == "delivered", "{status}");
        let posted = alice.post(&bob, "found");
        assert_eq!(bob.next_text(), "found");
        bob.confirm(2);
        assert_eq!(alice.status(posted), "delivered");
    }

    fn a_half_open_client_whose_socket_is_full_resumes_at_once(world: &World) {
        let mut alice = world.near().enter("alice");
        let lost = world.far().enter_confirming("bob");
        // Far more than the kernel takes for somebody who does not read.
        let text = |n: usize| format!("{n:03} {}", "x".repeat(60_000));
        let texts: Vec<String> = (0..200).map(text).collect();
        let posted = alice.post_all(&lost, &texts);
        let mut bob = resume_at_once(world, &lost);
        let got = bob.confirm_texts_since_login(texts.len());
        assert!(got == texts, "all of it, once, in order");
        for one in posted {
            alice.status(one);
        }
        bob.expect_no_push();
    }
}

/// As short as a test can wait for, as long as a machine may be busy.
const LOGIN: Duration = Duration::from_secs(2);

fn server_with_login_timeout() -> TestServer {
    ServerPlan::new().flag("--login-timeout", LOGIN.as_secs()).start()
}

#[test]
fn who_asks_for_nothing_and_does_not_log_in_is_closed() {
    let server = server_with_login_timeout();
    let begun = Instant::now();
    let mut stranger = server.connect();
    // A frame that never ends asks for nothing.
    let mut slow = server.connect();
    slow.send_bytes(b"\0\0\0\x10{");
    let mut left = server.enter("left");
    left.log_out();
    for client in [&mut stranger, &mut slow, &mut left] {
        client.expect_closed();
    }
    assert!(begun.elapsed() >= LOGIN, "not before its time: {:?}", begun.elapsed());
}

#[test]
fn who_asks_for_something_or_logs_in_stays_without_a_login_timeout() {
    let server = server_with_login_timeout();
    let (mut pings, mut bob) = (server.connect(), server.enter("bob"));
    let begun = Instant::now();
    eventually("twice the login timeout is over", SOON, || {
        pings.ping();
        begun.elapsed() > 2 * LOGIN
    });
    assert!(bob.is_open(), "bob is logged in and may be silent for long");
    assert!(pings.is_open());
}

/// The state of the timer of the server's end of this connection, from
/// `/proc/net/tcp`: 0 none, 1 retransmit, 2 keep-alive.
fn timer_of_servers_end(server: &TestServer, client: &TestClient) -> Option<u32> {
    let port = |end: &str| u16::from_str_radix(end.rsplit_once(':')?.1, 16).ok();
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let ends = (port(fields[1])?, port(fields[2])?);
        let timer = fields[5].split(':').next()?;
        (ends == (server.port(), client.local_port())).then(|| u32::from_str_radix(timer, 16))?.ok()
    })
}

#[test]
fn accepted_sockets_have_tcp_keep_alive() {
    let mut cluster = Cluster::start();
    let (server, _) = cluster.two();
    let (stranger, mut bob) = (server.connect(), server.enter("bob"));
    bob.request(json!({"msgid": 13})).done();
    for client in [&stranger, &bob] {
        // Once all that was sent is acknowledged the timer is the keep-alive's.
        eventually("its keep-alive timer runs", SOON, || {
            timer_of_servers_end(server, client) == Some(2)
        });
    }
}
