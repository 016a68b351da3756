//! Missed messages in MySQL: many rows to a statement, in a few fixed sizes,
//! so that every statement stays prepared.

use std::sync::LazyLock;
use std::time::Duration;

use mysql::Value;

use super::fault::Fault;
use super::ids::{IdForms, by_form, id_forms};
use super::{Attempt, DbConn};
use crate::model::offline::{DROPPED_AT_ONCE, within};
use crate::model::{
    OfflineKey, OfflineOp, OfflinePage, OfflineRow, OfflineSize, Pushed, StoreError, UserId,
};

/// Rows of one insertion, largest first: any number up to the largest is put
/// together from two of them, or three. A round trip costs as much as some ten
/// rows.
const STATEMENT_ROWS: [usize; 24] =
    [128, 112, 96, 80, 64, 56, 48, 40, 32, 28, 24, 20, 16, 14, 12, 10, 8, 7, 6, 5, 4, 3, 2, 1];

/// Larger statements are no faster, and others wait behind them.
const MAX_STATEMENT_BYTES: usize = 1 << 20;

/// Room in a packet for all that is not the rows' texts: per row, and once.
const ROW_OVERHEAD_BYTES: usize = 32;
const PACKET_OVERHEAD_BYTES: usize = 256;

/// So many rows are looked at before it is asked whether that is enough.
const SIZED_AT_ONCE: u32 = 2048;

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

/// Whether many rows are inserted by one statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Together {
    Yes,
    No,
}

