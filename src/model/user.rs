//! Users and whether they are online.

use serde::{Deserialize, Serialize};

/// A user's number, given by the server at registration: 1 … 2^31-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(pub u32);

impl std::fmt::Display for UserId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
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
