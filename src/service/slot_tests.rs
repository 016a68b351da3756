use std::sync::atomic::AtomicU64;

use crate::serial::Serial;

use super::super::message::{MessageMemory, Origin};
use super::super::registry::Registry;
use super::*;
use crate::model::UserId;

const BOB: UserId = UserId(2);

fn copy(mid: &str) -> MessageCopy {
    let memory = MessageMemory::new();
    let message = memory.message(Origin::Nobody, UserId(1), mid, b"{}").unwrap();
    MessageCopy { to: BOB, message }
}

fn mid(copy: &MessageCopy) -> String {
    copy.message.mid.text().to_owned()
}

fn session(behind: bool) -> LocalSession {
    let id = SessionId { reactor: 0, serial: Serial::MIN };
    LocalSession { id, claim: 7, behind, nudges: 0 }
}

fn routing(handover: u64) -> Routing<'static> {
    Routing {
        has_peers: true,
        handover: Handover::new(Box::leak(Box::new(AtomicU64::new(handover)))),
        here: None,
        now: Instant::now(),
        handover_timeout: Duration::from_secs(7),
    }
}

fn stored(next: Next) -> String {
    match next {
        Next::Store(copy) => mid(&copy),
        other => panic!("not stored: {other:?}"),
    }
}

/// What a flush does with everything that lined up.
fn flush(registry: &Registry) -> Vec<String> {
    let mut ways = Vec::new();
    while let Some(next) = registry.with(BOB, |slot| slot.route_held(&routing(99))) {
        ways.push(match next {
            Next::Store(copy) => format!("store {}", mid(&copy)),
            Next::Push(_, copy, _) => format!("push {}", mid(&copy)),
            Next::HandOver(server, message) => {
                format!("hand {} to {server}", message.mid.text())
            }
            Next::Locate => "locate".into(),
            Next::Wait => "wait".into(),
            Next::LetGo => "let go".into(),
        });
    }
    ways
}

#[test]
fn a_live_session_is_pushed_to_and_one_that_is_behind_is_stored_for() {
    let registry = Registry::new();
    registry.with(BOB, |slot| slot.session = Some(session(false)));
    let next = registry.with(BOB, |slot| slot.accept(copy("m1"), &routing(1)));
    assert!(matches!(next, Next::Push(..)));
    registry.with(BOB, |slot| {
        slot.taken(Way::Mailbox);
        slot.session = Some(session(true));
    });
    assert_eq!(stored(registry.with(BOB, |slot| slot.accept(copy("m2"), &routing(2)))), "m2");
}

#[test]
fn nothing_overtakes_what_is_with_the_writer() {
    let registry = Registry::new();
    registry.with(BOB, |slot| {
        slot.writing = 1;
        slot.session = Some(session(false));
    });
    let next = registry.with(BOB, |slot| slot.accept(copy("m2"), &routing(1)));
    assert_eq!(stored(next), "m2");
    registry.with(BOB, |slot| slot.writing = 0);
    let next = registry.with(BOB, |slot| slot.accept(copy("m3"), &routing(2)));
    assert!(matches!(next, Next::Push(..)));
}

#[test]
fn copies_line_up_behind_the_question_where_the_user_is() {
    let registry = Registry::new();
    let first = registry.with(BOB, |slot| slot.accept(copy("m1"), &routing(1)));
    assert!(matches!(first, Next::Locate));
    let second = registry.with(BOB, |slot| slot.accept(copy("m2"), &routing(2)));
    assert!(matches!(second, Next::Wait));
    registry.with(BOB, |slot| slot.located(Some("b:2".into()), Instant::now()));
    assert!(registry.with(BOB, Slot::let_go));
    assert_eq!(flush(&registry), ["hand m1 to b:2", "hand m2 to b:2"]);
}

#[test]
fn a_user_who_is_nowhere_is_stored_for_and_asked_for_again_next_time() {
    let registry = Registry::new();
    registry.with(BOB, |slot| slot.accept(copy("m1"), &routing(1)));
    registry.with(BOB, |slot| slot.located(None, Instant::now()));
    assert!(registry.with(BOB, Slot::let_go));
    assert_eq!(flush(&registry), ["store m1"]);
    registry.with(BOB, |slot| slot.writing = 0);
    let next = registry.with(BOB, |slot| slot.accept(copy("m2"), &routing(2)));
    assert!(matches!(next, Next::Locate));
}

