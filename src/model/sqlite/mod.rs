//! The store of a single server: one SQLite file, nothing to install.
//!
//! One connection writes, behind a mutex; a few others read, each behind its
//! own. In WAL mode readers never wait for the writer, not even for its
//! fsync, and see every transaction whose method has returned. A lock file
//! beside the database, held for the life of the store, keeps a second server
//! out: two servers on one file would not know of each other's users.

mod accounts;
mod claims;
mod fault;
mod friends;
mod groups;
mod import;
mod migrate;
mod offline;
mod open;
mod tokens;

pub use open::tables_of;

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, TryLockError};
use std::time::Duration;

use rusqlite::{Connection, Params, Row, TransactionBehavior};

use self::fault::Fault;
use super::offline::drop_in_steps;
use super::store::Result;
use super::{
    Claim, ClaimOutcome, Credentials, Group, GroupId, HeldClaim, ImportRow, Limits, OfflineKey,
    OfflineOp, OfflinePage, OfflineSize, Pushed, ServerRow, Store, TokenHash, User, UserId,
};

/// Connections that read beside the one that writes: as many as there are
/// workers by default, or what leaves one of those to users would leave none.
const READERS: usize = 4;

/// A [`Store`] in one SQLite file.
pub struct SqliteStore {
    writer: Mutex<Connection>,
    readers: Vec<Mutex<Connection>>,
    /// Where the next reader begins to look for a free connection.
    turn: AtomicUsize,
    /// Last, so that it is let go after the connections are closed.
    _lock: File,
}

impl SqliteStore {
    /// Opens the file, creating it and its directories where missing, and
    /// applies what migrations it lacks.
    ///
    /// Errors: `InUse` if another process (or store) has it open,
    /// `Misconfigured` if it cannot be created, is no database, or belongs to
    /// a newer program. Their texts say what to do.
    pub fn open(path: &Path) -> Result<SqliteStore> {
        let (path, lock) = open::lock_file(path)?;
        let mut writer = open::connect(&path)?;
        migrate::migrate(&mut writer, &path)?;
        let readers =
            (0..READERS).map(|_| open::connect(&path).map(Mutex::new)).collect::<Result<_>>()?;
        Ok(SqliteStore {
            writer: Mutex::new(writer),
            readers,
            turn: AtomicUsize::new(0),
            _lock: lock,
        })
    }

    /// Runs the work in one transaction, rolled back on any error.
    fn write<T>(&self, work: impl FnOnce(&Connection) -> Attempt<T>) -> Result<T> {
        // A panic under the lock rolled its transaction back.
        let mut conn = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        write_on(&mut conn, work).map_err(Fault::into_store_error)
    }

    /// Runs one query on a connection that is free, or waits for one.
    fn read<T>(&self, work: impl FnOnce(&Connection) -> Attempt<T>) -> Result<T> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let in_turn = |offset| &self.readers[first.wrapping_add(offset) % READERS];
        let free = (0..READERS).find_map(|offset| match in_turn(offset).try_lock() {
            Ok(conn) => Some(conn),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        });
        let conn =
            free.unwrap_or_else(|| in_turn(0).lock().unwrap_or_else(PoisonError::into_inner));
        work(&conn).map_err(Fault::into_store_error)
    }
}

/// One transaction of the only writer: IMMEDIATE, so that it holds the write
/// lock from its first read on.
fn write_on<T>(conn: &mut Connection, work: impl FnOnce(&Connection) -> Attempt<T>) -> Attempt<T> {
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let value = work(&transaction)?;
    transaction.commit()?;
    Ok(value)
}

/// What work on a connection came to.
type Attempt<T> = std::result::Result<T, Fault>;

/// All rows of a query.
fn rows<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    map: impl Fn(&Row<'_>) -> Attempt<T>,
) -> Attempt<Vec<T>> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(map(row)?);
    }
    Ok(found)
}

/// The first row of a query, if it has one.
fn first<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    map: impl Fn(&Row<'_>) -> Attempt<T>,
) -> Attempt<Option<T>> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(map).transpose()
}

/// Executes a statement; returns how many rows it touched.
fn change(conn: &Connection, sql: &str, params: impl Params) -> Attempt<u64> {
    Ok(conn.prepare_cached(sql)?.execute(params)? as u64)
}

impl Store for SqliteStore {
    fn create_user(&self, name: &str, password_hash: &str) -> Result<UserId> {
        self.write(|conn| accounts::create_user(conn, name, password_hash))
    }
    fn credentials_by_id(&self, id: UserId) -> Result<Option<Credentials>> {
        self.read(|conn| accounts::credentials_by_id(conn, id))
    }
    fn credentials_by_name(&self, name: &str) -> Result<Option<Credentials>> {
        self.read(|conn| accounts::credentials_by_name(conn, name))
    }
    fn user(&self, id: UserId) -> Result<Option<User>> {
        self.read(|conn| accounts::user(conn, id))
    }

    fn take_claim(
        &self,
        user: UserId,
        claim: &Claim,
        replacing: Option<&Claim>,
    ) -> Result<ClaimOutcome> {
        self.write(|conn| claims::take(conn, user, claim, replacing))
    }
    fn release_claim(&self, user: UserId, claim: &Claim) -> Result<bool> {
        self.write(|conn| claims::release(conn, user, claim))
    }
    fn claims_of(&self, server: &str, epoch: i64) -> Result<Vec<HeldClaim>> {
        self.read(|conn| claims::held_by(conn, server, epoch))
    }

