//! Missed messages.

use cluster_chat::model::{OfflineOp, OfflineRow, Pushed, Store, StoreError, UserId};

use super::{assert_refused, at_once, claim, take, user};

const BOB: UserId = UserId(2);
const CAROL: UserId = UserId(3);
const SENDER: UserId = UserId(9);

fn insert_bytes(to: UserId, sender: UserId, mid: &[u8], message: &[u8]) -> OfflineOp {
    OfflineOp::Insert { to, sender, mid: mid.into(), message: message.into() }
}

fn insert(to: UserId, mid: &str, message: &str) -> OfflineOp {
    insert_bytes(to, SENDER, mid.as_bytes(), message.as_bytes())
}

fn delete(to: UserId, mid: &str) -> OfflineOp {
    OfflineOp::DeleteMessage { to, sender: SENDER, mid: mid.as_bytes().into() }
}

fn all(store: &dyn Store, user: UserId) -> Vec<OfflineRow> {
    store.offline_page(user, &Pushed::default(), usize::MAX, usize::MAX).unwrap().rows
}

fn texts(store: &dyn Store, user: UserId) -> Vec<String> {
    all(store, user).into_iter().map(|row| row.message).collect()
}

pub fn messages_come_oldest_first_and_exactly(store: &dyn Store) {
    let messages = [
        r#"{"msgid":6,"msg":"it's \"quoted\" \\ and 😀"}"#,
        "",
        "\u{1}\t\r\n %s ? ?1 '); DELETE FROM OfflineMessage; --",
        "  white space at both ends  ",
    ];
    let ops: Vec<_> = messages
        .iter()
        .enumerate()
        .map(|(index, message)| insert(BOB, &format!("mid {index}"), message))
        .collect();
    store.apply_offline(&ops[..2]).unwrap();
    store.apply_offline(&ops[2..]).unwrap();

    let rows = all(store, BOB);
    assert!(rows.is_sorted_by_key(|row| row.row));
    assert_eq!(rows.iter().map(|row| &*row.message).collect::<Vec<_>>(), messages);
    assert!(rows.iter().all(|row| row.sender == SENDER));
    assert_eq!(rows[3].mid, b"mid 3");
    assert_eq!(all(store, CAROL), []);
}

pub fn the_first_of_two_with_one_mid_stands(store: &dyn Store) {
    store.apply_offline(&[insert(BOB, "m", "first"), insert(BOB, "m", "second")]).unwrap();
    let before = all(store, BOB);
    store.apply_offline(&[insert(BOB, "n", "other"), insert(BOB, "m", "third")]).unwrap();
    assert_eq!(texts(store, BOB), ["first", "other"]);
    assert_eq!(all(store, BOB)[0], before[0], "the row is the same, not a new one");
}

pub fn a_mid_is_the_senders_own_and_the_recipients_own(store: &dyn Store) {
    store
        .apply_offline(&[
            insert(BOB, "m", "to bob"),
            insert(CAROL, "m", "to carol"),
            insert_bytes(BOB, UserId(8), b"m", b"from another"),
        ])
        .unwrap();
    assert_eq!(texts(store, BOB), ["to bob", "from another"]);
    assert_eq!(texts(store, CAROL), ["to carol"]);
    store.apply_offline(&[delete(BOB, "m")]).unwrap();
    assert_eq!(texts(store, BOB), ["from another"]);
    assert_eq!(texts(store, CAROL), ["to carol"]);
}

pub fn any_bytes_make_a_mid_and_all_of_them_count(store: &dyn Store) {
    let long: Vec<u8> = (192..=255).collect();
    let mids: [&[u8]; 9] =
        [b"a", b"A", b"a ", b"a\0", b"\0", b"", &long, &long[..63], "á".as_bytes()];
    let ops: Vec<_> = mids.iter().map(|mid| insert_bytes(BOB, SENDER, mid, b"x")).collect();
    store.apply_offline(&ops).unwrap();
    let kept: Vec<_> = all(store, BOB).into_iter().map(|row| row.mid).collect();
    assert_eq!(kept, mids);
    for mid in mids {
        let op = OfflineOp::DeleteMessage { to: BOB, sender: SENDER, mid: mid.into() };
        store.apply_offline(&[op]).unwrap();
        assert!(all(store, BOB).iter().all(|row| row.mid != mid));
    }
    assert_eq!(all(store, BOB), []);
}

