//! Login tokens. Time passes by moving their ends.

use std::ops::Range;
use std::time::Duration;

use cluster_chat::model::{Store, StoreError, TOKEN_LIFETIME, TokenHash, UserId};

use super::{BackDoor, assert_refused, at_once, claim, take, user};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// For what the clock does between two statements.
const MOMENT: Duration = Duration::from_secs(60);

const NONE: [u32; 0] = [];

/// The hash of some token.
fn token(number: u32) -> TokenHash {
    let mut hash = [0xff; 32];
    hash[28..].copy_from_slice(&number.to_be_bytes());
    TokenHash(hash)
}

/// Logs in by password.
fn add(store: &dyn Store, user: UserId, new: u32) {
    store.add_token(user, &token(new), None).unwrap();
}

/// Logs in by token.
fn resume(store: &dyn Store, user: UserId, new: u32, presented: u32) {
    store.add_token(user, &token(new), Some(&token(presented))).unwrap();
}

fn is_valid(store: &dyn Store, user: UserId, number: u32) -> bool {
    store.token_user(user, &token(number)).unwrap().is_some()
}

/// Which of the user's tokens 1 … 9 are valid.
fn valid(store: &dyn Store, user: UserId) -> Vec<u32> {
    (1..10).filter(|number| is_valid(store, user, *number)).collect()
}

fn let_pass(back_door: &dyn BackDoor, time: Duration) {
    back_door.run(&format!("UPDATE LoginToken SET expires = expires - {}", time.as_secs()));
}

fn count(back_door: &dyn BackDoor) -> i64 {
    back_door.number("SELECT COUNT(*) FROM LoginToken")
}

pub fn a_token_is_good_for_its_user_and_for_nobody_else(store: &dyn Store, _: &dyn BackDoor) {
    let [alice, bob] = ["alice", "bob"].map(|name| user(store, name));
    add(store, alice, 1);
    add(store, bob, 2);
    assert_eq!(store.token_user(alice, &token(1)).unwrap().as_deref(), Some("alice"));
    assert_eq!(store.token_user(bob, &token(2)).unwrap().as_deref(), Some("bob"));
    assert_eq!(store.token_user(bob, &token(1)).unwrap(), None, "another's");
    assert_eq!(store.token_user(alice, &token(3)).unwrap(), None, "unknown");
    assert_eq!(store.token_user(UserId(999), &token(1)).unwrap(), None, "nobody's");
}

pub fn tokens_go_by_all_their_bits(store: &dyn Store, _: &dyn BackDoor) {
    let alice = user(store, "alice");
    // Zeros and spaces at the end, bytes that are no text, letters' cases.
    let mut hashes = [*b"0123456789abcdef0123456789abcde "; 4];
    hashes[1][31] = 0;
    hashes[2][31] = 0xff;
    hashes[3][10] = b'A';
    let [one, two, three, other] = hashes.map(TokenHash);
    for hash in [&one, &two, &three] {
        store.add_token(alice, hash, None).unwrap();
    }
    for hash in [&one, &two, &three] {
        assert!(store.token_user(alice, hash).unwrap().is_some(), "{:?}", hash.0);
    }
    assert!(store.token_user(alice, &other).unwrap().is_none());
    store.drop_older_tokens(alice, &two).unwrap();
    assert!(store.token_user(alice, &one).unwrap().is_none());
    assert!(store.token_user(alice, &two).unwrap().is_some());
}

pub fn a_token_expires_a_week_after_its_making(store: &dyn Store, back_door: &dyn BackDoor) {
    assert_eq!(TOKEN_LIFETIME, 7 * DAY);
    let alice = user(store, "alice");
    add(store, alice, 1);
    let_pass(back_door, TOKEN_LIFETIME - MOMENT);
    assert_eq!(valid(store, alice), [1]);
    add(store, alice, 2);
    let_pass(back_door, MOMENT);
    assert_eq!(valid(store, alice), [2]);
}

