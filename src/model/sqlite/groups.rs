//! Groups in SQLite.

use rusqlite::{Connection, Row};

use super::{Attempt, accounts, change, first, rows};
use crate::model::group::{GroupRow, gather_groups, groups_sql};
use crate::model::{Group, GroupId, GroupRole, Limits, StoreError, UserId};

pub(super) fn create(
    conn: &Connection,
    creator: UserId,
    name: &str,
    description: &str,
    limits: &Limits,
) -> Attempt<GroupId> {
    expect_user(conn, creator)?;
    let sql = "INSERT INTO AllGroup (groupname, groupdesc) VALUES (?1, ?2)";
    let group = match change(conn, sql, (name, description)) {
        Ok(_) => GroupId::from_column(conn.last_insert_rowid())?,
        Err(fault) if fault.is_name_taken() => return Err(StoreError::NameTaken.into()),
        Err(fault) => return Err(fault),
    };
    let sql = "INSERT INTO GroupUser (groupid, userid, grouprole) VALUES (?1, ?2, 'creator')";
    change(conn, sql, (group.0, creator.0))?;
    expect_few_groups(conn, creator, limits)?;
    Ok(group)
}

/// Counts with the newest in it; an error takes that out again.
fn expect_few_groups(conn: &Connection, user: UserId, limits: &Limits) -> Attempt<()> {
    if !limits.groups.is_on() {
        return Ok(());
    }
    let sql = "SELECT COUNT(*) FROM GroupUser WHERE userid = ?1";
    match first(conn, sql, [user.0], |row| Ok(row.get(0)?))? {
        Some(count) if limits.groups.is_exceeded_by(count) => Err(StoreError::TooManyGroups.into()),
        _ => Ok(()),
    }
}

/// As [`expect_few_groups`].
fn expect_few_members(conn: &Connection, group: GroupId, limits: &Limits) -> Attempt<()> {
    if !limits.members.is_on() {
        return Ok(());
    }
    let sql = "SELECT COUNT(*) FROM GroupUser WHERE groupid = ?1";
    match first(conn, sql, [group.0], |row| Ok(row.get(0)?))? {
        Some(count) if limits.members.is_exceeded_by(count) => Err(StoreError::GroupFull.into()),
        _ => Ok(()),
    }
}

pub(super) fn join(
    conn: &Connection,
    group: GroupId,
    user: UserId,
    limits: &Limits,
) -> Attempt<Group> {
    expect_group(conn, group)?;
    expect_user(conn, user)?;
    let sql = "INSERT INTO GroupUser (groupid, userid, grouprole) VALUES (?1, ?2, 'normal') \
         ON CONFLICT DO NOTHING";
    if change(conn, sql, (group.0, user.0))? == 0 {
        return Err(StoreError::AlreadyMember.into());
    }
    expect_few_members(conn, group, limits)?;
    expect_few_groups(conn, user, limits)?;
    let sql = groups_sql!("mine.userid = ?1 AND mine.groupid = ?2");
    let rows = rows(conn, sql, (user.0, group.0), to_row)?;
    gather_groups(rows)?.pop().ok_or(StoreError::NoSuchGroup.into())
}

fn expect_user(conn: &Connection, user: UserId) -> Attempt<()> {
    match accounts::user(conn, user)? {
        Some(_) => Ok(()),
        None => Err(StoreError::NoSuchUser.into()),
    }
}

fn expect_group(conn: &Connection, group: GroupId) -> Attempt<()> {
    match first(conn, "SELECT 1 FROM AllGroup WHERE id = ?1", [group.0], |_| Ok(()))? {
        Some(()) => Ok(()),
        None => Err(StoreError::NoSuchGroup.into()),
    }
}

pub(super) fn leave(conn: &Connection, group: GroupId, user: UserId) -> Attempt<bool> {
    expect_group(conn, group)?;
    let sql = "SELECT grouprole FROM GroupUser WHERE groupid = ?1 AND userid = ?2";
    let role: Option<String> = first(conn, sql, (group.0, user.0), |row| Ok(row.get(0)?))?;
    let Some(role) = role else { return Err(StoreError::NotMember.into()) };
    let dissolves = GroupRole::from_column(&role)? == GroupRole::Creator;
    if dissolves {
        change(conn, "DELETE FROM GroupUser WHERE groupid = ?1", [group.0])?;
        change(conn, "DELETE FROM AllGroup WHERE id = ?1", [group.0])?;
    } else {
        let sql = "DELETE FROM GroupUser WHERE groupid = ?1 AND userid = ?2";
        change(conn, sql, (group.0, user.0))?;
    }
    Ok(dissolves)
}

pub(super) fn of(conn: &Connection, user: UserId) -> Attempt<Vec<Group>> {
    Ok(gather_groups(rows(conn, groups_sql!("mine.userid = ?1"), [user.0], to_row)?)?)
}

fn to_row(row: &Row<'_>) -> Attempt<GroupRow> {
    let (name, description): (Option<String>, Option<String>) = (row.get(1)?, row.get(2)?);
    Ok(GroupRow {
        group: row.get(0)?,
        about: name.zip(description),
        role: row.get(3)?,
        user: row.get(4)?,
        name: row.get(5)?,
        state: row.get(6)?,
    })
}

pub(super) fn members(conn: &Connection, group: GroupId) -> Attempt<Option<Vec<UserId>>> {
    // One row with NULL: a group that is there, with nobody in it.
    let sql = "SELECT m.userid FROM AllGroup g LEFT JOIN GroupUser m ON m.groupid = g.id \
         WHERE g.id = ?1 ORDER BY m.userid";
    let ids: Vec<Option<i64>> = rows(conn, sql, [group.0], |row| Ok(row.get(0)?))?;
    if ids.is_empty() {
        return Ok(None);
    }
    Ok(Some(ids.into_iter().flatten().map(UserId::from_column).collect::<Result<_, _>>()?))
}
