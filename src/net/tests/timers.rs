//! Silence, and the handler's own timers.

use std::time::{Duration, Instant};

use super::support::{Rig, Script, Seen};
use crate::net::timers::Timers;
use crate::net::{CloseReason, Flow, Io};

const SHORT: Duration = Duration::from_millis(60);

#[test]
fn a_silent_connection_is_closed_after_the_idle_timeout() {
    let rig = Rig::with(Script::collect(), |config| config.idle_timeout = SHORT);
    let started = Instant::now();
    let (mut client, conn) = rig.connect();
    assert_eq!(rig.closed(conn), CloseReason::Idle(SHORT));
    assert!(started.elapsed() >= SHORT);
    assert!(client.is_cut_off());
}

#[test]
fn every_byte_starts_the_idle_timeout_anew() {
    let anew = |timeout: Duration| {
        let rig = Rig::with(Script::collect(), |config| config.idle_timeout = timeout);
        let (mut client, conn) = rig.connect();
        rig.run(move |io| io.set_timer(io.now() + timeout * 3 / 4, 1));
        let in_time = rig.wait_for(|seen| match seen {
            Seen::Timer(1) => Some(true),
            Seen::Close(..) => Some(false),
            _ => None,
        });
        if !in_time {
            return false;
        }
        let sent = Instant::now();
        client.send_raw(&[0]);
        assert_eq!(rig.closed(conn), CloseReason::Idle(timeout));
        sent.elapsed() >= timeout
    };
    // A machine so busy that the byte comes too late gets more time.
    assert!([200, 1000, 5000].iter().any(|ms| anew(Duration::from_millis(*ms))));
}

#[test]
fn the_idle_timeout_can_be_lifted_and_set_for_one_connection() {
    let rig = Rig::with(Script::collect(), |config| config.idle_timeout = SHORT);
    // Both happen in one turn, before the first timeout can be over.
    let hold = rig.hold();
    let mut spared = rig.connect_raw();
    let lift = |io: &mut Io<'_>| io.set_idle_timeout(io.connections()[0], None);
    rig.handle.post(Box::new(lift)).unwrap();
    drop(hold);
    let spared_id = rig.opened();
    let (_other, other_id) = rig.connect();
    assert_eq!(rig.closed(other_id), CloseReason::Idle(SHORT));
    spared.send(b"still here");
    assert_eq!(rig.frame(), b"still here");
    rig.run(move |io| io.set_idle_timeout(spared_id, Some(SHORT / 2)));
    assert_eq!(rig.closed(spared_id), CloseReason::Idle(SHORT / 2));
}

#[test]
fn a_paused_connection_is_not_idle() {
    // Its silence counts from the resume, whether its alarm rang during the
    // pause or is about to.
    let timeout = Duration::from_millis(200);
    for pause in [timeout * 2, timeout * 3 / 4] {
        let rig = Rig::with(Script::frames(|_, _, _| Flow::Pause), |config| {
            config.idle_timeout = timeout;
        });
        let (mut client, conn) = rig.connect();
        client.send(b"takes long");
        rig.frame();
        rig.run(move |io| io.set_timer(io.now() + pause, 1));
        rig.wait_for(|seen| match seen {
            Seen::Close(_, reason) => panic!("closed: {reason}"),
            other => (other == Seen::Timer(1)).then_some(()),
        });
        let resumed = Instant::now();
        rig.run(move |io| io.resume(conn));
        assert_eq!(rig.closed(conn), CloseReason::Idle(timeout));
        assert!(resumed.elapsed() >= timeout, "closed {:?} after it", resumed.elapsed());
    }
}

#[test]
fn alarms_of_closed_connections_do_not_pile_up() {
    let rig = Rig::start(Script::collect());
    for _ in 0..1500 {
        let (client, conn) = rig.connect();
        client.reset();
        rig.closed(conn);
    }
    let alarms = rig.run(|io| io.alarms());
    assert!(alarms < 1200, "{alarms} alarms for nobody");
}

#[test]
fn a_busy_connection_has_one_alarm() {
    let rig = Rig::start(Script::echo());
    let (mut client, _) = rig.connect();
    for n in 0..200_u32 {
        client.send(&n.to_be_bytes());
        client.receive();
    }
    assert_eq!(rig.run(|io| io.alarms()), 1);
}

#[test]
fn timers_ring_once_in_the_order_of_their_times() {
    let rig = Rig::start(Script::collect());
    let started = Instant::now();
    rig.run(move |io| {
        let now = io.now();
        io.set_timer(now + SHORT, 3);
        io.set_timer(now + SHORT, 4);
        io.set_timer(now + SHORT / 2, 2);
        io.set_timer(now, 1);
        io.set_timer(now + 2 * SHORT, 5);
    });
    for key in 1..=5 {
        let rung = rig.wait_for(|seen| match seen {
            Seen::Timer(key) => Some(key),
            _ => None,
        });
        assert_eq!(rung, key);
    }
    assert!(started.elapsed() >= 2 * SHORT);
}

#[test]
fn timers_are_sorted_by_time_and_then_by_when_they_were_set() {
    let now = Instant::now();
    let at = |ms| now + Duration::from_millis(ms);
    let mut timers = Timers::new();
    for (ms, key) in [(30, 'd'), (10, 'a'), (20, 'b'), (20, 'c')] {
        timers.push(at(ms), key);
    }
    assert_eq!(timers.next(), Some(at(10)));
    assert_eq!(timers.pop_due(at(9)), None);
    assert_eq!(timers.pop_due(at(10)), Some((at(10), 'a')));
    timers.retain(|_, key| *key != 'b');
    assert_eq!(timers.len(), 2);
    assert_eq!(timers.pop_due(at(99)), Some((at(20), 'c')));
    assert_eq!(timers.pop_due(at(99)), Some((at(30), 'd')));
    assert_eq!(timers.pop_due(at(99)), None);
}
