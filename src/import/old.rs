//! The tables of a C++ ChatServer, read as they are.

use crate::model::mysql::{Column, ForeignDatabase};
use crate::model::store::Result;
use crate::model::{GroupId, StoreError, UserId};
use crate::protocol::bounds::MAX_ID;

/// A number in an id's column: whatever the column can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OldId(pub i64);

impl OldId {
    fn fit(self) -> Option<u32> {
        u32::try_from(self.0).ok().filter(|id| (1..=MAX_ID).contains(id))
    }

    /// As a user's number, if it can be one.
    pub fn user(self) -> Option<UserId> {
        self.fit().map(UserId)
    }

    /// As a group's number, if it can be one.
    pub fn group(self) -> Option<GroupId> {
        self.fit().map(GroupId)
    }
}

/// A row of `User`.
pub struct OldUser {
    pub id: OldId,
    pub name: Vec<u8>,
    /// As the user types it.
    pub password: Vec<u8>,
}

/// A row of `AllGroup`.
pub struct OldGroup {
    pub id: OldId,
    pub name: Vec<u8>,
    pub description: Vec<u8>,
}

/// A row of `GroupUser`.
pub struct OldMember {
    pub group: OldId,
    pub user: OldId,
    pub role: Vec<u8>,
}

/// A row of `OfflineMessage`.
pub struct OldMessage {
    pub to: OldId,
    /// The JSON text of the push.
    pub push: Vec<u8>,
}

/// All rows.
#[derive(Default)]
pub struct Old {
    pub users: Vec<OldUser>,
    pub friends: Vec<(OldId, OldId)>,
    pub groups: Vec<OldGroup>,
    pub members: Vec<OldMember>,
    pub messages: Vec<OldMessage>,
    /// Tables that are not there.
    pub missing: Vec<&'static str>,
}

impl Old {
    /// Reads everything.
    ///
    /// # Errors
    /// `Misconfigured`: this is no database of a C++ ChatServer.
    pub fn read(database: &mut ForeignDatabase) -> Result<Old> {
        let tables = database.tables()?;
        // Not by the table of migrations: a server that was once started on the
        // old tables left that beside them.
        if let Some(users) = find(&tables, "User")
            && database.has_column(users, OWN_COLUMN)?
        {
            return Err(StoreError::Misconfigured(
                "it is a database of this program, not of a C++ ChatServer".to_owned(),
            ));
        }
        let mut old = Old::default();
        let mut each =
            |name: &'static str, columns, take: &mut dyn FnMut(&mut Old, &mut Row)| match find(
                &tables, name,
            ) {
                Some(table) => database.each(table, columns, |row| {
                    take(&mut old, &mut Row(row.into_iter()));
                }),
                None => {
                    old.missing.push(name);
                    Ok(())
                }
            };
        each("User", "id, name, password", &mut |old, row| {
            old.users.push(OldUser { id: row.id(), name: row.text(), password: row.text() });
        })?;
        each("Friend", "userid, friendid", &mut |old, row| {
            old.friends.push((row.id(), row.id()));
        })?;
        each("AllGroup", "id, groupname, groupdesc", &mut |old, row| {
            old.groups.push(OldGroup { id: row.id(), name: row.text(), description: row.text() });
        })?;
        each("GroupUser", "groupid, userid, grouprole", &mut |old, row| {
            old.members.push(OldMember { group: row.id(), user: row.id(), role: row.text() });
        })?;
        each("OfflineMessage", "userid, message", &mut |old, row| {
            old.messages.push(OldMessage { to: row.id(), push: row.text() });
        })?;
        if old.missing.contains(&"User") {
            return Err(StoreError::Misconfigured("it has no table User".to_owned()));
        }
        Ok(old)
    }
}

/// What `User` has in this program's databases alone.
const OWN_COLUMN: &str = "claim_server";

/// A table by its name, else by its name in other letters: a database may know
/// them in small ones only.
pub fn find<'a>(tables: &'a [String], name: &str) -> Option<&'a str> {
    let exact = tables.iter().find(|table| *table == name);
    let found = exact.or_else(|| tables.iter().find(|table| table.eq_ignore_ascii_case(name)));
    found.map(String::as_str)
}

/// The columns of a row, one after the other.
struct Row(std::vec::IntoIter<Column>);

impl Row {
    /// NULL is nothing.
    fn text(&mut self) -> Vec<u8> {
        self.0.next().flatten().unwrap_or_default()
    }

    /// What is no number, or too large for one, is nobody's.
    fn id(&mut self) -> OldId {
        let text = self.text();
        let number = std::str::from_utf8(&text).ok().and_then(|text| text.parse::<i128>().ok());
        OldId(i64::try_from(number.unwrap_or(0)).unwrap_or(i64::MAX))
    }
}
