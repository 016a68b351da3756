//! How many friends, groups and members there may be.

use cluster_chat::model::{Limit, Limits, Store, StoreError, UserId};

use super::{NO_LIMITS, assert_refused, at_once, user};

const TWO: Limits = Limits { friends: Limit(2), groups: Limit(2), members: Limit(2) };

fn users(store: &dyn Store, count: usize) -> Vec<UserId> {
    (0..count).map(|index| user(store, &format!("user {index}"))).collect()
}

pub fn nobody_has_more_friends_than_allowed(store: &dyn Store) {
    let users = users(store, 5);
    let [alice, others @ ..] = &users[..] else { unreachable!() };
    store.add_friend(*alice, others[0], &TWO).unwrap();
    store.add_friend(others[1], *alice, &TWO).unwrap();
    assert_refused!(store.add_friend(*alice, others[2], &TWO), StoreError::TooManyFriends);
    assert_refused!(store.add_friend(others[2], *alice, &TWO), StoreError::FriendHasTooMany);
    assert_refused!(store.add_friend(*alice, others[0], &TWO), StoreError::AlreadyFriends);
    assert_refused!(store.add_friend(*alice, UserId(999), &TWO), StoreError::NoSuchUser);
    assert_eq!(store.friends(*alice).unwrap().len(), 2, "what was refused left nothing");
    assert_eq!(store.friends(others[2]).unwrap(), []);

    store.remove_friend(others[0], *alice).unwrap();
    store.add_friend(others[2], *alice, &TWO).unwrap();
    assert_eq!(store.friends(*alice).unwrap().len(), 2);
    store.add_friend(*alice, others[3], &NO_LIMITS).unwrap();
    assert_eq!(store.friends(*alice).unwrap().len(), 3, "0 is no limit");
}

pub fn nobody_is_in_more_groups_than_allowed(store: &dyn Store) {
    let [alice, bob] = ["alice", "bob"].map(|name| user(store, name));
    let first = store.create_group(alice, "first", "", &TWO).unwrap();
    let second = store.create_group(bob, "second", "", &TWO).unwrap();
    store.join_group(second, alice, &TWO).unwrap();
    assert_refused!(store.create_group(alice, "third", "", &TWO), StoreError::TooManyGroups);
    let third = store.create_group(bob, "third", "", &TWO).unwrap();
    assert_refused!(store.join_group(third, alice, &TWO), StoreError::TooManyGroups);
    assert_refused!(store.join_group(second, alice, &TWO), StoreError::AlreadyMember);
    assert_refused!(store.create_group(alice, "first", "", &TWO), StoreError::NameTaken);
    assert_eq!(store.groups_of(alice).unwrap().len(), 2);
    assert_eq!(store.group_members(third).unwrap(), Some(vec![bob]));

    store.leave_group(first, alice).unwrap();
    store.join_group(third, alice, &TWO).unwrap();
    store.create_group(alice, "fourth", "", &NO_LIMITS).unwrap();
    assert_eq!(store.groups_of(alice).unwrap().len(), 3, "0 is no limit");
}

pub fn no_group_has_more_members_than_allowed(store: &dyn Store) {
    let users = users(store, 4);
    let group = store.create_group(users[0], "rust", "", &TWO).unwrap();
    store.join_group(group, users[1], &TWO).unwrap();
    assert_refused!(store.join_group(group, users[2], &TWO), StoreError::GroupFull);
    assert_refused!(store.join_group(group, users[1], &TWO), StoreError::AlreadyMember);
    assert_eq!(store.groups_of(users[2]).unwrap(), []);

    store.leave_group(group, users[1]).unwrap();
    store.join_group(group, users[2], &TWO).unwrap();
    assert_refused!(store.join_group(group, users[1], &TWO), StoreError::GroupFull);
    store.join_group(group, users[1], &NO_LIMITS).unwrap();
    store.join_group(group, users[3], &NO_LIMITS).unwrap();
    assert_eq!(store.group_members(group).unwrap(), Some(users));
}

pub fn limits_hold_for_friends_made_at_the_same_time(store: &dyn Store) {
    // Everybody befriends everybody, so that all count and lock crosswise.
    let users = users(store, 6);
    at_once(6, |index| {
        for other in (1..6).map(|step| users[(index + step) % 6]) {
            match store.add_friend(users[index], other, &TWO) {
                Ok(_)
                | Err(
                    StoreError::AlreadyFriends
                    | StoreError::TooManyFriends
                    | StoreError::FriendHasTooMany,
                ) => {}
                Err(error) => panic!("user {index}: {error}"),
            }
        }
    });
    let counts: Vec<_> = users.iter().map(|&one| store.friends(one).unwrap().len()).collect();
    assert!(counts.iter().all(|&count| count <= 2), "{counts:?}");
    // Two who both have room left would have become friends.
    assert!(counts.iter().filter(|&&count| count == 0).count() <= 1, "{counts:?}");
}

pub fn limits_hold_for_members_who_join_at_the_same_time(store: &dyn Store) {
    let users = users(store, 7);
    let groups: Vec<_> = (0..3)
        .map(|index| store.create_group(users[6], &format!("g{index}"), "", &NO_LIMITS).unwrap())
        .collect();
    let three = Limits { members: Limit(3), ..TWO };
    at_once(6, |index| {
        for step in 0..3 {
            match store.join_group(groups[(index + step) % 3], users[index], &three) {
                Ok(_) | Err(StoreError::GroupFull | StoreError::TooManyGroups) => {}
                Err(error) => panic!("user {index}: {error}"),
            }
        }
    });
    // Each member but the creator has a place in at most two of the three.
    for group in groups {
        assert_eq!(store.group_members(group).unwrap().unwrap().len(), 3);
    }
}

pub fn limits_hold_for_one_user_in_many_places_at_the_same_time(store: &dyn Store) {
    let [alice, bob] = ["alice", "bob"].map(|name| user(store, name));
    let groups: Vec<_> = (0..4)
        .map(|index| store.create_group(bob, &format!("g{index}"), "", &NO_LIMITS).unwrap())
        .collect();
    let outcomes = at_once(8, |index| match index {
        0..4 => store.join_group(groups[index], alice, &TWO).map(drop),
        _ => store.create_group(alice, &format!("own {index}"), "", &TWO).map(drop),
    });
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 2, "{outcomes:?}");
    for refused in outcomes.into_iter().filter(Result::is_err) {
        assert_refused!(refused, StoreError::TooManyGroups);
    }
    assert_eq!(store.groups_of(alice).unwrap().len(), 2);
}
