//! Groups and their members.

use serde::{Deserialize, Serialize};

use super::{UserId, UserState};

/// A group's number, given by the server at creation: 1 … 2^31-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupId(pub u32);

impl std::fmt::Display for GroupId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What a member may do: the creator dissolves the group, a normal member
/// leaves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupRole {
    /// Made the group.
    Creator,
    /// Joined it.
    Normal,
}

/// One member as the other members see one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupMember {
    /// The member's number.
    pub id: UserId,
    /// The member's name.
    pub name: String,
    /// Online or offline, as the database has it.
    pub state: UserState,
    /// Creator or normal.
    pub role: GroupRole,
}

/// A group with all its members, ordered by id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The group's number.
    pub id: GroupId,
    /// The unique name.
    pub groupname: String,
    /// What it is for; may be empty.
    pub groupdesc: String,
    /// Everybody in it.
    pub users: Vec<GroupMember>,
}
