//! Rows of another program's database, into MySQL: many rows to a statement,
//! in a few fixed sizes, so that every statement stays prepared.

use std::sync::LazyLock;

use mysql::Value;

use super::fault::Fault;
use super::offline::{self, Together};
use super::{Attempt, DbConn};
use crate::model::{GroupId, ImportRow, OfflineOp, StoreError, UserId};

/// Rows of one statement, largest first; 1 is among them, so that any number
/// can be put together. The largest rows have some 500 bytes.
const STATEMENT_ROWS: [usize; 3] = [128, 16, 1];

type Forms = LazyLock<[String; STATEMENT_ROWS.len()]>;

/// One table's insertion in all its sizes.
macro_rules! forms {
    ($head:literal, $row:literal, $tail:literal) => {
        LazyLock::new(|| {
            STATEMENT_ROWS
                .map(|count| format!(concat!($head, "{}", $tail), vec![$row; count].join(", ")))
        })
    };
}

static USERS: Forms = forms!("INSERT INTO `User` (id, name, password) VALUES ", "(?, ?, ?)", "");
static FRIENDS: Forms = forms!(
    "INSERT INTO Friend (userid, friendid) VALUES ",
    "(?, ?)",
    " ON DUPLICATE KEY UPDATE userid = userid"
);
static GROUPS: Forms =
    forms!("INSERT INTO AllGroup (id, groupname, groupdesc) VALUES ", "(?, ?, ?)", "");
static MEMBERS: Forms = forms!(
    "INSERT INTO GroupUser (groupid, userid, grouprole) VALUES ",
    "(?, ?, ?)",
    " ON DUPLICATE KEY UPDATE userid = userid"
);

pub(super) fn user_names(db: &mut DbConn, after: u32, most: u32) -> Attempt<Vec<(UserId, String)>> {
    let sql = "SELECT id, name FROM `User` WHERE id > ? ORDER BY id LIMIT ?";
    let rows: Vec<(i64, String)> = db.rows(sql, (after, most))?;
    rows.into_iter().map(|(id, name)| Ok((UserId::from_column(id)?, name))).collect()
}

pub(super) fn group_names(
    db: &mut DbConn,
    after: u32,
    most: u32,
) -> Attempt<Vec<(GroupId, String)>> {
    let sql = "SELECT id, groupname FROM AllGroup WHERE id > ? ORDER BY id LIMIT ?";
    let rows: Vec<(i64, String)> = db.rows(sql, (after, most))?;
    rows.into_iter().map(|(id, name)| Ok((GroupId::from_column(id)?, name))).collect()
}

/// In a transaction that is rolled back if this fails.
pub(super) fn import(db: &mut DbConn, rows: &[ImportRow], together: Together) -> Attempt<()> {
    let is_kin =
        |a: &ImportRow, b: &ImportRow| std::mem::discriminant(a) == std::mem::discriminant(b);
    for some in rows.chunk_by(is_kin) {
        match some[0] {
            ImportRow::User { .. } => insert(db, &USERS, some).map_err(taken)?,
            ImportRow::Group { .. } => insert(db, &GROUPS, some).map_err(taken)?,
            ImportRow::Friendship(..) => insert(db, &FRIENDS, some)?,
            ImportRow::Member { .. } => insert(db, &MEMBERS, some)?,
            ImportRow::Message { .. } => {
                let ops: Vec<OfflineOp> = some.iter().filter_map(to_op).collect();
                offline::apply(db, &ops, together)?;
            }
        }
    }
    Ok(())
}

fn insert(db: &mut DbConn, sql: &Forms, rows: &[ImportRow]) -> Attempt<()> {
    for some in rows.chunks(STATEMENT_ROWS[0]) {
        let mut tuples: &[Vec<Value>] = &some.iter().flat_map(tuples).collect::<Vec<_>>();
        while !tuples.is_empty() {
            let form = STATEMENT_ROWS.iter().position(|&count| count <= tuples.len());
            let form = form.expect("1 is among them");
            let (now, later) = tuples.split_at(STATEMENT_ROWS[form]);
            db.change(&sql[form], now.concat())?;
            tuples = later;
        }
    }
    Ok(())
}

/// A row's values: a friendship has two rows.
fn tuples(row: &ImportRow) -> Vec<Vec<Value>> {
    match row {
        ImportRow::User { id, name, password_hash } => {
            vec![vec![id.0.into(), name.into(), password_hash.into()]]
        }
        ImportRow::Friendship(a, b) => {
            vec![vec![a.0.into(), b.0.into()], vec![b.0.into(), a.0.into()]]
        }
        ImportRow::Group { id, name, description } => {
            vec![vec![id.0.into(), name.into(), description.into()]]
        }
        ImportRow::Member { group, user, role } => {
            vec![vec![group.0.into(), user.0.into(), role.column().into()]]
        }
        ImportRow::Message { .. } => Vec::new(),
    }
}

fn to_op(row: &ImportRow) -> Option<OfflineOp> {
    let ImportRow::Message { to, sender, mid, message } = row else { return None };
    let (mid, message) = (mid.clone(), message.clone());
    Some(OfflineOp::Insert { to: *to, sender: *sender, mid, message })
}

/// A name or a number that another row has.
fn taken(fault: Fault) -> Fault {
    if fault.is_taken() { StoreError::NameTaken.into() } else { fault }
}
