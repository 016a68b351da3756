//! Rows of another program's database, into SQLite.

use rusqlite::{Connection, params};

use super::fault::Fault;
use super::{Attempt, change, rows};
use crate::model::{GroupId, ImportRow, OfflineOp, StoreError, UserId};

pub(super) fn user_names(
    conn: &Connection,
    after: u32,
    most: u32,
) -> Attempt<Vec<(UserId, String)>> {
    let sql = "SELECT id, name FROM User WHERE id > ?1 ORDER BY id LIMIT ?2";
    rows(conn, sql, (after, most), |row| Ok((UserId::from_column(row.get(0)?)?, row.get(1)?)))
}

pub(super) fn group_names(
    conn: &Connection,
    after: u32,
    most: u32,
) -> Attempt<Vec<(GroupId, String)>> {
    let sql = "SELECT id, groupname FROM AllGroup WHERE id > ?1 ORDER BY id LIMIT ?2";
    rows(conn, sql, (after, most), |row| Ok((GroupId::from_column(row.get(0)?)?, row.get(1)?)))
}

pub(super) fn import(conn: &Connection, rows: &[ImportRow]) -> Attempt<()> {
    for row in rows {
        match row {
            ImportRow::User { id, name, password_hash } => {
                let sql = "INSERT INTO User (id, name, password) VALUES (?1, ?2, ?3)";
                change(conn, sql, (id.0, name, password_hash)).map_err(taken)?;
            }
            ImportRow::Friendship(a, b) => {
                let sql = "INSERT INTO Friend (userid, friendid) VALUES (?1, ?2), (?2, ?1) \
                     ON CONFLICT DO NOTHING";
                change(conn, sql, (a.0, b.0))?;
            }
            ImportRow::Group { id, name, description } => {
                let sql = "INSERT INTO AllGroup (id, groupname, groupdesc) VALUES (?1, ?2, ?3)";
                change(conn, sql, (id.0, name, description)).map_err(taken)?;
            }
            ImportRow::Member { group, user, role } => {
                let sql = "INSERT INTO GroupUser (groupid, userid, grouprole) \
                     VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
                change(conn, sql, params![group.0, user.0, role.column()])?;
            }
            ImportRow::Message { to, sender, mid, message } => {
                let (mid, message) = (mid.clone(), message.clone());
                let op = OfflineOp::Insert { to: *to, sender: *sender, mid, message };
                super::offline::apply(conn, &[op])?;
            }
        }
    }
    Ok(())
}

/// A name or a number that another row has.
fn taken(fault: Fault) -> Fault {
    if fault.is_taken() { StoreError::NameTaken.into() } else { fault }
}
