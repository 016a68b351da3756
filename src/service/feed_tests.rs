use std::sync::Arc;
use std::time::Instant;

use super::super::message::MessageMemory;
use super::super::message::Origin;
use super::*;
use crate::model::{Claim, TokenHash};

fn new_feed(acks: bool) -> Feed {
    let claim = Claim { server: "a:1".into(), epoch: 1, number: 1 };
    let token = TokenHash([0; 32]);
    Feed::new(Identity { user: UserId(2), name: "bob".into(), claim, token }, acks)
}

/// Of a client that does not confirm.
fn feed() -> Feed {
    new_feed(false)
}

fn live(mut feed: Feed) -> Feed {
    assert!(feed.begin_read().is_some());
    assert!(feed.page(OfflinePage { rows: Vec::new(), exhausted: true }).exhausted);
    feed.went_live();
    feed
}

fn live_feed() -> Feed {
    live(feed())
}

/// The rows that these deletions are of.
fn deleted_rows(confirmed: &Confirmed) -> Vec<i64> {
    let rows = |op: &OfflineOp| match op {
        OfflineOp::DeleteRows { rows, .. } => rows.clone(),
        _ => Vec::new(),
    };
    confirmed.deletions.iter().flat_map(rows).collect()
}

fn copy(mid: &str) -> MessageCopy {
    let message = MessageMemory::default().message(UserId(1), mid, Arc::from([])).unwrap();
    MessageCopy { to: UserId(2), message, origin: Origin::Nobody }
}

fn row(row: i64) -> OfflineRow {
    OfflineRow { row, sender: UserId(1), mid: vec![1], message: "{}".into() }
}

#[test]
fn a_copy_is_delivered_when_the_socket_has_taken_its_last_byte() {
    let mut feed = live_feed();
    feed.sent_copy(100, copy("m1"), Instant::now());
    feed.sent_copy(200, copy("m2"), Instant::now());
    assert!(feed.written(99).delivered.is_empty());
    assert_eq!(feed.written(199).delivered.len(), 1);
    assert_eq!(feed.written(200).delivered.len(), 1);
}

#[test]
fn rows_are_deleted_only_after_the_socket_has_taken_them() {
    let mut feed = feed();
    feed.sent_rows(500, vec![1, 2], Instant::now());
    assert!(feed.written(499).deletions.is_empty());
    let confirmed = feed.written(500);
    assert!(
        matches!(&confirmed.deletions[..], [OfflineOp::DeleteRows { rows, .. }] if *rows == [1, 2])
    );
}

#[test]
fn the_next_page_is_read_when_the_socket_has_taken_the_last_and_passes_over_it() {
    let mut feed = feed();
    assert!(feed.begin_read().is_some());
    assert!(feed.begin_read().is_none(), "one read at a time");
    let page = OfflinePage { rows: vec![row(1)], exhausted: false };
    assert_eq!(feed.page(page.clone()), page);
    feed.sent_rows(10, vec![1], Instant::now());
    assert!(feed.begin_read().is_none(), "it waits for the socket");
    feed.written(10);
    let pushed = feed.begin_read().unwrap();
    assert!(pushed.contains(1, UserId(1), b"x"), "its deletion is not committed yet");
    feed.read_failed();
    feed.deleted();
    assert!(feed.begin_read().unwrap().is_empty());
}

#[test]
fn a_client_that_confirms_is_believed_and_its_socket_is_not() {
    let mut feed = live(new_feed(true));
    feed.sent_copy(100, copy("m1"), Instant::now());
    feed.sent_copy(200, copy("m2"), Instant::now());
    assert!(feed.written(200).delivered.is_empty());
    let confirmed = feed.acknowledged(1);
    assert_eq!(&*confirmed.delivered[0].message.mid, b"m1");
    assert!(feed.acknowledged(1).delivered.is_empty(), "said before");
    assert!(feed.acknowledged(0).delivered.is_empty(), "less than before");
    assert_eq!(feed.acknowledged(u64::MAX).delivered.len(), 1, "cut to what was sent");
    feed.sent_copy(300, copy("m3"), Instant::now());
    assert!(feed.acknowledged(2).delivered.is_empty());
    assert_eq!(feed.acknowledged(3).delivered.len(), 1);
}

#[test]
fn confirmations_of_a_client_that_does_not_confirm_are_ignored() {
    let mut feed = live_feed();
    feed.sent_copy(100, copy("m1"), Instant::now());
    assert!(feed.acknowledged(1).delivered.is_empty());
    assert_eq!(feed.written(100).delivered.len(), 1);
}

#[test]
fn missed_messages_are_counted_one_by_one_and_deleted_once_confirmed() {
    let mut feed = new_feed(true);
    feed.sent_rows(500, vec![7, 8, 9], Instant::now());
    assert!(feed.written(500).deletions.is_empty());
    assert_eq!(deleted_rows(&feed.acknowledged(2)), [7, 8]);
    let pushed = feed.begin_read().unwrap();
    for row in [7, 8, 9] {
        assert!(pushed.contains(row, UserId(1), b"x"), "{row} must not be read again");
    }
    assert!(!pushed.contains(10, UserId(1), b"x"));
    assert_eq!(deleted_rows(&feed.acknowledged(3)), [9]);
}

