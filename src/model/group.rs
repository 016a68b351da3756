//! Groups and their members.

use serde::{Deserialize, Serialize};

use super::user::id_from_column;
use super::{StoreError, User, UserId, UserState};

/// A group's number, given by the server at creation: 1 … 2^31-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupId(pub u32);

impl std::fmt::Display for GroupId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl GroupId {
    /// A number as a column holds it. Errors: `Internal` outside 1 … 2^31-1.
    pub(super) fn from_column(value: i64) -> Result<GroupId, StoreError> {
        id_from_column(value, "group").map(GroupId)
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

impl GroupRole {
    /// The role's text in the column `GroupUser.grouprole`.
    pub(super) fn column(self) -> &'static str {
        match self {
            GroupRole::Creator => "creator",
            GroupRole::Normal => "normal",
        }
    }

    /// The role as the column `GroupUser.grouprole` holds it.
    pub(super) fn from_column(text: &str) -> Result<GroupRole, StoreError> {
        match text {
            "creator" => Ok(GroupRole::Creator),
            "normal" => Ok(GroupRole::Normal),
            other => Err(StoreError::Internal(format!("unknown group role {other:?}"))),
        }
    }
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

/// One row of the query both stores read groups with: one per member, ordered
/// by group and member.
pub(super) struct GroupRow {
    pub group: i64,
    /// The group's name and description: only on the asker's own row, so that
    /// they do not cross the wire once per member.
    pub about: Option<(String, String)>,
    pub role: String,
    pub user: i64,
    pub name: String,
    pub state: String,
}

/// The query that yields [`GroupRow`]s, one statement so that it is one
/// consistent view. `filter` narrows `mine`, the asker's memberships.
macro_rules! groups_sql {
    ($filter:literal) => {
        concat!(
            "SELECT g.id, CASE WHEN m.userid = mine.userid THEN g.groupname END, ",
            "CASE WHEN m.userid = mine.userid THEN g.groupdesc END, ",
            "m.grouprole, u.id, u.name, u.state ",
            "FROM GroupUser mine ",
            "JOIN AllGroup g ON g.id = mine.groupid ",
            "JOIN GroupUser m ON m.groupid = mine.groupid ",
            "JOIN User u ON u.id = m.userid ",
            "WHERE ",
            $filter,
            " ORDER BY g.id, u.id"
        )
    };
}
pub(super) use groups_sql;

/// Puts rows together to groups.
pub(super) fn gather_groups(rows: Vec<GroupRow>) -> Result<Vec<Group>, StoreError> {
    let mut groups: Vec<Group> = Vec::new();
    for row in rows {
        let id = GroupId::from_column(row.group)?;
        if groups.last().is_none_or(|last| last.id != id) {
            let (groupname, groupdesc) = Default::default();
            groups.push(Group { id, groupname, groupdesc, users: Vec::new() });
        }
        let Some(group) = groups.last_mut() else { continue };
        if let Some((name, description)) = row.about {
            (group.groupname, group.groupdesc) = (name, description);
        }
        let User { id, name, state } = User::from_columns(row.user, row.name, &row.state)?;
        let role = GroupRole::from_column(&row.role)?;
        group.users.push(GroupMember { id, name, state, role });
    }
    Ok(groups)
}
