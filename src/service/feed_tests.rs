use std::sync::Arc;
use std::time::Instant;

use super::super::message::MessageMemory;
use super::super::message::Origin;
use super::*;
use crate::model::Claim;

fn feed() -> Feed {
    let claim = Claim { server: "a:1".into(), epoch: 1, number: 1 };
    Feed::new(Identity { user: UserId(2), name: "bob".into(), claim })
}

fn live_feed() -> Feed {
    let mut feed = feed();
    assert!(feed.begin_read());
    assert!(feed.page(OfflinePage { rows: Vec::new(), exhausted: true }).exhausted);
    feed.went_live();
    feed
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
fn the_next_page_is_read_only_when_the_last_one_is_deleted() {
    let mut feed = feed();
    assert!(feed.begin_read());
    assert!(!feed.begin_read(), "one read at a time");
    let page = OfflinePage { rows: vec![row(1)], exhausted: false };
    assert_eq!(feed.page(page.clone()), page);
    feed.sent_rows(10, vec![1], Instant::now());
    assert!(!feed.begin_read(), "the row would be read again");
    feed.written(10);
    assert!(!feed.begin_read(), "it is not deleted yet");
    feed.deleted();
    assert!(feed.begin_read());
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
    assert!(feed.begin_read());
    assert!(feed.sent_copy(10, copy("m1"), Instant::now()).is_some());
    let m1 = OfflineRow { mid: b"m1".to_vec(), ..row(7) };
    let page = OfflinePage { rows: vec![m1, row(8)], exhausted: true };
    let left: Vec<i64> = feed.page(page).rows.iter().map(|row| row.row).collect();
    assert_eq!(left, [8]);
}
