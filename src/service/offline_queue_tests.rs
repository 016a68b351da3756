use crate::serial::Serial;

use proptest::prelude::*;

use super::super::message::{MessageMemory, Origin};
use super::super::session::SessionId;
use super::*;

const ALICE: UserId = UserId(1);
const BOB: UserId = UserId(2);
const CAROL: UserId = UserId(3);
const DAVE: UserId = UserId(4);

const BYTES: usize = 256 << 20;

fn queue_for(copies: usize) -> OfflineQueue {
    OfflineQueue::new(copies, BYTES)
}

fn copy_of(size: usize, sender: UserId, to: UserId, mid: &str) -> MessageCopy {
    let body = vec![b' '; size];
    let message = MessageMemory::new().message(Origin::Nobody, sender, mid, &body).unwrap();
    MessageCopy { to, message }
}

fn copy(sender: UserId, to: UserId, mid: &str) -> MessageCopy {
    copy_of(2, sender, to, mid)
}

fn deletion(number: i64) -> Job {
    let session = SessionId { reactor: 0, serial: Serial::MIN };
    Job::Delete(Deletion { login: LoginId { session, claim: number }, ops: Vec::new() })
}

fn named(job: &Job) -> String {
    match job {
        Job::Insert(copy) => copy.message.mid.text().to_owned(),
        Job::Delete(deletion) => format!("delete {}", deletion.login.claim),
        Job::Barrier(_) => "barrier".to_owned(),
        Job::Stop => "stop".to_owned(),
    }
}

fn barrier() -> Job {
    Job::Barrier(Box::new(|| {}))
}

fn take_all(queue: &OfflineQueue) -> Vec<String> {
    queue.take(Duration::ZERO, Gather::nothing()).iter().map(named).collect()
}

#[test]
fn senders_take_turns_and_each_keeps_its_order() {
    let queue = queue_for(100);
    for (sender, to, mid) in [
        (ALICE, CAROL, "a1"),
        (ALICE, DAVE, "a2"),
        (ALICE, CAROL, "a3"),
        (BOB, CAROL, "b1"),
        (BOB, CAROL, "b2"),
    ] {
        assert!(queue.insert(copy(sender, to, mid)).is_ok());
    }
    assert_eq!(take_all(&queue), ["a1", "b1", "a2", "b2", "a3"]);
}

#[test]
fn who_sends_without_end_leaves_room_for_the_others() {
    let queue = queue_for(100);
    let fill = |sender| {
        let some = |n: &usize| queue.insert(copy(sender, DAVE, &n.to_string())).is_ok();
        (0..200).take_while(some).count()
    };
    assert_eq!(fill(ALICE), 50, "half of the room");
    assert_eq!(fill(BOB), 25, "half of what is left");
    assert!(queue.insert(copy(ALICE, DAVE, "more")).is_err(), "it has more than the others");
    assert!(queue.insert(copy(CAROL, DAVE, "first")).is_ok());
    assert_eq!(take_all(&queue).len(), 76);
    assert_eq!(fill(ALICE), 50, "there is room again");
}

#[test]
fn large_messages_are_bounded_by_their_bytes() {
    let queue = queue_for(1000);
    let large = |sender, n| queue.insert(copy_of(BYTES / 10, sender, DAVE, n)).is_ok();
    let taken = ["1", "2", "3", "4", "5", "6"].map(|n| large(ALICE, n));
    assert_eq!(taken, [true, true, true, true, true, false]);
    assert!(queue.insert(copy(BOB, DAVE, "small")).is_ok());
}

#[test]
fn a_deletion_waits_for_the_copies_to_its_user_and_for_no_other() {
    let queue = queue_for(100);
    queue.insert(copy(ALICE, CAROL, "a1")).unwrap();
    queue.insert(copy(ALICE, DAVE, "a2")).unwrap();
    assert!(queue.after(CAROL, deletion(1)).is_ok());
    assert!(queue.after(CAROL, barrier()).is_ok());
    assert!(queue.after(BOB, deletion(2)).is_ok());
    queue.insert(copy(BOB, CAROL, "b1")).unwrap();
    assert!(queue.after(CAROL, deletion(3)).is_ok());
    assert_eq!(take_all(&queue), ["delete 2", "a1", "delete 1", "b1", "barrier", "a2", "delete 3"]);
}

