//! Users and whether they are online.

use serde::{Deserialize, Serialize};

use super::StoreError;

/// The highest number that a user or group can have; columns are INT.
pub(super) const MAX_ID: i64 = i32::MAX as i64;

/// A user's number, given by the server at registration: 1 … 2^31-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(pub u32);

impl std::fmt::Display for UserId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl UserId {
    /// A number as a column holds it. Errors: `Internal` outside 1 … 2^31-1.
    pub(super) fn from_column(value: i64) -> Result<UserId, StoreError> {
        id_from_column(value, "user").map(UserId)
    }
}

/// Checks a user's or group's number read from a column.
pub(super) fn id_from_column(value: i64, of: &str) -> Result<u32, StoreError> {
    match u32::try_from(value) {
        Ok(id) if (1..=MAX_ID).contains(&value) => Ok(id),
        _ => Err(StoreError::Internal(format!("{of} number {value} is outside 1 to {MAX_ID}"))),
    }
}

/// Whether some server of the cluster holds this user's login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserState {
    /// A server holds a claim on the user.
    Online,
    /// Nobody holds one.
    Offline,
}

impl UserState {
    /// The state as the column `User.state` holds it.
    pub(super) fn from_column(text: &str) -> Result<UserState, StoreError> {
        match text {
            "online" => Ok(UserState::Online),
            "offline" => Ok(UserState::Offline),
            other => Err(StoreError::Internal(format!("unknown user state {other:?}"))),
        }
    }
}

/// What others may know of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The user's number.
    pub id: UserId,
    /// The unique name, compared exactly.
    pub name: String,
    /// Online or offline, as the database has it.
    pub state: UserState,
}

impl User {
    /// A user from the columns `id`, `name`, `state`.
    pub(super) fn from_columns(id: i64, name: String, state: &str) -> Result<User, StoreError> {
        Ok(User { id: UserId::from_column(id)?, name, state: UserState::from_column(state)? })
    }
}

/// What a login is checked against.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user's number.
    pub id: UserId,
    /// The unique name.
    pub name: String,
    /// An Argon2id hash as a PHC string (`$argon2id$v=19$…`).
    pub password_hash: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The hash stays out of logs.
        f.debug_struct("Credentials")
            .field("id", &self.id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
