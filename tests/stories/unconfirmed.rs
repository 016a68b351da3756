//! Clients that should confirm and do not, or late: nothing is lost, nobody
//! waits for them, and their backlog stays where it is.
//!
//! The servers wait half a second for a confirmation here. So a message that
//! is confirmed at once may still be stored on a busy machine, and no story
//! says that it was not.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::client::TestClient;
use crate::support::door::{Door, Person, User};
use crate::support::talk::text_of;
use crate::support::world::{Flag, World};

const HASTY: &[Flag] = &[("--ack-timeout", "0.5")];

stories! { everywhere [HASTY]:
    a_message_confirmed_too_late_is_stored_and_its_row_deleted_again,
    a_message_never_confirmed_comes_at_the_next_login_under_its_mid,
    a_repeat_of_what_was_pushed_and_stored_is_no_second_message,
    a_group_message_waits_for_nobody_longer_than_the_ack_timeout,
    many_more_unconfirmed_than_are_pushed_come_once_and_in_order,
    who_never_confirms_gets_no_flood_and_loses_nothing,
    who_falls_behind_steady_traffic_and_recovers_gets_all_of_it_once_and_in_order,
}

/// How many messages a client that confirms nothing may get: 512 live ones,
/// a page of the backlog, and what was on its way meanwhile.
const MOST_PUSHED: usize = 1_100;

/// For how long nothing comes from a server that has no more to say.
const QUIET: Duration = Duration::from_secs(1);

fn texts(from: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{from} {n}")).collect()
}

/// The messages of each sender, by the first word of its text.
fn by_sender(texts: Vec<String>) -> BTreeMap<String, Vec<String>> {
    let mut sorted: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for text in texts {
        let sender = text.split(' ').next().unwrap().to_owned();
        sorted.entry(sender).or_default().push(text);
    }
    sorted
}

/// Each sender's messages came once and in order.
#[track_caller]
fn expect_all_once_in_order(got: Vec<String>, sent: &[(&str, usize)]) {
    let got = by_sender(got);
    assert_eq!(got.len(), sent.len(), "senders: {:?}", got.keys());
    for (sender, count) in sent {
        let (got, sent) = (&got[*sender], texts(sender, *count));
        let same = got.iter().zip(&sent).take_while(|(got, sent)| got == sent).count();
        let next = &got[same..got.len().min(same + 5)];
        assert!(got.len() == *count && same == *count, "after {same} of {count}: {next:?}");
    }
}

/// Nothing waits for this person any more.
#[track_caller]
fn expect_nothing_left(world: &World, mut phone: TestClient) {
    let person = phone.person();
    phone.log_out();
    let mut again = world.near().login(&person);
    assert_eq!(again.missed_texts(), [""; 0]);
    again.expect_no_push();
}

fn a_message_confirmed_too_late_is_stored_and_its_row_deleted_again(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter_confirming("bob");
    assert_eq!(alice.tell_all(&bob.person(), &texts("alice", 3)), ["stored"; 3]);
    assert_eq!(bob.next_texts(3), texts("alice", 3));
    bob.confirm(2);
    let person = bob.person();
    bob.log_out();
    let mut phone = world.near().login_confirming(&person);
    assert_eq!(phone.missed_texts(), ["alice 2"], "the others were confirmed");
    phone.confirm(1);
    phone.expect_no_push();
    expect_nothing_left(world, phone);
}

fn a_message_never_confirmed_comes_at_the_next_login_under_its_mid(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter_confirming("bob");
    let message = json!({"msgid": 6, "to": bob.id(), "msg": "hello", "mid": "m-1", "time": "now"});
    assert_eq!(alice.request(message).done()["status"], "stored");
    assert_eq!(alice.tell(&bob, "without a mid"), "stored");
    let pushed = vec![bob.next_push(), bob.next_push()];
    assert_eq!(pushed[0]["mid"], "m-1");
    bob.expect_no_push();
    let person = bob.person();
    bob.log_out();
    let mut plain = world.near().login(&person);
    assert_eq!(plain.missed(), pushed, "the same to the last field");
    plain.expect_no_push();
    expect_nothing_left(world, plain);
}

fn a_repeat_of_what_was_pushed_and_stored_is_no_second_message(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter_confirming("bob");
    let message = json!({"msgid": 6, "to": bob.id(), "msg": "hello", "mid": "m-1", "time": "now"});
    for _ in 0..3 {
        assert_eq!(alice.request(message.clone()).done()["status"], "stored");
    }
    let first = bob.next_push();
    bob.ping();
    let doubles = bob.take_pushes();
    assert!(doubles.len() <= 2 && doubles.iter().all(|double| *double == first), "{doubles:?}");
    let person = bob.person();
    bob.log_out();
    let phone = world.near().login_confirming(&person);
    assert_eq!(phone.missed_texts(), ["hello"]);
}

