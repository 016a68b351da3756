//! Groups and their members.

use cluster_chat::model::{
    Group, GroupId, GroupMember, GroupRole, Store, StoreError, UserId, UserState,
};

use super::{NO_LIMITS, assert_refused, at_once, claim, take, user};

fn member(id: UserId, name: &str, state: UserState, role: GroupRole) -> GroupMember {
    GroupMember { id, name: name.to_owned(), state, role }
}

pub fn a_new_group_has_its_creator_in_it(store: &dyn Store) {
    let alice = user(store, "alice");
    let name = "Robert'); DROP TABLE AllGroup; -- 😀";
    let group = store.create_group(alice, name, "what it's \"for\" \\ 😀", &NO_LIMITS).unwrap();
    assert!(group.0 >= 1);
    assert_eq!(
        store.groups_of(alice).unwrap(),
        [Group {
            id: group,
            groupname: name.to_owned(),
            groupdesc: "what it's \"for\" \\ 😀".to_owned(),
            users: vec![member(alice, "alice", UserState::Offline, GroupRole::Creator)],
        }]
    );
    assert_eq!(store.group_members(group).unwrap(), Some(vec![alice]));
    assert_eq!(store.group_members(GroupId(999)).unwrap(), None);
}

pub fn a_taken_group_name_is_refused(store: &dyn Store) {
    let [alice, bob] = ["alice", "bob"].map(|name| user(store, name));
    store.create_group(alice, "rust", "", &NO_LIMITS).unwrap();
    assert_refused!(store.create_group(bob, "rust", "another", &NO_LIMITS), StoreError::NameTaken);
    assert_eq!(store.groups_of(bob).unwrap(), []);
    for other in ["Rust", "rüst", "rust\u{200b}"] {
        store.create_group(bob, other, "", &NO_LIMITS).unwrap();
    }
    assert_refused!(
        store.create_group(bob, &"x".repeat(51), "", &NO_LIMITS),
        StoreError::Internal(_)
    );
    assert_refused!(
        store.create_group(bob, "x", &"x".repeat(201), &NO_LIMITS),
        StoreError::Internal(_)
    );
    store.create_group(bob, "x", &"😀".repeat(200), &NO_LIMITS).unwrap();

    let outcomes = at_once(8, |_| store.create_group(alice, "at once", "", &NO_LIMITS));
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
}

pub fn who_joins_gets_the_whole_group(store: &dyn Store) {
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| user(store, name));
    let group = store.create_group(bob, "rust", "the language", &NO_LIMITS).unwrap();
    take(store, bob, &claim("one:6000", 5, 1));
    store.join_group(group, carol, &NO_LIMITS).unwrap();
    assert_eq!(
        store.join_group(group, alice, &NO_LIMITS).unwrap(),
        Group {
            id: group,
            groupname: "rust".to_owned(),
            groupdesc: "the language".to_owned(),
            users: vec![
                member(alice, "alice", UserState::Offline, GroupRole::Normal),
                member(bob, "bob", UserState::Online, GroupRole::Creator),
                member(carol, "carol", UserState::Offline, GroupRole::Normal),
            ],
        }
    );
    assert_eq!(store.group_members(group).unwrap(), Some(vec![alice, bob, carol]));
}

pub fn joining_twice_or_nowhere_is_refused(store: &dyn Store) {
    let [alice, bob] = ["alice", "bob"].map(|name| user(store, name));
    let group = store.create_group(alice, "rust", "", &NO_LIMITS).unwrap();
    assert_refused!(store.join_group(group, alice, &NO_LIMITS), StoreError::AlreadyMember);
    store.join_group(group, bob, &NO_LIMITS).unwrap();
    assert_refused!(store.join_group(group, bob, &NO_LIMITS), StoreError::AlreadyMember);
    for nowhere in [GroupId(999), GroupId(u32::MAX)] {
        assert_refused!(store.join_group(nowhere, bob, &NO_LIMITS), StoreError::NoSuchGroup);
    }
    let nobody = UserId(999);
    assert_refused!(store.join_group(group, nobody, &NO_LIMITS), StoreError::NoSuchUser);
    assert_refused!(store.create_group(nobody, "nobody's", "", &NO_LIMITS), StoreError::NoSuchUser);
    assert_eq!(store.group_members(group).unwrap(), Some(vec![alice, bob]));
}

