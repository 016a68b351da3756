//! From the old rows to ours: pure, and the same each time, whatever of it is
//! there already.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use rustc_hash::{FxHashMap, FxHashSet};

use super::messages::{NewMessage, Translator};
use super::names::{self, Named, cut};
use super::oddity::{Oddities, Oddity};
use super::old::{Old, OldGroup, OldId, OldMember, OldMessage, OldUser};
use crate::model::{GroupId, GroupRole, Limit, Limits, OfflineSize, UserId};
use crate::protocol::bounds::{MAX_DESCRIPTION_CHARS, check_password};

/// A user to be.
pub struct NewUser {
    pub id: UserId,
    pub name: String,
    /// `None`: one by which nobody can log in.
    pub password: Option<String>,
}

/// A group to be.
pub struct NewGroup {
    pub id: GroupId,
    pub name: String,
    pub description: String,
}

/// How many rows the old tables have.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub users: usize,
    pub friendships: usize,
    pub groups: usize,
    pub members: usize,
    pub messages: usize,
}

/// All that is to be there in the end, each list by its ids.
#[derive(Default)]
pub struct Plan {
    pub users: Vec<NewUser>,
    /// The lower number first.
    pub friendships: Vec<(UserId, UserId)>,
    pub groups: Vec<NewGroup>,
    pub members: BTreeMap<(GroupId, UserId), GroupRole>,
    /// In the order in which they were sent.
    pub messages: Vec<NewMessage>,
    /// Names beyond ASCII, to see whether they were read as they were meant.
    pub foreign_names: Vec<String>,
}

/// Whom the target has, by their numbers.
#[derive(Default)]
pub struct Names {
    pub users: FxHashMap<u32, String>,
    pub groups: FxHashMap<u32, String>,
}

/// What an account or a recipient may have.
#[derive(Debug, Default, Clone, Copy)]
pub struct Bounds {
    pub limits: Limits,
    pub offline: OfflineSize,
}

impl Old {
    /// How many rows there are.
    pub fn counts(&self) -> Counts {
        Counts {
            users: self.users.len(),
            friendships: self.friends.len(),
            groups: self.groups.len(),
            members: self.members.len(),
            messages: self.messages.len(),
        }
    }
}

impl Plan {
    /// Makes the rows ours. `there`: whom the target has already.
    pub fn make(old: Old, there: &Names, bounds: &Bounds, oddities: &mut Oddities) -> Plan {
        for table in old.missing {
            oddities.note(Oddity::MissingTable, || table.to_owned());
        }
        let users = users(old.users, &there.users, oddities);
        let groups = groups(old.groups, &there.groups, oddities);
        let known: FxHashMap<UserId, &str> =
            users.iter().map(|user| (user.id, user.name.as_str())).collect();
        let exists = |id: OldId| id.user().filter(|user| known.contains_key(user));
        let friendships = friendships(&old.friends, &exists, &bounds.limits, oddities);
        let members = members(old.members, &groups, &exists, &bounds.limits, oddities);
        let name_of = |user: UserId| known.get(&user).copied();
        let messages = messages(old.messages, &name_of, bounds.offline, oddities);
        let foreign_names = users
            .iter()
            .filter(|user| !user.name.is_ascii())
            .map(|user| format!("user {} {:?}", user.id, user.name))
            .collect();
        Plan { users, friendships, groups, members, messages, foreign_names }
    }
}

fn users(
    old: Vec<OldUser>,
    there: &FxHashMap<u32, String>,
    oddities: &mut Oddities,
) -> Vec<NewUser> {
    let mut rows = Vec::with_capacity(old.len());
    let mut passwords = Vec::with_capacity(old.len());
    let mut ids = FxHashSet::default();
    for OldUser { id, name, password } in old {
        let Some(user) = id.user() else {
            oddities.note(Oddity::BadUserId, || format!("user {}", id.0));
            continue;
        };
        if !ids.insert(user) {
            oddities.note(Oddity::DuplicateId, || format!("user {user}"));
            continue;
        }
        rows.push(Named { id: user.0, name });
        passwords.push(usable(user, password, oddities));
    }
    let names = names::settle("user", &rows, there, oddities);
    let mut users: Vec<NewUser> = rows
        .into_iter()
        .zip(names)
        .zip(passwords)
        .map(|((row, name), password)| NewUser { id: UserId(row.id), name, password })
        .collect();
    users.sort_by_key(|user| user.id);
    users
}

