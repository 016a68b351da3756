//! Login tokens in SQLite.

use rusqlite::{Connection, params};

use super::{Attempt, accounts, change, first, rows};
use crate::model::token::{Fate, MOST_EXPIRED, TOKEN_LIFETIME_SECONDS, fates};
use crate::model::{StoreError, TokenHash, UserId};

/// Tokens that are changed in one transaction when many are: others write in
/// between.
pub(super) const AT_ONCE: usize = 1_000;

pub(super) fn user_of(
    conn: &Connection,
    user: UserId,
    token: &TokenHash,
) -> Attempt<Option<String>> {
    let sql = "SELECT u.name FROM LoginToken t JOIN User u ON u.id = t.userid \
         WHERE t.hash = ?1 AND t.userid = ?2 AND t.expires > unixepoch()";
    first(conn, sql, params![token.0, user.0], |row| Ok(row.get(0)?))
}

pub(super) fn add(
    conn: &Connection,
    user: UserId,
    new: &TokenHash,
    presented: Option<&TokenHash>,
) -> Attempt<()> {
    if accounts::user(conn, user)?.is_none() {
        return Err(StoreError::NoSuchUser.into());
    }
    let sql = "SELECT id, hash FROM LoginToken WHERE userid = ?1 ORDER BY id";
    let tokens = rows(conn, sql, [user.0], |row| Ok((row.get(0)?, TokenHash(row.get(1)?))))?;
    for (id, fate) in fates(&tokens, new, presented) {
        match fate {
            Fate::Renewed => {
                let sql = "UPDATE LoginToken SET expires = unixepoch() + ?1 WHERE id = ?2";
                change(conn, sql, [TOKEN_LIFETIME_SECONDS, id])?
            }
            Fate::Dropped => change(conn, "DELETE FROM LoginToken WHERE id = ?1", [id])?,
        };
    }
    if tokens.iter().any(|(_, hash)| hash == new) {
        return Ok(());
    }
    let sql = "INSERT INTO LoginToken (userid, hash, expires) VALUES (?1, ?2, unixepoch() + ?3)";
    match change(conn, sql, params![user.0, new.0, TOKEN_LIFETIME_SECONDS]) {
        Ok(_) => Ok(()),
        Err(fault) if fault.is_name_taken() => {
            Err(StoreError::Internal("the new token is another user's already".to_owned()).into())
        }
        Err(fault) => Err(fault),
    }
}

pub(super) fn drop_older(conn: &Connection, user: UserId, token: &TokenHash) -> Attempt<()> {
    // Where this one is not there the comparison is with NULL: nothing goes.
    let sql = "DELETE FROM LoginToken WHERE userid = ?1 \
         AND id < (SELECT id FROM LoginToken WHERE hash = ?2 AND userid = ?1)";
    change(conn, sql, params![user.0, token.0])?;
    Ok(())
}

pub(super) fn drop_until(conn: &Connection, user: UserId, token: &TokenHash) -> Attempt<()> {
    let sql = "DELETE FROM LoginToken WHERE userid = ?1 \
         AND id <= (SELECT id FROM LoginToken WHERE hash = ?2 AND userid = ?1)";
    change(conn, sql, params![user.0, token.0])?;
    Ok(())
}

/// The tokens of all users whom this server and epoch hold. CROSS JOIN: from
/// the claims to the tokens, since there may be many more tokens of others.
pub(super) fn of_claimed(conn: &Connection, server: &str, epoch: i64) -> Attempt<Vec<i64>> {
    let sql = "SELECT t.id FROM User u CROSS JOIN LoginToken t ON t.userid = u.id \
         WHERE u.claim_server = ?1 AND u.claim_epoch = ?2";
    rows(conn, sql, (server, epoch), |row| Ok(row.get(0)?))
}

/// Lets the lives of those of these begin anew that have not ended.
pub(super) fn renew(conn: &Connection, ids: &[i64]) -> Attempt<()> {
    let sql = "UPDATE LoginToken SET expires = unixepoch() + ?1 \
         WHERE id = ?2 AND expires > unixepoch()";
    for id in ids {
        change(conn, sql, [TOKEN_LIFETIME_SECONDS, *id])?;
    }
    Ok(())
}

/// Tokens that have expired, those that did so first.
pub(super) fn expired(conn: &Connection) -> Attempt<Vec<i64>> {
    let sql = "SELECT id FROM LoginToken WHERE expires <= unixepoch() ORDER BY expires LIMIT ?1";
    rows(conn, sql, [MOST_EXPIRED as i64], |row| Ok(row.get(0)?))
}

/// Deletes those of these that nobody has renewed meanwhile.
pub(super) fn delete_expired(conn: &Connection, ids: &[i64]) -> Attempt<()> {
    let sql = "DELETE FROM LoginToken WHERE id = ?1 AND expires <= unixepoch()";
    for id in ids {
        change(conn, sql, [*id])?;
    }
    Ok(())
}
