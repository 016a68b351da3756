//! Login tokens in MySQL.
//!
//! Rows of `LoginToken` are found by reads that lock nothing, and then locked
//! by their primary key only, lowest first; who adds one has locked the user's
//! row in `User` before. So logins, log-outs and refreshes wait for each other
//! in one order, whoever's tokens they are at.

use mysql::Value;

use super::ids::{IdForms, by_form, id_forms};
use super::{Attempt, DbConn};
use crate::model::token::{Fate, MOST_EXPIRED, TOKEN_LIFETIME_SECONDS, fates};
use crate::model::{StoreError, TokenHash, UserId};

pub(super) fn user_of(db: &mut DbConn, user: UserId, token: &TokenHash) -> Attempt<Option<String>> {
    let sql = "SELECT u.name FROM LoginToken t JOIN `User` u ON u.id = t.userid \
         WHERE t.hash = ? AND t.userid = ? AND t.expires > UNIX_TIMESTAMP()";
    let row: Option<(String,)> = db.first(sql, (&token.0[..], user.0))?;
    Ok(row.map(|(name,)| name))
}

pub(super) fn add(
    db: &mut DbConn,
    user: UserId,
    new: &TokenHash,
    presented: Option<&TokenHash>,
) -> Attempt<()> {
    // Two logins of one user come one after the other.
    let sql = "SELECT id FROM `User` WHERE id = ? FOR UPDATE";
    if db.first::<(i64,)>(sql, (user.0,))?.is_none() {
        return Err(StoreError::NoSuchUser.into());
    }
    let tokens = of_user(db, user)?;
    for (id, fate) in fates(&tokens, new, presented) {
        match fate {
            Fate::Renewed => {
                let sql = "UPDATE LoginToken SET expires = UNIX_TIMESTAMP() + ? WHERE id = ?";
                db.change(sql, (TOKEN_LIFETIME_SECONDS, id))?
            }
            Fate::Dropped => db.change("DELETE FROM LoginToken WHERE id = ?", (id,))?,
        };
    }
    if tokens.iter().any(|(_, hash)| hash == new) {
        return Ok(());
    }
    // Last, since its row is the highest. No ON DUPLICATE KEY: that would lock
    // a gap where many others insert.
    let sql = "INSERT INTO LoginToken (userid, hash, expires) VALUES (?, ?, UNIX_TIMESTAMP() + ?)";
    match db.change(sql, (user.0, &new.0[..], TOKEN_LIFETIME_SECONDS)) {
        Ok(_) => Ok(()),
        // The database's own words show the hash.
        Err(fault) if fault.is_name_taken() => {
            Err(StoreError::Internal("the new token is another user's already".to_owned()).into())
        }
        Err(fault) => Err(fault),
    }
}

/// The user's tokens, in the order in which they were made.
fn of_user(db: &mut DbConn, user: UserId) -> Attempt<Vec<(i64, TokenHash)>> {
    let sql = "SELECT id, hash FROM LoginToken FORCE INDEX (LoginToken_userid) \
         WHERE userid = ? ORDER BY id";
    let rows: Vec<(i64, Vec<u8>)> = db.rows(sql, (user.0,))?;
    rows.into_iter()
        .map(|(id, hash)| match <[u8; 32]>::try_from(hash) {
            Ok(hash) => Ok((id, TokenHash(hash))),
            Err(_) => Err(StoreError::Internal("a token's hash is not 32 bytes".to_owned()).into()),
        })
        .collect()
}

pub(super) fn drop_older(db: &mut DbConn, user: UserId, token: &TokenHash) -> Attempt<()> {
    let sql = "SELECT older.id FROM LoginToken t \
         JOIN LoginToken older ON older.userid = t.userid AND older.id < t.id \
         WHERE t.hash = ? AND t.userid = ? ORDER BY older.id";
    let ids = ids(db.rows(sql, (&token.0[..], user.0))?);
    delete(db, &ids)
}

pub(super) fn drop_until(db: &mut DbConn, user: UserId, token: &TokenHash) -> Attempt<()> {
    let sql = "SELECT older.id FROM LoginToken t \
         JOIN LoginToken older ON older.userid = t.userid AND older.id <= t.id \
         WHERE t.hash = ? AND t.userid = ? ORDER BY older.id";
    let ids = ids(db.rows(sql, (&token.0[..], user.0))?);
    delete(db, &ids)
}

fn ids(rows: Vec<(i64,)>) -> Vec<i64> {
    rows.into_iter().map(|(id,)| id).collect()
}

fn delete(db: &mut DbConn, ids: &[i64]) -> Attempt<()> {
    static SQL: IdForms = id_forms!("DELETE FROM LoginToken WHERE id IN ({})");
    for (form, ids) in by_form(ids) {
        db.change(&SQL[form], ids)?;
    }
    Ok(())
}

/// The tokens of all users whom this server and epoch hold, in order. From the
/// claims to the tokens, whatever the optimiser makes of their numbers: there
/// may be a hundred times as many tokens of others.
pub(super) fn of_claimed(db: &mut DbConn, server: &str, epoch: i64) -> Attempt<Vec<i64>> {
    let sql = "SELECT t.id FROM `User` u FORCE INDEX (User_claim) \
         STRAIGHT_JOIN LoginToken t FORCE INDEX (LoginToken_userid) ON t.userid = u.id \
         WHERE u.claim_server = ? AND u.claim_epoch = ?";
    let mut ids = ids(db.rows(sql, (server, epoch))?);
    ids.sort_unstable();
    Ok(ids)
}

/// Lets the lives of those of these begin anew that have not ended.
pub(super) fn renew(db: &mut DbConn, ids: &[i64]) -> Attempt<()> {
    static SQL: IdForms = id_forms!(
        "UPDATE LoginToken FORCE INDEX (PRIMARY) SET expires = UNIX_TIMESTAMP() + ? \
         WHERE id IN ({}) AND expires > UNIX_TIMESTAMP()"
    );
    for (form, ids) in by_form(ids) {
        let lifetime: Value = TOKEN_LIFETIME_SECONDS.into();
        let params: Vec<Value> = std::iter::once(lifetime).chain(ids).collect();
        db.change(&SQL[form], params)?;
    }
    Ok(())
}

/// Tokens that have expired: those that did so first, ordered by row.
pub(super) fn expired(db: &mut DbConn) -> Attempt<Vec<i64>> {
    let sql = "SELECT id FROM LoginToken FORCE INDEX (LoginToken_expires) \
         WHERE expires <= UNIX_TIMESTAMP() ORDER BY expires LIMIT ?";
    let mut ids = ids(db.rows(sql, (MOST_EXPIRED,))?);
    ids.sort_unstable();
    Ok(ids)
}

/// Deletes those of these that nobody has renewed meanwhile.
pub(super) fn delete_expired(db: &mut DbConn, ids: &[i64]) -> Attempt<()> {
    // `+ 0`, so that the index over `expires` is of no use: a row that is found
    // by it is locked there first, and who renews one locks the other way round.
    static SQL: IdForms =
        id_forms!("DELETE FROM LoginToken WHERE id IN ({}) AND expires + 0 <= UNIX_TIMESTAMP()");
    for (form, ids) in by_form(ids) {
        db.change(&SQL[form], ids)?;
    }
    Ok(())
}
