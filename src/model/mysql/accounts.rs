//! Users in MySQL.

use super::{Attempt, DbConn};
use crate::model::{Credentials, StoreError, User, UserId};

pub(super) fn create_user(db: &mut DbConn, name: &str, hash: &str) -> Attempt<UserId> {
    let sql = "INSERT INTO `User` (name, password) VALUES (?, ?)";
    match db.change(sql, (name, hash)) {
        Ok(_) => Ok(UserId::from_column(db.inserted_id()?)?),
        Err(fault) if fault.is_name_taken() => Err(StoreError::NameTaken.into()),
        Err(fault) => Err(fault),
    }
}

pub(super) fn credentials_by_id(db: &mut DbConn, id: UserId) -> Attempt<Option<Credentials>> {
    let sql = "SELECT id, name, password FROM `User` WHERE id = ?";
    credentials(db.first(sql, (id.0,))?)
}

pub(super) fn credentials_by_name(db: &mut DbConn, name: &str) -> Attempt<Option<Credentials>> {
    let sql = "SELECT id, name, password FROM `User` WHERE name = ?";
    // MySQL passes over white space at the end when it compares; no name has
    // any, so only the one who asks may be wrong.
    let found = credentials(db.first(sql, (name,))?)?;
    Ok(found.filter(|credentials| credentials.name == name))
}

fn credentials(row: Option<(i64, String, String)>) -> Attempt<Option<Credentials>> {
    let Some((id, name, password_hash)) = row else { return Ok(None) };
    Ok(Some(Credentials { id: UserId::from_column(id)?, name, password_hash }))
}

/// The user, whom nobody else changes before this transaction ends: not the
/// friends, groups or tokens either, since who adds to those locks the user
/// first.
pub(super) fn lock_user(db: &mut DbConn, id: UserId) -> Attempt<Option<User>> {
    let row = db.first("SELECT id, name, state FROM `User` WHERE id = ? FOR UPDATE", (id.0,))?;
    to_user(row)
}

pub(super) fn user(db: &mut DbConn, id: UserId) -> Attempt<Option<User>> {
    to_user(db.first("SELECT id, name, state FROM `User` WHERE id = ?", (id.0,))?)
}

fn to_user(row: Option<(i64, String, String)>) -> Attempt<Option<User>> {
    let Some((id, name, state)) = row else { return Ok(None) };
    Ok(Some(User::from_columns(id, name, &state)?))
}
