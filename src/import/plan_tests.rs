use super::oddity::{Oddities, Oddity};
use super::old::{Old, OldGroup, OldId, OldMember, OldUser};
use super::plan::{Bounds, Names, Plan};
use crate::model::{GroupId, GroupRole, Limit, Limits, OfflineSize, UserId};

fn user(id: i64, name: &str) -> OldUser {
    OldUser { id: OldId(id), name: name.into(), password: b"secret".to_vec() }
}

fn group(id: i64, name: &str) -> OldGroup {
    OldGroup { id: OldId(id), name: name.into(), description: Vec::new() }
}

fn member(group: i64, user: i64, role: &str) -> OldMember {
    OldMember { group: OldId(group), user: OldId(user), role: role.into() }
}

fn make(old: Old) -> (Plan, Oddities) {
    let limits = Limits { friends: Limit(1), groups: Limit(1), members: Limit(2) };
    let mut oddities = Oddities::default();
    let bounds = Bounds { limits, offline: OfflineSize::MAX };
    (Plan::make(old, &Names::default(), &bounds, &mut oddities), oddities)
}

fn three() -> Vec<OldUser> {
    vec![user(3, "carol"), user(1, "alice"), user(2, "bob")]
}

#[test]
fn ids_are_kept_and_those_that_do_not_fit_left_out_with_what_names_them() {
    let mut users = three();
    users.extend([user(1 << 31, "far"), user(0, "nobody"), user(-1, "minus"), user(2, "twin")]);
    let friends = vec![(OldId(1), OldId(1 << 31))];
    let (plan, oddities) = make(Old { users, friends, ..Old::default() });
    let ids: Vec<u32> = plan.users.iter().map(|user| user.id.0).collect();
    assert_eq!(ids, [1, 2, 3]);
    assert!(plan.friendships.is_empty());
    assert_eq!(oddities.count(Oddity::BadUserId), 3);
    assert_eq!(oddities.count(Oddity::DuplicateId), 1);
    assert_eq!(oddities.count(Oddity::FriendshipWithNobody), 1);
}

#[test]
fn a_friendship_has_both_sides_whichever_the_old_table_has() {
    let friends = [(1, 2), (2, 1), (3, 2), (3, 3)].map(|(a, b)| (OldId(a), OldId(b)));
    let (plan, oddities) = make(Old { users: three(), friends: friends.into(), ..Old::default() });
    let id = UserId;
    assert_eq!(plan.friendships, [(id(1), id(2)), (id(2), id(3))]);
    assert_eq!(oddities.count(Oddity::OneDirection), 1);
    assert_eq!(oddities.count(Oddity::SelfFriendship), 1);
    assert_eq!(oddities.count(Oddity::TooManyFriends), 1, "bob has two");
}

#[test]
fn members_keep_their_role_and_nobodies_are_left_out() {
    let groups = vec![group(7, "team"), group(8, "other")];
    let members = vec![
        member(7, 1, "creator"),
        member(7, 2, "normal"),
        member(7, 3, "owner"),
        member(7, 9, "normal"),
        member(9, 1, "normal"),
        member(8, 1, ""),
        member(7, 1, "normal"),
    ];
    let (plan, oddities) = make(Old { users: three(), groups, members, ..Old::default() });
    let role = |group, user| plan.members.get(&(GroupId(group), UserId(user))).copied();
    assert_eq!(role(7, 1), Some(GroupRole::Creator));
    assert_eq!(role(7, 2), Some(GroupRole::Normal));
    assert_eq!(role(7, 3), Some(GroupRole::Normal));
    assert_eq!((plan.members.len(), role(8, 1)), (4, Some(GroupRole::Normal)));
    for (oddity, count) in [
        (Oddity::MemberIsNobody, 1),
        (Oddity::MemberOfNothing, 1),
        (Oddity::UnknownRole, 2),
        (Oddity::NoCreator, 1),
        (Oddity::TooManyMembers, 1),
        (Oddity::TooManyGroups, 1),
    ] {
        assert_eq!(oddities.count(oddity), count, "{oddity:?}");
    }
}

#[test]
fn a_password_that_nobody_could_type_here_is_none() {
    let mut users = three();
    users[0].password = Vec::new();
    users[1].password = vec![b'x'; 129];
    let (plan, oddities) = make(Old { users, ..Old::default() });
    let usable: Vec<bool> = plan.users.iter().map(|user| user.password.is_some()).collect();
    assert_eq!(usable, [false, true, false]);
    assert_eq!(oddities.count(Oddity::NoPassword), 1);
    assert_eq!(oddities.count(Oddity::LongPassword), 1);
}