pub fn a_member_leaves_and_the_group_stays(store: &dyn Store) {
    let [alice, bob] = ["alice", "bob"].map(|name| user(store, name));
    let group = store.create_group(alice, "rust", "", &NO_LIMITS).unwrap();
    store.join_group(group, bob, &NO_LIMITS).unwrap();
    assert!(!store.leave_group(group, bob).unwrap());
    assert_eq!(store.groups_of(bob).unwrap(), []);
    assert_eq!(store.group_members(group).unwrap(), Some(vec![alice]));
    store.join_group(group, bob, &NO_LIMITS).unwrap();
}

pub fn the_creator_dissolves_the_group(store: &dyn Store) {
    let [alice, bob] = ["alice", "bob"].map(|name| user(store, name));
    let group = store.create_group(alice, "rust", "", &NO_LIMITS).unwrap();
    let other = store.create_group(alice, "other", "", &NO_LIMITS).unwrap();
    store.join_group(group, bob, &NO_LIMITS).unwrap();
    assert!(store.leave_group(group, alice).unwrap());
    assert_eq!(store.group_members(group).unwrap(), None);
    assert_eq!(store.groups_of(bob).unwrap(), []);
    assert_eq!(store.group_members(other).unwrap(), Some(vec![alice]));

    let again = store.create_group(bob, "rust", "", &NO_LIMITS).unwrap();
    assert_ne!(again, group, "the number of a dissolved group is not given again");
}

pub fn leaving_what_one_is_not_in_is_refused(store: &dyn Store) {
    let [alice, bob] = ["alice", "bob"].map(|name| user(store, name));
    let group = store.create_group(alice, "rust", "", &NO_LIMITS).unwrap();
    assert_refused!(store.leave_group(group, bob), StoreError::NotMember);
    assert_refused!(store.leave_group(GroupId(999), bob), StoreError::NoSuchGroup);
    assert_eq!(store.group_members(group).unwrap(), Some(vec![alice]));
}

pub fn all_groups_come_with_all_members_in_order(store: &dyn Store) {
    let users: Vec<_> = (0..5).map(|index| user(store, &format!("user {index}"))).collect();
    let groups: Vec<_> = (0..4)
        .map(|index| {
            let (name, description) = (format!("group {index}"), format!("number {index}"));
            store.create_group(users[index], &name, &description, &NO_LIMITS).unwrap()
        })
        .collect();
    for &index in &[4, 2, 3] {
        store.join_group(groups[0], users[index], &NO_LIMITS).unwrap();
    }
    store.join_group(groups[2], users[4], &NO_LIMITS).unwrap();

    let seen: Vec<_> = store
        .groups_of(users[4])
        .unwrap()
        .into_iter()
        .map(|group| {
            let members: Vec<_> = group.users.iter().map(|member| member.id).collect();
            (group.id, group.groupname, group.groupdesc, members)
        })
        .collect();
    let text = str::to_owned;
    let first = vec![users[0], users[2], users[3], users[4]];
    assert_eq!(
        seen,
        [
            (groups[0], text("group 0"), text("number 0"), first),
            (groups[2], text("group 2"), text("number 2"), vec![users[2], users[4]]),
        ]
    );
    assert_eq!(store.groups_of(UserId(999)).unwrap(), []);
}

pub fn nobody_is_left_in_a_group_dissolved_while_others_join(store: &dyn Store) {
    let users: Vec<_> = (0..6).map(|index| user(store, &format!("user {index}"))).collect();
    for round in 0..5 {
        let group =
            store.create_group(users[0], &format!("group {round}"), "", &NO_LIMITS).unwrap();
        at_once(6, |index| {
            let outcome = match index {
                0 => store.leave_group(group, users[0]).map(|dissolved| assert!(dissolved)),
                _ => store.join_group(group, users[index], &NO_LIMITS).map(drop),
            };
            match outcome {
                Ok(()) | Err(StoreError::NoSuchGroup) => {}
                Err(error) => panic!("user {index}: {error}"),
            }
        });
        assert_eq!(store.group_members(group).unwrap(), None);
        for &user in &users {
            assert_eq!(store.groups_of(user).unwrap(), []);
        }
    }
}
