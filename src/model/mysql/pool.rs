//! A pool of connections, ours instead of the driver's, because that one
//! connects while it holds its lock (one stopped database then holds up every
//! caller, one after another), takes a connection back in which an answer is
//! still to come after a time-out, and counts one that was thrown away for
//! ever.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use log::debug;
use mysql::prelude::Queryable;

use super::connect::{DbConn, Target};
use super::fault::Fault;
use crate::model::StoreError;

/// At most `size` connections. The lock is a leaf, never held across I/O.
pub(super) struct Pool {
    target: Target,
    size: usize,
    checkout_timeout: Duration,
    state: Mutex<State>,
    /// One was given back, or there is room for a new one.
    freed: Condvar,
}

struct State {
    /// The last one used is taken first, so that those not needed time out.
    idle: Vec<DbConn>,
    /// Idle, lent, or being connected.
    open: usize,
}

/// What a connection is asked first: by the answer it is known to live.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    /// Nothing: single statements follow.
    Ping,
    /// To begin a transaction, which saves a round trip.
    Transaction,
}

/// A connection on loan. It goes back to the pool when dropped, but only
/// after [`Lease::keep`] has said that it is clean.
pub(super) struct Lease<'a> {
    pool: &'a Pool,
    conn: Option<DbConn>,
    clean: bool,
}

impl Pool {
    /// A pool with one connection in it, `first`.
    pub(super) fn new(
        target: Target,
        size: usize,
        checkout_timeout: Duration,
        first: DbConn,
    ) -> Pool {
        let state = Mutex::new(State { idle: vec![first], open: 1 });
        Pool { target, size: size.max(1), checkout_timeout, state, freed: Condvar::new() }
    }

    /// Lends a connection that has just answered or been opened.
    /// Waits at most the checkout time-out for a free one; the first question
    /// and a new connection have their own.
    pub(super) fn checkout(&self, opening: Opening) -> Result<Lease<'_>, Fault> {
        let deadline = Instant::now() + self.checkout_timeout;
        loop {
            let mut lease = Lease { pool: self, conn: self.take(deadline)?, clean: false };
            match lease.conn.as_mut() {
                None => {
                    let db = lease.conn.insert(self.target.connect()?);
                    if opening == Opening::Transaction {
                        db.ask(opening)?;
                    }
                    return Ok(lease);
                }
                Some(db) => match db.ask(opening) {
                    Ok(()) => return Ok(lease),
                    Err(fault) if fault.is_time_out() => return Err(fault),
                    Err(fault) => {
                        debug!(target: "store", "dropped a dead connection err={fault:?}")
                    }
                },
            }
        }
    }

    /// An idle connection, or `None` with a place reserved for a new one.
    fn take(&self, deadline: Instant) -> Result<Option<DbConn>, Fault> {
        let mut state = self.lock();
        loop {
            if let Some(conn) = state.idle.pop() {
                return Ok(Some(conn));
            }
            if state.open < self.size {
                state.open += 1;
                return Ok(None);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Fault::Store(StoreError::Unavailable(format!(
                    "all {} connections are busy",
                    self.size
                ))));
            }
            state = self.freed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code under this lock can leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DbConn {
    fn ask(&mut self, opening: Opening) -> Result<(), Fault> {
        match opening {
            Opening::Ping => self.conn.ping()?,
            Opening::Transaction => self.conn.query_drop("START TRANSACTION")?,
        }
        Ok(())
    }
}

impl Lease<'_> {
    /// The connection, for one transaction.
    pub(super) fn db(&mut self) -> &mut DbConn {
        self.conn.as_mut().expect("a lease that was handed out has a connection")
    }

    /// The connection is between two transactions: the pool may have it back.
    pub(super) fn keep(mut self) {
        self.clean = true;
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let conn = self.conn.take();
        let mut state = self.pool.lock();
        match conn {
            Some(conn) if self.clean => state.idle.push(conn),
            unusable => {
                state.open -= 1;
                drop(state);
                // Closing writes to the socket, so not under the lock.
                drop(unusable);
            }
        }
        self.pool.freed.notify_one();
    }
}