pub fn a_password_login_leaves_the_newest_three_others(
    store: &dyn Store,
    back_door: &dyn BackDoor,
) {
    let [alice, bob] = ["alice", "bob"].map(|name| user(store, name));
    add(store, bob, 9);
    for number in 1..=4 {
        add(store, alice, number);
    }
    assert_eq!(valid(store, alice), [1, 2, 3, 4]);
    add(store, alice, 5);
    assert_eq!(valid(store, alice), [2, 3, 4, 5]);
    add(store, alice, 6);
    assert_eq!(valid(store, alice), [3, 4, 5, 6]);
    assert_eq!(valid(store, bob), [9]);
    assert_eq!(count(back_door), 5, "they are gone, not only of no use");

    // They stay as they are: their lives do not begin anew.
    let_pass(back_door, 6 * DAY);
    add(store, alice, 7);
    let_pass(back_door, DAY);
    assert_eq!(valid(store, alice), [7]);
}

pub fn a_token_login_leaves_the_token_it_came_with_and_the_newest_three_others(
    store: &dyn Store,
    back_door: &dyn BackDoor,
) {
    let [alice, bob] = ["alice", "bob"].map(|name| user(store, name));
    add(store, bob, 9);
    for number in 1..=4 {
        add(store, alice, number);
    }
    resume(store, alice, 5, 2);
    assert_eq!(valid(store, alice), [1, 2, 3, 4, 5]);
    resume(store, alice, 6, 5);
    assert_eq!(valid(store, alice), [2, 3, 4, 5, 6]);
    resume(store, bob, 8, 9);
    assert_eq!(valid(store, bob), [8, 9]);
    // One that was ended between the look at it and this.
    resume(store, alice, 7, 1);
    assert_eq!(valid(store, alice), [4, 5, 6, 7]);
    assert_eq!(count(back_door), 6);
}

pub fn a_token_login_renews_the_token_it_came_with(store: &dyn Store, back_door: &dyn BackDoor) {
    let alice = user(store, "alice");
    add(store, alice, 1);
    let_pass(back_door, 5 * DAY);
    resume(store, alice, 2, 1);
    let_pass(back_door, TOKEN_LIFETIME - MOMENT);
    assert_eq!(valid(store, alice), [1, 2]);
    let_pass(back_door, MOMENT);
    assert_eq!(valid(store, alice), NONE);
}

pub fn a_login_may_be_repeated(store: &dyn Store, back_door: &dyn BackDoor) {
    let alice = user(store, "alice");
    for number in [1, 2, 3, 4, 5, 5, 5] {
        add(store, alice, number);
    }
    assert_eq!(valid(store, alice), [2, 3, 4, 5]);
    for _ in 0..3 {
        resume(store, alice, 6, 3);
        assert_eq!(valid(store, alice), [2, 3, 4, 5, 6]);
    }
    assert_eq!(count(back_door), 5);
    let_pass(back_door, 5 * DAY);
    resume(store, alice, 6, 3);
    let_pass(back_door, 5 * DAY);
    assert_eq!(valid(store, alice), [3, 6], "a week from the last time");
}

pub fn a_login_repeated_late_does_not_end_a_newer_one(store: &dyn Store, _: &dyn BackDoor) {
    let alice = user(store, "alice");
    add(store, alice, 1);
    resume(store, alice, 2, 1);
    add(store, alice, 3);
    resume(store, alice, 2, 1);
    assert_eq!(valid(store, alice), [1, 2, 3]);
    for number in [4, 5, 3] {
        add(store, alice, number);
    }
    assert_eq!(valid(store, alice), [2, 3, 4, 5]);
}