#[test]
fn what_is_handed_over_pins_the_way_of_what_follows() {
    let registry = Registry::new();
    registry.with(BOB, |slot| slot.located(Some("b:2".into()), Instant::now()));
    registry.with(BOB, |slot| slot.accept(copy("m1"), &routing(1)));
    // The user comes here while m1 is under way: m2 must not overtake it.
    registry.with(BOB, |slot| slot.session = Some(session(false)));
    let next = registry.with(BOB, |slot| slot.accept(copy("m2"), &routing(2)));
    assert!(matches!(next, Next::HandOver(..)), "{next:?}");
}

#[test]
fn what_is_stored_first_stays_before_what_comes_meanwhile() {
    let registry = Registry::new();
    registry.with(BOB, |slot| slot.session = Some(session(false)));
    // Some thread takes two copies to the writer, outside the lock.
    registry.with(BOB, |slot| slot.hold_to_store(2));
    let next = registry.with(BOB, |slot| slot.accept(copy("later"), &routing(1)));
    assert!(matches!(next, Next::Wait));
    assert!(registry.with(BOB, Slot::let_go));
    assert_eq!(flush(&registry), ["store later"]);
}

#[test]
fn two_holds_are_let_go_by_the_last_and_flushed_once() {
    let registry = Registry::new();
    registry.with(BOB, |slot| slot.accept(copy("m1"), &routing(1)));
    registry.with(BOB, |slot| slot.hold_to_store(1));
    registry.with(BOB, |slot| slot.located(None, Instant::now()));
    assert!(!registry.with(BOB, Slot::let_go), "the other hold is still there");
    assert!(registry.with(BOB, Slot::let_go));
    assert_eq!(flush(&registry), ["store m1"]);
}

#[test]
fn a_hold_during_a_flush_stops_it_and_the_holder_goes_on() {
    let registry = Registry::new();
    registry.with(BOB, |slot| slot.session = Some(session(false)));
    registry.with(BOB, |slot| slot.hold_to_store(0));
    for name in ["m1", "m2"] {
        registry.with(BOB, |slot| slot.accept(copy(name), &routing(1)));
    }
    assert!(registry.with(BOB, Slot::let_go));
    let first = registry.with(BOB, |slot| slot.route_held(&routing(2)));
    assert!(matches!(first, Some(Next::Push(..))));
    registry.with(BOB, |slot| slot.hold_to_store(1));
    assert!(registry.with(BOB, |slot| slot.route_held(&routing(3))).is_none());
    assert!(!registry.with(BOB, Slot::let_go), "m1 is still in the mailbox");
    assert!(registry.with(BOB, |slot| slot.taken(Way::Mailbox)));
    assert_eq!(flush(&registry), ["store m2"]);
}

#[test]
fn a_slot_with_nothing_in_it_is_dropped() {
    let registry = Registry::new();
    registry.with(BOB, |slot| slot.writing = 1);
    registry.with(BOB, |slot| slot.writing = 0);
    let mut slots = 0;
    registry.for_each(|_, _| slots += 1);
    assert_eq!(slots, 0);
}

#[test]
fn a_server_that_stops_takes_out_everything_under_way_in_order() {
    let registry = Registry::new();
    registry.with(BOB, |slot| slot.located(Some("b:2".into()), Instant::now()));
    registry.with(BOB, |slot| slot.accept(copy("m1"), &routing(1)));
    registry.with(BOB, |slot| slot.hold_to_store(0));
    registry.with(BOB, |slot| slot.accept(copy("m2"), &routing(2)));
    let taken = registry.with(BOB, Slot::take_under_way);
    assert_eq!(taken.iter().map(mid).collect::<Vec<_>>(), ["m1", "m2"]);
}

#[test]
fn nothing_is_stored_past_what_is_in_the_mailbox_of_a_session_that_ends() {
    let registry = Registry::new();
    registry.with(BOB, |slot| slot.session = Some(session(false)));
    let posted = registry.with(BOB, |slot| slot.accept(copy("m1"), &routing(1)));
    assert!(matches!(posted, Next::Push(..)));
    // The connection ends before its reactor has taken m1.
    registry.with(BOB, |slot| slot.session = None);
    let next = registry.with(BOB, |slot| slot.accept(copy("m2"), &routing(2)));
    assert!(matches!(next, Next::Wait), "{next:?}");
    // The reactor finds no session and stores m1 first.
    registry.with(BOB, |slot| slot.hold_to_store(1));
    assert!(!registry.with(BOB, Slot::let_go), "m1 is still posted");
    assert!(registry.with(BOB, |slot| slot.taken(Way::Mailbox)));
    assert_eq!(flush(&registry), ["store m2"]);
}

