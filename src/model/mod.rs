//! What is kept: users, friendships, groups, missed messages, tokens, and who
//! holds which user's login. The rules of chat live in `service`; here is only what
//! a database can promise.
//!
//! Two implementations of [`Store`] pass one conformance suite: [`mysql`] for
//! a cluster, [`sqlite`] for one server with nothing installed.

pub mod claim;
pub mod friend;
pub mod group;
pub mod import;
pub mod limits;
mod migration;
pub mod mysql;
pub mod offline;
pub mod sqlite;
pub mod store;
pub mod token;
pub mod user;

pub use claim::{Claim, ClaimOutcome, HeldClaim, ServerId, ServerRow};
pub use group::{Group, GroupId, GroupMember, GroupRole};
pub use import::ImportRow;
pub use limits::{Limit, Limits};
pub use offline::{OfflineKey, OfflineOp, OfflinePage, OfflineRow, OfflineSize, Pushed};
pub use store::{Store, StoreError};
pub use token::{TOKEN_LIFETIME, TokenHash};
pub use user::{Credentials, User, UserId, UserState};
