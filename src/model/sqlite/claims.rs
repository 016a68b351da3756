//! Claims and servers in SQLite.

use std::sync::Arc;

use rusqlite::{Connection, params};

use super::{Attempt, change, first, rows};
use crate::model::{Claim, ClaimOutcome, HeldClaim, ServerRow, StoreError, UserId};

pub(super) fn take(
    conn: &Connection,
    user: UserId,
    claim: &Claim,
    replacing: Option<&Claim>,
) -> Attempt<ClaimOutcome> {
    let sql = "UPDATE User SET state = 'online', \
         claim_server = ?2, claim_epoch = ?3, claim_number = ?4 WHERE id = ?1 AND \
         (claim_server IS NULL \
          OR (claim_server = ?5 AND claim_epoch = ?6 AND claim_number = ?7))";
    // Where nobody is to be replaced: "or held by this very claim".
    let old = replacing.unwrap_or(claim);
    let params = params![
        user.0,
        &*claim.server,
        claim.epoch,
        claim.number,
        &*old.server,
        old.epoch,
        old.number
    ];
    if change(conn, sql, params)? > 0 {
        return Ok(ClaimOutcome::Taken);
    }
    let sql = "SELECT claim_server, claim_epoch, claim_number FROM User WHERE id = ?1";
    let holder = first(conn, sql, [user.0], |row| {
        let server: String = row.get(0)?;
        Ok(Claim { server: Arc::from(server), epoch: row.get(1)?, number: row.get(2)? })
    })?;
    match holder {
        None => Err(StoreError::NoSuchUser.into()),
        Some(holder) if holder == *claim => Ok(ClaimOutcome::Taken),
        Some(holder) => Ok(ClaimOutcome::HeldBy(holder)),
    }
}

pub(super) fn release(conn: &Connection, user: UserId, claim: &Claim) -> Attempt<bool> {
    let sql = "UPDATE User SET state = 'offline', \
         claim_server = NULL, claim_epoch = NULL, claim_number = NULL \
         WHERE id = ?1 AND claim_server = ?2 AND claim_epoch = ?3 AND claim_number = ?4";
    Ok(change(conn, sql, params![user.0, &*claim.server, claim.epoch, claim.number])? > 0)
}

pub(super) fn held_by(conn: &Connection, server: &str, epoch: i64) -> Attempt<Vec<HeldClaim>> {
    let sql = "SELECT id, claim_number FROM User \
         WHERE claim_server = ?1 AND claim_epoch = ?2 ORDER BY id";
    rows(conn, sql, (server, epoch), |row| {
        Ok(HeldClaim { user: UserId::from_column(row.get(0)?)?, number: row.get(1)? })
    })
}

/// Frees every claim of a server, of whatever epoch.
fn free_all(conn: &Connection, server: &str) -> Attempt<u64> {
    let sql = "UPDATE User SET state = 'offline', \
         claim_server = NULL, claim_epoch = NULL, claim_number = NULL WHERE claim_server = ?1";
    change(conn, sql, [server])
}

fn free_epoch(conn: &Connection, server: &str, epoch: i64) -> Attempt<u64> {
    let sql = "UPDATE User SET state = 'offline', \
         claim_server = NULL, claim_epoch = NULL, claim_number = NULL \
         WHERE claim_server = ?1 AND claim_epoch = ?2";
    change(conn, sql, (server, epoch))
}

pub(super) fn start_server(conn: &Connection, id: &str, epoch: i64) -> Attempt<u64> {
    let sql = "INSERT INTO Server (id, epoch, beat) VALUES (?1, ?2, 0) \
         ON CONFLICT DO UPDATE SET epoch = excluded.epoch, beat = 0";
    change(conn, sql, (id, epoch))?;
    free_all(conn, id)
}

pub(super) fn beat(conn: &Connection, id: &str, epoch: i64) -> Attempt<bool> {
    let sql = "UPDATE Server SET beat = beat + 1 WHERE id = ?1 AND epoch = ?2";
    Ok(change(conn, sql, (id, epoch))? > 0)
}

pub(super) fn servers(conn: &Connection) -> Attempt<Vec<ServerRow>> {
    rows(conn, "SELECT id, epoch, beat FROM Server ORDER BY id", [], |row| {
        let id: String = row.get(0)?;
        Ok(ServerRow { id: Arc::from(id), epoch: row.get(1)?, beat: row.get(2)? })
    })
}

pub(super) fn declare_dead(conn: &Connection, seen: &ServerRow) -> Attempt<Option<u64>> {
    let sql = "UPDATE Server SET epoch = epoch + 1 WHERE id = ?1 AND epoch = ?2 AND beat = ?3";
    if change(conn, sql, (&*seen.id, seen.epoch, seen.beat))? == 0 {
        return Ok(None);
    }
    free_all(conn, &seen.id).map(Some)
}

pub(super) fn forget_server(conn: &Connection, seen: &ServerRow) -> Attempt<bool> {
    let sql = "DELETE FROM Server WHERE id = ?1 AND epoch = ?2 AND beat = ?3 \
         AND NOT EXISTS (SELECT 1 FROM User WHERE claim_server = ?1)";
    Ok(change(conn, sql, (&*seen.id, seen.epoch, seen.beat))? > 0)
}

pub(super) fn stop_server(conn: &Connection, id: &str, epoch: i64) -> Attempt<u64> {
    match change(conn, "DELETE FROM Server WHERE id = ?1 AND epoch = ?2", (id, epoch))? {
        0 => free_epoch(conn, id, epoch),
        _ => free_all(conn, id),
    }
}