#[test]
fn steady_traffic_leaves_the_stored_path_through_a_hold() {
    let registry = Registry::new();
    let id = session(true).id;
    registry.with(BOB, |slot| slot.session = Some(session(true)));
    assert_eq!(stored(registry.with(BOB, |slot| slot.accept(copy("m1"), &routing(1)))), "m1");
    // A read finds nothing more, but m1 is with the writer.
    assert_eq!(registry.with(BOB, |slot| slot.go_live(id, 0)), (GoLive::Wait, false));
    let next = registry.with(BOB, |slot| slot.accept(copy("m2"), &routing(2)));
    assert!(matches!(next, Next::Wait), "held, not stored as well");
    // m1 is committed and nudged, then read; the next read finds nothing.
    registry.with(BOB, |slot| {
        slot.writing = 0;
        slot.session.as_mut().unwrap().nudges += 1;
    });
    assert_eq!(registry.with(BOB, |slot| slot.go_live(id, 0)), (GoLive::ReadAgain, false));
    assert_eq!(registry.with(BOB, |slot| slot.go_live(id, 1)), (GoLive::Live, true));
    assert_eq!(flush(&registry), ["push m2"]);
}

#[test]
fn too_many_copies_do_not_wait_for_a_session_that_catches_up() {
    let registry = Registry::new();
    let id = session(true).id;
    registry.with(BOB, |slot| slot.session = Some(session(true)));
    registry.with(BOB, |slot| slot.accept(copy("first"), &routing(1)));
    registry.with(BOB, |slot| slot.go_live(id, 0));
    for n in 0..CATCH_UP_COPIES {
        let next = registry.with(BOB, |slot| slot.accept(copy("more"), &routing(2)));
        assert!(matches!(next, Next::Wait), "{n}");
    }
    let next = registry.with(BOB, |slot| slot.accept(copy("last"), &routing(3)));
    assert!(matches!(next, Next::LetGo));
    assert!(registry.with(BOB, Slot::let_go));
    let ways = flush(&registry);
    assert_eq!(ways.len(), CATCH_UP_COPIES + 1);
    assert_eq!(ways.last().unwrap(), "store last");
}

#[test]
fn what_lined_up_for_the_bus_is_handed_over_before_the_hold_is_let_go() {
    let registry = Registry::new();
    for name in ["m1", "m2"] {
        registry.with(BOB, |slot| slot.accept(copy(name), &routing(1)));
    }
    let server: ServerId = "b:2".into();
    registry.with(BOB, |slot| {
        slot.located(Some(server.clone()), Instant::now());
        slot.hand_over_held(&server, |_| 5, &routing(9));
        assert_eq!(slot.handed.len(), 2);
    });
    // Until the caller has sent them nothing may follow.
    let next = registry.with(BOB, |slot| slot.accept(copy("m3"), &routing(2)));
    assert!(matches!(next, Next::Wait));
    assert!(registry.with(BOB, Slot::let_go));
    assert_eq!(flush(&registry), ["hand m3 to b:2"]);
}

#[test]
fn copies_line_up_while_a_session_takes_over_and_what_the_former_left_goes_first() {
    let mut slot = Slot { session: Some(session(true)), ..Slot::default() };
    slot.begin_takeover(thin_vec::thin_vec!["b:1".into()]);
    assert!(matches!(slot.accept(copy("new"), &routing(1)), Next::Wait));
    // What the former session left is stored by a hold of its own.
    slot.hold_to_store(1);
    assert!(!slot.let_go());
    assert!(!slot.end_takeover_of(8), "another login's");
    assert!(slot.end_takeover_of(7));
    assert_eq!(stored(slot.route_held(&routing(2)).unwrap()), "new");
    assert!(slot.route_held(&routing(3)).is_none());
    assert!(!slot.end_takeover(), "once");
}

