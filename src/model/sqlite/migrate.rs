//! The SQLite schema, step by step.
//!
//! Tables and columns as in `sql/schema.sql`; STRICT and CHECK stand in for
//! the types and lengths that MySQL enforces.

use std::path::Path;

use log::info;
use rusqlite::Connection;

use super::{Attempt, Fault, change, first, write_on};
use crate::model::StoreError;
use crate::model::migration::{Migration, pending};

const MIGRATIONS: &[Migration] = &[
    Migration {
        number: 1,
        statements: &[
            "CREATE TABLE User (
            id INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id BETWEEN 1 AND 2147483647),
            name TEXT NOT NULL UNIQUE CHECK (length(name) <= 50),
            password TEXT NOT NULL CHECK (length(password) <= 255),
            state TEXT NOT NULL DEFAULT 'offline' CHECK (state IN ('online', 'offline')),
            claim_server TEXT CHECK (length(claim_server) <= 255),
            claim_epoch INTEGER,
            claim_number INTEGER
        ) STRICT",
            "CREATE INDEX User_claim ON User (claim_server, claim_epoch)",
            "CREATE TABLE Friend (
            userid INTEGER NOT NULL,
            friendid INTEGER NOT NULL,
            PRIMARY KEY (userid, friendid)
        ) STRICT, WITHOUT ROWID",
            "CREATE INDEX Friend_reverse ON Friend (friendid)",
            "CREATE TABLE AllGroup (
            id INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id BETWEEN 1 AND 2147483647),
            groupname TEXT NOT NULL UNIQUE CHECK (length(groupname) <= 50),
            groupdesc TEXT NOT NULL DEFAULT '' CHECK (length(groupdesc) <= 200)
        ) STRICT",
            "CREATE TABLE GroupUser (
            groupid INTEGER NOT NULL,
            userid INTEGER NOT NULL,
            grouprole TEXT NOT NULL DEFAULT 'normal' CHECK (grouprole IN ('creator', 'normal')),
            PRIMARY KEY (groupid, userid)
        ) STRICT, WITHOUT ROWID",
            "CREATE INDEX GroupUser_userid ON GroupUser (userid)",
            "CREATE TABLE OfflineMessage (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            userid INTEGER NOT NULL,
            sender INTEGER NOT NULL,
            mid BLOB NOT NULL CHECK (length(mid) <= 64),
            message TEXT NOT NULL,
            UNIQUE (userid, sender, mid)
        ) STRICT",
            "CREATE INDEX OfflineMessage_page ON OfflineMessage (userid, id)",
            "CREATE TABLE Server (
            id TEXT PRIMARY KEY CHECK (length(id) <= 255),
            epoch INTEGER NOT NULL,
            beat INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID",
        ],
    },
    Migration {
        number: 2,
        statements: &[
            "CREATE TABLE LoginToken (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            userid INTEGER NOT NULL,
            hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
            expires INTEGER NOT NULL
        ) STRICT",
            "CREATE INDEX LoginToken_userid ON LoginToken (userid)",
            "CREATE INDEX LoginToken_expires ON LoginToken (expires)",
        ],
    },
    Migration {
        number: 3,
        statements: &[
            // A column that is added cannot have the time as its default: the
            // insertion says it.
            "ALTER TABLE OfflineMessage ADD COLUMN stored TEXT NOT NULL DEFAULT ''",
            "UPDATE OfflineMessage SET stored = CURRENT_TIMESTAMP",
        ],
    },
];

const CREATE_RECORD: &str = "CREATE TABLE IF NOT EXISTS SchemaMigration (
        number INTEGER PRIMARY KEY,
        applied TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
    ) STRICT";

/// Applies what the file lacks, all or nothing. The lock on the file keeps
/// others away meanwhile.
pub(super) fn migrate(conn: &mut Connection, path: &Path) -> Result<(), StoreError> {
    write_on(conn, apply_pending).map_err(|fault| match fault {
        // A table that is there already although nothing was applied.
        Fault::Sqlite(error) => match Fault::Sqlite(error).into_store_error() {
            StoreError::Internal(text) => StoreError::Misconfigured(format!(
                "the file {} is not a chat database of this program ({text}): choose another \
                 with --database",
                path.display()
            )),
            error => error,
        },
        Fault::Store(error) => error,
    })
}

fn apply_pending(conn: &Connection) -> Attempt<()> {
    conn.execute_batch(CREATE_RECORD)?;
    let sql = "SELECT COALESCE(MAX(number), 0) FROM SchemaMigration";
    let applied = first(conn, sql, [], |row| Ok(row.get(0)?))?.unwrap_or(0);
    for migration in pending(MIGRATIONS, applied)? {
        for statement in migration.statements {
            conn.execute_batch(statement)?;
        }
        let sql = "INSERT INTO SchemaMigration (number) VALUES (?1)";
        change(conn, sql, [migration.number])?;
        info!(target: "store", "applied schema migration {}", migration.number);
    }
    Ok(())
}
