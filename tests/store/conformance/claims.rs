//! Claims: who is online where.

use cluster_chat::model::{ClaimOutcome, HeldClaim, Store, StoreError, UserId, UserState};

use super::{assert_refused, at_once, claim, state, take, user};

pub fn the_first_login_takes_the_claim_and_shows_online(store: &dyn Store) {
    let alice = user(store, "alice");
    take(store, alice, &claim("one:6000", 7, 1));
    assert_eq!(state(store, alice), UserState::Online);
}

pub fn a_second_login_is_told_who_holds_the_claim(store: &dyn Store) {
    let alice = user(store, "alice");
    let first = claim("one:6000", i64::MAX, i64::MAX);
    take(store, alice, &first);
    let second = claim("two:6002", 8, 2);
    assert_eq!(store.take_claim(alice, &second, None).unwrap(), ClaimOutcome::HeldBy(first));
}

pub fn a_claim_asked_for_again_still_stands(store: &dyn Store) {
    let alice = user(store, "alice");
    let mine = claim("one:6000", 7, 1);
    take(store, alice, &mine);
    take(store, alice, &mine);

    let next = claim("one:6000", 7, 2);
    for _ in 0..2 {
        let outcome = store.take_claim(alice, &next, Some(&mine)).unwrap();
        assert_eq!(outcome, ClaimOutcome::Taken);
    }
}

pub fn a_takeover_replaces_exactly_the_claim_it_names(store: &dyn Store) {
    let alice = user(store, "alice");
    let old = claim("one:6000", 7, 1);
    take(store, alice, &old);
    let new = claim("two:6002", 8, 2);
    for other in [claim("two:6000", 7, 1), claim("one:6000", 8, 1), claim("one:6000", 7, 2)] {
        let outcome = store.take_claim(alice, &new, Some(&other)).unwrap();
        assert_eq!(outcome, ClaimOutcome::HeldBy(old.clone()));
    }
    assert_eq!(store.take_claim(alice, &new, Some(&old)).unwrap(), ClaimOutcome::Taken);
    assert!(!store.release_claim(alice, &old).unwrap(), "the end of the old login");
    assert_eq!(state(store, alice), UserState::Online);
}

pub fn a_takeover_of_a_claim_that_has_gone_takes_the_user(store: &dyn Store) {
    let alice = user(store, "alice");
    let (old, new) = (claim("one:6000", 7, 1), claim("two:6002", 8, 2));
    assert_eq!(store.take_claim(alice, &new, Some(&old)).unwrap(), ClaimOutcome::Taken);
}

pub fn an_unknown_user_cannot_be_claimed(store: &dyn Store) {
    let mine = claim("one:6000", 7, 1);
    assert_refused!(store.take_claim(UserId(999), &mine, None), StoreError::NoSuchUser);
    assert_refused!(store.take_claim(UserId(999), &mine, Some(&mine)), StoreError::NoSuchUser);
    assert!(!store.release_claim(UserId(999), &mine).unwrap());
}

pub fn only_the_very_claim_releases(store: &dyn Store) {
    let alice = user(store, "alice");
    let mine = claim("one:6000", 7, 1);
    take(store, alice, &mine);
    for other in [claim("two:6000", 7, 1), claim("one:6000", 8, 1), claim("one:6000", 7, 2)] {
        assert!(!store.release_claim(alice, &other).unwrap(), "{other:?}");
        assert_eq!(state(store, alice), UserState::Online);
    }
    assert!(store.release_claim(alice, &mine).unwrap());
    assert_eq!(state(store, alice), UserState::Offline);
    assert!(!store.release_claim(alice, &mine).unwrap(), "there is nothing left to release");
}

pub fn a_released_user_can_be_claimed_again(store: &dyn Store) {
    let alice = user(store, "alice");
    let first = claim("one:6000", 7, 1);
    take(store, alice, &first);
    assert!(store.release_claim(alice, &first).unwrap());
    take(store, alice, &claim("two:6002", 8, 2));
    assert!(!store.release_claim(alice, &first).unwrap());
    assert_eq!(state(store, alice), UserState::Online);
}

pub fn a_server_sees_its_own_claims_of_this_life(store: &dyn Store) {
    let users = ["a", "b", "c", "d"].map(|name| user(store, name));
    take(store, users[2], &claim("one:6000", 7, 30));
    take(store, users[0], &claim("one:6000", 7, 10));
    take(store, users[1], &claim("one:6000", 6, 20));
    take(store, users[3], &claim("two:6002", 7, 40));
    assert_eq!(
        store.claims_of("one:6000", 7).unwrap(),
        [HeldClaim { user: users[0], number: 10 }, HeldClaim { user: users[2], number: 30 }]
    );
    assert_eq!(store.claims_of("three:1", 7).unwrap(), []);
}

/// Asserts that one outcome is `Taken` and the others name that claim.
fn assert_one_winner(outcomes: &[ClaimOutcome]) {
    let winners: Vec<_> =
        (0..outcomes.len()).filter(|&index| outcomes[index] == ClaimOutcome::Taken).collect();
    assert_eq!(winners.len(), 1, "{outcomes:?}");
    let standing = claim("one:6000", 7, 100 + winners[0] as i64);
    for (index, outcome) in outcomes.iter().enumerate().filter(|(index, _)| *index != winners[0]) {
        assert_eq!(*outcome, ClaimOutcome::HeldBy(standing.clone()), "login {index}");
    }
}

pub fn of_eight_logins_at_once_exactly_one_wins(store: &dyn Store) {
    for round in 0..5 {
        let alice = user(store, &format!("alice {round}"));
        let outcomes = at_once(8, |index| {
            store.take_claim(alice, &claim("one:6000", 7, 100 + index as i64), None).unwrap()
        });
        assert_one_winner(&outcomes);
    }
}

pub fn of_eight_takeovers_at_once_exactly_one_wins(store: &dyn Store) {
    let old = claim("two:6002", 8, 1);
    for round in 0..5 {
        let alice = user(store, &format!("alice {round}"));
        take(store, alice, &old);
        let outcomes = at_once(8, |index| {
            let new = claim("one:6000", 7, 100 + index as i64);
            store.take_claim(alice, &new, Some(&old)).unwrap()
        });
        assert_one_winner(&outcomes);
    }
}
