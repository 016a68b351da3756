//! Groups in MySQL.
//!
//! Who changes a group's members locks its row in `AllGroup` first, and who
//! adds one the user's row next: so nobody joins a group that is being
//! dissolved, and nobody counts members or groups while another adds to them.

use super::{Attempt, DbConn, accounts};
use crate::model::group::{GroupRow, gather_groups, groups_sql};
use crate::model::{Group, GroupId, GroupRole, Limits, StoreError, UserId};

type GroupColumns = (i64, Option<String>, Option<String>, String, i64, String, String);

pub(super) fn create(
    db: &mut DbConn,
    creator: UserId,
    name: &str,
    description: &str,
    limits: &Limits,
) -> Attempt<GroupId> {
    lock_user(db, creator)?;
    let sql = "INSERT INTO AllGroup (groupname, groupdesc) VALUES (?, ?)";
    let group = match db.change(sql, (name, description)) {
        Ok(_) => GroupId::from_column(db.inserted_id()?)?,
        Err(fault) if fault.is_name_taken() => return Err(StoreError::NameTaken.into()),
        Err(fault) => return Err(fault),
    };
    let sql = "INSERT INTO GroupUser (groupid, userid, grouprole) VALUES (?, ?, 'creator')";
    db.change(sql, (group.0, creator.0))?;
    expect_few_groups(db, creator, limits)?;
    Ok(group)
}

/// Counts with the newest in it; an error takes that out again.
fn expect_few_groups(db: &mut DbConn, user: UserId, limits: &Limits) -> Attempt<()> {
    if !limits.groups.is_on() {
        return Ok(());
    }
    let sql = "SELECT COUNT(*) FROM GroupUser WHERE userid = ?";
    match db.first::<(i64,)>(sql, (user.0,))? {
        Some((count,)) if limits.groups.is_exceeded_by(count) => {
            Err(StoreError::TooManyGroups.into())
        }
        _ => Ok(()),
    }
}

/// As [`expect_few_groups`].
fn expect_few_members(db: &mut DbConn, group: GroupId, limits: &Limits) -> Attempt<()> {
    if !limits.members.is_on() {
        return Ok(());
    }
    let sql = "SELECT COUNT(*) FROM GroupUser WHERE groupid = ?";
    match db.first::<(i64,)>(sql, (group.0,))? {
        Some((count,)) if limits.members.is_exceeded_by(count) => Err(StoreError::GroupFull.into()),
        _ => Ok(()),
    }
}

pub(super) fn join(
    db: &mut DbConn,
    group: GroupId,
    user: UserId,
    limits: &Limits,
) -> Attempt<Group> {
    let sql = "SELECT id FROM AllGroup WHERE id = ? FOR UPDATE";
    if db.first::<(i64,)>(sql, (group.0,))?.is_none() {
        return Err(StoreError::NoSuchGroup.into());
    }
    lock_user(db, user)?;
    let sql = "INSERT INTO GroupUser (groupid, userid, grouprole) VALUES (?, ?, 'normal') \
         ON DUPLICATE KEY UPDATE groupid = groupid";
    if db.change(sql, (group.0, user.0))? == 0 {
        return Err(StoreError::AlreadyMember.into());
    }
    expect_few_members(db, group, limits)?;
    expect_few_groups(db, user, limits)?;
    let sql = groups_sql!("mine.userid = ? AND mine.groupid = ?");
    let rows = db.rows(sql, (user.0, group.0))?;
    gather(rows)?.pop().ok_or(StoreError::NoSuchGroup.into())
}

fn lock_user(db: &mut DbConn, user: UserId) -> Attempt<()> {
    match accounts::lock_user(db, user)? {
        Some(_) => Ok(()),
        None => Err(StoreError::NoSuchUser.into()),
    }
}

pub(super) fn leave(db: &mut DbConn, group: GroupId, user: UserId) -> Attempt<bool> {
    let sql = "SELECT id FROM AllGroup WHERE id = ? FOR UPDATE";
    if db.first::<(i64,)>(sql, (group.0,))?.is_none() {
        return Err(StoreError::NoSuchGroup.into());
    }
    let sql = "SELECT grouprole FROM GroupUser WHERE groupid = ? AND userid = ?";
    let Some((role,)) = db.first::<(String,)>(sql, (group.0, user.0))? else {
        return Err(StoreError::NotMember.into());
    };
    let dissolves = GroupRole::from_column(&role)? == GroupRole::Creator;
    if dissolves {
        db.change("DELETE FROM GroupUser WHERE groupid = ?", (group.0,))?;
        db.change("DELETE FROM AllGroup WHERE id = ?", (group.0,))?;
    } else {
        let sql = "DELETE FROM GroupUser WHERE groupid = ? AND userid = ?";
        db.change(sql, (group.0, user.0))?;
    }
    Ok(dissolves)
}

pub(super) fn of(db: &mut DbConn, user: UserId) -> Attempt<Vec<Group>> {
    let rows = db.rows(groups_sql!("mine.userid = ?"), (user.0,))?;
    gather(rows)
}

fn gather(rows: Vec<GroupColumns>) -> Attempt<Vec<Group>> {
    let rows = rows
        .into_iter()
        .map(|(group, groupname, groupdesc, role, user, name, state)| GroupRow {
            group,
            about: groupname.zip(groupdesc),
            role,
            user,
            name,
            state,
        })
        .collect();
    Ok(gather_groups(rows)?)
}

pub(super) fn members(db: &mut DbConn, group: GroupId) -> Attempt<Option<Vec<UserId>>> {
    // One row with NULL: a group that is there, with nobody in it.
    let sql = "SELECT m.userid FROM AllGroup g LEFT JOIN GroupUser m ON m.groupid = g.id \
         WHERE g.id = ? ORDER BY m.userid";
    let rows: Vec<(Option<i64>,)> = db.rows(sql, (group.0,))?;
    if rows.is_empty() {
        return Ok(None);
    }
    let ids = rows.into_iter().filter_map(|(id,)| id);
    Ok(Some(ids.map(UserId::from_column).collect::<Result<_, _>>()?))
}
