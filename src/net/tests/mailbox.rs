//! Rules 8 and 9: no wake-up is lost, and posting never blocks.

use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use mio::{Events, Poll, Token, Waker};

use super::support::{Rig, SOON, Script};
use crate::net::handle::Doorbell;

#[test]
fn a_wake_is_never_lost() {
    // Nothing but the doorbell ends this reactor's sleep, so a lost wake is an
    // answer that does not come. The pauses hit all around its falling asleep.
    let rig = Rig::start(Script::collect());
    let posters: Vec<_> = (0..4_u32)
        .map(|poster| {
            let handle = rig.handle.clone();
            std::thread::spawn(move || {
                for n in 0..5000_u32 {
                    let (sender, answer) = bounded(1);
                    handle.post(Box::new(move |_| sender.send(n).unwrap())).unwrap();
                    assert_eq!(answer.recv_timeout(SOON), Ok(n), "a wake was lost");
                    for _ in 0..(n * (poster + 3)) % 400 {
                        std::hint::spin_loop();
                    }
                }
            })
        })
        .collect();
    for poster in posters {
        poster.join().unwrap();
    }
}

#[test]
fn a_push_at_the_very_moment_of_falling_asleep_wakes() {
    let poll = Poll::new().unwrap();
    let doorbell = Doorbell::new(Waker::new(poll.registry(), Token(0)).unwrap());
    // The look finds nothing, and right then something is pushed.
    let sleeps = doorbell.may_sleep(|| {
        assert!(doorbell.ring(), "nobody would wake it");
        true
    });
    assert!(sleeps);
    assert!(!doorbell.may_sleep(|| false), "its mailbox is not empty");
}

#[test]
fn only_a_sleeper_is_woken() {
    let mut poll = Poll::new().unwrap();
    let doorbell = Doorbell::new(Waker::new(poll.registry(), Token(0)).unwrap());
    assert!(!doorbell.ring(), "it is awake and will look for itself");
    assert!(doorbell.may_sleep(|| true));
    assert!(doorbell.ring());
    assert!(!doorbell.ring(), "somebody is waking it already");
    let mut events = Events::with_capacity(1);
    poll.poll(&mut events, Some(SOON)).unwrap();
    assert_eq!(events.iter().count(), 1);
    assert!(doorbell.may_sleep(|| true));
    doorbell.awake();
    assert!(!doorbell.ring());
}

#[test]
fn messages_of_one_thread_come_in_order() {
    let rig = Rig::start(Script::collect());
    let (sender, order) = crossbeam_channel::unbounded();
    for n in 0..5000 {
        let sender = sender.clone();
        rig.handle.post(Box::new(move |_| sender.send(n).unwrap())).unwrap();
    }
    for n in 0..5000 {
        assert_eq!(order.recv_timeout(SOON), Ok(n));
    }
}

#[test]
fn posting_to_a_busy_reactor_never_blocks_and_the_backlog_is_known() {
    let rig = Rig::start(Script::collect());
    let hold = rig.hold();
    let started = Instant::now();
    for _ in 0..100_000 {
        rig.handle.post(Box::new(|_| ())).unwrap();
    }
    assert_eq!(rig.handle.backlog(), 100_000);
    assert!(started.elapsed() < SOON);
    assert_eq!(rig.handle.index(), 7);
    drop(hold);
    rig.run(|_| ());
    assert_eq!(rig.handle.backlog(), 0);
}

#[test]
fn a_flood_of_messages_does_not_starve_the_sockets() {
    let rig = Rig::start(Script::echo());
    let (mut client, _) = rig.connect();
    let (stop, stopped) = bounded::<()>(0);
    let handle = rig.handle.clone();
    let flooder = std::thread::spawn(move || {
        while stopped.try_recv() == Err(crossbeam_channel::TryRecvError::Empty) {
            // Enough that a reactor that empties its mailbox first never would.
            while handle.backlog() < 5000 {
                handle.post(Box::new(|_| ())).unwrap();
            }
        }
    });
    client.stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    for n in 0..20_u32 {
        client.send(&n.to_be_bytes());
        assert_eq!(client.receive(), n.to_be_bytes());
    }
    drop(stop);
    flooder.join().unwrap();
}
