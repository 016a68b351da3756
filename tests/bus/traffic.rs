//! Items from server to server while Redis is well.

use std::sync::atomic::Ordering;
use std::sync::mpsc;

use cluster_chat::bus::redis::RedisOptions;
use cluster_chat::bus::{Bus, BusError, Item};
use cluster_chat::model::{ServerId, UserId};
use redis::Commands;

use crate::support::services::Service;
use crate::{Member, PATIENCE, message, presence};

#[test]
fn two_servers_exchange_messages_in_order() {
    let redis = Service::redis();
    let a = Member::join(&redis, "a");
    let b = Member::join(&redis, "b");
    a.sink.epoch.store(41, Ordering::SeqCst);
    for number in 0..100 {
        a.send("b", number).unwrap();
        b.send("a", 1_000 + number).unwrap();
    }
    b.sink.wait("b has all", |seen| seen.handovers() == (0..100).collect::<Vec<_>>());
    a.sink.wait("a has all", |seen| seen.handovers() == (1_000..1_100).collect::<Vec<_>>());
    b.sink.look(|seen| {
        for (from, epoch, _) in &seen.envelopes {
            assert_eq!((&**from, *epoch), ("a", 41));
        }
    });
}

#[test]
fn the_epoch_is_that_of_the_time_of_sending() {
    let redis = Service::redis();
    let a = Member::join(&redis, "a");
    let b = Member::join(&redis, "b");
    for epoch in [5, -6] {
        a.sink.epoch.store(epoch, Ordering::SeqCst);
        a.send("b", 1).unwrap();
        b.sink.wait("b hears it", |seen| {
            seen.envelopes.last().is_some_and(|(_, heard, _)| *heard == epoch)
        });
    }
}

#[test]
fn ten_thousand_items_arrive_once_and_in_order_in_a_few_envelopes() {
    let redis = Service::redis();
    let a = Member::join(&redis, "a");
    let b = Member::join(&redis, "b");
    let c = Member::join(&redis, "c");
    let held = a.hold_publisher();
    for number in 0..10_000 {
        a.send("b", number).unwrap();
        if number % 10 == 0 {
            a.send("c", number).unwrap();
        }
    }
    drop(held);
    b.sink.wait("b has all", |seen| seen.handovers().len() >= 10_000);
    c.sink.wait("c has all", |seen| seen.handovers().len() >= 1_000);
    b.sink.look(|seen| {
        assert_eq!(seen.handovers(), (0..10_000).collect::<Vec<_>>());
        assert!(seen.envelopes.len() <= 20, "{} envelopes", seen.envelopes.len());
    });
    c.sink.look(|seen| {
        assert_eq!(seen.handovers(), (0..10_000).step_by(10).collect::<Vec<_>>());
    });
    assert!(a.sink.look(|seen| seen.unreachable.is_empty()));
}

#[test]
fn many_threads_send_at_once_and_each_ones_order_holds() {
    let redis = Service::redis();
    let a = Member::join(&redis, "a");
    let b = Member::join(&redis, "b");
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let a = &a;
            scope.spawn(move || {
                for number in 0..1_000 {
                    a.send("b", thread * 1_000 + number).unwrap();
                }
            });
        }
    });
    b.sink.wait("b has all", |seen| seen.handovers().len() >= 4_000);
    let got = b.sink.look(|seen| seen.handovers());
    for thread in 0..4 {
        let of_thread: Vec<u64> = got.iter().copied().filter(|n| n / 1_000 == thread).collect();
        assert_eq!(of_thread, (thread * 1_000..(thread + 1) * 1_000).collect::<Vec<_>>());
    }
}

#[test]
fn a_server_that_nobody_hears_is_unreachable() {
    let redis = Service::redis();
    let a = Member::join(&redis, "a");
    let b = Member::join(&redis, "b");
    a.send("nobody", 1).unwrap();
    a.send("b", 2).unwrap();
    a.sink.wait("nobody is unreachable", |seen| seen.lost("nobody"));
    b.sink.wait("b has its own", |seen| seen.handovers() == [2]);
    assert!(!a.sink.look(|seen| seen.lost("b")));

    b.bus.shutdown();
    a.send("b", 3).unwrap();
    a.sink.wait("b is unreachable", |seen| seen.lost("b"));
    assert_eq!(a.sink.look(|seen| seen.downs()), 0);
}

