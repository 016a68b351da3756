//! Missed messages in MySQL: many rows to a statement, in a few fixed sizes,
//! so that every statement stays prepared.

use std::sync::LazyLock;

use mysql::Value;

use super::{Attempt, DbConn};
use crate::model::offline::within;
use crate::model::{OfflineOp, OfflinePage, OfflineRow, StoreError, UserId};

/// Rows of one statement, largest first; 1 is among them, so that any number
/// can be put together.
const STATEMENT_ROWS: [usize; 3] = [128, 16, 1];

/// Larger statements are no faster, and others wait behind them.
const MAX_STATEMENT_BYTES: usize = 1 << 20;

/// Room in a packet for all that is not the rows' texts: per row, and once.
const ROW_OVERHEAD_BYTES: usize = 32;
const PACKET_OVERHEAD_BYTES: usize = 256;

/// One row to insert, borrowed from its operation.
struct NewRow<'a> {
    to: UserId,
    sender: UserId,
    mid: &'a [u8],
    message: &'a [u8],
}

impl NewRow<'_> {
    fn bytes(&self) -> usize {
        self.mid.len() + self.message.len() + ROW_OVERHEAD_BYTES
    }
}

pub(super) fn apply(db: &mut DbConn, ops: &[OfflineOp]) -> Attempt<()> {
    let mut inserts: Vec<NewRow<'_>> = Vec::new();
    for op in ops {
        // Neighbouring inserts go together; a delete sees all before it.
        if !matches!(op, OfflineOp::Insert { .. }) {
            insert(db, &inserts)?;
            inserts.clear();
        }
        match op {
            OfflineOp::Insert { to, sender, mid, message } => {
                inserts.push(NewRow { to: *to, sender: *sender, mid, message });
            }
            OfflineOp::DeleteRows { to, rows } => delete_rows(db, *to, rows)?,
            OfflineOp::DeleteMessage { to, sender, mid } => {
                let sql = "DELETE FROM OfflineMessage WHERE userid = ? AND sender = ? AND mid = ?";
                db.change(sql, (to.0, sender.0, &**mid))?;
            }
        }
    }
    insert(db, &inserts)
}

fn insert(db: &mut DbConn, mut rows: &[NewRow<'_>]) -> Attempt<()> {
    static SQL: LazyLock<[String; 3]> = LazyLock::new(|| {
        STATEMENT_ROWS.map(|count| {
            format!(
                "INSERT INTO OfflineMessage (userid, sender, mid, message) VALUES {} \
                 ON DUPLICATE KEY UPDATE id = id",
                vec!["(?, ?, ?, ?)"; count].join(", ")
            )
        })
    });
    let packet = db.max_packet_bytes.saturating_sub(PACKET_OVERHEAD_BYTES);
    let budget = packet.min(MAX_STATEMENT_BYTES);
    while !rows.is_empty() {
        let form = insert_form(rows, budget);
        let (now, later) = rows.split_at(STATEMENT_ROWS[form]);
        let bytes: usize = now.iter().map(NewRow::bytes).sum();
        if bytes > packet {
            return Err(StoreError::Internal(format!(
                "a message of {bytes} bytes is larger than the database's max_allowed_packet of \
                 {}: raise that",
                db.max_packet_bytes
            ))
            .into());
        }
        let params: Vec<Value> = now
            .iter()
            .flat_map(|row| {
                [row.to.0.into(), row.sender.0.into(), row.mid.into(), row.message.into()]
            })
            .collect();
        db.change(&SQL[form], params)?;
        rows = later;
    }
    Ok(())
}

/// The largest form that the rows fill within the budget of bytes; a single
/// row may exceed that.
fn insert_form(rows: &[NewRow<'_>], budget: usize) -> usize {
    let fits = |count: usize| {
        rows.len() >= count && rows[..count].iter().map(NewRow::bytes).sum::<usize>() <= budget
    };
    STATEMENT_ROWS.iter().position(|&count| fits(count)).unwrap_or(STATEMENT_ROWS.len() - 1)
}

fn delete_rows(db: &mut DbConn, to: UserId, mut rows: &[i64]) -> Attempt<()> {
    static SQL: LazyLock<[String; 3]> = LazyLock::new(|| {
        STATEMENT_ROWS.map(|count| {
            format!(
                "DELETE FROM OfflineMessage WHERE userid = ? AND id IN ({})",
                vec!["?"; count].join(", ")
            )
        })
    });
    while let Some(&first) = rows.first() {
        // The smallest form that takes all that is left, filled up with the
        // first id; the largest form while there are more.
        let form = STATEMENT_ROWS.iter().rposition(|&count| count >= rows.len()).unwrap_or(0);
        let (now, later) = rows.split_at(rows.len().min(STATEMENT_ROWS[form]));
        let filling = std::iter::repeat_n(first, STATEMENT_ROWS[form] - now.len());
        let mut params: Vec<Value> = vec![to.0.into()];
        params.extend(now.iter().copied().chain(filling).map(Value::from));
        db.change(&SQL[form], params)?;
        rows = later;
    }
    Ok(())
}

pub(super) fn page(
    db: &mut DbConn,
    user: UserId,
    max_rows: usize,
    max_bytes: usize,
) -> Attempt<OfflinePage> {
    // Lengths first, so that texts that do not fit never cross the wire. The
    // index is named because with LIMIT the optimiser may prefer to walk the
    // whole table by its primary key.
    let sql = "SELECT id, OCTET_LENGTH(message) FROM OfflineMessage FORCE INDEX \
         (OfflineMessage_page) WHERE userid = ? ORDER BY id LIMIT ?";
    let lengths: Vec<(i64, usize)> = db.rows(sql, (user.0, max_rows))?;
    let count = within(max_bytes, lengths.iter().map(|(_, length)| *length));
    let Some(&(last, _)) = count.checked_sub(1).and_then(|last| lengths.get(last)) else {
        return Ok(OfflinePage { rows: Vec::new(), exhausted: max_rows > 0 });
    };
    let sql = "SELECT id, sender, mid, message FROM OfflineMessage FORCE INDEX \
         (OfflineMessage_page) WHERE userid = ? AND id <= ? ORDER BY id LIMIT ?";
    let rows: Vec<(i64, i64, Vec<u8>, String)> = db.rows(sql, (user.0, last, count + 1))?;
    let mut page = rows
        .into_iter()
        .map(|(row, sender, mid, message)| {
            Ok(OfflineRow { row, sender: UserId::from_column(sender)?, mid, message })
        })
        .collect::<Attempt<Vec<_>>>()?;
    // A lower row may have been committed between the two reads; a higher one
    // is told to the reader by a nudge.
    let whole = page.len() == count && count == lengths.len() && count < max_rows;
    page.truncate(count);
    page.truncate(within(max_bytes, page.iter().map(|row| row.message.len())));
    let exhausted = whole && page.len() == count;
    Ok(OfflinePage { rows: page, exhausted })
}

pub(super) fn waiting_for(db: &mut DbConn, server: &str, epoch: i64) -> Attempt<Vec<UserId>> {
    // Not EXISTS: MariaDB would turn that into a walk over the whole table of
    // messages, those of users long gone too.
    let sql = "SELECT u.id FROM `User` u WHERE u.claim_server = ? AND u.claim_epoch = ? \
         AND (SELECT o.id FROM OfflineMessage o WHERE o.userid = u.id LIMIT 1) IS NOT NULL \
         ORDER BY u.id";
    let ids: Vec<(i64,)> = db.rows(sql, (server, epoch))?;
    ids.into_iter().map(|(id,)| Ok(UserId::from_column(id)?)).collect()
}