pub fn rows_are_deleted_by_number(store: &dyn Store) {
    let ops = ["a", "b", "c"].map(|mid| insert(BOB, mid, mid));
    store.apply_offline(&ops).unwrap();
    store.apply_offline(&[insert(CAROL, "a", "carol's")]).unwrap();
    let (bobs, carols) = (all(store, BOB), all(store, CAROL));

    let rows = vec![bobs[1].row, carols[0].row, i64::MAX, -1];
    store.apply_offline(&[OfflineOp::DeleteRows { to: BOB, rows }]).unwrap();
    assert_eq!(texts(store, BOB), ["a", "c"]);
    assert_eq!(texts(store, CAROL), ["carol's"], "a row of somebody else's");
    store.apply_offline(&[OfflineOp::DeleteRows { to: BOB, rows: Vec::new() }]).unwrap();
    assert_eq!(texts(store, BOB), ["a", "c"]);
}

pub fn many_rows_are_deleted_at_once(store: &dyn Store) {
    let ops: Vec<_> = (0..300).map(|n| insert(BOB, &n.to_string(), &n.to_string())).collect();
    store.apply_offline(&ops).unwrap();
    // Sizes around those of the statements; below, one for several of them.
    for count in [1, 2, 7, 8, 9, 63, 64, 65] {
        let before = all(store, BOB);
        let rows = before[..count.min(before.len())].iter().map(|row| row.row).collect();
        store.apply_offline(&[OfflineOp::DeleteRows { to: BOB, rows }]).unwrap();
        assert_eq!(all(store, BOB), before[count.min(before.len())..]);
    }
    let ops: Vec<_> = (0..1200).map(|n| insert(CAROL, &n.to_string(), "")).collect();
    store.apply_offline(&ops).unwrap();
    let rows = all(store, CAROL)[..1199].iter().map(|row| row.row).collect();
    store.apply_offline(&[OfflineOp::DeleteRows { to: CAROL, rows }]).unwrap();
    assert_eq!(all(store, CAROL).len(), 1);
}

pub fn a_message_is_deleted_by_what_identifies_it(store: &dyn Store) {
    store.apply_offline(&["a", "b", "A"].map(|mid| insert(BOB, mid, mid))).unwrap();
    store.apply_offline(&[delete(BOB, "a"), delete(BOB, "unknown"), delete(CAROL, "b")]).unwrap();
    assert_eq!(texts(store, BOB), ["b", "A"]);
}

pub fn operations_take_effect_in_order(store: &dyn Store) {
    store
        .apply_offline(&[
            insert(BOB, "gone", "x"),
            insert(BOB, "kept", "kept"),
            delete(BOB, "gone"),
            delete(BOB, "later"),
            insert(BOB, "later", "later"),
            insert(BOB, "again", "first"),
            delete(BOB, "again"),
            insert(BOB, "again", "second"),
        ])
        .unwrap();
    assert_eq!(texts(store, BOB), ["kept", "later", "second"]);
}

pub fn a_page_holds_no_more_than_asked_for(store: &dyn Store) {
    let messages = ["12345", "1234567890", "€", "", "x"];
    let ops: Vec<_> =
        (0..).zip(messages).map(|(n, text)| insert(BOB, &format!("{n}"), text)).collect();
    store.apply_offline(&ops).unwrap();
    let page =
        |rows, bytes| store.offline_page(BOB, &Pushed::default(), rows, bytes).unwrap().rows.len();
    assert_eq!(page(0, 1000), 0);
    assert_eq!(page(2, 1000), 2);
    assert_eq!(page(5, 1000), 5);
    assert_eq!(page(1000, 1000), 5);
    assert_eq!(page(1000, 0), 1, "always the first");
    assert_eq!(page(1000, 14), 1);
    assert_eq!(page(1000, 15), 2);
    assert_eq!(page(1000, 17), 2, "three bytes are one character: bytes count");
    assert_eq!(page(1000, 18), 4);
    assert_eq!(page(1000, 19), 5);
    assert_eq!(page(3, 19), 3);
    assert_eq!(store.offline_page(CAROL, &Pushed::default(), 10, 10).unwrap().rows, []);
}