/// A password by which somebody can log in here.
fn usable(user: UserId, password: Vec<u8>, oddities: &mut Oddities) -> Option<String> {
    if password.is_empty() {
        oddities.note(Oddity::NoPassword, || format!("user {user}"));
        return None;
    }
    let text = String::from_utf8(password).ok().filter(|text| check_password(text).is_ok());
    if text.is_none() {
        oddities.note(Oddity::LongPassword, || format!("user {user}"));
    }
    text
}

fn groups(
    old: Vec<OldGroup>,
    there: &FxHashMap<u32, String>,
    oddities: &mut Oddities,
) -> Vec<NewGroup> {
    let mut rows = Vec::with_capacity(old.len());
    let mut descriptions = Vec::with_capacity(old.len());
    let mut ids = FxHashSet::default();
    for OldGroup { id, name, description } in old {
        let Some(group) = id.group() else {
            oddities.note(Oddity::BadGroupId, || format!("group {}", id.0));
            continue;
        };
        if !ids.insert(group) {
            oddities.note(Oddity::DuplicateId, || format!("group {group}"));
            continue;
        }
        rows.push(Named { id: group.0, name });
        let text = String::from_utf8_lossy(&description);
        let short = cut(&text, MAX_DESCRIPTION_CHARS);
        if short.len() < text.len() {
            oddities.note(Oddity::LongDescription, || format!("group {group}"));
        }
        descriptions.push(short.to_owned());
    }
    let names = names::settle("group", &rows, there, oddities);
    let mut groups: Vec<NewGroup> = rows
        .into_iter()
        .zip(names)
        .zip(descriptions)
        .map(|((row, name), description)| NewGroup { id: GroupId(row.id), name, description })
        .collect();
    groups.sort_by_key(|group| group.id);
    groups
}

fn friendships(
    old: &[(OldId, OldId)],
    exists: &dyn Fn(OldId) -> Option<UserId>,
    limits: &Limits,
    oddities: &mut Oddities,
) -> Vec<(UserId, UserId)> {
    let mut sides: FxHashSet<(UserId, UserId)> = FxHashSet::default();
    for &(user, friend) in old {
        let example = || format!("{} and {}", user.0, friend.0);
        match (exists(user), exists(friend)) {
            (Some(a), Some(b)) if a == b => oddities.note(Oddity::SelfFriendship, example),
            (Some(a), Some(b)) if !sides.insert((a, b)) => {
                oddities.note(Oddity::DuplicateFriendship, example);
            }
            (Some(_), Some(_)) => {}
            _ => oddities.note(Oddity::FriendshipWithNobody, example),
        }
    }
    let mut pairs: Vec<_> = sides.iter().map(|&(a, b)| (a.min(b), a.max(b))).collect();
    pairs.sort_unstable();
    pairs.dedup();
    for &(a, b) in &pairs {
        if !(sides.contains(&(a, b)) && sides.contains(&(b, a))) {
            oddities.note(Oddity::OneDirection, || format!("{a} and {b}"));
        }
    }
    let ends = pairs.iter().flat_map(|&(a, b)| [a, b]);
    for (user, count) in exceeding(ends, limits.friends) {
        oddities.note(Oddity::TooManyFriends, || format!("user {user} has {count}"));
    }
    pairs
}