pub fn a_token_of_nobody_or_of_two_is_refused(store: &dyn Store, back_door: &dyn BackDoor) {
    let [alice, bob] = ["alice", "bob"].map(|name| user(store, name));
    assert_refused!(store.add_token(UserId(999), &token(1), None), StoreError::NoSuchUser);
    assert_eq!(count(back_door), 0);
    add(store, alice, 1);
    add(store, bob, 2);
    let refused = store.add_token(bob, &token(1), Some(&token(3)));
    let Err(StoreError::Internal(text)) = refused else { panic!("{refused:?}") };
    assert!(!text.to_lowercase().contains("ff"), "no hash is shown: {text}");
    assert_eq!(valid(store, bob), [2], "nothing of it happened");
    assert_eq!(valid(store, alice), [1]);
}

pub fn the_first_word_after_a_login_ends_what_was_before_it(
    store: &dyn Store,
    back_door: &dyn BackDoor,
) {
    let [alice, bob] = ["alice", "bob"].map(|name| user(store, name));
    add(store, alice, 1);
    add(store, bob, 9);
    resume(store, alice, 2, 1);
    add(store, alice, 3);
    store.drop_older_tokens(alice, &token(2)).unwrap();
    assert_eq!(valid(store, alice), [2, 3]);
    // Again, and late.
    store.drop_older_tokens(alice, &token(2)).unwrap();
    assert_eq!(valid(store, alice), [2, 3]);
    store.drop_older_tokens(alice, &token(3)).unwrap();
    assert_eq!(valid(store, alice), [3]);
    assert_eq!(valid(store, bob), [9]);
    // Use does not make a token newer.
    for number in [4, 5] {
        resume(store, alice, number, 3);
    }
    store.drop_older_tokens(alice, &token(3)).unwrap();
    assert_eq!(valid(store, alice), [3, 4, 5]);
    assert_eq!(count(back_door), 4);
}

pub fn a_log_out_ends_a_token_and_what_was_before_it(store: &dyn Store, back_door: &dyn BackDoor) {
    let [alice, bob] = ["alice", "bob"].map(|name| user(store, name));
    add(store, bob, 9);
    for number in 1..=4 {
        add(store, alice, number);
    }
    store.drop_tokens_until(alice, &token(3)).unwrap();
    assert_eq!(valid(store, alice), [4]);
    store.drop_tokens_until(alice, &token(3)).unwrap();
    assert_eq!(valid(store, alice), [4]);
    store.drop_tokens_until(alice, &token(4)).unwrap();
    assert_eq!(valid(store, alice), NONE);
    assert_eq!(valid(store, bob), [9]);
    assert_eq!(count(back_door), 1);
}

pub fn a_token_that_is_not_there_ends_nothing(store: &dyn Store, _: &dyn BackDoor) {
    let [alice, bob] = ["alice", "bob"].map(|name| user(store, name));
    add(store, alice, 1);
    add(store, alice, 2);
    add(store, bob, 3);
    for number in [3, 4] {
        store.drop_older_tokens(alice, &token(number)).unwrap();
        store.drop_tokens_until(alice, &token(number)).unwrap();
    }
    store.drop_tokens_until(UserId(999), &token(2)).unwrap();
    assert_eq!(valid(store, alice), [1, 2]);
    assert_eq!(valid(store, bob), [3]);
}

pub fn being_online_is_use(store: &dyn Store, back_door: &dyn BackDoor) {
    let [alice, bob, carol, dave] = ["alice", "bob", "carol", "dave"].map(|name| user(store, name));
    take(store, alice, &claim("one:6000", 5, 1));
    take(store, bob, &claim("one:6000", 4, 1));
    take(store, carol, &claim("two:6002", 5, 1));
    for (user, number) in [(alice, 1), (alice, 2), (bob, 3), (carol, 4), (dave, 5)] {
        add(store, user, number);
    }
    let_pass(back_door, TOKEN_LIFETIME - MOMENT);
    store.refresh_tokens("one:6000", 5).unwrap();
    let_pass(back_door, MOMENT);
    assert_eq!(valid(store, alice), [1, 2]);
    for (user, number) in [(bob, 3), (carol, 4), (dave, 5)] {
        assert!(!is_valid(store, user, number), "{number}");
    }
    let_pass(back_door, TOKEN_LIFETIME - 2 * MOMENT);
    assert_eq!(valid(store, alice), [1, 2]);
    let_pass(back_door, MOMENT);
    assert_eq!(valid(store, alice), NONE, "no longer than a week");
}