pub fn a_page_says_whether_it_was_the_last(store: &dyn Store) {
    let exhausted =
        |rows, bytes| store.offline_page(BOB, &Pushed::default(), rows, bytes).unwrap().exhausted;
    assert!(exhausted(10, 1000), "nothing waits");
    store.apply_offline(&[insert(BOB, "m1", "1234567"), insert(BOB, "m2", "1234567")]).unwrap();
    assert!(exhausted(10, 1000));
    assert!(exhausted(10, 14));
    assert!(!exhausted(10, 13), "the second one does not fit");
    assert!(!exhausted(1, 1000), "one was asked for");
    assert!(!exhausted(2, 1000), "there may be a third");
    assert!(exhausted(3, 1000));
}

/// What was pushed: these rows, and these of `SENDER`'s messages.
fn pushed(rows: &[i64], mids: &[&str]) -> Pushed {
    let mut pushed = Pushed::default();
    rows.iter().for_each(|row| pushed.insert_row(*row));
    mids.iter().for_each(|mid| pushed.insert_message(SENDER, mid.as_bytes().into()));
    pushed
}

/// A page's texts in a row, with a `.` where it was the last.
fn page_of(store: &dyn Store, pushed: &Pushed, max_rows: usize, max_bytes: usize) -> String {
    let page = store.offline_page(BOB, pushed, max_rows, max_bytes).unwrap();
    assert!(page.rows.is_sorted_by_key(|row| row.row));
    let texts: String = page.rows.into_iter().map(|row| row.message).collect();
    texts + if page.exhausted { "." } else { "" }
}

pub fn what_was_pushed_is_passed_over_and_the_page_goes_on_behind_it(store: &dyn Store) {
    store.apply_offline(&["a", "b", "c", "d", "e"].map(|mid| insert(BOB, mid, mid))).unwrap();
    let rows: Vec<i64> = all(store, BOB).iter().map(|row| row.row).collect();
    let page = |pushed: &Pushed| page_of(store, pushed, 1000, 1000);
    assert_eq!(page(&pushed(&rows[..2], &[])), "cde.");
    assert_eq!(page(&pushed(&[], &["a", "b"])), "cde.");
    assert_eq!(page(&pushed(&[rows[0]], &["e", "c"])), "bd.");
    assert_eq!(page(&pushed(&rows[..2], &["a", "b", "c"])), "de.", "known by both");
    assert_eq!(page(&pushed(&rows, &[])), ".");
    // Rows that are gone, or never were.
    assert_eq!(page(&pushed(&[rows[4] + 1, -1], &["z"])), "abcde.");
    // A row that was committed late is in the next page, low as it is.
    assert_eq!(page(&pushed(&[rows[1], rows[3], rows[4]], &[])), "ac.");
}

pub fn what_was_pushed_counts_neither_as_rows_nor_as_bytes(store: &dyn Store) {
    let texts = ["aaaaaaaaaa", "b", "cccccccccc", "dd", "eee", "f"];
    store.apply_offline(&texts.map(|text| insert(BOB, &text[..1], text))).unwrap();
    let large = pushed(&[], &["a", "c"]);
    assert_eq!(page_of(store, &large, 1, 1000), "b");
    assert_eq!(page_of(store, &large, 2, 1000), "bdd");
    assert_eq!(page_of(store, &large, 0, 1000), "");
    assert_eq!(page_of(store, &large, 1000, 0), "b", "always the first new one");
    assert_eq!(page_of(store, &large, 1000, 2), "b");
    assert_eq!(page_of(store, &large, 1000, 3), "bdd");
    assert_eq!(page_of(store, &large, 1000, 6), "bddeee");
    assert_eq!(page_of(store, &large, 1000, 7), "bddeeef.");
}

