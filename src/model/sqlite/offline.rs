//! Missed messages in SQLite: one prepared statement per row, one commit (and
//! one fsync) for all.

use rusqlite::{Connection, params};

use super::{Attempt, change, rows};
use crate::model::{OfflineOp, OfflinePage, OfflineRow, Pushed, StoreError, UserId};

pub(super) fn apply(conn: &Connection, ops: &[OfflineOp]) -> Attempt<()> {
    for op in ops {
        match op {
            OfflineOp::Insert { to, sender, mid, message } => {
                let message = std::str::from_utf8(message).map_err(|error| {
                    StoreError::Internal(format!("a message that is not UTF-8: {error}"))
                })?;
                let sql = "INSERT INTO OfflineMessage (userid, sender, mid, message) \
                     VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
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
