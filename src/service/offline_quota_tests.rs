use super::*;

const BOB: UserId = UserId(2);

fn quota(rows: u32) -> Quota {
    Quota::new(OfflineSize { rows, bytes: u64::MAX })
}

/// One transaction with so many copies of so many bytes for Bob, of whom the
/// table holds `there`: how many go in, and how many looks that takes.
fn transaction_of(
    quota: &mut Quota,
    there: OfflineSize,
    (copies, bytes): (u32, u64),
    now: Instant,
) -> (u32, u32) {
    let mut looks = 0;
    quota.begin();
    let mut admit = || {
        quota.admit(BOB, bytes, now, |_| {
            looks += 1;
            Some(there)
        })
    };
    let admitted = (0..copies).filter(|_| admit()).count();
    (u32::try_from(admitted).unwrap(), looks)
}

fn transaction(quota: &mut Quota, rows: u32, copies: u32, now: Instant) -> (u32, u32) {
    transaction_of(quota, OfflineSize { rows, bytes: 0 }, (copies, 10), now)
}

#[test]
fn a_small_limit_is_kept_exactly() {
    let (mut limited, now) = (quota(3), Instant::now());
    assert_eq!(transaction(&mut limited, 0, 5, now).0, 3, "all in one transaction");
    let mut limited = quota(3);
    for rows in 0..3 {
        assert_eq!(transaction(&mut limited, rows, 1, now).0, 1, "row {rows}");
    }
    assert_eq!(transaction(&mut limited, 3, 1, now).0, 0);
}

#[test]
fn a_large_limit_costs_few_looks_and_is_exceeded_by_a_sixteenth_at_most() {
    let (mut quota, now) = (quota(1600), Instant::now());
    let (mut rows, mut looks) = (0, 0);
    for _ in 0..400 {
        let (admitted, looked) = transaction(&mut quota, rows, 10, now);
        rows += admitted;
        looks += looked;
    }
    assert!((1600..=1700).contains(&rows), "{rows} rows");
    assert!(looks <= 20, "{looks} looks");
}

#[test]
fn large_messages_are_bounded_by_their_bytes() {
    let mut quota = Quota::new(OfflineSize { rows: u32::MAX, bytes: 1_600_000 });
    let (mut there, mut looks, now) = (OfflineSize::default(), 0, Instant::now());
    for _ in 0..400 {
        let (admitted, looked) = transaction_of(&mut quota, there, (10, 1000), now);
        there = there.plus(OfflineSize { rows: admitted, bytes: 1000 * u64::from(admitted) });
        looks += looked;
    }
    assert!((1_600_000..=1_700_000).contains(&there.bytes), "{} bytes", there.bytes);
    assert!(looks <= 20, "{looks} looks");
    // Exactly, where a message is a large part of it.
    let mut small = Quota::new(OfflineSize { rows: u32::MAX, bytes: 350 });
    assert_eq!(transaction_of(&mut small, OfflineSize::default(), (5, 100), now).0, 3);
    let there = OfflineSize { rows: 3, bytes: 300 };
    assert_eq!(transaction_of(&mut small, there, (5, 100), now).0, 0);
    let small_ones = transaction_of(&mut small, there, (5, 20), now + FULL_FOR).0;
    assert_eq!(small_ones, 2, "for them there is room");
}

#[test]
fn who_is_full_is_looked_at_once_a_second_and_what_is_deleted_here_makes_room() {
    let (mut quota, now) = (quota(3), Instant::now());
    assert_eq!(transaction(&mut quota, 3, 5, now), (0, 1));
    assert_eq!(transaction(&mut quota, 0, 5, now), (0, 0), "not looked at");
    quota.deleted(BOB);
    assert_eq!(transaction(&mut quota, 1, 5, now), (2, 1));
    assert_eq!(transaction(&mut quota, 3, 5, now), (0, 1));
    assert_eq!(transaction(&mut quota, 0, 5, now + FULL_FOR).0, 3, "read elsewhere");
}

#[test]
fn without_a_limit_nobody_looks() {
    let mut quota = Quota::new(OfflineSize::MAX);
    assert_eq!(transaction(&mut quota, 9, 1000, Instant::now()), (1000, 0));
    assert!(quota.recipients.is_empty());
}

#[test]
fn a_look_that_fails_decides_nothing() {
    let mut quota = quota(1);
    quota.begin();
    assert!(quota.admit(BOB, 10, Instant::now(), |_| None));
}

#[test]
fn the_memory_for_recipients_is_bounded() {
    let mut quota = quota(1600);
    quota.begin();
    for id in 0..=MOST_RECIPIENTS {
        assert!(quota.admit(UserId(id as u32), 10, Instant::now(), |_| None));
    }
    assert_eq!(quota.recipients.len(), 1);
}

#[test]
fn a_group_whose_members_all_have_much_waiting_is_not_looked_at_in_one_go() {
    let mut quota = quota(50_000);
    let full = OfflineSize { rows: 50_000, bytes: 0 };
    let (start, mut looks, mut most, mut stored) = (Instant::now(), 0, 0, 0);
    for number in 0..6000 {
        quota.begin();
        let before = looks;
        let now = start + Duration::from_millis(number);
        for member in 1..=30 {
            let look = |_| {
                looks += 1;
                Some(full)
            };
            stored += u32::from(quota.admit(UserId(member), 10, now, look));
        }
        most = most.max(looks - before);
    }
    assert!(most <= 2, "{most} looks in one transaction");
    // At nobody for ever, and nobody goes without a look for long.
    assert!(looks >= 60, "{looks} looks");
    assert!(stored < 30 * 3200, "{stored} beyond the limit");
}
