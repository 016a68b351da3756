//! Many missed messages, and messages that come while somebody logs in: none
//! is lost, none comes twice, the order holds.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::client::TestClient;
use crate::support::door::{Door, Person};
use crate::support::server::TestServer;
use crate::support::talk::text_of;
use crate::support::world::World;

stories! { everywhere:
    two_thousand_missed_messages_come_in_order_and_once,
    a_message_that_comes_during_the_backlog_comes_after_it,
    nothing_is_lost_while_somebody_comes_and_goes,
    ten_thousand_missed_messages_of_all_sizes_hold_nobody_up,
    a_backlog_goes_on_where_it_was_confirmed_to_when_its_connection_is_lost,
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

/// How many messages a large backlog has.
const MANY: usize = 10_000;

/// The frame limit of servers to which none is given.
const FRAME_LIMIT: usize = 65_536;

/// How much memory a server may take for a backlog, and for people who chat
/// meanwhile. The backlog has some 3 MiB itself.
const MOST_MEMORY_KIB: u64 = 64 * 1024;

/// Numbered texts of all sizes, up to what fits a frame. The first is none of
/// the longest, but with all its escapes it fits no LOGIN_MSG_ACK.
fn of_all_sizes() -> Vec<String> {
    let text = |n: usize| match n {
        0 => "\"".repeat(30_000),
        n if n % 500 == 0 => format!("{n:05} {}", "long ".repeat(12_900)),
        n if n % 20 == 0 => format!("{n:05} {}", "middling ".repeat(200)),
        n => format!("{n:05}"),
    };
    (0..MANY).map(text).collect()
}

/// Stores them for `to`, each sender's door being near.
fn leave_behind(world: &World, to: &Person, texts: &[String]) {
    let statuses = world.near().enter("alice").tell_all(to, texts);
    assert!(statuses.iter().all(|status| status == "stored"));
}

fn memory_kib(servers: &[TestServer]) -> Vec<u64> {
    servers.iter().map(TestServer::memory_kib).collect()
}

/// Carol and Dave chat while `read` goes on: each message is delivered and
/// answered. The servers take no more memory than they may.
fn while_others_chat<T>(world: &World, read: impl FnOnce() -> T) -> T {
    let (mut carol, mut dave) = (world.near().enter("carol"), world.far().enter("dave"));
    let before = memory_kib(world.servers());
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let chatting = scope.spawn(|| {
            let mut chats = 0;
            while !over.load(Ordering::Relaxed) {
                assert_eq!(carol.tell(&dave, "still there?"), "delivered");
                assert_eq!(dave.next_text(), "still there?");
                assert_eq!(dave.tell(&carol, "still here"), "delivered");
                assert_eq!(carol.next_text(), "still here");
                for (now, before) in memory_kib(world.servers()).iter().zip(&before) {
                    assert!(*now < before + MOST_MEMORY_KIB, "{before} KiB, then {now} KiB");
                }
                chats += 1;
            }
            chats
        });
        let ended = End(&over);
        let result = read();
        drop(ended);
        assert!(chatting.join().unwrap() > 1, "they chat while it is read");
        result
    })
}

/// Says that it is over, also when a story fails before that.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The answer to a login, whose friends and groups are few, fits a frame.
#[track_caller]
fn expect_welcome_in_a_frame(phone: &TestClient) {
    let length = phone.welcome().to_string().len();
    assert!(length <= FRAME_LIMIT, "{length} bytes");
}

fn ten_thousand_missed_messages_of_all_sizes_hold_nobody_up(world: &World) {
    let bob = world.far().register("bob");
    let texts = of_all_sizes();
    leave_behind(world, &bob, &texts);
    let mut phone = while_others_chat(world, || {
        let mut phone = world.far().login(&bob);
        expect_welcome_in_a_frame(&phone);
        expect_in_order(&phone.texts_since_login(MANY), &texts);
        phone
    });
    phone.expect_no_push();
    phone.log_out();
    let mut again = world.near().login(&bob);
    assert_eq!(again.missed_texts(), [""; 0]);
    again.expect_no_push();
}

fn a_backlog_goes_on_where_it_was_confirmed_to_when_its_connection_is_lost(world: &World) {
    let bob = world.far().register("bob");
    let texts = of_all_sizes();
    leave_behind(world, &bob, &texts);
    let (mut phone, _half_open) = while_others_chat(world, || {
        let mut first = world.far().login_confirming(&bob);
        expect_welcome_in_a_frame(&first);
        expect_in_order(&first.confirm_texts_since_login(3_000), &texts[..3_000]);
        // The answer says that the confirmation has come before the end.
        first.ping();
        let token = first.token();
        drop(first);
        let mut second = world.near().resume(&bob, &token);
        expect_welcome_in_a_frame(&second);
        expect_in_order(&second.confirm_texts_since_login(3_000), &texts[3_000..6_000]);
        second.ping();
        // This one is never closed: nobody reads what is pushed on it.
        let mut third = world.far().resume(&bob, &second.token());
        expect_in_order(&third.confirm_texts_since_login(MANY - 6_000), &texts[6_000..]);
        (third, second)
    });
    phone.expect_no_push();
    phone.log_out();
    let mut again = world.near().login(&bob);
    assert_eq!(again.missed_texts(), [""; 0]);
    again.expect_no_push();
}
