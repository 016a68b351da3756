//! The store of a cluster: MySQL or MariaDB.
//!
//! ```text
//! MysqlStore ─▶ Circuit (after a time-out: fail at once)
//!            ─▶ Pool ─▶ Lease (one connection, one transaction)
//!            ─▶ accounts, claims, friends, groups, offline, tokens: the statements
//! ```
//!
//! Any number of threads may call at once; up to `pool_size` transactions run
//! beside each other. A call ends, with an answer or as `Unavailable`, within
//! about `checkout_timeout` + `read_timeout` even if the database has stopped.
//! Deadlocks and lock time-outs are rolled back and tried again inside.

mod accounts;
mod circuit;
mod claims;
mod connect;
mod fault;
mod foreign;
mod friends;
mod groups;
mod ids;
mod import;
mod migrate;
mod offline;
mod pool;
mod tls;
mod tokens;

use std::time::{Duration, Instant};

use log::debug;
use mysql::prelude::{FromRow, Queryable};
use mysql::{Params, from_row_opt};

use self::circuit::{BACK_OFF, Circuit, Verdict};
use self::connect::{DbConn, Target};
use self::fault::Fault;
use self::ids::LARGEST_FORM;
use self::offline::Together;
use self::pool::{Opening, Pool};
use super::offline::drop_in_steps;
use super::store::Result;
use super::{
    Claim, ClaimOutcome, Credentials, Group, GroupId, HeldClaim, ImportRow, Limits, OfflineKey,
    OfflineOp, OfflinePage, OfflineSize, Pushed, ServerRow, Store, StoreError, TokenHash, User,
    UserId,
};

pub use self::connect::describe_url;
pub use self::foreign::{Column, ForeignDatabase, tables_of};

/// How long a transaction that gets into conflict with others is tried again.
const CONFLICT_PATIENCE: Duration = Duration::from_secs(2);

/// How to reach MySQL and how long to wait for it.
#[derive(Clone)]
pub struct MysqlOptions {
    /// `mysql://user:password@host:port/database`.
    pub url: String,
    /// Connections at most, each for one transaction at a time.
    pub pool_size: usize,
    /// For a TCP connection to come about.
    pub connect_timeout: Duration,
    /// For each answer. Locks are waited for one second less (at least 1 s),
    /// so that a lock time-out is told from a stopped database.
    pub read_timeout: Duration,
    /// For a request to be taken.
    pub write_timeout: Duration,
    /// For one of the pool's connections to be free.
    pub checkout_timeout: Duration,
}

impl MysqlOptions {
    /// The defaults: 8 connections, 2 s for the network, 1 s for the pool.
    pub fn new(url: impl Into<String>) -> MysqlOptions {
        MysqlOptions {
            url: url.into(),
            pool_size: 8,
            connect_timeout: Duration::from_secs(2),
            read_timeout: Duration::from_secs(2),
            write_timeout: Duration::from_secs(2),
            checkout_timeout: Duration::from_secs(1),
        }
    }
}

impl std::fmt::Debug for MysqlOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL holds a password.
        f.debug_struct("MysqlOptions")
            .field("url", &describe_url(&self.url))
            .field("pool_size", &self.pool_size)
            .finish_non_exhaustive()
    }
}

/// A [`Store`] in MySQL or MariaDB.
pub struct MysqlStore {
    circuit: Circuit,
    pool: Pool,
}

impl MysqlStore {
    /// Connects (one try), creates the database of the URL if it is missing
    /// and the account may, and applies what migrations it lacks.
    ///
    /// Errors: `Unavailable` is worth another try later; `Misconfigured` (URL,
    /// access, no such database, a newer or a foreign schema) is not. Their
    /// texts say what to do and hold no password.
    pub fn open(options: MysqlOptions) -> Result<MysqlStore> {
        let target = Target::new(&options)?;
        let mut first = migrate::connect_or_create(&target)?;
        migrate::migrate(&target, &mut first)?;
        migrate::check_columns(&target, &mut first)?;
        let pool = Pool::new(target, options.pool_size, options.checkout_timeout, first);
        Ok(MysqlStore { circuit: Circuit::new(BACK_OFF), pool })
    }

    /// Runs single statements that each commit by themselves; at most one of
    /// them changes anything.
    fn run<T>(&self, mut work: impl FnMut(&mut DbConn) -> Attempt<T>) -> Result<T> {
        self.with_connection(Opening::Ping, |db| work(db))
    }

    /// Runs several statements in one transaction, rolled back on any error.
    fn transaction<T>(&self, mut work: impl FnMut(&mut DbConn) -> Attempt<T>) -> Result<T> {
        let mut is_begun = true;
        self.with_connection(Opening::Transaction, |db| {
            if !std::mem::take(&mut is_begun) {
                db.conn.query_drop("START TRANSACTION")?;
            }
            let outcome = work(db).and_then(|value| {
                db.conn.query_drop("COMMIT")?;
                Ok(value)
            });
            if outcome.as_ref().is_err_and(|fault| !fault.breaks_connection()) {
                db.conn.query_drop("ROLLBACK")?;
            }
            outcome
        })
    }