/// Applies changes, in a transaction that is rolled back if this fails.
///
/// Two servers may store the same messages for somebody at the same time, and
/// rows are read by their numbers. A statement has the numbers of all of its
/// rows before it meets the other server's and waits for them; what it inserts
/// then has lower numbers than those, and would overtake them. So a statement
/// that finds some of its rows there already fails with [`Fault::Mixed`], to be
/// done again with statements of one row, which have their numbers in turn.
pub(super) fn apply(db: &mut DbConn, ops: &[OfflineOp], together: Together) -> Attempt<()> {
    let mut inserts: Vec<NewRow<'_>> = Vec::new();
    for op in ops {
        // Neighbouring inserts go together; a delete sees all before it.
        if !matches!(op, OfflineOp::Insert { .. }) {
            insert(db, &inserts, together)?;
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
    insert(db, &inserts, together)
}

fn insert(db: &mut DbConn, mut rows: &[NewRow<'_>], together: Together) -> Attempt<()> {
    // A duplicate must not touch the AUTO_INCREMENT column, not even with
    // `id = id`: MariaDB then goes on counting from the row that it found, and
    // the statement's next rows are taken for duplicates of rows that others
    // have just inserted under those ids. They are lost without a word.
    static SQL: LazyLock<[String; STATEMENT_ROWS.len()]> = LazyLock::new(|| {
        STATEMENT_ROWS.map(|count| {
            format!(
                "INSERT INTO OfflineMessage (userid, sender, mid, message) VALUES {} \
                 ON DUPLICATE KEY UPDATE userid = userid",
                vec!["(?, ?, ?, ?)"; count].join(", ")
            )
        })
    });
    let packet = db.max_packet_bytes.saturating_sub(PACKET_OVERHEAD_BYTES);
    let budget = packet.min(MAX_STATEMENT_BYTES);
    while !rows.is_empty() {
        let form = match together {
            Together::Yes => insert_form(rows, budget),
            Together::No => STATEMENT_ROWS.len() - 1,
        };
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
        let inserted = db.change(&SQL[form], params)?;
        if inserted > 0 && inserted < now.len() as u64 {
            return Err(Fault::Mixed);
        }
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

fn delete_rows(db: &mut DbConn, to: UserId, rows: &[i64]) -> Attempt<()> {
    static SQL: IdForms = id_forms!("DELETE FROM OfflineMessage WHERE userid = ? AND id IN ({})");
    for (form, ids) in by_form(rows) {
        let params: Vec<Value> = std::iter::once(to.0.into()).chain(ids).collect();
        db.change(&SQL[form], params)?;
    }
    Ok(())
}

pub(super) fn page(
    db: &mut DbConn,
    user: UserId,
    pushed: &Pushed,
    max_rows: usize,
    max_bytes: usize,
) -> Attempt<OfflinePage> {
    // Lengths first, so that texts that are passed over or do not fit never
    // cross the wire. So many rows hold `max_rows` new ones, if there are as
    // many. The index is named because with LIMIT the optimiser may prefer to
    // walk the whole table by its primary key.
    let sql = "SELECT id, sender, mid, OCTET_LENGTH(message) FROM OfflineMessage FORCE INDEX \
         (OfflineMessage_page) WHERE userid = ? ORDER BY id LIMIT ?";
    let limit = max_rows.saturating_add(pushed.len());
    let listed: Vec<(i64, i64, Vec<u8>, usize)> = db.rows(sql, (user.0, limit))?;
    let (mut ids, mut lengths) = (Vec::new(), Vec::new());
    for (id, sender, mid, length) in listed {
        if !pushed.contains(id, UserId::from_column(sender)?, &mid) {
            ids.push(id);
            lengths.push(length);
        }
    }
    ids.truncate(max_rows);
    lengths.truncate(max_rows);
    let count = within(max_bytes, lengths.into_iter());
    let exhausted = count == ids.len() && count < max_rows;
    // The page is as of the first read. A row that is committed between the
    // two, lower or higher, is told to the reader by a nudge like one that is
    // committed after both; one that is deleted meanwhile is only missing.
    let rows = texts(db, user, &ids[..count])?;
    Ok(OfflinePage { rows, exhausted })
}

/// These rows of one recipient, as far as they are still there, by their
/// numbers: texts of rows in between never cross the wire.
fn texts(db: &mut DbConn, user: UserId, ids: &[i64]) -> Attempt<Vec<OfflineRow>> {
    static SQL: IdForms = id_forms!(
        "SELECT id, sender, mid, message FROM OfflineMessage FORCE INDEX (PRIMARY) \
         WHERE userid = ? AND id IN ({}) ORDER BY id"
    );
    let mut found = Vec::with_capacity(ids.len());
    for (form, ids) in by_form(ids) {
        let params: Vec<Value> = std::iter::once(user.0.into()).chain(ids).collect();
        let rows: Vec<(i64, i64, Vec<u8>, String)> = db.rows(&SQL[form], params)?;
        for (row, sender, mid, message) in rows {
            found.push(OfflineRow { row, sender: UserId::from_column(sender)?, mid, message });
        }
    }
    Ok(found)
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

pub(super) fn size(db: &mut DbConn, user: UserId, most: OfflineSize) -> Attempt<OfflineSize> {
    // Without the texts where their lengths are not asked for: large ones lie
    // apart from the rows.
    let sql = match most.bytes {
        u64::MAX => {
            "SELECT COUNT(*), 0, MAX(id) FROM (SELECT id FROM OfflineMessage \
             FORCE INDEX (OfflineMessage_page) WHERE userid = ? AND id > ? \
             ORDER BY id LIMIT ?) AS waiting"
        }
        _ => {
            "SELECT COUNT(*), CAST(COALESCE(SUM(bytes), 0) AS UNSIGNED), MAX(id) FROM \
             (SELECT id, LENGTH(message) AS bytes FROM OfflineMessage \
             FORCE INDEX (OfflineMessage_page) WHERE userid = ? AND id > ? \
             ORDER BY id LIMIT ?) AS waiting"
        }
    };
    let (mut size, mut after) = (OfflineSize::default(), 0);
    while size.rows < most.rows && size.bytes < most.bytes {
        let asked = SIZED_AT_ONCE.min(most.rows - size.rows);
        let Some((rows, bytes, last)) =
            db.first::<(u32, u64, Option<i64>)>(sql, (user.0, after, asked))?
        else {
            break;
        };
        size = size.plus(OfflineSize { rows, bytes });
        match last {
            Some(last) if rows == asked => after = last,
            _ => break,
        }
    }
    Ok(size)
}

pub(super) fn are_there(db: &mut DbConn, messages: &[OfflineKey]) -> Attempt<Vec<bool>> {
    // One by one: a list of rows of three columns takes no index everywhere.
    let sql = "SELECT id FROM OfflineMessage WHERE userid = ? AND sender = ? AND mid = ?";
    let mut there = Vec::with_capacity(messages.len());
    for OfflineKey { to, sender, mid } in messages {
        there.push(db.first::<(i64,)>(sql, (to.0, sender.0, &**mid))?.is_some());
    }
    Ok(there)
}

pub(super) fn drop_some_older_than(db: &mut DbConn, age: Duration) -> Attempt<u64> {
    static SQL: IdForms = id_forms!("DELETE FROM OfflineMessage WHERE id IN ({})");
    // No index by time: rows are numbered in the order in which they come.
    let sql = "SELECT id, UNIX_TIMESTAMP(stored) + ? < UNIX_TIMESTAMP() FROM OfflineMessage \
         FORCE INDEX (PRIMARY) ORDER BY id LIMIT ?";
    let lowest: Vec<(i64, bool)> = db.rows(sql, (age.as_secs(), DROPPED_AT_ONCE))?;
    let old: Vec<i64> = lowest.into_iter().filter(|(_, old)| *old).map(|(id, _)| id).collect();
    let mut dropped = 0;
    for (form, ids) in by_form(&old) {
        dropped += db.change(&SQL[form], ids)?;
    }
    Ok(dropped)
}
