//! Missed messages that are too many, or that nobody comes for.

use std::time::Duration;

use cluster_chat::model::{OfflineKey, OfflineOp, OfflineSize, Pushed, Store, UserId};

use super::BackDoor;

const BOB: UserId = UserId(2);
const CAROL: UserId = UserId(3);
const SENDER: UserId = UserId(1);
const MONTH: Duration = Duration::from_secs(30 * 86_400);

fn store_some(store: &dyn Store, to: UserId, mids: std::ops::Range<usize>) {
    let ops: Vec<_> = mids
        .map(|n| OfflineOp::Insert {
            to,
            sender: SENDER,
            mid: n.to_string().as_bytes().into(),
            message: (*b"{}").into(),
        })
        .collect();
    store.apply_offline(&ops).unwrap();
}

fn rows(store: &dyn Store, user: UserId) -> Vec<i64> {
    let page = store.offline_page(user, &Pushed::default(), 100_000, 100_000_000).unwrap();
    page.rows.into_iter().map(|row| row.row).collect()
}

fn size(rows: u32, bytes: u64) -> OfflineSize {
    OfflineSize { rows, bytes }
}

pub fn what_waits_is_counted_up_to_a_bound(store: &dyn Store, _: &dyn BackDoor) {
    store_some(store, BOB, 0..5);
    store_some(store, CAROL, 0..2);
    let rows = |user, most| store.offline_size(user, size(most, u64::MAX)).unwrap().rows;
    assert_eq!(rows(BOB, 100), 5);
    assert_eq!(rows(BOB, 5), 5);
    assert_eq!(rows(BOB, 4), 4);
    assert_eq!(rows(CAROL, u32::MAX), 2);
    assert_eq!(rows(SENDER, 100), 0);
}

pub fn what_waits_is_measured_in_bytes_of_text(store: &dyn Store, _: &dyn BackDoor) {
    store_some(store, BOB, 0..5000);
    // Two characters of two and of four bytes, and one too long for a page.
    let texts = ["äß".to_owned(), "𝄞".to_owned(), "x".repeat(100_000)];
    let ops = texts.iter().zip(0u8..).map(|(text, mid)| OfflineOp::Insert {
        to: CAROL,
        sender: SENDER,
        mid: [mid].into(),
        message: text.as_bytes().into(),
    });
    store.apply_offline(&ops.collect::<Vec<_>>()).unwrap();
    let most = size(100_000, 1 << 30);
    assert_eq!(store.offline_size(BOB, most).unwrap(), size(5000, 10_000));
    assert_eq!(store.offline_size(CAROL, most).unwrap(), size(3, 100_008));
    assert_eq!(store.offline_size(SENDER, most).unwrap(), size(0, 0));
    assert_eq!(store.offline_size(BOB, size(3000, 1 << 30)).unwrap(), size(3000, 6000));
    let some = store.offline_size(BOB, size(100_000, 100)).unwrap();
    assert!(some.bytes >= 100 && some.rows < 5000, "it goes no further than need be: {some:?}");
}

pub fn it_is_known_which_messages_wait(store: &dyn Store, _: &dyn BackDoor) {
    store_some(store, BOB, 0..3);
    let key = |to, sender, mid: &str| OfflineKey { to, sender, mid: mid.as_bytes().into() };
    let asked = [
        key(BOB, SENDER, "2"),
        key(BOB, SENDER, "3"),
        key(BOB, CAROL, "2"),
        key(CAROL, SENDER, "2"),
        key(BOB, SENDER, "0"),
    ];
    assert_eq!(store.are_offline(&asked).unwrap(), [true, false, false, false, true]);
    assert_eq!(store.are_offline(&[]).unwrap(), [false; 0]);
}

pub fn what_waited_too_long_is_dropped(store: &dyn Store, back_door: &dyn BackDoor) {
    store_some(store, BOB, 0..1200);
    store_some(store, CAROL, 0..3);
    let old = rows(store, BOB)[1099];
    back_door.run(&format!(
        "UPDATE OfflineMessage SET stored = '2020-01-01 12:00:00' WHERE id <= {old}"
    ));
    assert_eq!(store.drop_offline_older_than(MONTH * 1000).unwrap(), 0, "nothing is that old");
    assert_eq!(store.drop_offline_older_than(MONTH).unwrap(), 1100);
    assert_eq!(store.drop_offline_older_than(MONTH).unwrap(), 0);
    assert_eq!((rows(store, BOB).len(), rows(store, CAROL).len()), (100, 3));
    assert!(rows(store, BOB).iter().all(|&row| row > old));
}

pub fn ten_thousand_that_waited_too_long_are_dropped_at_a_time(
    store: &dyn Store,
    back_door: &dyn BackDoor,
) {
    store_some(store, BOB, 0..10_100);
    back_door.run("UPDATE OfflineMessage SET stored = '2020-01-01 12:00:00'");
    assert_eq!(store.drop_offline_older_than(MONTH).unwrap(), 10_000);
    assert_eq!(store.drop_offline_older_than(MONTH).unwrap(), 100);
    assert_eq!(rows(store, BOB), [0; 0]);
}

pub fn a_page_goes_on_behind_what_was_pushed_and_is_dropped(
    store: &dyn Store,
    back_door: &dyn BackDoor,
) {
    store_some(store, BOB, 0..4);
    let mut pushed = Pushed::default();
    for row in &rows(store, BOB)[..2] {
        pushed.insert_row(*row);
    }
    back_door.run("UPDATE OfflineMessage SET stored = '2020-01-01 12:00:00'");
    store_some(store, BOB, 4..5);
    store.drop_offline_older_than(MONTH).unwrap();
    let page = store.offline_page(BOB, &pushed, 10, 1000).unwrap();
    assert_eq!((page.rows.len(), page.exhausted), (1, true));
    // What was pushed is confirmed although it is no longer there.
    let confirmed = OfflineOp::DeleteRows { to: BOB, rows: vec![1, 2] };
    store.apply_offline(&[confirmed]).unwrap();
    assert_eq!(store.offline_size(BOB, size(10, u64::MAX)).unwrap().rows, 1);
}