    /// The same for work that stores messages: again with single rows where some
    /// of them were there already.
    fn transaction_of_messages(
        &self,
        mut work: impl FnMut(&mut DbConn, Together) -> Attempt<()>,
    ) -> Result<()> {
        let mut together = Together::Yes;
        self.transaction(|db| {
            let applied = work(db, together);
            if applied.as_ref().is_err_and(Fault::is_mixed) {
                together = Together::No;
            }
            applied
        })
    }

    /// One call: circuit, connection, the work (again while it meets other
    /// transactions), and the connection's way back.
    fn with_connection<T>(
        &self,
        opening: Opening,
        mut work: impl FnMut(&mut DbConn) -> Attempt<T>,
    ) -> Result<T> {
        let Some(permit) = self.circuit.enter() else {
            return Err(StoreError::Unavailable("it did not answer just now".to_owned()));
        };
        let outcome = self.pool.checkout(opening).and_then(|mut lease| {
            let outcome = until_no_conflict(|| work(lease.db()));
            if !outcome.as_ref().is_err_and(Fault::breaks_connection) {
                lease.keep();
            }
            outcome
        });
        let timed_out = outcome.as_ref().is_err_and(Fault::is_time_out);
        permit.settle(if timed_out { Verdict::TimedOut } else { Verdict::Answered });
        outcome.map_err(Fault::into_store_error)
    }
}

/// What work on a connection came to.
type Attempt<T> = std::result::Result<T, Fault>;

/// Repeats what a deadlock or lock time-out undid, for a while.
fn until_no_conflict<T>(mut work: impl FnMut() -> Attempt<T>) -> Attempt<T> {
    let started = Instant::now();
    loop {
        match work() {
            Err(fault) if fault.is_conflict() && started.elapsed() < CONFLICT_PATIENCE => {
                debug!(target: "store", "trying a transaction again err={fault:?}");
            }
            outcome => return outcome,
        }
    }
}

impl DbConn {
    /// All rows of a query. (The driver's own `exec` panics on a row that
    /// does not fit.)
    fn rows<T: FromRow>(&mut self, sql: &str, params: impl Into<Params>) -> Attempt<Vec<T>> {
        let mut rows = Vec::new();
        for row in self.conn.exec_iter(sql, params)? {
            rows.push(from_row_opt(row?).map_err(mysql::Error::from)?);
        }
        Ok(rows)
    }

    /// The first row of a query, if it has one.
    fn first<T: FromRow>(&mut self, sql: &str, params: impl Into<Params>) -> Attempt<Option<T>> {
        match self.conn.exec_iter(sql, params)?.next() {
            Some(row) => Ok(Some(from_row_opt(row?).map_err(mysql::Error::from)?)),
            None => Ok(None),
        }
    }

    /// Executes a statement; returns how many rows it changed. A row that
    /// already was as the statement would have it does not count.
    fn change(&mut self, sql: &str, params: impl Into<Params>) -> Attempt<u64> {
        self.conn.exec_drop(sql, params)?;
        Ok(self.conn.affected_rows())
    }

    /// The number that the last INSERT gave.
    fn inserted_id(&self) -> Attempt<i64> {
        i64::try_from(self.conn.last_insert_id())
            .map_err(|_| StoreError::Internal("the numbers have run out".to_owned()).into())
    }
}

impl Store for MysqlStore {
    fn create_user(&self, name: &str, password_hash: &str) -> Result<UserId> {
        self.transaction(|db| accounts::create_user(db, name, password_hash))
    }
    fn credentials_by_id(&self, id: UserId) -> Result<Option<Credentials>> {
        self.run(|db| accounts::credentials_by_id(db, id))
    }
    fn credentials_by_name(&self, name: &str) -> Result<Option<Credentials>> {
        self.run(|db| accounts::credentials_by_name(db, name))
    }
    fn user(&self, id: UserId) -> Result<Option<User>> {
        self.run(|db| accounts::user(db, id))
    }

    fn take_claim(
        &self,
        user: UserId,
        claim: &Claim,
        replacing: Option<&Claim>,
    ) -> Result<ClaimOutcome> {
        self.run(|db| claims::take(db, user, claim, replacing))
    }
    fn release_claim(&self, user: UserId, claim: &Claim) -> Result<bool> {
        self.run(|db| claims::release(db, user, claim))
    }
    fn claims_of(&self, server: &str, epoch: i64) -> Result<Vec<HeldClaim>> {
        self.run(|db| claims::held_by(db, server, epoch))
    }

