//! Who I am, my friends and my groups: what the login's answer said, kept up
//! to date by every later reply.

use std::collections::BTreeMap;

use super::outbox::What;
use crate::client::message::{Group, Incoming, Member, User};
use crate::client::text::safe;

/// The people and groups that the client can name.
#[derive(Debug, Default)]
pub struct Roster {
    /// The logged-in user's number.
    pub id: u32,
    /// The logged-in user's name.
    pub name: String,
    /// Friends by number.
    pub friends: BTreeMap<u32, User>,
    /// Groups by number.
    pub groups: BTreeMap<u32, Group>,
    /// Raised by every change, so that others know when to look again.
    pub version: u64,
}

impl Roster {
    /// Takes over what a LOGIN_MSG_ACK says.
    pub fn log_in(&mut self, ack: &Incoming, id: u32) {
        self.id = id;
        self.name = ack.name.clone().unwrap_or_default();
        self.groups = ack.groups.iter().flatten().map(|group| (group.id, group.clone())).collect();
        self.set_friends(ack.friends.as_deref().unwrap_or_default());
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Roster { version: self.version + 1, ..Roster::default() };
    }

    /// Takes over a friend list.
    pub fn set_friends(&mut self, friends: &[User]) {
        self.friends = friends.iter().map(|user| (user.id, user.clone())).collect();
        self.version += 1;
    }

    /// Takes over what a request has changed, once its answer says so.
    pub fn follow(&mut self, what: &What, reply: &Incoming) {
        match what {
            What::AddFriend(id) => self.add_friend(User {
                id: *id,
                name: reply.name.clone().unwrap_or_default(),
                state: reply.state.clone().unwrap_or_default(),
            }),
            What::DelFriend(id) => {
                self.friends.remove(id);
            }
            What::CreateGroup { name, desc } => {
                let users = vec![self.myself("creator")];
                let (groupname, groupdesc) = (name.clone(), desc.clone());
                let id = reply.groupid.unwrap_or_default();
                self.add_group(Group { id, groupname, groupdesc, users });
            }
            What::AddGroup(id) => self.add_group(Group {
                id: *id,
                groupname: reply.groupname.clone().unwrap_or_default(),
                groupdesc: reply.groupdesc.clone().unwrap_or_default(),
                users: reply.users.clone().unwrap_or_default(),
            }),
            What::DelGroup(id) => {
                self.groups.remove(id);
            }
            What::FriendList => self.set_friends(reply.friends.as_deref().unwrap_or_default()),
            What::Chat { .. } | What::GroupChat { .. } => return,
        }
        self.version += 1;
    }

    /// A friendship began.
    pub fn add_friend(&mut self, friend: User) {
        self.friends.insert(friend.id, friend);
    }

    /// A group was created or joined.
    pub fn add_group(&mut self, group: Group) {
        self.groups.insert(group.id, group);
    }

    /// Myself as a member with this role.
    pub fn myself(&self, role: &str) -> Member {
        Member {
            id: self.id,
            name: self.name.clone(),
            state: "online".to_owned(),
            role: role.to_owned(),
        }
    }

    /// Fellow members who are no friends: number and name, each once.
    pub fn others(&self) -> Vec<(u32, String)> {
        let members = self.groups.values().flat_map(|group| &group.users);
        let others = members.filter(|m| m.id != self.id && !self.friends.contains_key(&m.id));
        let others: BTreeMap<_, _> = others.map(|m| (m.id, m.name.clone())).collect();
        others.into_iter().collect()
    }

    /// `7 (bob)`, or `7` where the name is not known. Safe to show.
    pub fn user(&self, id: u32) -> String {
        let member = || self.groups.values().flat_map(|g| &g.users).find(|m| m.id == id);
        let name = match self.friends.get(&id) {
            _ if id == self.id => Some(&self.name),
            Some(friend) => Some(&friend.name),
            None => member().map(|m| &m.name),
        };
        with_name(id, name.map(String::as_str))
    }

    /// `3 (team)`, or `3` where the name is not known. Safe to show.
    pub fn group(&self, id: u32) -> String {
        with_name(id, self.groups.get(&id).map(|g| g.groupname.as_str()))
    }
}

/// `7 (bob)`, or `7` without a name. Safe to show.
pub fn with_name(id: u32, name: Option<&str>) -> String {
    match name {
        Some(name) if !name.is_empty() => format!("{id} ({})", safe(name)),
        _ => id.to_string(),
    }
}
