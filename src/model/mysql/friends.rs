//! Friendships in MySQL.
//!
//! Who makes one locks both users, the lower number first: so nobody counts
//! friends while another adds to them.

use super::{Attempt, DbConn, accounts};
use crate::model::friend::both_sides;
use crate::model::{Limits, StoreError, User, UserId};

pub(super) fn add(db: &mut DbConn, user: UserId, friend: UserId, limits: &Limits) -> Attempt<User> {
    if user == friend {
        return Err(StoreError::Internal(format!("user {user} as one's own friend")).into());
    }
    // Both users and both rows in one order, whoever asks.
    let [(a, b), (c, d)] = both_sides(user, friend);
    let (Some(low), Some(high)) = (accounts::lock_user(db, a)?, accounts::lock_user(db, c)?) else {
        return Err(StoreError::NoSuchUser.into());
    };
    // A side that is there counts 0.
    let sql = "INSERT INTO Friend (userid, friendid) VALUES (?, ?), (?, ?) \
         ON DUPLICATE KEY UPDATE userid = userid";
    match db.change(sql, (a.0, b.0, c.0, d.0))? {
        0 => return Err(StoreError::AlreadyFriends.into()),
        _ if limits.friends.is_on() => {}
        _ => return Ok(if low.id == friend { low } else { high }),
    }
    // Counted with the new one in it; an error takes it out again.
    for (one, too_many) in
        [(user, StoreError::TooManyFriends), (friend, StoreError::FriendHasTooMany)]
    {
        let sql = "SELECT COUNT(*) FROM Friend WHERE userid = ?";
        let count: Option<(i64,)> = db.first(sql, (one.0,))?;
        if count.is_some_and(|(count,)| limits.friends.is_exceeded_by(count)) {
            return Err(too_many.into());
        }
    }
    Ok(if low.id == friend { low } else { high })
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
