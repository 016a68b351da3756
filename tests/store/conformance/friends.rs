//! Friendships.

use cluster_chat::model::{Store, StoreError, User, UserId, UserState};

use super::{NO_LIMITS, assert_refused, at_once, claim, take, user};

fn ids(friends: Vec<User>) -> Vec<UserId> {
    friends.into_iter().map(|friend| friend.id).collect()
}

pub fn a_friendship_has_two_sides(store: &dyn Store) {
    let [alice, bob] = ["alice", "bob"].map(|name| user(store, name));
    let friend = store.add_friend(bob, alice, &NO_LIMITS).unwrap();
    assert_eq!(friend, store.user(alice).unwrap().unwrap());
    assert_eq!(ids(store.friends(alice).unwrap()), [bob]);
    assert_eq!(ids(store.friends(bob).unwrap()), [alice]);

    store.remove_friend(alice, bob).unwrap();
    assert_eq!(store.friends(alice).unwrap(), []);
    assert_eq!(store.friends(bob).unwrap(), []);
}

pub fn friends_come_ordered_with_their_state(store: &dyn Store) {
    let [alice, bob, carol, dave] = ["alice", "bob", "carol", "dave"].map(|name| user(store, name));
    for friend in [dave, alice, carol] {
        store.add_friend(bob, friend, &NO_LIMITS).unwrap();
    }
    take(store, carol, &claim("one:6000", 5, 1));
    let friend = |id, name: &str, state| User { id, name: name.to_owned(), state };
    assert_eq!(
        store.friends(bob).unwrap(),
        [
            friend(alice, "alice", UserState::Offline),
            friend(carol, "carol", UserState::Online),
            friend(dave, "dave", UserState::Offline),
        ]
    );
}

pub fn a_second_friendship_of_the_same_two_is_refused(store: &dyn Store) {
    let [alice, bob] = ["alice", "bob"].map(|name| user(store, name));
    store.add_friend(alice, bob, &NO_LIMITS).unwrap();
    assert_refused!(store.add_friend(alice, bob, &NO_LIMITS), StoreError::AlreadyFriends);
    assert_refused!(store.add_friend(bob, alice, &NO_LIMITS), StoreError::AlreadyFriends);
}

pub fn strangers_and_nobodies_are_told_apart(store: &dyn Store) {
    let [alice, bob] = ["alice", "bob"].map(|name| user(store, name));
    assert_refused!(store.remove_friend(alice, bob), StoreError::NotFriends);
    for nobody in [UserId(999), UserId(u32::MAX)] {
        assert_refused!(store.remove_friend(alice, nobody), StoreError::NoSuchUser);
        assert_refused!(store.add_friend(alice, nobody, &NO_LIMITS), StoreError::NoSuchUser);
        assert_refused!(store.add_friend(nobody, alice, &NO_LIMITS), StoreError::NoSuchUser);
    }
    assert_eq!(store.friends(alice).unwrap(), []);
    assert_eq!(store.friends(UserId(999)).unwrap(), []);
}

pub fn nobody_is_ones_own_friend(store: &dyn Store) {
    let alice = user(store, "alice");
    assert_refused!(store.add_friend(alice, alice, &NO_LIMITS), StoreError::Internal(_));
    assert_eq!(store.friends(alice).unwrap(), []);
}

pub fn two_who_befriend_each_other_at_once_become_friends_once(store: &dyn Store) {
    for round in 0..10 {
        let pair = ["a", "b"].map(|name| user(store, &format!("{name}{round}")));
        let outcomes =
            at_once(2, |index| store.add_friend(pair[index], pair[1 - index], &NO_LIMITS));
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
        for refused in outcomes.into_iter().filter(Result::is_err) {
            assert_refused!(refused, StoreError::AlreadyFriends);
        }
        assert_eq!(ids(store.friends(pair[0]).unwrap()), [pair[1]]);
        assert_eq!(ids(store.friends(pair[1]).unwrap()), [pair[0]]);
    }
}

pub fn making_and_ending_crosswise_leaves_both_sides_alike(store: &dyn Store) {
    let users: Vec<_> = (0..4).map(|index| user(store, &format!("user {index}"))).collect();
    at_once(4, |index| {
        for step in 1..40 {
            let (me, other) = (users[index], users[(index + 1 + step % 3) % 4]);
            let outcome = match step % 2 {
                0 => store.add_friend(me, other, &NO_LIMITS).map(drop),
                _ => store.remove_friend(me, other),
            };
            match outcome {
                Ok(()) | Err(StoreError::AlreadyFriends | StoreError::NotFriends) => {}
                Err(error) => panic!("user {index} step {step}: {error}"),
            }
        }
    });
    for &one in &users {
        for other in ids(store.friends(one).unwrap()) {
            assert!(ids(store.friends(other).unwrap()).contains(&one), "{one} and {other}");
        }
    }
}
