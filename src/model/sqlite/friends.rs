//! Friendships in SQLite.

use rusqlite::Connection;

use super::{Attempt, accounts, change, first, rows};
use crate::model::friend::both_sides;
use crate::model::{Limits, StoreError, User, UserId};

pub(super) fn add(
    conn: &Connection,
    user: UserId,
    friend: UserId,
    limits: &Limits,
) -> Attempt<User> {
    if user == friend {
        return Err(StoreError::Internal(format!("user {user} as one's own friend")).into());
    }
    let (Some(found), Some(_)) = (accounts::user(conn, friend)?, accounts::user(conn, user)?)
    else {
        return Err(StoreError::NoSuchUser.into());
    };
    let [(a, b), (c, d)] = both_sides(user, friend);
    let sql = "INSERT INTO Friend (userid, friendid) VALUES (?1, ?2), (?3, ?4) \
         ON CONFLICT DO NOTHING";
    match change(conn, sql, (a.0, b.0, c.0, d.0))? {
        0 => return Err(StoreError::AlreadyFriends.into()),
        _ if limits.friends.is_on() => {}
        _ => return Ok(found),
    }
    // Counted with the new one in it; an error takes it out again.
    for (one, too_many) in
        [(user, StoreError::TooManyFriends), (friend, StoreError::FriendHasTooMany)]
    {
        let sql = "SELECT COUNT(*) FROM Friend WHERE userid = ?1";
        let count: Option<i64> = first(conn, sql, [one.0], |row| Ok(row.get(0)?))?;
        if count.is_some_and(|count| limits.friends.is_exceeded_by(count)) {
            return Err(too_many.into());
        }
    }
    Ok(found)
}

pub(super) fn remove(conn: &Connection, user: UserId, friend: UserId) -> Attempt<()> {
    let sql = "DELETE FROM Friend WHERE (userid = ?1 AND friendid = ?2) \
         OR (userid = ?2 AND friendid = ?1)";
    if change(conn, sql, (user.0, friend.0))? > 0 {
        return Ok(());
    }
    match accounts::user(conn, friend)? {
        Some(_) => Err(StoreError::NotFriends.into()),
        None => Err(StoreError::NoSuchUser.into()),
    }
}

pub(super) fn of(conn: &Connection, user: UserId) -> Attempt<Vec<User>> {
    let sql = "SELECT u.id, u.name, u.state FROM Friend f JOIN User u ON u.id = f.friendid \
         WHERE f.userid = ?1 ORDER BY u.id";
    rows(conn, sql, [user.0], accounts::to_user)
}
