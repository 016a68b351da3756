//! Users in SQLite.

use rusqlite::{Connection, Row};

use super::{Attempt, change, first};
use crate::model::{Credentials, StoreError, User, UserId};

pub(super) fn create_user(conn: &Connection, name: &str, hash: &str) -> Attempt<UserId> {
    match change(conn, "INSERT INTO User (name, password) VALUES (?1, ?2)", (name, hash)) {
        Ok(_) => Ok(UserId::from_column(conn.last_insert_rowid())?),
        Err(fault) if fault.is_name_taken() => Err(StoreError::NameTaken.into()),
        Err(fault) => Err(fault),
    }
}

pub(super) fn credentials_by_id(conn: &Connection, id: UserId) -> Attempt<Option<Credentials>> {
    first(conn, "SELECT id, name, password FROM User WHERE id = ?1", [id.0], credentials)
}

pub(super) fn credentials_by_name(conn: &Connection, name: &str) -> Attempt<Option<Credentials>> {
    first(conn, "SELECT id, name, password FROM User WHERE name = ?1", [name], credentials)
}

fn credentials(row: &Row<'_>) -> Attempt<Credentials> {
    let id = UserId::from_column(row.get(0)?)?;
    Ok(Credentials { id, name: row.get(1)?, password_hash: row.get(2)? })
}

pub(super) fn user(conn: &Connection, id: UserId) -> Attempt<Option<User>> {
    first(conn, "SELECT id, name, state FROM User WHERE id = ?1", [id.0], to_user)
}

/// A user from the columns `id`, `name`, `state`.
pub(super) fn to_user(row: &Row<'_>) -> Attempt<User> {
    Ok(User::from_columns(
        row.get(0)?,
        row.get(1)?,
        row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?,
    )?)
}
