//! The MySQL schema, step by step, and how a database gets there.
//!
//! `sql/schema.sql` is the same schema for a person to load by hand; a test
//! compares the two.

use std::time::Duration;

use log::info;
use mysql::prelude::Queryable;

use super::Attempt;
use super::connect::{DbConn, Target};
use super::fault::Fault;
use crate::model::StoreError;
use crate::model::migration::{Migration, pending};

/// A change to a large table takes its time, and so does another server that
/// is at it: only here is an answer waited for longer.
const MIGRATION_TIMEOUT: Duration = Duration::from_secs(600);

/// For another server that migrates at this moment, in seconds.
const LOCK_SECONDS: u64 = 300;

/// Every step, oldest first. MySQL commits each of these statements by
/// itself: write them so that they can be repeated.
const MIGRATIONS: &[Migration] = &[
    Migration {
        number: 1,
        statements: &[
            "CREATE TABLE IF NOT EXISTS `User` (
            `id` INT NOT NULL AUTO_INCREMENT,
            `name` VARCHAR(50) NOT NULL,
            `password` VARCHAR(255) NOT NULL,
            `state` ENUM('online','offline') NOT NULL DEFAULT 'offline',
            `claim_server` VARCHAR(255) DEFAULT NULL,
            `claim_epoch` BIGINT DEFAULT NULL,
            `claim_number` BIGINT DEFAULT NULL,
            PRIMARY KEY (`id`),
            UNIQUE KEY `User_name` (`name`),
            KEY `User_claim` (`claim_server`, `claim_epoch`)
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin",
            "CREATE TABLE IF NOT EXISTS `Friend` (
            `userid` INT NOT NULL,
            `friendid` INT NOT NULL,
            PRIMARY KEY (`userid`, `friendid`),
            KEY `Friend_reverse` (`friendid`)
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin",
            "CREATE TABLE IF NOT EXISTS `AllGroup` (
            `id` INT NOT NULL AUTO_INCREMENT,
            `groupname` VARCHAR(50) NOT NULL,
            `groupdesc` VARCHAR(200) NOT NULL DEFAULT '',
            PRIMARY KEY (`id`),
            UNIQUE KEY `AllGroup_groupname` (`groupname`)
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin",
            "CREATE TABLE IF NOT EXISTS `GroupUser` (
            `groupid` INT NOT NULL,
            `userid` INT NOT NULL,
            `grouprole` ENUM('creator','normal') NOT NULL DEFAULT 'normal',
            PRIMARY KEY (`groupid`, `userid`),
            KEY `GroupUser_userid` (`userid`)
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin",
            "CREATE TABLE IF NOT EXISTS `OfflineMessage` (
            `id` BIGINT NOT NULL AUTO_INCREMENT,
            `userid` INT NOT NULL,
            `sender` INT NOT NULL,
            `mid` VARBINARY(64) NOT NULL,
            `message` MEDIUMTEXT NOT NULL,
            PRIMARY KEY (`id`),
            UNIQUE KEY `OfflineMessage_mid` (`userid`, `sender`, `mid`),
            KEY `OfflineMessage_page` (`userid`, `id`)
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin",
            "CREATE TABLE IF NOT EXISTS `Server` (
            `id` VARCHAR(255) NOT NULL,
            `epoch` BIGINT NOT NULL,
            `beat` BIGINT NOT NULL,
            PRIMARY KEY (`id`)
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin",
        ],
    },
    Migration {
        number: 2,
        statements: &["CREATE TABLE IF NOT EXISTS `LoginToken` (
            `id` BIGINT NOT NULL AUTO_INCREMENT,
            `userid` INT NOT NULL,
            `hash` BINARY(32) NOT NULL,
            `expires` BIGINT NOT NULL,
            PRIMARY KEY (`id`),
            UNIQUE KEY `LoginToken_hash` (`hash`),
            KEY `LoginToken_userid` (`userid`),
            KEY `LoginToken_expires` (`expires`)
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"],
    },
    Migration {
        number: 3,
        statements: &[
            // Only MariaDB has ADD COLUMN IF NOT EXISTS. The default is for
            // rows that are there, and for servers that do not know of it yet.
            "SET @step = IF((SELECT COUNT(*) FROM information_schema.columns \
             WHERE table_schema = DATABASE() AND table_name = 'OfflineMessage' \
             AND column_name = 'stored') = 0, \
             'ALTER TABLE `OfflineMessage` ADD COLUMN \
             `stored` TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP', 'DO 0')",
            "PREPARE step FROM @step",
            "EXECUTE step",
            "DEALLOCATE PREPARE step",
        ],
    },
];

const CREATE_RECORD: &str = "CREATE TABLE IF NOT EXISTS `SchemaMigration` (
        `number` INT NOT NULL,
        `applied` TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
        PRIMARY KEY (`number`)
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin";

/// What the statements of this program expect of each table.
const COLUMNS: &[(&str, &str)] = &[
    ("User", "id, name, password, state, claim_server, claim_epoch, claim_number"),
    ("Friend", "userid, friendid"),
    ("AllGroup", "id, groupname, groupdesc"),
    ("GroupUser", "groupid, userid, grouprole"),
    ("OfflineMessage", "id, userid, sender, mid, message, stored"),
    ("Server", "id, epoch, beat"),
    ("LoginToken", "id, userid, hash, expires"),
];

/// One attempt to connect; creates the target's database if it is missing.
pub(super) fn connect_or_create(target: &Target) -> Result<DbConn, StoreError> {
    const UNKNOWN_DATABASE: Option<u16> = Some(1049);
    match target.connect() {
        Err(fault) if fault.code() == UNKNOWN_DATABASE => {}
        outcome => return outcome.map_err(|fault| target.explain(fault)),
    }
    let create = || -> Attempt<DbConn> {
        let mut server = target.without_database().connect()?;
        // A name cannot be a parameter; quoted like this it cannot be more.
        let name = target.database().replace('`', "``");
        server.conn.query_drop(format!(
            "CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
        ))?;
        target.connect()
    };
    let db = create().map_err(|fault| target.explain(fault))?;
    info!(target: "store", "created the database {:?}", target.database());
    Ok(db)
}

/// Applies what the database lacks. Nothing is locked where it lacks nothing.
pub(super) fn migrate(target: &Target, db: &mut DbConn) -> Result<(), StoreError> {
    let applied = applied(db).map_err(|fault| target.explain(fault))?;
    if pending(MIGRATIONS, applied)?.next().is_none() {
        return Ok(());
    }
    // A connection of its own: the lock ends with it, whatever happens.
    let patient = target.with_read_timeout(MIGRATION_TIMEOUT);
    patient.connect().and_then(|mut db| migrate_locked(&mut db)).map_err(|fault| match fault {
        Fault::Store(error) => error,
        fault => match target.explain(fault) {
            StoreError::Internal(text) => StoreError::Misconfigured(format!(
                "the schema of database '{}' cannot be brought up to date ({text}): give the \
                 account the right to create and alter tables, or load sql/schema.sql by hand",
                target.database()
            )),
            error => error,
        },
    })
}

fn migrate_locked(db: &mut DbConn) -> Attempt<()> {
    // Locks are the server's, not the database's: name the database in it.
    let sql = "SELECT GET_LOCK(CONCAT('chat.migrate.', MD5(DATABASE())), ?)";
    if db.first::<(Option<i64>,)>(sql, (LOCK_SECONDS,))? != Some((Some(1),)) {
        let text = "another server has been changing the schema for a long time";
        return Err(StoreError::Unavailable(text.to_owned()).into());
    }
    // Another server may have been here first.
    for migration in pending(MIGRATIONS, applied(db)?)? {
        db.conn.query_drop(CREATE_RECORD)?;
        for statement in migration.statements {
            db.conn.query_drop(statement)?;
        }
        let sql = "INSERT INTO SchemaMigration (number) VALUES (?)";
        db.change(sql, (migration.number,))?;
        info!(target: "store", "applied schema migration {}", migration.number);
    }
    Ok(())
}

/// The newest migration applied; 0 for an empty database.
fn applied(db: &mut DbConn) -> Attempt<i64> {
    match db.first::<(i64,)>("SELECT COALESCE(MAX(number), 0) FROM SchemaMigration", ()) {
        Ok(row) => Ok(row.map_or(0, |(number,)| number)),
        Err(fault) if fault.is_no_such_table() => Ok(0),
        Err(fault) => Err(fault),
    }
}

/// Refuses tables of another program (an older chat server has some of the
/// same names) before the first user meets them.
pub(super) fn check_columns(target: &Target, db: &mut DbConn) -> Result<(), StoreError> {
    for (table, columns) in COLUMNS {
        // Both are constants of this file.
        match db.conn.query_drop(format!("SELECT {columns} FROM `{table}` LIMIT 0")) {
            Ok(()) => {}
            Err(error) => {
                let fault = Fault::from(error);
                return Err(if fault.is_foreign_schema() {
                    StoreError::Misconfigured(format!(
                        "the table `{table}` in database '{}' is not this program's: it needs the \
                         columns {columns}. Use another database, or see sql/schema.sql",
                        target.database()
                    ))
                } else {
                    target.explain(fault)
                });
            }
        }
    }
    Ok(())
}
