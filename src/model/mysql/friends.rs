//! Friendships in MySQL.

use super::{Attempt, DbConn, accounts};
use crate::model::friend::both_sides;
use crate::model::{StoreError, User, UserId};

pub(super) fn add(db: &mut DbConn, user: UserId, friend: UserId) -> Attempt<User> {
    if user == friend {
        return Err(StoreError::Internal(format!("user {user} as one's own friend")).into());
    }
    let (Some(found), Some(_)) = (accounts::user(db, friend)?, accounts::user(db, user)?) else {
        return Err(StoreError::NoSuchUser.into());
    };
    // Both rows in one order, whoever asks; a side that is there counts 0.
    let [(a, b), (c, d)] = both_sides(user, friend);
    let sql = "INSERT INTO Friend (userid, friendid) VALUES (?, ?), (?, ?) \
         ON DUPLICATE KEY UPDATE userid = userid";
    match db.change(sql, (a.0, b.0, c.0, d.0))? {
        0 => Err(StoreError::AlreadyFriends.into()),
        _ => Ok(found),
    }
}

pub(super) fn remove(db: &mut DbConn, user: UserId, friend: UserId) -> Attempt<()> {
    let mut gone = 0;
    for (a, b) in both_sides(user, friend) {
        gone += db.change("DELETE FROM Friend WHERE userid = ? AND friendid = ?", (a.0, b.0))?;
    }
    if gone > 0 {
        return Ok(());
    }
    match accounts::user(db, friend)? {
        Some(_) => Err(StoreError::NotFriends.into()),
        None => Err(StoreError::NoSuchUser.into()),
    }
}

pub(super) fn of(db: &mut DbConn, user: UserId) -> Attempt<Vec<User>> {
    let sql = "SELECT u.id, u.name, u.state FROM Friend f JOIN `User` u ON u.id = f.friendid \
         WHERE f.userid = ? ORDER BY u.id";
    let rows: Vec<(i64, String, String)> = db.rows(sql, (user.0,))?;
    rows.into_iter().map(|(id, name, state)| Ok(User::from_columns(id, name, &state)?)).collect()
}