pub fn a_page_says_whether_anything_is_left_beyond_what_was_pushed(store: &dyn Store) {
    let some = pushed(&[], &["a", "c"]);
    assert_eq!(page_of(store, &some, 10, 1000), ".", "nothing waits");
    store.apply_offline(&["a", "b", "c", "d"].map(|mid| insert(BOB, mid, mid))).unwrap();
    assert_eq!(page_of(store, &some, 3, 1000), "bd.");
    assert_eq!(page_of(store, &some, 2, 1000), "bd", "there may be a third");
    assert_eq!(page_of(store, &some, 1, 1000), "b");
    assert_eq!(page_of(store, &some, 10, 1), "b");
    assert_eq!(page_of(store, &pushed(&[], &["a", "b", "c", "d"]), 1, 0), ".");
}

pub fn a_message_pushed_to_one_is_not_passed_over_for_another(store: &dyn Store) {
    store
        .apply_offline(&[
            insert(BOB, "m", "bob's"),
            insert_bytes(BOB, UserId(8), b"m", b" from another"),
            insert(CAROL, "m", "carol's"),
        ])
        .unwrap();
    let row = all(store, BOB)[0].row;
    assert_eq!(page_of(store, &pushed(&[row], &[]), 10, 1000), " from another.");
    assert_eq!(page_of(store, &pushed(&[], &["m"]), 10, 1000), " from another.");
    let page = store.offline_page(CAROL, &pushed(&[row], &[]), 10, 1000).unwrap();
    assert_eq!(page.rows.len(), 1);
}

pub fn a_page_steps_over_hundreds_of_pushed_rows(store: &dyn Store) {
    let ops: Vec<_> = (0..1500).map(|n| insert(BOB, &n.to_string(), &n.to_string())).collect();
    store.apply_offline(&ops).unwrap();
    let rows = all(store, BOB);
    // Every other one of the first thousand was pushed, by row or by message.
    let mut pushed = Pushed::default();
    for (n, row) in rows[..1000].iter().enumerate().step_by(2) {
        match n % 4 {
            0 => pushed.insert_row(row.row),
            _ => pushed.insert_message(SENDER, row.mid.as_slice().into()),
        }
    }
    let is_new = |row: &&OfflineRow| !pushed.contains(row.row, row.sender, &row.mid);
    let new: Vec<OfflineRow> = rows.iter().filter(is_new).cloned().collect();
    for max_rows in [1, 9, 64, 513, 999, 1000] {
        let page = store.offline_page(BOB, &pushed, max_rows, usize::MAX).unwrap();
        assert_eq!(page.rows, new[..max_rows]);
        assert!(!page.exhausted);
    }
    let page = store.offline_page(BOB, &pushed, 1001, usize::MAX).unwrap();
    assert!(page.rows == new && page.exhausted);
}

pub fn large_and_many_messages_are_taken(store: &dyn Store) {
    let large = "😀".repeat(1 << 20);
    let mut ops = vec![insert(BOB, "large", &large)];
    // Every size of statement, and a batch over any budget of bytes.
    ops.extend((0..777).map(|n| insert(BOB, &format!("small {n}"), &format!("{n}"))));
    ops.extend((0..20).map(|n| insert(BOB, &format!("middle {n}"), &large[..400_000])));
    store.apply_offline(&ops).unwrap();

    let rows = all(store, BOB);
    assert_eq!(rows.len(), ops.len());
    assert!(rows[0].message == large);
    for (n, row) in rows[1..778].iter().enumerate() {
        assert_eq!(row.message, n.to_string());
    }
    assert!(rows[778..].iter().all(|row| row.message == large[..400_000]));
}