    fn start_server(&self, id: &str, epoch: i64) -> Result<u64> {
        self.write(|conn| claims::start_server(conn, id, epoch))
    }
    fn beat(&self, id: &str, epoch: i64) -> Result<bool> {
        self.write(|conn| claims::beat(conn, id, epoch))
    }
    fn servers(&self) -> Result<Vec<ServerRow>> {
        self.read(claims::servers)
    }
    fn declare_dead(&self, seen: &ServerRow) -> Result<Option<u64>> {
        self.write(|conn| claims::declare_dead(conn, seen))
    }
    fn forget_server(&self, seen: &ServerRow) -> Result<bool> {
        self.write(|conn| claims::forget_server(conn, seen))
    }
    fn stop_server(&self, id: &str, epoch: i64) -> Result<u64> {
        self.write(|conn| claims::stop_server(conn, id, epoch))
    }

    fn token_user(&self, user: UserId, token: &TokenHash) -> Result<Option<String>> {
        self.read(|conn| tokens::user_of(conn, user, token))
    }
    fn add_token(
        &self,
        user: UserId,
        new: &TokenHash,
        presented: Option<&TokenHash>,
    ) -> Result<()> {
        self.write(|conn| tokens::add(conn, user, new, presented))
    }
    fn drop_older_tokens(&self, user: UserId, token: &TokenHash) -> Result<()> {
        self.write(|conn| tokens::drop_older(conn, user, token))
    }
    fn drop_tokens_until(&self, user: UserId, token: &TokenHash) -> Result<()> {
        self.write(|conn| tokens::drop_until(conn, user, token))
    }
    fn refresh_tokens(&self, server: &str, epoch: i64) -> Result<()> {
        let online = self.read(|conn| tokens::of_claimed(conn, server, epoch))?;
        for some in online.chunks(tokens::AT_ONCE) {
            self.write(|conn| tokens::renew(conn, some))?;
        }
        let expired = self.read(tokens::expired)?;
        for some in expired.chunks(tokens::AT_ONCE) {
            self.write(|conn| tokens::delete_expired(conn, some))?;
        }
        Ok(())
    }

    fn add_friend(&self, user: UserId, friend: UserId, limits: &Limits) -> Result<User> {
        self.write(|conn| friends::add(conn, user, friend, limits))
    }
    fn remove_friend(&self, user: UserId, friend: UserId) -> Result<()> {
        self.write(|conn| friends::remove(conn, user, friend))
    }
    fn friends(&self, user: UserId) -> Result<Vec<User>> {
        self.read(|conn| friends::of(conn, user))
    }

    fn create_group(
        &self,
        creator: UserId,
        name: &str,
        description: &str,
        limits: &Limits,
    ) -> Result<GroupId> {
        self.write(|conn| groups::create(conn, creator, name, description, limits))
    }
    fn join_group(&self, group: GroupId, user: UserId, limits: &Limits) -> Result<Group> {
        self.write(|conn| groups::join(conn, group, user, limits))
    }
    fn leave_group(&self, group: GroupId, user: UserId) -> Result<bool> {
        self.write(|conn| groups::leave(conn, group, user))
    }
    fn groups_of(&self, user: UserId) -> Result<Vec<Group>> {
        self.read(|conn| groups::of(conn, user))
    }
    fn group_members(&self, group: GroupId) -> Result<Option<Vec<UserId>>> {
        self.read(|conn| groups::members(conn, group))
    }

    fn offline_writers(&self) -> usize {
        1
    }

    fn apply_offline(&self, ops: &[OfflineOp]) -> Result<()> {
        if ops.is_empty() {
            return Ok(());
        }
        self.write(|conn| offline::apply(conn, ops))
    }
    fn offline_page(
        &self,
        user: UserId,
        pushed: &Pushed,
        max_rows: usize,
        max_bytes: usize,
    ) -> Result<OfflinePage> {
        self.read(|conn| offline::page(conn, user, pushed, max_rows, max_bytes))
    }
    fn offline_size(&self, user: UserId, most: OfflineSize) -> Result<OfflineSize> {
        self.read(|conn| offline::size(conn, user, most))
    }
    fn are_offline(&self, messages: &[OfflineKey]) -> Result<Vec<bool>> {
        self.read(|conn| offline::are_there(conn, messages))
    }
    fn drop_offline_older_than(&self, age: Duration) -> Result<u64> {
        drop_in_steps(|| self.write(|conn| offline::drop_some_older_than(conn, age)))
    }
    fn users_with_offline(&self, server: &str, epoch: i64) -> Result<Vec<UserId>> {
        self.read(|conn| offline::waiting_for(conn, server, epoch))
    }

    fn user_names(&self, after: u32, most: u32) -> Result<Vec<(UserId, String)>> {
        self.read(|conn| import::user_names(conn, after, most))
    }
    fn group_names(&self, after: u32, most: u32) -> Result<Vec<(GroupId, String)>> {
        self.read(|conn| import::group_names(conn, after, most))
    }
    fn import(&self, rows: &[ImportRow]) -> Result<()> {
        self.write(|conn| import::import(conn, rows))
    }
}