fn members(
    old: Vec<OldMember>,
    groups: &[NewGroup],
    exists: &dyn Fn(OldId) -> Option<UserId>,
    limits: &Limits,
    oddities: &mut Oddities,
) -> BTreeMap<(GroupId, UserId), GroupRole> {
    let mut members: BTreeMap<(GroupId, UserId), GroupRole> = BTreeMap::new();
    for OldMember { group, user, role } in old {
        let example = || format!("user {} in group {}", user.0, group.0);
        let known = group.group().filter(|id| groups.binary_search_by_key(id, |g| g.id).is_ok());
        let Some(group) = known else {
            oddities.note(Oddity::MemberOfNothing, example);
            continue;
        };
        let Some(user) = exists(user) else {
            oddities.note(Oddity::MemberIsNobody, example);
            continue;
        };
        let role = match &*role {
            b"creator" => GroupRole::Creator,
            b"normal" => GroupRole::Normal,
            _ => {
                oddities.note(Oddity::UnknownRole, example);
                GroupRole::Normal
            }
        };
        match members.entry((group, user)) {
            Entry::Vacant(place) => {
                place.insert(role);
            }
            Entry::Occupied(mut kept) => {
                oddities.note(Oddity::DuplicateMember, example);
                if role == GroupRole::Creator {
                    kept.insert(role);
                }
            }
        }
    }
    note_creators(&members, groups, oddities);
    for (group, count) in exceeding(members.keys().map(|key| key.0), limits.members) {
        oddities.note(Oddity::TooManyMembers, || format!("group {group} has {count}"));
    }
    for (user, count) in exceeding(members.keys().map(|key| key.1), limits.groups) {
        oddities.note(Oddity::TooManyGroups, || format!("user {user} is in {count}"));
    }
    members
}

/// Notes which groups have no creator, or several.
fn note_creators(
    members: &BTreeMap<(GroupId, UserId), GroupRole>,
    groups: &[NewGroup],
    oddities: &mut Oddities,
) {
    let mut creators: FxHashMap<GroupId, u32> = FxHashMap::default();
    for ((group, _), _) in members.iter().filter(|(_, role)| **role == GroupRole::Creator) {
        *creators.entry(*group).or_default() += 1;
    }
    for group in groups {
        let example = || format!("group {} {:?}", group.id, group.name);
        match creators.get(&group.id) {
            None => oddities.note(Oddity::NoCreator, example),
            Some(1) => {}
            Some(_) => oddities.note(Oddity::SeveralCreators, example),
        }
    }
}

fn messages<'a>(
    old: Vec<OldMessage>,
    name_of: &'a dyn Fn(UserId) -> Option<&'a str>,
    most: OfflineSize,
    oddities: &mut Oddities,
) -> Vec<NewMessage> {
    let mut translator = Translator::new(name_of);
    let mut messages = Vec::with_capacity(old.len());
    for OldMessage { to, push } in old {
        match to.user().filter(|user| name_of(*user).is_some()) {
            Some(user) => messages.extend(translator.translate(user, &push, oddities)),
            None => oddities.note(Oddity::MessageToNobody, || format!("to user {}", to.0)),
        }
    }
    let mut waiting: BTreeMap<UserId, OfflineSize> = BTreeMap::new();
    for message in &messages {
        let size = waiting.entry(message.to).or_default();
        *size = size.plus(OfflineSize { rows: 1, bytes: message.body.len() as u64 });
    }
    for (user, size) in waiting.iter().filter(|(_, size)| !most.holds(**size)) {
        let OfflineSize { rows, bytes } = size;
        oddities.note(Oddity::TooManyMessages, || {
            format!("for user {user} wait {rows}, {bytes} bytes")
        });
    }
    messages
}

/// Whatever comes more often than it may.
fn exceeding<T: Ord>(all: impl Iterator<Item = T>, limit: Limit) -> Vec<(T, i64)> {
    let mut counts: BTreeMap<T, i64> = BTreeMap::new();
    for one in all {
        *counts.entry(one).or_default() += 1;
    }
    counts.into_iter().filter(|(_, count)| limit.is_exceeded_by(*count)).collect()
}