pub fn a_refused_message_takes_its_whole_batch_with_it(store: &dyn Store) {
    let bad = [
        insert_bytes(BOB, SENDER, b"bad", b"\xff no UTF-8"),
        insert_bytes(BOB, SENDER, &[b'm'; 65], b"too long a mid"),
    ];
    for bad in bad {
        let ops = [insert(BOB, "good", "x"), delete(BOB, "?"), bad];
        assert_refused!(store.apply_offline(&ops), StoreError::Internal(_));
        assert_eq!(all(store, BOB), []);
    }
    store.apply_offline(&[insert(BOB, "good", "x")]).unwrap();
    assert_eq!(texts(store, BOB), ["x"]);
}

pub fn nothing_to_do_is_done(store: &dyn Store) {
    store.apply_offline(&[]).unwrap();
}

pub fn users_for_whom_messages_wait_are_told_to_their_server(store: &dyn Store) {
    let users: Vec<_> = (0..5).map(|index| user(store, &format!("user {index}"))).collect();
    take(store, users[3], &claim("one:6000", 5, 1));
    take(store, users[0], &claim("one:6000", 5, 1));
    take(store, users[1], &claim("one:6000", 5, 1));
    take(store, users[2], &claim("two:6002", 5, 1));
    let waiting = [users[0], users[2], users[3], users[4]];
    store.apply_offline(&waiting.map(|user| insert(user, "m", "x"))).unwrap();
    store.apply_offline(&[insert(users[0], "n", "a second one")]).unwrap();

    assert_eq!(store.users_with_offline("one:6000", 5).unwrap(), [users[0], users[3]]);
    assert_eq!(store.users_with_offline("two:6002", 5).unwrap(), [users[2]]);
    assert_eq!(store.users_with_offline("one:6000", 6).unwrap(), []);
}

pub fn writers_that_store_the_same_messages_store_each_once(store: &dyn Store) {
    at_once(4, |writer| {
        for round in 0..10 {
            // Two writers go up and two down, so that they meet crosswise.
            let mids: Vec<_> = (round * 40..round * 40 + 40).collect();
            let mut ops: Vec<_> = mids.iter().map(|n| insert(BOB, &n.to_string(), "x")).collect();
            if writer % 2 == 1 {
                ops.reverse();
            }
            ops.push(delete(CAROL, "nothing"));
            store.apply_offline(&ops).unwrap();
        }
    });
    let mut mids: Vec<_> = all(store, BOB).into_iter().map(|row| row.mid).collect();
    mids.sort();
    let mut expected: Vec<_> = (0..400).map(|n| n.to_string().into_bytes()).collect();
    expected.sort();
    assert_eq!(mids, expected);
}

/// MariaDB lost rows of a statement of many in which others had just kept the
/// same messages, where a duplicate "updated" the row's id.
pub fn whoever_keeps_the_same_messages_at_the_same_time_loses_none(store: &dyn Store) {
    const ROUNDS: usize = 60;
    let text = "x".repeat(20_000);
    for round in 0..ROUNDS {
        let mids: Vec<String> = (0..48).map(|number| format!("{round}.{number}")).collect();
        let many: Vec<OfflineOp> = mids.iter().map(|mid| insert(BOB, mid, &text)).collect();
        // Others keep some of them in another order, a few at a time.
        let other = |step: usize| -> Vec<OfflineOp> {
            (0..16).map(|n| insert(BOB, &mids[(n * step + round) % 48], &text)).collect()
        };
        let (seventh, fifth) = (other(7), other(5));
        std::thread::scope(|scope| {
            scope.spawn(|| many.chunks(32).for_each(|ops| store.apply_offline(ops).unwrap()));
            for few in [&seventh, &fifth] {
                scope.spawn(|| few.chunks(3).for_each(|ops| store.apply_offline(ops).unwrap()));
            }
        });
        let rows = store.offline_page(BOB, &Pushed::default(), 100, usize::MAX).unwrap().rows;
        assert_eq!(rows.len(), 48, "round {round}");
        let rows = rows.iter().map(|row| row.row).collect();
        store.apply_offline(&[OfflineOp::DeleteRows { to: BOB, rows }]).unwrap();
    }
}
