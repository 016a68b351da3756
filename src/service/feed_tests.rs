use std::sync::Arc;
use std::time::Instant;

use super::super::message::MessageMemory;
use super::super::message::Origin;
use super::*;
use crate::model::TokenHash;
use crate::service::OwnClaim;

fn new_feed(acks: bool) -> Feed {
    let claim = OwnClaim { epoch: 1, number: 1 };
    let token = TokenHash([0; 32]);
    let (user, quoted_name) = (UserId(2), "\"bob\"".into());
    Feed::new(Arc::new(Identity { user, quoted_name, claim, token }), acks)
}

/// Of a client that does not confirm.
fn feed() -> Feed {
    new_feed(false)
}

fn live(mut feed: Feed) -> Feed {
    assert!(feed.begin_read().is_some());
    feed.page_read();
    feed.went_live();
    feed
}

fn live_feed() -> Feed {
    live(feed())
}

/// The rows that are to be deleted now.
fn deleted_rows(feed: &mut Feed) -> Vec<i64> {
    let rows = |op: &OfflineOp| match op {
        OfflineOp::DeleteRows { rows, .. } => rows.clone(),
        _ => Vec::new(),
    };
    feed.take_deletions().iter().flat_map(rows).collect()
}

fn copy(mid: &str) -> MessageCopy {
    let message = MessageMemory::new().message(Origin::Nobody, UserId(1), mid, b"").unwrap();
    MessageCopy { to: UserId(2), message }
}

#[test]
fn a_copy_is_delivered_when_the_socket_has_taken_its_last_byte() {
    let mut feed = live_feed();
    feed.sent_copy(100, copy("m1"), Instant::now());
    feed.sent_copy(200, copy("m2"), Instant::now());
    assert!(feed.written(99).is_empty());
    assert_eq!(feed.written(199).len(), 1);
    assert_eq!(feed.written(200).len(), 1);
}

#[test]
fn rows_are_deleted_only_after_the_socket_has_taken_them() {
    let mut feed = feed();
    feed.sent_rows(500, vec![1, 2], Instant::now());
    feed.written(499);
    assert!(deleted_rows(&mut feed).is_empty());
    feed.written(500);
    assert_eq!(deleted_rows(&mut feed), [1, 2]);
}

#[test]
fn one_deletion_is_under_way_at_a_time_and_the_next_takes_all_that_was_confirmed_meanwhile() {
    let mut feed = new_feed(true);
    feed.sent_rows(10, (1..=9).collect(), Instant::now());
    feed.acknowledged(2);
    assert_eq!(deleted_rows(&mut feed), [1, 2]);
    for count in 3..=5 {
        feed.acknowledged(count);
        assert!(deleted_rows(&mut feed).is_empty());
    }
    feed.deleted();
    assert_eq!(deleted_rows(&mut feed), [3, 4, 5]);
    feed.acknowledged(6);
    let left = feed.end();
    assert!(matches!(&left.deletions[..], [OfflineOp::DeleteRows { rows, .. }] if *rows == [6]));
}

#[test]
fn no_more_is_read_while_too_much_is_yet_to_be_deleted() {
    let mut feed = feed();
    let most = i64::try_from(MOST_DELETING).unwrap();
    feed.sent_rows(10, (1..=most).collect(), Instant::now());
    feed.written(10);
    assert!(feed.begin_read().is_none());
    feed.take_deletions();
    assert!(feed.begin_read().is_none());
    feed.deleted();
    assert!(feed.begin_read().is_some());
}

#[test]
fn the_next_page_is_read_when_the_socket_has_taken_the_last_and_passes_over_it() {
    let mut feed = feed();
    assert!(feed.begin_read().is_some());
    assert!(feed.begin_read().is_none(), "one read at a time");
    feed.page_read();
    feed.sent_rows(10, vec![1], Instant::now());
    assert!(feed.begin_read().is_none(), "it waits for the socket");
    feed.written(10);
    let pushed = feed.begin_read().unwrap();
    assert!(pushed.contains(1, UserId(1), b"x"), "its deletion is not committed yet");
    feed.read_failed();
    feed.take_deletions();
    feed.deleted();
    assert!(feed.begin_read().unwrap().is_empty());
}

