//! How connections and the reactor itself end.

use std::time::{Duration, Instant};

use super::support::{Errand, Rig, SOON, Script, Seen, framed};
use crate::net::{CloseReason, Flow, PostError};

fn closes(seen: &[Seen]) -> Vec<&CloseReason> {
    seen.iter()
        .filter_map(|seen| match seen {
            Seen::Close(_, reason) => Some(reason),
            _ => None,
        })
        .collect()
}

#[test]
fn each_opened_connection_is_closed_exactly_once() {
    let mut rig = Rig::start(Script::echo());
    let (_open, _) = rig.connect();
    let (asked, asked_id) = rig.connect();
    let (gone, gone_id) = rig.connect();
    rig.run(move |io| {
        io.close(asked_id, CloseReason::Handler("asked"));
        io.close(asked_id, CloseReason::Handler("asked twice"));
        io.finish(asked_id, CloseReason::Handler("and finished"));
    });
    assert_eq!(rig.closed(asked_id), CloseReason::Handler("asked"));
    drop(gone);
    assert_eq!(rig.closed(gone_id), CloseReason::PeerClosed);
    rig.handle.shutdown(Instant::now());
    assert_eq!(closes(&rig.join()), [&CloseReason::Shutdown]);
    drop(asked);
}

#[test]
fn shutdown_flushes_last_answers_and_takes_no_more_frames() {
    let script = Script { finish_at_shutdown: false, ..Script::collect() };
    let mut rig = Rig::start(script);
    let (mut client, conn) = rig.connect();
    client.send(b"before");
    assert_eq!(rig.frame(), b"before");
    rig.handle.shutdown(Instant::now() + SOON);
    rig.wait_for(|seen| (seen == Seen::Shutdown).then_some(()));
    client.send(b"after");
    // A result that comes late still reaches its client.
    rig.run(move |io| {
        io.send(conn, b"late answer").unwrap();
        io.finish(conn, CloseReason::Shutdown);
    });
    assert_eq!(client.receive_to_the_end(), framed(b"late answer"));
    drop(client);
    let rest = rig.join();
    assert_eq!(closes(&rest), [&CloseReason::Shutdown]);
    assert!(!rest.iter().any(|seen| matches!(seen, Seen::Frame(..))));
}

#[test]
fn what_is_left_at_the_shutdowns_deadline_is_closed() {
    let script = Script { finish_at_shutdown: false, ..Script::collect() };
    let mut rig = Rig::start(script);
    let (mut client, _) = rig.connect();
    rig.handle.shutdown(Instant::now() + Duration::from_millis(50));
    assert_eq!(closes(&rig.join()), [&CloseReason::Shutdown]);
    assert!(client.is_cut_off());
}

#[test]
fn a_second_shutdown_brings_the_deadline_forward() {
    let script = Script { finish_at_shutdown: false, ..Script::collect() };
    let mut rig = Rig::start(script);
    let (_client, _) = rig.connect();
    rig.handle.shutdown(Instant::now() + 100 * SOON);
    rig.handle.shutdown(Instant::now());
    rig.handle.shutdown(Instant::now() + 100 * SOON);
    let seen = rig.join();
    assert_eq!(closes(&seen), [&CloseReason::Shutdown]);
    assert_eq!(seen.iter().filter(|seen| **seen == Seen::Shutdown).count(), 1);
}

#[test]
fn a_reactor_that_has_ended_gives_back_what_it_is_sent() {
    let mut rig = Rig::start(Script::collect());
    rig.handle.shutdown(Instant::now());
    rig.join();
    let (sender, ran) = crossbeam_channel::bounded(1);
    let refused = rig.handle.post(Box::new(move |_| sender.send("ran").unwrap()));
    let Err(PostError(errand)) = refused else { panic!("posted to nobody") };
    drop(errand);
    assert!(ran.recv().is_err(), "it came back and was dropped here");

    let (sender, ran) = crossbeam_channel::bounded(3);
    let errands = (0..3).map(|n| -> Errand {
        let sender = sender.clone();
        Box::new(move |_| sender.send(n).unwrap())
    });
    let refused = rig.handle.post_all(errands.collect());
    let Err(PostError(errands)) = refused else { panic!("posted to nobody") };
    assert_eq!((errands.len(), ran.len()), (3, 0));
}

#[test]
fn a_connection_that_comes_during_the_shutdown_is_not_opened() {
    let script = Script { finish_at_shutdown: false, ..Script::collect() };
    let mut rig = Rig::start(script);
    let (first, _) = rig.connect();
    rig.handle.shutdown(Instant::now() + SOON);
    let mut late = rig.connect_raw();
    assert!(late.is_cut_off());
    drop(first);
    rig.handle.shutdown(Instant::now());
    let opened = rig.join().iter().filter(|seen| matches!(seen, Seen::Open(_))).count();
    assert_eq!(opened, 0);
}

#[test]
fn a_panic_in_a_handler_ends_the_reactors_thread() {
    use crate::net::{Reactor, ReactorConfig};
    let (reactor, handle) =
        Reactor::<super::support::TestHandler>::new(0, ReactorConfig::default()).unwrap();
    let (handler, _seen) = super::support::TestHandler::new(Script::frames(|_, _, _| Flow::Pause));
    let thread = std::thread::spawn(move || drop(reactor.run(handler)));
    handle.post(Box::new(|_| panic!("on purpose"))).unwrap();
    assert!(thread.join().is_err());
    assert!(handle.post(Box::new(|_| ())).is_err());
}