fn a_group_message_waits_for_nobody_longer_than_the_ack_timeout(world: &World) {
    let mut alice = world.near().enter("alice");
    let group = alice.create_group("team", "");
    let mut plain = world.far().enter("plain");
    let mut silent = world.far().enter_confirming("silent");
    let mut absent = world.far().enter("absent");
    for member in [&mut plain, &mut silent, &mut absent] {
        member.join(group).done();
    }
    absent.log_out();
    assert_eq!(alice.tell_group(group, "lunch?"), (1, 2));
    assert_eq!((plain.next_text(), silent.next_text()), ("lunch?".into(), "lunch?".into()));
    silent.confirm(1);
    expect_nothing_left(world, silent);
}

/// Two senders write `count` messages each at once; all of them are answered.
fn write_from_both_sides(world: &World, to: &Person, count: usize) {
    std::thread::scope(|scope| {
        for (name, door) in [("alice", world.near()), ("carol", world.far())] {
            scope.spawn(move || {
                let mut sender = door.enter(name);
                let posted = sender.post_all(to, &texts(name, count));
                let statuses = sender.statuses(&posted);
                assert!(statuses.iter().all(|status| status == "stored"), "{statuses:?}");
            });
        }
    });
}

fn many_more_unconfirmed_than_are_pushed_come_once_and_in_order(world: &World) {
    let mut bob = world.far().enter_confirming("bob");
    write_from_both_sides(world, &bob.person(), 800);
    let got = bob.confirm_texts_since_login(1_600);
    expect_all_once_in_order(got, &[("alice", 800), ("carol", 800)]);
    bob.expect_no_push();
    expect_nothing_left(world, bob);
}

/// Reads until the server has no more to say.
fn read_until_quiet(phone: &mut TestClient) -> Vec<String> {
    let mut got = phone.missed_texts();
    while let Some(push) = phone.push_within(QUIET) {
        got.push(text_of(&push));
    }
    got
}

fn who_never_confirms_gets_no_flood_and_loses_nothing(world: &World) {
    let mut bob = world.far().enter_confirming("bob");
    let person = bob.person();
    write_from_both_sides(world, &person, 1_500);
    let pushed = read_until_quiet(&mut bob).len();
    assert!((512..=MOST_PUSHED).contains(&pushed), "pushed to a live session: {pushed}");
    bob.log_out();
    let mut bob = world.near().login_confirming(&person);
    let pushed = read_until_quiet(&mut bob).len();
    assert!((512..=MOST_PUSHED).contains(&pushed), "pushed of a backlog: {pushed}");
    bob.log_out();
    let mut bob = world.near().login_confirming(&person);
    let got = bob.confirm_texts_since_login(3_000);
    expect_all_once_in_order(got, &[("alice", 1_500), ("carol", 1_500)]);
    expect_nothing_left(world, bob);
}

/// Sends in batches and waits for each batch's answers, as steady traffic does.
fn talk_steadily(mut sender: TestClient, name: &str, to: &Person, batches: usize) {
    for batch in texts(name, batches * 50).chunks(50) {
        let posted = sender.post_all(to, batch);
        sender.statuses(&posted);
    }
}

fn who_falls_behind_steady_traffic_and_recovers_gets_all_of_it_once_and_in_order(world: &World) {
    let mut bob = world.far().enter_confirming("bob");
    let person = bob.person();
    let senders = ["alice", "carol", "dave"];
    let entered = [world.near(), world.far(), world.near()];
    let clients: Vec<_> = entered.iter().zip(senders).map(|(at, who)| at.enter(who)).collect();
    let mut got: Vec<Value> = Vec::new();
    std::thread::scope(|scope| {
        let talking: Vec<_> = clients
            .into_iter()
            .zip(senders)
            .map(|(client, name)| scope.spawn(|| talk_steadily(client, name, &person, 12)))
            .collect();
        // He keeps up at first, confirms nothing of the next 512, so that he
        // is fed from the database from then on, and is quick again.
        while got.len() < 3 * 600 {
            got.push(bob.next_push());
            let sleeps = (300..800).contains(&got.len());
            if !sleeps && (got.len().is_multiple_of(32) || got.len() == 3 * 600) {
                bob.confirm(got.len() as u64);
            }
        }
        talking.into_iter().for_each(|thread| thread.join().unwrap());
    });
    let got = got.iter().map(text_of).collect();
    expect_all_once_in_order(got, &senders.map(|name| (name, 600)));
    bob.expect_no_push();
    expect_nothing_left(world, bob);
}
