use super::*;
use crate::bus::{Item, item};

fn message(handover: u64, body: &str) -> Item<'_> {
    Item::Message {
        handover,
        to: vec![UserId(7), UserId(8)],
        sender: UserId(1),
        mid: "m-1".into(),
        body: serde_json::from_str(body).unwrap(),
    }
}

fn send(to: &str, item: &Item<'_>) -> Job {
    Job::Send { to: to.into(), item: serde_json::to_vec(item).unwrap() }
}

/// The envelopes for one server as the other side reads them.
fn read<'a>(turn: &'a mut Turn, to: &str) -> Vec<item::Envelope<'a>> {
    turn.pack(&mut Sent::new());
    turn.envelopes
        .iter()
        .filter(|envelope| &*envelope.to == to)
        .map(|envelope| serde_json::from_slice(&envelope.text).unwrap())
        .collect()
}

fn handovers(envelopes: &[item::Envelope<'_>]) -> Vec<u64> {
    envelopes
        .iter()
        .flat_map(|envelope| &envelope.items)
        .map(|item| match item {
            Item::Message { handover, .. } => *handover,
            other => panic!("unexpected {other:?}"),
        })
        .collect()
}

#[test]
fn items_for_one_server_share_an_envelope_and_keep_their_order() {
    let mut turn = Turn::new(&"a".into(), 5);
    for handover in 0..6 {
        let to = if handover % 2 == 0 { "even" } else { "odd" };
        turn.add(send(to, &message(handover, "{}")), "own");
    }
    let even = read(&mut turn, "even");
    assert_eq!(even.len(), 1);
    assert_eq!((&*even[0].from, even[0].epoch), ("a", 5));
    assert_eq!(handovers(&even), [0, 2, 4]);
}

#[test]
fn a_large_envelope_is_split_and_nothing_is_lost_or_turned_round() {
    let mut turn = Turn::new(&"a".into(), 5);
    let body = format!("\"{}\"", "x".repeat(400_000));
    for handover in 0..5 {
        turn.add(send("b", &message(handover, &body)), "own");
    }
    let envelopes = read(&mut turn, "b");
    assert_eq!(envelopes.iter().map(|e| e.items.len()).collect::<Vec<_>>(), [2, 2, 1]);
    assert_eq!(handovers(&envelopes), [0, 1, 2, 3, 4]);
    let longest = turn.envelopes.iter().map(|e| e.text.len()).max();
    assert!(longest <= Some(ENVELOPE_LIMIT_BYTES + 64), "{longest:?}");
}

#[test]
fn an_item_beyond_the_limit_goes_alone() {
    let mut turn = Turn::new(&"a".into(), 5);
    let huge = format!("\"{}\"", "x".repeat(ENVELOPE_LIMIT_BYTES));
    for (handover, body) in [(0, "1"), (1, huge.as_str()), (2, "3")] {
        turn.add(send("b", &message(handover, body)), "own");
    }
    let envelopes = read(&mut turn, "b");
    assert_eq!(envelopes.iter().map(|e| e.items.len()).collect::<Vec<_>>(), [1, 1, 1]);
    assert_eq!(handovers(&envelopes), [0, 1, 2]);
}

#[test]
fn a_turn_stops_taking_jobs_at_its_limits() {
    let mut turn = Turn::new(&"a".into(), 5);
    assert!(!turn.is_full());
    let huge = format!("\"{}\"", "x".repeat(TURN_LIMIT_BYTES));
    turn.add(send("b", &message(0, &huge)), "own");
    assert!(turn.is_full());

    let mut turn = Turn::new(&"a".into(), 5);
    for handover in 0..TURN_LIMIT_JOBS as u64 {
        assert!(!turn.is_full());
        turn.add(send("b", &message(handover, "1")), "own");
    }
    assert!(turn.is_full());
}

#[test]
fn a_body_passes_byte_for_byte() {
    // Nested deeper than a parser would follow: it is passed, not read.
    let deep = format!("{}1{}", "[".repeat(1000), "]".repeat(1000));
    for body in ["{\"b\" : 1e2,\n\t\"a\":\"\\u00e4ä\\/\" }", "1.0", &deep] {
        let mut turn = Turn::new(&"a\"\\".into(), -1);
        turn.add(send("b", &message(1, body)), "own");
        let envelopes = read(&mut turn, "b");
        let Item::Message { body: got, .. } = &envelopes[0].items[0] else {
            panic!("not a message");
        };
        assert_eq!(got.get(), body);
    }
}

#[test]
fn a_heartbeat_is_an_empty_envelope() {
    let mut turn = Turn::new(&"a".into(), 5);
    turn.add(Job::Beat, "own");
    turn.pack(&mut Sent::new());
    let beat: item::Envelope<'_> = serde_json::from_slice(&turn.head).unwrap();
    assert_eq!((&*beat.from, beat.epoch, beat.items.len()), ("a", 5, 0));
}

#[test]
fn every_kind_of_item_survives_the_way() {
    let items = [
        Item::Outcomes { outcome: item::CopyOutcome::NotHere, copies: vec![(3, UserId(2))].into() },
        Item::Nudge { user: UserId(4) },
        Item::Close { user: UserId(5), claim: i64::MAX, successor: 1 },
        Item::Closed { user: UserId(5), successor: i64::MAX },
        Item::GroupChanged { group: crate::model::GroupId(6) },
    ];
    let mut turn = Turn::new(&"a".into(), 5);
    for item in &items {
        turn.add(send("b", item), "own");
    }
    let envelopes = read(&mut turn, "b");
    assert_eq!(format!("{:?}", envelopes[0].items), format!("{items:?}"));
}