#[test]
fn a_session_that_ends_while_it_takes_over_lets_go_of_what_lined_up() {
    let mut slot = Slot { session: Some(session(true)), ..Slot::default() };
    slot.begin_takeover(thin_vec::thin_vec!["b:1".into()]);
    slot.accept(copy("new"), &routing(1));
    slot.session = None;
    assert!(slot.end_waits());
    assert!(matches!(slot.route_held(&routing(2)), Some(Next::Locate)));
}

#[test]
fn a_new_session_does_not_overtake_what_is_in_the_mailbox_of_the_former_one() {
    let mut slot = Slot { session: Some(session(false)), ..Slot::default() };
    assert!(matches!(slot.accept(copy("m1"), &routing(1)), Next::Push(..)));
    let id = SessionId { reactor: 1, serial: Serial::MIN };
    slot.session = Some(LocalSession { id, claim: 8, behind: false, nudges: 0 });
    assert!(matches!(slot.accept(copy("m2"), &routing(2)), Next::Wait));
    // The former session's reactor has nobody for m1: it is stored.
    slot.hold_to_store(1);
    assert!(!slot.taken(Way::Mailbox));
    assert!(slot.let_go());
    assert_eq!(stored(slot.route_held(&routing(3)).unwrap()), "m2");
}

#[test]
fn a_session_that_takes_over_from_two_waits_for_both() {
    let mut slot = Slot { session: Some(session(true)), ..Slot::default() };
    slot.begin_takeover(thin_vec::thin_vec!["a:1".into(), "b:1".into()]);
    assert!(!slot.former_ended(8, &"a:1".into()), "of another login");
    assert!(!slot.former_ended(7, &"a:1".into()));
    assert!(!slot.former_ended(7, &"a:1".into()), "said before");
    assert!(slot.takes_over_from(&"b:1".into()));
    assert!(slot.former_ended(7, &"b:1".into()));
    assert!(slot.end_takeover());
}

/// How a copy is pushed that is routed on this reactor's thread, if on any.
fn way(slot: &mut Slot, here: Option<u16>) -> Way {
    match slot.accept(copy("m"), &Routing { here, ..routing(1) }) {
        Next::Push(_, _, way) => way,
        other => panic!("not pushed: {other:?}"),
    }
}

#[test]
fn a_copy_for_a_session_of_the_same_reactor_needs_no_mailbox() {
    let mut slot = Slot { session: Some(session(false)), ..Slot::default() };
    assert_eq!([way(&mut slot, Some(0)), way(&mut slot, Some(0))], [Way::Here; 2]);
    assert_eq!(way(&mut slot, Some(1)), Way::Mailbox, "another reactor's");
    assert_eq!(way(&mut slot, None), Way::Mailbox, "a worker's");
}

#[test]
fn no_copy_overtakes_one_that_is_in_the_mailbox() {
    let mut slot = Slot { session: Some(session(false)), ..Slot::default() };
    assert_eq!(way(&mut slot, None), Way::Mailbox);
    assert_eq!(way(&mut slot, Some(0)), Way::Mailbox, "behind it");
    slot.taken(Way::Mailbox);
    assert_eq!(way(&mut slot, Some(0)), Way::Mailbox, "behind the second");
    slot.taken(Way::Mailbox);
    slot.taken(Way::Mailbox);
    assert_eq!(way(&mut slot, Some(0)), Way::Here);
}

#[test]
fn no_copy_overtakes_one_that_another_thread_is_about_to_post() {
    let registry = Registry::new();
    registry.with(BOB, |slot| slot.session = Some(session(false)));
    let next = registry.with(BOB, |slot| slot.accept(copy("m1"), &routing(1)));
    assert!(matches!(next, Next::Push(_, _, Way::Mailbox)), "and it is not there yet");
    // Meanwhile the session goes behind, catches up, and is live again.
    registry.with(BOB, |slot| {
        slot.session = Some(session(true));
        slot.writing = 1;
        assert_eq!(slot.go_live(session(true).id, 0), (GoLive::Wait, false));
        assert!(matches!(slot.accept(copy("m2"), &routing(2)), Next::Wait));
        slot.writing = 0;
        assert_eq!(slot.go_live(session(true).id, 0), (GoLive::Live, false));
        assert!(matches!(slot.accept(copy("m3"), &routing(3)), Next::Wait));
    });
    assert!(registry.with(BOB, |slot| slot.taken(Way::Mailbox)), "the reactor has got it");
    assert_eq!(flush(&registry), ["push m2", "push m3"]);
}
