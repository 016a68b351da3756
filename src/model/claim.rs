//! Claims: which server holds which user's login, and which servers live.
//!
//! The database decides who is online. A *claim* names the server, that
//! server's *epoch* (a random number of its present life) and a random number
//! of the one login, so that nothing that ends late can end something newer.

use std::sync::Arc;

use super::UserId;

/// A server's name in the cluster: `--server-id`, by default its `host:port`.
pub type ServerId = Arc<str>;

/// One login's hold on a user.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The server that holds it.
    pub server: ServerId,
    /// That server's epoch when the claim was taken; positive.
    pub epoch: i64,
    /// A fresh random number of this login; positive.
    pub number: i64,
}

/// What an attempt to claim a user came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimOutcome {
    /// The claim stands in the database.
    Taken,
    /// Somebody else's claim stands there.
    HeldBy(Claim),
}

/// A claim found in the database at an audit of one server's own rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldClaim {
    /// Whose login it is.
    pub user: UserId,
    /// The claim's random number.
    pub number: i64,
}

/// One server's row as an observer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerRow {
    /// The server's name.
    pub id: ServerId,
    /// The random number of its present life.
    pub epoch: i64,
    /// Raised every few seconds by a server that lives.
    pub beat: i64,
}