#[test]
fn a_backlog_is_read_on_while_much_but_not_too_much_is_unconfirmed() {
    let mut feed = new_feed(true);
    let most = i64::try_from(MOST_UNCONFIRMED).unwrap();
    feed.sent_rows(10, (1..most).collect(), Instant::now());
    feed.written(10);
    assert!(feed.begin_read().is_some(), "one below the bound");
    feed.page(OfflinePage::default());
    feed.sent_rows(20, vec![most], Instant::now());
    feed.written(20);
    assert!(feed.is_full());
    assert!(feed.begin_read().is_none());
    feed.acknowledged(1);
    assert!(feed.begin_read().is_some());
}

#[test]
fn what_was_stored_for_want_of_a_confirmation_is_passed_over_and_deleted_when_it_comes_late() {
    let mut feed = live(new_feed(true));
    feed.sent_copy(10, copy("m1"), Instant::now());
    feed.written(10);
    assert_eq!(feed.go_behind().len(), 1);
    let pushed = feed.begin_read().unwrap();
    assert!(pushed.contains(3, UserId(1), b"m1"));
    assert!(!pushed.contains(3, UserId(2), b"m1"), "another sender's");
    feed.page(OfflinePage::default());
    let confirmed = feed.acknowledged(1);
    assert!(confirmed.delivered.is_empty());
    assert!(matches!(&confirmed.deletions[..], [OfflineOp::DeleteMessage { .. }]));
}

#[test]
fn a_session_that_waits_for_the_writer_reads_again_only_when_nudged() {
    let mut feed = feed();
    feed.caught_up();
    assert!(feed.begin_read().is_none());
    assert!(feed.go_behind().is_empty());
    assert!(feed.begin_read().is_some());
}

#[test]
fn a_session_that_goes_behind_stores_what_it_has_not_confirmed() {
    let mut feed = live_feed();
    feed.sent_copy(100, copy("m1"), Instant::now());
    let stored = feed.go_behind();
    assert_eq!(stored.len(), 1);
    assert!(feed.go_behind().is_empty(), "once");
    // Taken after all: the row that was written for it goes again.
    let confirmed = feed.written(100);
    assert!(confirmed.delivered.is_empty());
    assert!(matches!(&confirmed.deletions[..], [OfflineOp::DeleteMessage { .. }]));
}

#[test]
fn too_many_unconfirmed_pushes_put_a_live_session_behind() {
    let mut feed = live_feed();
    for n in 1..MOST_UNCONFIRMED as u64 {
        assert!(feed.sent_copy(n, copy("m"), Instant::now()).is_none());
        assert!(!feed.is_overfull());
    }
    feed.sent_copy(MOST_UNCONFIRMED as u64, copy("m"), Instant::now());
    assert!(feed.is_overfull());
    assert_eq!(feed.go_behind().len(), MOST_UNCONFIRMED);
}

#[test]
fn what_a_connection_leaves_behind_is_what_is_not_in_the_table() {
    let mut feed = feed();
    feed.sent_rows(10, vec![1], Instant::now());
    feed.page(OfflinePage::default());
    feed.went_live();
    feed.sent_copy(20, copy("m1"), Instant::now());
    feed.sent_copy(30, copy("m2"), Instant::now());
    feed.written(20);
    let left = feed.into_unconfirmed();
    assert_eq!(left.len(), 1);
    assert_eq!(&*left[0].message.mid, b"m2");
}

#[test]
fn a_live_copy_that_comes_after_the_session_went_behind_is_stored_too() {
    let mut feed = live_feed();
    assert!(feed.go_behind().is_empty());
    assert!(feed.sent_copy(10, copy("m1"), Instant::now()).is_some());
    let confirmed = feed.written(10);
    assert!(confirmed.delivered.is_empty(), "the stored one is settled");
    assert!(matches!(&confirmed.deletions[..], [OfflineOp::DeleteMessage { .. }]));
}

#[test]
fn what_waits_for_its_confirmation_is_known_by_its_age() {
    let mut feed = live_feed();
    assert_eq!(feed.waiting_since(), None);
    let first = Instant::now();
    feed.sent_copy(10, copy("m1"), first);
    feed.sent_copy(20, copy("m2"), Instant::now());
    assert_eq!(feed.waiting_since(), Some(first));
    feed.go_behind();
    assert_eq!(feed.waiting_since(), None, "stored ones do not wait");
}

#[test]
fn a_page_does_not_bring_what_was_pushed_while_it_was_read() {
    let mut feed = feed();
    assert!(feed.begin_read().is_some());
    assert!(feed.sent_copy(10, copy("m1"), Instant::now()).is_some());
    let m1 = OfflineRow { mid: b"m1".to_vec(), ..row(7) };
    let page = OfflinePage { rows: vec![m1, row(8)], exhausted: true };
    let left: Vec<i64> = feed.page(page).rows.iter().map(|row| row.row).collect();
    assert_eq!(left, [8]);
}
