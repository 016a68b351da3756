//! Clients that confirm what they receive (`"ack": true`).

use serde_json::json;

use crate::support::client::{Pending, TestClient};
use crate::support::door::{Door, User};
use crate::support::world::World;

stories! { everywhere:
    delivered_means_confirmed,
    one_confirm_may_stand_for_many,
    what_is_not_confirmed_in_time_is_stored,
    what_is_not_confirmed_at_the_end_comes_again,
    a_missed_message_is_kept_until_it_is_confirmed,
    waiting_for_a_confirm_holds_nothing_else_up,
    a_count_that_makes_no_sense_does_no_harm,
}

/// Sends a message whose reply will come later.
#[track_caller]
fn begin(sender: &mut TestClient, to: &impl User, text: &str) -> Pending {
    sender.send(json!({"msgid": 6, "to": to.id(), "msg": text}))
}

#[track_caller]
fn status(sender: &mut TestClient, pending: Pending) -> String {
    sender.reply_to(pending).done()["status"].as_str().unwrap().to_owned()
}

fn delivered_means_confirmed(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter_confirming("bob");
    let first = begin(&mut alice, &bob, "one");
    assert_eq!(bob.next_text(), "one");
    let second = begin(&mut alice, &bob, "two");
    assert_eq!(bob.next_text(), "two");
    bob.confirm(1);
    assert_eq!(status(&mut alice, first), "delivered");
    bob.confirm(2);
    assert_eq!(status(&mut alice, second), "delivered");
    let person = bob.person();
    drop(bob);
    assert_eq!(world.near().login_again(&person).missed_texts(), [""; 0]);
}

fn one_confirm_may_stand_for_many(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter_confirming("bob");
    let pending: Vec<Pending> = (0..32).map(|n| begin(&mut alice, &bob, &n.to_string())).collect();
    bob.next_texts(32);
    bob.confirm(32);
    for one in pending {
        assert_eq!(status(&mut alice, one), "delivered");
    }
}

fn what_is_not_confirmed_in_time_is_stored(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter_confirming("bob");
    let pending = begin(&mut alice, &bob, "hello?");
    assert_eq!(bob.next_text(), "hello?");
    assert_eq!(status(&mut alice, pending), "stored");
    // A confirm that comes late deletes the row again.
    bob.confirm(1);
    let person = bob.person();
    bob.log_out();
    assert_eq!(world.far().login(&person).missed_texts(), [""; 0]);
}

fn what_is_not_confirmed_at_the_end_comes_again(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter_confirming("bob");
    let person = bob.person();
    let pending = [begin(&mut alice, &bob, "one"), begin(&mut alice, &bob, "two")];
    assert_eq!(bob.next_texts(2), ["one", "two"]);
    bob.confirm(1);
    bob.ping();
    drop(bob);
    assert_eq!(pending.map(|p| status(&mut alice, p)), ["delivered", "stored"]);
    let mut again = world.near().login_again(&person);
    assert_eq!(again.texts_since_login(1), ["two"]);
    again.expect_no_push();
}

fn a_missed_message_is_kept_until_it_is_confirmed(world: &World) {
    let mut alice = world.near().enter("alice");
    let bob = world.far().register("bob");
    for text in ["one", "two", "three"] {
        assert_eq!(alice.tell(&bob, text), "stored");
    }
    let mut phone = world.far().login_confirming(&bob);
    assert_eq!(phone.missed_texts(), ["one", "two", "three"]);
    phone.log_out();
    let mut phone = world.near().login_confirming(&bob);
    assert_eq!(phone.missed_texts(), ["one", "two", "three"], "none was confirmed");
    // Those in the answer count first.
    phone.confirm(2);
    phone.log_out();
    let phone = world.far().login(&bob);
    assert_eq!(phone.missed_texts(), ["three"]);
}

fn waiting_for_a_confirm_holds_nothing_else_up(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter_confirming("bob");
    let mut carol = world.near().enter("carol");
    let pending = begin(&mut alice, &bob, "take your time");
    alice.ping();
    assert_eq!(alice.friends(), [""; 0]);
    assert_eq!(alice.tell(&carol, "meanwhile"), "delivered");
    assert_eq!(carol.next_text(), "meanwhile");
    assert_eq!(bob.next_text(), "take your time");
    bob.confirm(1);
    assert_eq!(status(&mut alice, pending), "delivered");
}

fn a_count_that_makes_no_sense_does_no_harm(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter_confirming("bob");
    // More than was sent is cut to it; less than before is ignored.
    bob.confirm(u64::MAX);
    bob.ping();
    let pending = begin(&mut alice, &bob, "one");
    assert_eq!(bob.next_text(), "one");
    bob.confirm(0);
    bob.ping();
    let person = bob.person();
    drop(bob);
    assert_eq!(status(&mut alice, pending), "stored", "nothing was confirmed ahead");
    // Without `ack` a confirm means nothing.
    let mut bob = world.far().login_again(&person);
    assert_eq!(bob.texts_since_login(1), ["one"]);
    bob.confirm(5);
    assert_eq!(alice.tell(&bob, "two"), "delivered");
    assert_eq!(bob.next_text(), "two");
}
