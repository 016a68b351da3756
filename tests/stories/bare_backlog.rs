//! Many messages for C++ clients: more than a login's answer holds, more than
//! leave at their pace, and connections that end in between.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::cpp_client::{CppClient, login};
use crate::support::door::Door;
use crate::support::server::TestServer;
use crate::support::wait::{SOON, eventually};
use crate::support::world::{Flag, World};

stories! { databases:
    two_hundred_missed_messages_come_at_their_pace,
    a_log_out_within_a_backlog_loses_nothing_and_doubles_nothing,
}

pub fn numbered(from: usize, to: usize) -> Vec<String> {
    (from..to).map(|n| format!("{n:05}")).collect()
}

fn two_hundred_missed_messages_come_at_their_pace(world: &World) {
    let bob = world.far().register("bob");
    let mut alice = world.near().enter("alice");
    let texts = numbered(0, 200);
    assert!(alice.tell_all(&bob, &texts).iter().all(|status| status == "stored"));
    let mut phone = CppClient::connect(world.far().address()).patient();
    let welcome = phone.log_in(&bob);
    let began = Instant::now();
    let mut got: Vec<String> = welcome.missed.into_iter().map(|message| message.text).collect();
    assert!(!got.is_empty() && welcome.bytes > 800, "as many as fit");
    let pushes = 200 - got.len();
    got.extend(phone.next_texts(pushes));
    assert_eq!(got, texts);
    let pauses = u32::try_from(pushes).unwrap() - 1;
    assert!(began.elapsed() >= pauses * Duration::from_millis(5), "{:?}", began.elapsed());
    // Then it is live.
    eventually("what is written to bob is delivered", SOON, || {
        let status = alice.tell(&bob, "live");
        assert_eq!(phone.next_message().text, "live");
        status == "delivered"
    });
    phone.expect_nothing_more();
    phone.expect_each_alone();
    drop(phone);
    let mut last = world.far().login_again(&bob);
    assert_eq!(last.missed_texts(), [""; 0]);
    last.expect_no_push();
}

fn a_log_out_within_a_backlog_loses_nothing_and_doubles_nothing(world: &World) {
    let bob = world.far().register("bob");
    let mut alice = world.near().enter("alice");
    let texts = numbered(0, 300);
    alice.tell_all(&bob, &texts);
    let mut phone = CppClient::connect(world.far().address()).patient();
    // Nothing of it waits for an answer.
    let (login, logout) = (login(&bob), json!({"msgid": 3}));
    phone.send_bytes(format!("{login}\0{logout}\0{login}\0").as_bytes());
    assert_eq!(phone.texts_up_to("00299"), texts);
    drop(phone);
    let mut last = world.far().login_again(&bob);
    assert_eq!(last.missed_texts(), [""; 0]);
    last.expect_no_push();
}

mod slowly {
    use super::*;
    use crate::support::cpp_client::SLOWLY;

    stories! { databases [SLOWLY]: a_login_answer_that_overflows_goes_on_as_pushes }

    fn a_login_answer_that_overflows_goes_on_as_pushes(world: &World) {
        let bob = world.far().register("bob");
        let mut alice = world.near().enter("alice");
        let long = "x".repeat(3000);
        let texts = ["one", "two", &long, "\"quoted\"\\\n", "five", "six"].map(str::to_owned);
        alice.tell_all(&bob, &texts);
        let mut phone = CppClient::connect(world.far().address());
        let welcome = phone.log_in(&bob);
        let missed: Vec<_> = welcome.missed.iter().map(|message| &message.text[..]).collect();
        assert_eq!(missed, ["one", "two"], "what is behind the long one comes behind it");
        let got = phone.next_texts(4);
        assert!(got[0].len() > 900 && got[0].ends_with('…'));
        assert_eq!(got[1..], texts[3..]);
        phone.expect_nothing_more();
    }
}

mod very_slowly {
    use super::*;

    const VERY_SLOWLY: &[Flag] = &[("--bare-pace-ms", "1000")];

    stories! { databases [VERY_SLOWLY]: what_the_socket_has_not_taken_is_not_deleted }

    fn what_the_socket_has_not_taken_is_not_deleted(world: &World) {
        let bob = world.far().register("bob");
        let mut alice = world.near().enter("alice");
        let texts = numbered(0, 60);
        alice.tell_all(&bob, &texts);
        let mut phone = CppClient::connect(world.far().address()).patient();
        let mut got: Vec<String> =
            phone.log_in(&bob).missed.into_iter().map(|message| message.text).collect();
        got.extend(phone.next_texts(2));
        // More, while it is far behind.
        let late = numbered(60, 65);
        assert!(alice.tell_all(&bob, &late).iter().all(|status| status == "stored"));
        phone.reset();
        let texts = [texts, late].concat();
        assert_eq!(got, texts[..got.len()]);
        let rest = world.far().login_again(&bob).texts_since_login_up_to("00064");
        // What its socket had taken is not sent again, what waited for its pace
        // is. (One may have left before the end, one more may come twice.)
        let first = texts.iter().position(|text| *text == rest[0]).unwrap();
        assert!(first.abs_diff(got.len()) <= 1, "{first} instead of {}", got.len());
        assert_eq!(rest, texts[first..]);
    }
}

mod flooded {
    use super::*;

    const NO_LIMIT: &[Flag] = &[("--message-rate", "0")];

    stories! { databases [NO_LIMIT]: a_flood_to_a_cpp_client_is_stored_and_closes_nobody }

    fn a_flood_to_a_cpp_client_is_stored_and_closes_nobody(world: &World) {
        let bob = world.far().register("bob");
        let mut phone = CppClient::connect(world.far().address()).patient();
        phone.log_in(&bob);
        let mut alice = world.near().enter("alice");
        assert_eq!(alice.tell(&bob, "live"), "delivered");
        assert_eq!(phone.next_message().text, "live");
        let texts = numbered(0, 1200);
        let posted = alice.post_all(&bob, &texts);
        let got = std::thread::scope(|scope| {
            let reading = scope.spawn(|| phone.next_texts(texts.len()));
            let statuses = alice.statuses(&posted);
            assert!(statuses.iter().any(|status| status == "stored"), "too fast for its pace");
            reading.join().unwrap()
        });
        assert_eq!(got, texts);
        phone.expect_nothing_more();
        phone.expect_each_alone();
    }
}

#[test]
fn a_row_that_is_no_push_is_dropped_and_holds_up_no_log_out() {
    let server = TestServer::start();
    let bob = server.register("bob");
    let db = rusqlite::Connection::open(server.sqlite_file()).unwrap();
    let insert = "INSERT INTO OfflineMessage (userid, sender, mid, message) VALUES (?, ?, ?, ?)";
    let row = (bob.id, bob.id, b"m1", r#"{"msgid":7}"#);
    db.execute(insert, row).unwrap();
    let mut phone = CppClient::connect(server.address()).patient();
    assert!(phone.log_in(&bob).missed.is_empty());
    eventually("the row is gone", SOON, || {
        let count = "SELECT count(*) FROM OfflineMessage";
        db.query_row(count, (), |row| row.get::<_, i64>(0)).unwrap() == 0
    });
    phone.send(&json!({"msgid": 3}));
    assert!(phone.log_in(&bob).missed.is_empty(), "on the same connection");
}
