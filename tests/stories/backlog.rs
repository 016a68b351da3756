//! Many missed messages, and messages that come while somebody logs in: none
//! is lost, none comes twice, the order holds.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::door::Door;
use crate::support::talk::text_of;
use crate::support::world::World;

stories! { everywhere:
    two_thousand_missed_messages_come_in_order_and_once,
    a_message_that_comes_during_the_backlog_comes_after_it,
    nothing_is_lost_while_somebody_comes_and_goes,
}

fn numbered(from: usize, to: usize) -> Vec<String> {
    // Long enough that two thousand are far more than one frame.
    (from..to).map(|n| format!("{n:05} {}", "lorem ipsum ".repeat(8))).collect()
}

/// Everything that was sent, in that order; shows where it first differs.
#[track_caller]
fn expect_in_order(got: &[String], sent: &[String]) {
    let same = got.iter().zip(sent).take_while(|(g, s)| g == s).count();
    let around = |list: &[String]| list[same..list.len().min(same + 5)].to_vec();
    assert!(
        got.len() == sent.len() && same == sent.len(),
        "after {same} of {}: got {} in all, next {:?} instead of {:?}",
        sent.len(),
        got.len(),
        around(got),
        around(sent)
    );
}

fn two_thousand_missed_messages_come_in_order_and_once(world: &World) {
    let mut alice = world.near().enter("alice");
    let bob = world.far().register("bob");
    let texts = numbered(0, 2_000);
    let statuses = alice.tell_all(&bob, &texts);
    assert!(statuses.iter().all(|s| s == "stored"));
    let mut first = world.far().login(&bob);
    let with_login = first.missed_texts().len();
    assert!(with_login > 0, "some come with the answer");
    assert_eq!(first.texts_since_login(texts.len()), texts);
    first.expect_no_push();
    first.log_out();
    let mut second = world.near().login(&bob);
    assert_eq!(second.missed_texts(), [""; 0]);
    second.expect_no_push();
}

fn a_message_that_comes_during_the_backlog_comes_after_it(world: &World) {
    let mut alice = world.near().enter("alice");
    let bob = world.far().register("bob");
    let mut texts = numbered(0, 1_000);
    alice.tell_all(&bob, &texts);
    let mut bob = world.far().login(&bob);
    // bob has read nothing but the answer yet.
    let more = numbered(1_000, 1_010);
    alice.tell_all(bob.me(), &more);
    texts.extend(more);
    assert_eq!(bob.texts_since_login(texts.len()), texts);
    bob.expect_no_push();
    assert_eq!(alice.tell(bob.me(), "live"), "delivered");
    assert_eq!(bob.next_text(), "live");
}

fn nothing_is_lost_while_somebody_comes_and_goes(world: &World) {
    let mut alice = world.near().enter("alice");
    let bob = world.far().register("bob");
    let over = AtomicBool::new(false);
    let (sent, got) = std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut sent = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let batch: Vec<String> =
                    (sent.len()..sent.len() + 7).map(|n| format!("{n}")).collect();
                alice.tell_all(&bob, &batch);
                sent.extend(batch);
            }
            sent
        });
        // In and out in many ways: whoever logs out has read all that came
        // before the answer to it.
        let mut got = Vec::new();
        for round in 0..12 {
            let door = if round % 2 == 0 { world.far() } else { world.near() };
            let mut phone = door.login(&bob);
            got.extend(phone.missed_texts());
            for _ in 0..round % 4 * 5 {
                got.push(phone.next_text());
            }
            phone.log_out();
            got.extend(phone.take_pushes().iter().map(text_of));
        }
        over.store(true, Ordering::Relaxed);
        (sender.join().unwrap(), got)
    });
    let mut last = world.far().login(&bob);
    let mut got = got;
    got.extend(last.texts_since_login(sent.len().saturating_sub(got.len())));
    expect_in_order(&got, &sent);
    last.expect_no_push();
}
