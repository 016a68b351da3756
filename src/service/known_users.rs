//! Users that are known to exist, so that a message to somebody asks the
//! database once. Users are never deleted, so an entry is true for ever.

use std::sync::RwLock;

use rustc_hash::FxHashSet;

use crate::model::UserId;

/// Forget everything beyond this many users (4 bytes each, and some room).
const MOST: usize = 1_000_000;

/// Users that exist.
pub struct KnownUsers {
    users: RwLock<FxHashSet<UserId>>,
}

impl KnownUsers {
    /// Knows nobody.
    pub fn new() -> KnownUsers {
        KnownUsers { users: RwLock::default() }
    }

    /// Whether this user is known to exist. `false` proves nothing.
    pub fn contains(&self, user: UserId) -> bool {
        self.users.read().expect(super::registry::NEVER_POISONED).contains(&user)
    }

    /// Remembers that this user exists.
    pub fn insert(&self, user: UserId) {
        let mut users = self.users.write().expect(super::registry::NEVER_POISONED);
        if users.len() >= MOST {
            users.clear();
        }
        users.insert(user);
    }
}

impl Default for KnownUsers {
    fn default() -> KnownUsers {
        KnownUsers::new()
    }
}