#[test]
fn a_client_that_confirms_is_believed_and_its_socket_is_not() {
    let mut feed = live(new_feed(true));
    feed.sent_copy(100, copy("m1"), Instant::now());
    feed.sent_copy(200, copy("m2"), Instant::now());
    assert!(feed.written(200).is_empty());
    let confirmed = feed.acknowledged(1);
    assert_eq!(confirmed[0].message.mid.text(), "m1");
    assert!(feed.acknowledged(1).is_empty(), "said before");
    assert!(feed.acknowledged(0).is_empty(), "less than before");
    assert_eq!(feed.acknowledged(u64::MAX).len(), 1, "cut to what was sent");
    feed.sent_copy(300, copy("m3"), Instant::now());
    assert!(feed.acknowledged(2).is_empty());
    assert_eq!(feed.acknowledged(3).len(), 1);
}

#[test]
fn confirmations_of_a_client_that_does_not_confirm_are_ignored() {
    let mut feed = live_feed();
    feed.sent_copy(100, copy("m1"), Instant::now());
    assert!(feed.acknowledged(1).is_empty());
    assert_eq!(feed.written(100).len(), 1);
}

#[test]
fn missed_messages_are_counted_one_by_one_and_deleted_once_confirmed() {
    let mut feed = new_feed(true);
    feed.sent_rows(500, vec![7, 8, 9], Instant::now());
    feed.written(500);
    assert!(deleted_rows(&mut feed).is_empty());
    feed.acknowledged(2);
    assert_eq!(deleted_rows(&mut feed), [7, 8]);
    let pushed = feed.begin_read().unwrap();
    for row in [7, 8, 9] {
        assert!(pushed.contains(row, UserId(1), b"x"), "{row} must not be read again");
    }
    assert!(!pushed.contains(10, UserId(1), b"x"));
    feed.deleted();
    feed.acknowledged(3);
    assert_eq!(deleted_rows(&mut feed), [9]);
}

#[test]
fn a_backlog_is_read_on_while_much_but_not_too_much_is_unconfirmed() {
    let mut feed = new_feed(true);
    let most = i64::try_from(MOST_UNCONFIRMED).unwrap();
    feed.sent_rows(10, (1..most).collect(), Instant::now());
    feed.written(10);
    assert!(feed.begin_read().is_some(), "one below the bound");
    feed.page_read();
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
    feed.page_read();
    assert!(feed.acknowledged(1).is_empty());
    assert!(matches!(&feed.take_deletions()[..], [OfflineOp::DeleteMessage { .. }]));
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
    assert!(feed.written(100).is_empty());
    assert!(matches!(&feed.take_deletions()[..], [OfflineOp::DeleteMessage { .. }]));
}

#[test]
fn too_many_unconfirmed_pushes_put_a_live_session_behind() {
    let mut feed = live_feed();
    for n in 1..MOST_UNCONFIRMED as u64 {
        feed.sent_copy(n, copy("m"), Instant::now());
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
    feed.page_read();
    feed.went_live();
    feed.sent_copy(20, copy("m1"), Instant::now());
    feed.sent_copy(30, copy("m2"), Instant::now());
    feed.written(20);
    let left = feed.end().unconfirmed;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].message.mid.text(), "m2");
}

#[test]
fn only_a_live_session_takes_copies() {
    let mut feed = live_feed();
    assert!(feed.takes_copies());
    feed.go_behind();
    assert!(!feed.takes_copies());
    assert!(feed.begin_read().is_some());
    assert!(!feed.takes_copies());
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
