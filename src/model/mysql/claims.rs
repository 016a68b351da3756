//! Claims and servers in MySQL.
//!
//! Transactions lock the row in `Server` first, then rows in `User`.

use std::sync::Arc;

use mysql::Value;

use super::{Attempt, DbConn};
use crate::model::{Claim, ClaimOutcome, HeldClaim, ServerRow, StoreError, UserId};

/// How often a claim may change hands between the UPDATE and the look at it.
const TAKE_ATTEMPTS: usize = 8;

type ClaimColumns = (Option<String>, Option<i64>, Option<i64>);

pub(super) fn take(
    db: &mut DbConn,
    user: UserId,
    claim: &Claim,
    replacing: Option<&Claim>,
) -> Attempt<ClaimOutcome> {
    const TAKE: &str = "UPDATE `User` SET state = 'online', \
         claim_server = ?, claim_epoch = ?, claim_number = ? WHERE id = ? AND \
         (claim_server IS NULL \
          OR (claim_server = ? AND claim_epoch = ? AND claim_number = ?))";
    // Where nobody is to be replaced: "or held by this very claim".
    let old = replacing.unwrap_or(claim);
    for _ in 0..TAKE_ATTEMPTS {
        let params: [Value; 7] = [
            (&*claim.server).into(),
            claim.epoch.into(),
            claim.number.into(),
            user.0.into(),
            (&*old.server).into(),
            old.epoch.into(),
            old.number.into(),
        ];
        if db.change(TAKE, params.to_vec())? > 0 {
            return Ok(ClaimOutcome::Taken);
        }
        let row: Option<ClaimColumns> = db.first(
            "SELECT claim_server, claim_epoch, claim_number FROM `User` WHERE id = ?",
            (user.0,),
        )?;
        match row {
            None => return Err(StoreError::NoSuchUser.into()),
            Some((Some(server), Some(epoch), Some(number))) => {
                let holder = Claim { server: server.into(), epoch, number };
                if holder == *claim {
                    return Ok(ClaimOutcome::Taken);
                }
                if replacing != Some(&holder) {
                    return Ok(ClaimOutcome::HeldBy(holder));
                }
            }
            // Let go between the two statements: free for the taking.
            Some(_) => {}
        }
    }
    Err(StoreError::Unavailable(format!("user {user}'s claim changes all the time")).into())
}

pub(super) fn release(db: &mut DbConn, user: UserId, claim: &Claim) -> Attempt<bool> {
    let sql = "UPDATE `User` SET state = 'offline', \
         claim_server = NULL, claim_epoch = NULL, claim_number = NULL \
         WHERE id = ? AND claim_server = ? AND claim_epoch = ? AND claim_number = ?";
    Ok(db.change(sql, (user.0, &*claim.server, claim.epoch, claim.number))? > 0)
}

pub(super) fn held_by(db: &mut DbConn, server: &str, epoch: i64) -> Attempt<Vec<HeldClaim>> {
    let sql = "SELECT id, claim_number FROM `User` \
         WHERE claim_server = ? AND claim_epoch = ? ORDER BY id";
    let rows: Vec<(i64, i64)> = db.rows(sql, (server, epoch))?;
    rows.into_iter()
        .map(|(user, number)| Ok(HeldClaim { user: UserId::from_column(user)?, number }))
        .collect()
}

/// Frees every claim of a server, of whatever epoch.
fn free_all(db: &mut DbConn, server: &str) -> Attempt<u64> {
    let sql = "UPDATE `User` SET state = 'offline', \
         claim_server = NULL, claim_epoch = NULL, claim_number = NULL WHERE claim_server = ?";
    db.change(sql, (server,))
}

fn free_epoch(db: &mut DbConn, server: &str, epoch: i64) -> Attempt<u64> {
    let sql = "UPDATE `User` SET state = 'offline', \
         claim_server = NULL, claim_epoch = NULL, claim_number = NULL \
         WHERE claim_server = ? AND claim_epoch = ?";
    db.change(sql, (server, epoch))
}

pub(super) fn start_server(db: &mut DbConn, id: &str, epoch: i64) -> Attempt<u64> {
    let sql = "INSERT INTO `Server` (id, epoch, beat) VALUES (?, ?, 0) \
         ON DUPLICATE KEY UPDATE epoch = VALUES(epoch), beat = 0";
    db.change(sql, (id, epoch))?;
    free_all(db, id)
}

pub(super) fn beat(db: &mut DbConn, id: &str, epoch: i64) -> Attempt<bool> {
    let sql = "UPDATE `Server` SET beat = beat + 1 WHERE id = ? AND epoch = ?";
    Ok(db.change(sql, (id, epoch))? > 0)
}

pub(super) fn servers(db: &mut DbConn) -> Attempt<Vec<ServerRow>> {
    let rows: Vec<(String, i64, i64)> =
        db.rows("SELECT id, epoch, beat FROM `Server` ORDER BY id", ())?;
    Ok(rows
        .into_iter()
        .map(|(id, epoch, beat)| ServerRow { id: Arc::from(id), epoch, beat })
        .collect())
}

pub(super) fn declare_dead(db: &mut DbConn, seen: &ServerRow) -> Attempt<Option<u64>> {
    let sql = "UPDATE `Server` SET epoch = epoch + 1 WHERE id = ? AND epoch = ? AND beat = ?";
    if db.change(sql, (&*seen.id, seen.epoch, seen.beat))? == 0 {
        return Ok(None);
    }
    free_all(db, &seen.id).map(Some)
}

pub(super) fn forget_server(db: &mut DbConn, seen: &ServerRow) -> Attempt<bool> {
    // The row first: a start or a beat of this id waits for it, or was before.
    let sql = "SELECT id FROM `Server` WHERE id = ? AND epoch = ? AND beat = ? FOR UPDATE";
    if db.first::<(String,)>(sql, (&*seen.id, seen.epoch, seen.beat))?.is_none() {
        return Ok(false);
    }
    let sql = "SELECT id FROM `User` WHERE claim_server = ? LIMIT 1";
    if db.first::<(i64,)>(sql, (&*seen.id,))?.is_some() {
        return Ok(false);
    }
    Ok(db.change("DELETE FROM `Server` WHERE id = ?", (&*seen.id,))? > 0)
}

pub(super) fn stop_server(db: &mut DbConn, id: &str, epoch: i64) -> Attempt<u64> {
    match db.change("DELETE FROM `Server` WHERE id = ? AND epoch = ?", (id, epoch))? {
        0 => free_epoch(db, id, epoch),
        _ => free_all(db, id),
    }
}
