//! Redis goes, hangs, forgets, and comes back.

use std::time::{Duration, Instant};

use cluster_chat::bus::redis::RedisOptions;
use cluster_chat::bus::{Bus, BusError};
use cluster_chat::model::UserId;

use crate::support::proxy::Proxy;
use crate::support::services::Service;
use crate::{Member, PATIENCE, presence};

/// Waits until both are up, then for one message to go from one to the other.
fn assert_traffic(from: &Member, to: &Member, name: &str, handover: u64) {
    to.sink.wait("the receiver is up", |seen| seen.is_up());
    from.sink.wait("the sender is up", |seen| seen.is_up());
    // The publisher may be just about to change over to its new connection.
    let began = Instant::now();
    while let Err(err) = from.send(name, handover) {
        assert!(began.elapsed() < PATIENCE, "{err}");
        std::thread::yield_now();
    }
    to.sink.wait("the message arrives", |seen| seen.handovers().contains(&handover));
}

#[test]
fn a_killed_redis_is_noticed_and_a_restarted_one_found_again() {
    let mut redis = Service::redis();
    let a = Member::join(&redis, "a");
    let b = Member::join(&redis, "b");
    assert_traffic(&a, &b, "b", 1);
    let killed = Instant::now();
    redis.kill();
    a.sink.wait("a is down", |seen| seen.downs() == 1);
    b.sink.wait("b is down", |seen| seen.downs() == 1);
    assert!(killed.elapsed() < Duration::from_secs(3), "took {:?}", killed.elapsed());
    assert!(!a.bus.is_up());
    assert_eq!(a.locate(&[1]), Err(BusError::Down));
    assert_eq!(a.announce(1, &presence("a", 1)), Err(BusError::Down));
    assert_eq!(a.send("b", 2), Err(BusError::Down));
    a.bus.withdraw(UserId(1), presence("a", 1));

    redis.restart();
    assert_traffic(&a, &b, "b", 3);
    assert_traffic(&b, &a, "a", 4);
    a.announce(1, &presence("a", 1)).unwrap();
    assert_eq!(b.locate(&[1]), Ok(vec![Some(presence("a", 1))]));
    assert!(a.bus.is_up());
    assert_eq!(b.sink.look(|seen| seen.handovers()), [1, 3]);
}

#[test]
fn a_stopped_redis_is_down_within_its_time_outs_and_up_when_it_goes_on() {
    let redis = Service::redis();
    let a = Member::join(&redis, "a");
    let b = Member::join(&redis, "b");
    redis.freeze();
    let paused = Instant::now();
    assert_eq!(a.send("b", 1), Ok(()));
    assert_eq!(a.locate(&[1]), Err(BusError::Down));
    assert!(paused.elapsed() < Duration::from_millis(2_500), "took {:?}", paused.elapsed());
    a.sink.wait("b is unreachable", |seen| seen.lost("b"));
    a.sink.wait("a is down", |seen| seen.downs() == 1);
    b.sink.wait("b is down", |seen| seen.downs() == 1);
    assert!(paused.elapsed() < Duration::from_millis(4_500), "took {:?}", paused.elapsed());
    let asked = Instant::now();
    assert_eq!(a.send("b", 2), Err(BusError::Down));
    assert_eq!(a.locate(&[1]), Err(BusError::Down));
    assert!(asked.elapsed() < Duration::from_millis(500), "took {:?}", asked.elapsed());

    redis.thaw();
    assert_traffic(&a, &b, "b", 3);
    assert_traffic(&b, &a, "a", 4);
}

#[test]
fn flushing_everything_does_not_disturb() {
    let redis = Service::redis();
    let a = Member::join(&redis, "a");
    let b = Member::join(&redis, "b");
    a.announce(1, &presence("a", 1)).unwrap();
    redis::cmd("FLUSHALL").exec(&mut redis.redis_client()).unwrap();
    assert_eq!(b.locate(&[1]), Ok(vec![None]));
    a.bus.withdraw(UserId(1), presence("a", 1));
    assert_traffic(&a, &b, "b", 1);
    assert_traffic(&b, &a, "a", 2);
    a.announce(1, &presence("a", 2)).unwrap();
    assert_eq!(b.locate(&[1]), Ok(vec![Some(presence("a", 2))]));
    assert_eq!(a.sink.look(|seen| seen.turns.clone()), [true]);
    assert_eq!(b.sink.look(|seen| seen.turns.clone()), [true]);
}

#[test]
fn keys_lost_by_redis_are_noticed_within_a_heartbeat() {
    let redis = Service::redis();
    let a = Member::join(&redis, "a");
    a.sink.wait("the first heartbeat", |seen| seen.keys_lost == 1);
    let () = redis::cmd("FLUSHALL").query(&mut redis.redis_client()).unwrap();
    a.sink.wait("the loss", |seen| seen.keys_lost == 2);
    a.sink.look(|seen| assert_eq!((seen.downs(), seen.subscribed), (0, 1)));
}

#[test]
fn a_lost_connection_of_either_thread_takes_the_bus_down_and_up_again() {
    let redis = Service::redis();
    let a = Member::join(&redis, "a");
    let b = Member::join(&redis, "b");
    for (round, which) in [(1, "pubsub"), (2, "normal")] {
        let ended: usize = redis::cmd("CLIENT")
            .arg(&["KILL", "TYPE", which])
            .query(&mut redis.redis_client())
            .unwrap();
        assert!(ended >= 2, "only {ended} connections of type {which}");
        a.sink.wait("a was down", |seen| seen.downs() == round);
        b.sink.wait("b was down", |seen| seen.downs() == round);
        assert_traffic(&a, &b, "b", round as u64);
    }
}

#[test]
fn a_subscription_that_falls_silent_is_down_after_three_seconds() {
    let redis = Service::redis();
    let proxy = Proxy::to(redis.port());
    let a = Member::join_with(RedisOptions::new(proxy.url(), "a"));
    let b = Member::join(&redis, "b");
    proxy.mute_subscribers(true);
    let muted = Instant::now();
    a.sink.wait("a is down", |seen| seen.downs() == 1);
    let took = muted.elapsed();
    assert!(took > Duration::from_millis(1_900), "down after {took:?} already");
    assert!(took < Duration::from_millis(4_500), "took {took:?}");
    proxy.mute_subscribers(false);
    assert_traffic(&b, &a, "a", 1);
    assert_traffic(&a, &b, "b", 2);
    assert_eq!(b.sink.look(|seen| seen.turns.clone()), [true]);
}