pub fn what_has_expired_is_not_brought_back(store: &dyn Store, back_door: &dyn BackDoor) {
    let alice = user(store, "alice");
    take(store, alice, &claim("one:6000", 5, 1));
    add(store, alice, 1);
    let_pass(back_door, TOKEN_LIFETIME);
    add(store, alice, 2);
    assert_eq!(valid(store, alice), [2]);
    store.refresh_tokens("one:6000", 5).unwrap();
    assert_eq!(valid(store, alice), [2]);
    assert_eq!(count(back_door), 1);
}

pub fn tokens_that_have_expired_are_removed_ten_thousand_at_a_time(
    store: &dyn Store,
    back_door: &dyn BackDoor,
) {
    let alice = user(store, "alice");
    take(store, alice, &claim("one:6000", 5, 1));
    add(store, alice, 1);
    insert_expired(back_door, 0..12_000);
    assert_eq!(count(back_door), 12_001);
    store.refresh_tokens("one:6000", 5).unwrap();
    assert_eq!(count(back_door), 2_001);
    store.refresh_tokens("two:6002", 5).unwrap();
    assert_eq!(count(back_door), 1, "whichever server asks");
    assert_eq!(valid(store, alice), [1]);
}

/// Tokens of somebody's that expired in 1970.
fn insert_expired(back_door: &dyn BackDoor, numbers: Range<u32>) {
    let row = |number| format!("(77, x'{number:064x}', {number})");
    let rows: Vec<String> = numbers.map(row).collect();
    let rows = rows.join(", ");
    back_door.run(&format!("INSERT INTO LoginToken (userid, hash, expires) VALUES {rows}"));
}

pub fn many_log_in_at_once_while_tokens_are_refreshed(store: &dyn Store, back_door: &dyn BackDoor) {
    const USERS: u32 = 6;
    const ROUNDS: u32 = 25;
    let users: Vec<_> = (0..USERS).map(|index| user(store, &format!("user {index}"))).collect();
    for user in &users {
        take(store, *user, &claim("one:6000", 5, 1));
    }
    at_once(USERS as usize + 2, |index| {
        let Some(user) = users.get(index) else {
            for round in 0..ROUNDS {
                // Strangers' that have expired stand between theirs.
                let first = 1_000 * index as u32 + 10 * round;
                insert_expired(back_door, first..first + 10);
                store.refresh_tokens("one:6000", 5).unwrap();
            }
            return;
        };
        let first = 1_000 * (index as u32 + 1);
        add(store, *user, first);
        for number in first + 1..first + ROUNDS {
            match number % 3 {
                0 => add(store, *user, number),
                _ => resume(store, *user, number, number - 1),
            }
            store.drop_older_tokens(*user, &token(number)).unwrap();
            assert!(is_valid(store, *user, number));
            assert!(!is_valid(store, *user, number - 1));
        }
    });
    assert_eq!(count(back_door), i64::from(USERS));
}

pub fn of_one_users_logins_at_once_no_more_stay_than_should(
    store: &dyn Store,
    back_door: &dyn BackDoor,
) {
    let alice = user(store, "alice");
    add(store, alice, 1);
    at_once(6, |index| resume(store, alice, 10 + index as u32, 1));
    assert_eq!(count(back_door), 5, "three others");
    assert!(is_valid(store, alice, 1));
    at_once(6, |index| add(store, alice, 20 + index as u32));
    assert_eq!(count(back_door), 4);
    assert_eq!((20..26).filter(|number| is_valid(store, alice, *number)).count(), 4);
}
