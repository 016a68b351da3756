//! Missed messages in SQLite: one prepared statement per row, one commit (and
//! one fsync) for all.

use std::time::Duration;

use rusqlite::{Connection, params};

use super::{Attempt, change, first, rows};
use crate::model::offline::DROPPED_AT_ONCE;
use crate::model::{
    OfflineKey, OfflineOp, OfflinePage, OfflineRow, OfflineSize, Pushed, StoreError, UserId,
};

pub(super) fn apply(conn: &Connection, ops: &[OfflineOp]) -> Attempt<()> {
    for op in ops {
        match op {
            OfflineOp::Insert { to, sender, mid, message } => {
                let message = std::str::from_utf8(message).map_err(|error| {
                    StoreError::Internal(format!("a message that is not UTF-8: {error}"))
                })?;
                let sql = "INSERT INTO OfflineMessage (userid, sender, mid, message, stored) \
                     VALUES (?1, ?2, ?3, ?4, CURRENT_TIMESTAMP) ON CONFLICT DO NOTHING";
                change(conn, sql, params![to.0, sender.0, &**mid, message])?;
            }
            OfflineOp::DeleteRows { to, rows } => {
                let sql = "DELETE FROM OfflineMessage WHERE userid = ?1 AND id = ?2";
                for row in rows {
                    change(conn, sql, (to.0, *row))?;
                }
            }
            OfflineOp::DeleteMessage { to, sender, mid } => {
                let sql =
                    "DELETE FROM OfflineMessage WHERE userid = ?1 AND sender = ?2 AND mid = ?3";
                change(conn, sql, params![to.0, sender.0, &**mid])?;
            }
        }
    }
    Ok(())
}

pub(super) fn page(
    conn: &Connection,
    user: UserId,
    pushed: &Pushed,
    max_rows: usize,
    max_bytes: usize,
) -> Attempt<OfflinePage> {
    let sql = "SELECT id, sender, mid, message FROM OfflineMessage WHERE userid = ?1 ORDER BY id";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([user.0])?;
    let (mut page, mut bytes) = (Vec::new(), 0usize);
    // Rows are read one by one: what is passed over or does not fit is never
    // copied, and what is behind that never read.
    while page.len() < max_rows {
        let Some(row) = rows.next()? else {
            return Ok(OfflinePage { rows: page, exhausted: true });
        };
        let (id, sender) = (row.get(0)?, UserId::from_column(row.get(1)?)?);
        let mid = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
        if pushed.contains(id, sender, mid) {
            continue;
        }
        let message = row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?;
        bytes = bytes.saturating_add(message.len());
        if bytes > max_bytes && !page.is_empty() {
            break;
        }
        page.push(OfflineRow { row: id, sender, mid: mid.to_owned(), message: message.to_owned() });
    }
    Ok(OfflinePage { rows: page, exhausted: false })
}

pub(super) fn waiting_for(conn: &Connection, server: &str, epoch: i64) -> Attempt<Vec<UserId>> {
    let sql = "SELECT u.id FROM User u WHERE u.claim_server = ?1 AND u.claim_epoch = ?2 \
         AND EXISTS (SELECT 1 FROM OfflineMessage o WHERE o.userid = u.id) ORDER BY u.id";
    rows(conn, sql, (server, epoch), |row| Ok(UserId::from_column(row.get(0)?)?))
}

pub(super) fn size(conn: &Connection, user: UserId, most: OfflineSize) -> Attempt<OfflineSize> {
    // The lengths stand in the rows' heads: no text is read.
    let sql = match most.bytes {
        u64::MAX => "SELECT 0 FROM OfflineMessage WHERE userid = ?1",
        _ => "SELECT octet_length(message) FROM OfflineMessage WHERE userid = ?1",
    };
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([user.0])?;
    let mut size = OfflineSize::default();
    while size.rows < most.rows && size.bytes < most.bytes {
        let Some(row) = rows.next()? else { break };
        let bytes: i64 = row.get(0)?;
        size = size.plus(OfflineSize { rows: 1, bytes: bytes.unsigned_abs() });
    }
    Ok(size)
}

pub(super) fn are_there(conn: &Connection, messages: &[OfflineKey]) -> Attempt<Vec<bool>> {
    let sql = "SELECT 1 FROM OfflineMessage WHERE userid = ?1 AND sender = ?2 AND mid = ?3";
    let mut there = Vec::with_capacity(messages.len());
    for OfflineKey { to, sender, mid } in messages {
        there.push(first(conn, sql, params![to.0, sender.0, &**mid], |_| Ok(()))?.is_some());
    }
    Ok(there)
}

pub(super) fn drop_some_older_than(conn: &Connection, age: Duration) -> Attempt<u64> {
    // No index by time: rows are numbered in the order in which they come.
    let sql = "DELETE FROM OfflineMessage WHERE id IN \
         (SELECT id FROM OfflineMessage ORDER BY id LIMIT ?1) \
         AND unixepoch(stored) + ?2 < unixepoch()";
    change(conn, sql, (DROPPED_AT_ONCE as i64, age.as_secs() as i64))
}
