//! Ending: what is queued leaves, and nothing keeps a server from stopping.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use cluster_chat::bus::redis::{RedisBus, RedisOptions};
use cluster_chat::bus::{Bus, BusError};
use cluster_chat::model::UserId;

use crate::support::services::Service;
use crate::{Member, PATIENCE, presence};

#[test]
fn a_shutdown_sends_what_is_queued() {
    let redis = Service::redis();
    let a = Member::join(&redis, "a");
    let b = Member::join(&redis, "b");
    let held = a.hold_publisher();
    for number in 0..5_000 {
        a.send("b", number).unwrap();
    }
    std::thread::scope(|scope| {
        let ending = scope.spawn(|| a.bus.shutdown());
        drop(held);
        ending.join().unwrap();
    });
    b.sink.wait("all came", |seen| seen.handovers() == (0..5_000).collect::<Vec<_>>());

    assert!(!a.bus.is_up());
    assert_eq!(a.send("b", 1), Err(BusError::Down));
    assert_eq!(a.locate(&[1]), Err(BusError::Down));
    assert_eq!(a.announce(1, &presence("a", 1)), Err(BusError::Down));
    a.bus.shutdown();
    assert_eq!(a.sink.look(|seen| seen.turns.clone()), [true]);
}

#[test]
fn a_shutdown_while_redis_hangs_ends_in_time_and_answers_everybody() {
    let redis = Service::redis();
    let a = Member::join(&redis, "a");
    let held = a.hold_publisher();
    redis.freeze();
    let (tell, told) = mpsc::channel();
    for user in 1..=2_000 {
        let (located, announced) = (tell.clone(), tell.clone());
        a.bus.locate(
            vec![UserId(user)],
            Box::new(move |found| located.send(found.map(drop)).unwrap()),
        );
        a.bus.announce(
            UserId(user),
            presence("a", 1),
            Box::new(move |done| announced.send(done).unwrap()),
        );
        a.send("b", u64::from(user)).unwrap();
    }
    drop(tell);
    drop(held);
    let began = Instant::now();
    a.bus.shutdown();
    assert!(began.elapsed() < Duration::from_millis(3_400), "took {:?}", began.elapsed());
    let answers: Vec<_> = told.try_iter().collect();
    assert_eq!(answers.len(), 4_000, "every callback was called, once");
    assert!(answers.iter().all(|answer| *answer == Err(BusError::Down)));
    assert!(a.sink.look(|seen| seen.lost("b")));
}

#[test]
fn a_shutdown_without_redis_ends_at_once() {
    let redis = Service::redis();
    let a = Member::join(&redis, "a");
    redis.kill();
    a.sink.wait("a is down", |seen| seen.downs() == 1);
    let began = Instant::now();
    a.bus.shutdown();
    assert!(began.elapsed() < Duration::from_millis(1_500), "took {:?}", began.elapsed());
}

#[test]
fn a_bus_that_was_never_started_refuses_and_ends() {
    let redis = Service::redis();
    let bus = RedisBus::connect(RedisOptions::new(redis.redis_url(), "a")).unwrap();
    let (tell, told) = mpsc::channel();
    bus.locate(vec![UserId(1)], Box::new(move |found| tell.send(found).unwrap()));
    assert_eq!(told.recv_timeout(PATIENCE), Ok(Err(BusError::Down)));
    bus.shutdown();
}

#[test]
fn a_callback_may_shut_the_bus_down() {
    let redis = Service::redis();
    let a = Member::join(&redis, "a");
    let (tell, told) = mpsc::channel();
    let bus = a.bus.clone();
    a.bus.locate(
        vec![UserId(1)],
        Box::new(move |_| {
            bus.shutdown();
            tell.send(bus.locate_nobody()).unwrap();
        }),
    );
    assert_eq!(told.recv_timeout(PATIENCE), Ok(Err(BusError::Down)));
}

/// One more question, asked from inside a callback.
trait Ask {
    fn locate_nobody(&self) -> Result<(), BusError>;
}

impl Ask for RedisBus {
    fn locate_nobody(&self) -> Result<(), BusError> {
        let (tell, told) = mpsc::channel();
        self.locate(vec![UserId(9)], Box::new(move |found| tell.send(found.map(drop)).unwrap()));
        told.try_recv().expect("answered on the calling thread")
    }
}

#[test]
fn who_stops_listening_gets_what_was_published_and_then_nobody_reaches_it() {
    let redis = Service::redis();
    let a = Member::join(&redis, "a");
    let b = Member::join(&redis, "b");
    for handover in 1..=100 {
        a.send("b", handover).unwrap();
    }
    b.bus.stop_listening();
    // Jobs keep their order: all 100 are published once this is answered.
    a.locate(&[1]).unwrap();
    if !a.sink.look(|seen| seen.lost("b")) {
        b.sink.look(|seen| assert_eq!(seen.handovers(), (1..=100).collect::<Vec<_>>()));
    }
    a.send("b", 101).unwrap();
    a.sink.wait("b is not reached", |seen| seen.lost("b"));
    // It can still speak.
    b.send("a", 7).unwrap();
    a.sink.wait("b's last word", |seen| seen.handovers() == [7]);
}