#[test]
fn at_the_end_everything_that_waits_goes_before_the_stop() {
    let queue = queue_for(100);
    queue.insert(copy(ALICE, CAROL, "a1")).unwrap();
    assert!(queue.after(CAROL, deletion(1)).is_ok());
    queue.close(barrier());
    assert!(queue.insert(copy(ALICE, CAROL, "late")).is_err());
    assert!(queue.after(BOB, deletion(2)).is_ok());
    assert_eq!(take_all(&queue), ["delete 2", "a1", "delete 1", "barrier", "stop"]);
    assert!(queue.after(BOB, barrier()).is_err(), "nobody is there any more");
}

#[test]
fn nothing_is_kept_of_who_has_nothing_waiting() {
    let queue = queue_for(100);
    for n in 0..50 {
        let (sender, to) = (UserId(n), UserId(n % 7));
        queue.insert(copy(sender, to, "m")).unwrap();
        assert!(queue.after(to, barrier()).is_ok());
    }
    assert_eq!(take_all(&queue).len(), 100);
    let state = queue.state();
    assert!(state.senders.is_empty() && state.turns.is_empty() && state.recipients.is_empty());
    assert_eq!((state.copies, state.bytes), (0, 0));
}

proptest! {
    /// Whoever queues what and whenever it is taken: one sender's copies to one
    /// recipient keep their order, and what waits for a recipient's copies
    /// comes after all that were there before it, and after what waited before.
    #[test]
    fn the_order_that_others_rely_on_is_kept(
        steps in prop::collection::vec((0u8..6, 0u32..3, 0u32..3), 1..200),
    ) {
        let queue = queue_for(1000);
        let mut queued: Vec<(Option<u32>, u32, String)> = Vec::new();
        let mut taken = Vec::new();
        for (number, (what, sender, to)) in steps.into_iter().enumerate() {
            match what {
                0..=2 => {
                    let mid = number.to_string();
                    prop_assert!(queue.insert(copy(UserId(sender), UserId(to), &mid)).is_ok());
                    queued.push((Some(sender), to, mid));
                }
                3 => {
                    prop_assert!(queue.after(UserId(to), deletion(number as i64)).is_ok());
                    queued.push((None, to, format!("delete {number}")));
                }
                _ => taken.extend(queue.state().next().as_ref().map(named)),
            }
        }
        taken.extend(take_all(&queue));
        prop_assert_eq!(taken.len(), queued.len());
        let place = |name: &str| taken.iter().position(|taken| taken == name);
        for (later, (by, to, name)) in queued.iter().enumerate() {
            for (earlier_by, earlier_to, earlier) in &queued[..later] {
                let is_ordered = to == earlier_to && (by.is_none() || by == earlier_by);
                if is_ordered {
                    prop_assert!(place(earlier) < place(name), "{} after {}", earlier, name);
                }
            }
        }
    }
}

#[test]
fn the_writer_sleeps_until_there_is_as_much_as_it_wants() {
    let queue = queue_for(100);
    let gather = Gather { copies: 2, until: Instant::now() + Duration::from_secs(60) };
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| queue.take(Duration::from_secs(60), gather));
        assert!(queue.insert(copy(ALICE, CAROL, "a1")).is_ok());
        assert!(queue.insert(copy(BOB, CAROL, "b1")).is_ok());
        assert_eq!(writer.join().unwrap().len(), 2);
    });
}

#[test]
fn what_does_not_come_is_not_waited_for_beyond_its_time() {
    let queue = queue_for(100);
    assert!(queue.insert(copy(ALICE, CAROL, "a1")).is_ok());
    let gather = Gather { copies: 2, until: Instant::now() + Duration::from_millis(1) };
    assert_eq!(queue.take(Duration::from_secs(60), gather).len(), 1);
}

#[test]
fn a_deletion_is_not_held_up_by_waiting_for_copies() {
    let queue = queue_for(100);
    let gather = Gather { copies: 2, until: Instant::now() + Duration::from_secs(60) };
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| queue.take(Duration::from_secs(60), gather));
        assert!(queue.insert(copy(ALICE, CAROL, "a1")).is_ok());
        assert!(queue.after(DAVE, deletion(1)).is_ok());
        let taken: Vec<String> = writer.join().unwrap().iter().map(named).collect();
        assert_eq!(taken, ["delete 1", "a1"]);
    });
}