    fn start_server(&self, id: &str, epoch: i64) -> Result<u64> {
        self.transaction(|db| claims::start_server(db, id, epoch))
    }
    fn beat(&self, id: &str, epoch: i64) -> Result<bool> {
        self.run(|db| claims::beat(db, id, epoch))
    }
    fn servers(&self) -> Result<Vec<ServerRow>> {
        self.run(claims::servers)
    }
    fn declare_dead(&self, seen: &ServerRow) -> Result<Option<u64>> {
        self.transaction(|db| claims::declare_dead(db, seen))
    }
    fn forget_server(&self, seen: &ServerRow) -> Result<bool> {
        self.transaction(|db| claims::forget_server(db, seen))
    }
    fn stop_server(&self, id: &str, epoch: i64) -> Result<u64> {
        self.transaction(|db| claims::stop_server(db, id, epoch))
    }

    fn token_user(&self, user: UserId, token: &TokenHash) -> Result<Option<String>> {
        self.run(|db| tokens::user_of(db, user, token))
    }
    fn add_token(
        &self,
        user: UserId,
        new: &TokenHash,
        presented: Option<&TokenHash>,
    ) -> Result<()> {
        self.transaction(|db| tokens::add(db, user, new, presented))
    }
    fn drop_older_tokens(&self, user: UserId, token: &TokenHash) -> Result<()> {
        self.transaction(|db| tokens::drop_older(db, user, token))
    }
    fn drop_tokens_until(&self, user: UserId, token: &TokenHash) -> Result<()> {
        self.transaction(|db| tokens::drop_until(db, user, token))
    }
    fn refresh_tokens(&self, server: &str, epoch: i64) -> Result<()> {
        let online = self.run(|db| tokens::of_claimed(db, server, epoch))?;
        for some in online.chunks(LARGEST_FORM) {
            self.run(|db| tokens::renew(db, some))?;
        }
        let expired = self.run(tokens::expired)?;
        for some in expired.chunks(LARGEST_FORM) {
            self.run(|db| tokens::delete_expired(db, some))?;
        }
        Ok(())
    }

    fn add_friend(&self, user: UserId, friend: UserId, limits: &Limits) -> Result<User> {
        self.transaction(|db| friends::add(db, user, friend, limits))
    }
    fn remove_friend(&self, user: UserId, friend: UserId) -> Result<()> {
        self.transaction(|db| friends::remove(db, user, friend))
    }
    fn friends(&self, user: UserId) -> Result<Vec<User>> {
        self.run(|db| friends::of(db, user))
    }

    fn create_group(
        &self,
        creator: UserId,
        name: &str,
        description: &str,
        limits: &Limits,
    ) -> Result<GroupId> {
        self.transaction(|db| groups::create(db, creator, name, description, limits))
    }
    fn join_group(&self, group: GroupId, user: UserId, limits: &Limits) -> Result<Group> {
        self.transaction(|db| groups::join(db, group, user, limits))
    }
    fn leave_group(&self, group: GroupId, user: UserId) -> Result<bool> {
        self.transaction(|db| groups::leave(db, group, user))
    }
    fn groups_of(&self, user: UserId) -> Result<Vec<Group>> {
        self.run(|db| groups::of(db, user))
    }
    fn group_members(&self, group: GroupId) -> Result<Option<Vec<UserId>>> {
        self.run(|db| groups::members(db, group))
    }

    fn offline_writers(&self) -> usize {
        // One's statements run while another's commit goes to the disk.
        2
    }

    fn apply_offline(&self, ops: &[OfflineOp]) -> Result<()> {
        if ops.is_empty() {
            return Ok(());
        }
        self.transaction_of_messages(|db, together| offline::apply(db, ops, together))
    }
    fn offline_page(
        &self,
        user: UserId,
        pushed: &Pushed,
        max_rows: usize,
        max_bytes: usize,
    ) -> Result<OfflinePage> {
        self.run(|db| offline::page(db, user, pushed, max_rows, max_bytes))
    }
    fn offline_size(&self, user: UserId, most: OfflineSize) -> Result<OfflineSize> {
        self.run(|db| offline::size(db, user, most))
    }
    fn are_offline(&self, messages: &[OfflineKey]) -> Result<Vec<bool>> {
        self.run(|db| offline::are_there(db, messages))
    }
    fn drop_offline_older_than(&self, age: Duration) -> Result<u64> {
        drop_in_steps(|| self.run(|db| offline::drop_some_older_than(db, age)))
    }
    fn users_with_offline(&self, server: &str, epoch: i64) -> Result<Vec<UserId>> {
        self.run(|db| offline::waiting_for(db, server, epoch))
    }

    fn user_names(&self, after: u32, most: u32) -> Result<Vec<(UserId, String)>> {
        self.run(|db| import::user_names(db, after, most))
    }
    fn group_names(&self, after: u32, most: u32) -> Result<Vec<(GroupId, String)>> {
        self.run(|db| import::group_names(db, after, most))
    }
    fn import(&self, rows: &[ImportRow]) -> Result<()> {
        self.transaction_of_messages(|db, together| import::import(db, rows, together))
    }
}
