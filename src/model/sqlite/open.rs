//! Getting hold of the file: its lock, its directories, each connection's
//! settings.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::fault::Fault;
use crate::model::StoreError;

/// For a person's tool that holds the file for a moment.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// Pages that each connection keeps for itself.
const CACHE_KIB: i32 = 256;

/// Statements that a connection keeps prepared: more than all there are.
const PREPARED_STATEMENTS: usize = 64;

/// Creates what is missing and takes the lock. Returns the real path, so that
/// one file has one lock whatever links lead to it.
pub(super) fn lock_file(path: &Path) -> Result<(PathBuf, File), StoreError> {
    let cannot = |what: &str, error: std::io::Error| {
        StoreError::Misconfigured(format!(
            "cannot {what} the database file {}: {error}. Check the path and its permissions, or \
             choose another with --database",
            path.display()
        ))
    };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|error| cannot("make the directory of", error))?;
    }
    owner_only(path).map_err(|error| cannot("open", error))?;
    let path = path.canonicalize().map_err(|error| cannot("find", error))?;
    let mut lock_path = path.clone().into_os_string();
    lock_path.push(".lock");
    let lock = owner_only(Path::new(&lock_path)).map_err(|error| cannot("lock", error))?;
    match lock.try_lock() {
        Ok(()) => Ok((path, lock)),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse(format!(
            "the database file {} is in use by another ChatServer. Stop that one first; to run \
             more than one server, give all of them one MySQL with --database mysql://…",
            path.display()
        ))),
        Err(TryLockError::Error(error)) => Err(cannot("lock", error)),
    }
}

/// Opens for writing, creating a file that only its owner reads: it holds
/// password hashes and messages.
fn owner_only(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// The names of the tables in a file, which is only read; none where it is no
/// database.
pub fn tables_of(path: &Path) -> Vec<String> {
    let read = || -> Result<Vec<String>, rusqlite::Error> {
        let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let mut tables = conn.prepare("SELECT name FROM sqlite_master WHERE type = 'table'")?;
        tables.query_map((), |row| row.get(0))?.collect()
    };
    // Whoever opens it for writing says what is wrong with it.
    read().unwrap_or_default()
}

/// A connection to the locked file, settings applied.
pub(super) fn connect(path: &Path) -> Result<Connection, StoreError> {
    let open = || -> Result<Connection, rusqlite::Error> {
        // Each connection has its own mutex here, so SQLite needs none. The
        // path is taken as it is, never as a file: URI.
        let conn = Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        conn.busy_timeout(BUSY_TIMEOUT)?;
        conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        // FULL: what was answered as stored survives a power failure.
        conn.pragma_update(None, "synchronous", "FULL")?;
        conn.pragma_update(None, "foreign_keys", true)?;
        // The system has the file's pages in memory, too.
        conn.pragma_update(None, "cache_size", -CACHE_KIB)?;
        conn.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
        Ok(conn)
    };
    open().map_err(|error| match Fault::from(error) {
        fault if fault.is_no_database() => StoreError::Misconfigured(format!(
            "the file {} is not a chat database: choose another with --database",
            path.display()
        )),
        fault => fault.into_store_error(),
    })
}
