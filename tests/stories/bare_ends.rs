//! Ends of a C++ client's session while much waits for its pace: what its
//! socket has taken was taken for good, the rest is there for the next login,
//! and nothing is in both.

use std::time::Duration;

use serde_json::json;

use crate::bare_backlog::numbered;
use crate::support::cpp_client::{CppClient, SLOWLY};
use crate::support::door::{Door, Person};
use crate::support::server::ServerPlan;
use crate::support::world::{Flag, World};

/// A second's worth are ten.
const TENTHS: &[Flag] = &[("--bare-pace-ms", "100")];

stories! { databases [TENTHS]:
    a_takeover_within_a_paced_backlog_loses_nothing_and_doubles_nothing,
    a_takeover_within_paced_live_messages_loses_nothing_and_doubles_nothing,
    a_half_close_within_a_paced_backlog_loses_nothing_and_doubles_nothing,
}

/// Logs somebody in by a C++ client, and reads as many messages or some more.
#[track_caller]
fn log_in_and_read(door: &impl Door, person: &Person, count: usize) -> (CppClient, Vec<String>) {
    let mut phone = CppClient::connect(door.address()).patient();
    let mut got: Vec<String> =
        phone.log_in(person).missed.into_iter().map(|message| message.text).collect();
    let more = count.saturating_sub(got.len());
    got.extend(phone.next_texts(more));
    (phone, got)
}

fn takeover(person: &Person) -> serde_json::Value {
    json!({"msgid": 1, "id": person.id, "password": person.password, "takeover": true})
}

fn a_takeover_within_a_paced_backlog_loses_nothing_and_doubles_nothing(world: &World) {
    let bob = world.far().register("bob");
    let mut alice = world.near().enter("alice");
    let texts = numbered(0, 60);
    alice.tell_all(&bob, &texts);
    let (mut phone, mut got) = log_in_and_read(&world.far(), &bob, 20);
    let mut desk = world.near().connect();
    desk.log_in_with(&bob, takeover(&bob)).done();
    got.extend(phone.texts_to_the_end());
    assert!(got.len() < texts.len(), "much had still to come");
    got.extend(desk.texts_since_login_up_to("00059"));
    assert_eq!(got, texts);
    assert_eq!(alice.tell(&bob, "live"), "delivered");
    assert_eq!(desk.next_text(), "live");
}

fn a_takeover_within_paced_live_messages_loses_nothing_and_doubles_nothing(world: &World) {
    let bob = world.far().register("bob");
    let mut alice = world.near().enter("alice");
    let (mut phone, none) = log_in_and_read(&world.far(), &bob, 0);
    assert_eq!(none, [""; 0]);
    assert_eq!(alice.tell(&bob, "live"), "delivered");
    assert_eq!(phone.next_message().text, "live");
    let texts = numbered(0, 30);
    let posted = alice.post_all(&bob, &texts);
    let mut got = phone.next_texts(2);
    let mut desk = world.far().connect();
    desk.log_in_with(&bob, takeover(&bob)).done();
    got.extend(phone.texts_to_the_end());
    assert!((2..30).contains(&got.len()), "{got:?}");
    got.extend(desk.texts_since_login_up_to("00029"));
    assert_eq!(got, texts);
    let statuses = alice.statuses(&posted);
    assert!(statuses.iter().all(|status| status == "delivered" || status == "stored"));
}

fn a_half_close_within_a_paced_backlog_loses_nothing_and_doubles_nothing(world: &World) {
    let bob = world.far().register("bob");
    world.near().enter("alice").tell_all(&bob, &numbered(0, 60));
    let texts = numbered(0, 60);
    let (mut phone, mut got) = log_in_and_read(&world.far(), &bob, 20);
    phone.half_close();
    // What is queued already still comes.
    got.extend(phone.texts_to_the_end());
    drop(phone);
    assert!(got.len() < texts.len(), "a second's worth and no more: {}", got.len());
    got.extend(world.far().login_again(&bob).texts_since_login_up_to("00059"));
    assert_eq!(got, texts);
}

#[test]
fn a_stop_within_a_paced_backlog_loses_nothing_and_doubles_nothing() {
    let plan = TENTHS.iter().fold(ServerPlan::new(), |plan, (name, value)| plan.flag(name, value));
    let mut server = plan.start();
    let bob = server.register("bob");
    let texts = numbered(0, 60);
    server.enter("alice").tell_all(&bob, &texts);
    let (mut phone, mut got) = log_in_and_read(&server, &bob, 20);
    let begun = std::time::Instant::now();
    assert_eq!(server.stop(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(8), "took {:?}", begun.elapsed());
    got.extend(phone.texts_to_the_end());
    assert!(got.len() < texts.len(), "a second's worth and no more: {}", got.len());
    server.restart();
    got.extend(server.login(&bob).texts_since_login_up_to("00059"));
    assert_eq!(got, texts);
}

mod much_at_once {
    use super::*;

    stories! { databases [SLOWLY]: a_log_out_takes_what_is_queued_along_and_no_more }

    fn a_log_out_takes_what_is_queued_along_and_no_more(world: &World) {
        let bob = world.far().register("bob");
        let texts = numbered(0, 40);
        world.near().enter("alice").tell_all(&bob, &texts);
        let (mut phone, mut got) = log_in_and_read(&world.far(), &bob, 0);
        phone.send(&json!({"msgid": 3}));
        phone.send(&json!({"msgid": 4, "name": "carol", "password": "x"}));
        // The answer to what comes behind the log-out says that it is through.
        loop {
            let object = phone.recv();
            match object["msgid"].as_i64() {
                Some(5) => break,
                _ => got.push(object["msg"].as_str().unwrap().to_owned()),
            }
        }
        assert!(got.len() < texts.len());
        got.extend(world.near().login(&bob).texts_since_login_up_to("00039"));
        assert_eq!(got, texts);
    }
}