#[test]
fn a_body_arrives_byte_for_byte() {
    let redis = Service::redis();
    let a = Member::join(&redis, "a");
    let b = Member::join(&redis, "b");
    let deep = format!("{}1{}", "[".repeat(1_000), "]".repeat(1_000));
    let long = format!("\"{}\"", "ä".repeat(1_000_000));
    let bodies = ["{\"b\" : 1e2,\n\t\"a\":\"\\u00e4ä\\/'\" }", "1.0", &deep, &long];
    for (number, body) in bodies.iter().enumerate() {
        a.bus.send(&ServerId::from("b"), message(number as u64, body)).unwrap();
    }
    b.sink.wait("all came", |seen| seen.handovers().len() == bodies.len());
    b.sink.look(|seen| {
        let items = seen.envelopes.iter().flat_map(|(_, _, items)| items);
        for (item, sent) in items.zip(bodies) {
            let Item::Message { body, .. } = item else { panic!("not a message") };
            assert!(body.get() == sent, "a body changed");
        }
    });
}

#[test]
fn what_is_no_envelope_is_passed_over() {
    let redis = Service::redis();
    let a = Member::join(&redis, "a");
    let b = Member::join(&redis, "b");
    let mut meddler = redis.redis_client();
    let bad: [&[u8]; 7] = [
        b"",
        b"hello",
        b"\xff\xfe{}",
        b"{\"from\":\"a\"}",
        b"{\"from\":\"a\",\"epoch\":1,\"items\":[{\"unknown\":{}}]}",
        b"{\"from\":\"a\",\"epoch\":1,\"items\":[",
        b"{\"from\":\"stranger\",\"epoch\":1,\"items\":[]}",
    ];
    for text in bad {
        let heard: usize = meddler.publish("chat:server:b", text).unwrap();
        assert_eq!(heard, 1);
    }
    a.send("b", 1).unwrap();
    b.sink.wait("the next message comes", |seen| seen.handovers() == [1]);
    b.sink.look(|seen| assert_eq!((seen.envelopes.len(), seen.downs()), (1, 0)));
}

#[test]
fn a_full_queue_refuses_and_loses_nothing_it_took() {
    let redis = Service::redis();
    let b = Member::join(&redis, "b");
    let a = Member::join_with(RedisOptions {
        queue_capacity: 8,
        ..RedisOptions::new(redis.redis_url(), "a")
    });
    let held = a.hold_publisher();
    let mut taken = 0;
    while a.send("b", taken).is_ok() {
        taken += 1;
    }
    assert!((7..=8).contains(&taken), "{taken} were taken");
    assert_eq!(a.send("b", 99), Err(BusError::Full));
    assert_eq!(a.locate(&[1]), Err(BusError::Full));
    assert_eq!(a.announce(1, &presence("a", 1)), Err(BusError::Full));
    a.bus.withdraw(UserId(1), presence("a", 1));
    drop(held);
    b.sink.wait("all taken arrive", |seen| seen.handovers() == (0..taken).collect::<Vec<_>>());
}

#[test]
fn a_callback_may_use_the_bus() {
    let redis = Service::redis();
    let a = Member::join(&redis, "a");
    let b = Member::join(&redis, "b");
    let (tell, told) = mpsc::channel();
    let bus = a.bus.clone();
    a.bus.announce(
        UserId(1),
        presence("a", 1),
        Box::new(move |announced| {
            announced.unwrap();
            let again = bus.clone();
            bus.locate(
                vec![UserId(1)],
                Box::new(move |found| {
                    again.send(&ServerId::from("b"), message(5, "1")).unwrap();
                    again.withdraw(UserId(1), presence("a", 1));
                    tell.send(found).unwrap();
                }),
            );
        }),
    );
    let found = told.recv_timeout(PATIENCE).expect("the inner callback is called");
    assert_eq!(found, Ok(vec![Some(presence("a", 1))]));
    b.sink.wait("what the callback sent arrives", |seen| seen.handovers() == [5]);
}

#[test]
fn envelopes_are_numbered_so_that_a_gap_shows() {
    let redis = Service::redis();
    let a = Member::join(&redis, "a");
    let b = Member::join(&redis, "b");
    for handover in 1..=3 {
        a.send("b", handover).unwrap();
        b.sink.wait("it arrives", |seen| seen.handovers().len() == handover as usize);
    }
    b.sink.look(|seen| {
        let numbers: Vec<u64> = seen.numbers.iter().map(|(_, number)| *number).collect();
        assert_eq!(numbers, [1, 2, 3]);
    });
    // The first one to c is lost, since c is not there yet.
    a.send("c", 1).unwrap();
    a.sink.wait("c is not there", |seen| seen.lost("c"));
    let c = Member::join(&redis, "c");
    a.send("c", 2).unwrap();
    c.sink.wait("it arrives", |seen| seen.handovers() == [2]);
    c.sink.look(|seen| assert_eq!(seen.numbers, [("a".into(), 2)]));
}
