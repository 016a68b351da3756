//! Group members, remembered for 3 s so that a busy group does not ask the
//! database for every message.
//!
//! An entry's age counts from the start of its read, and a change that is
//! announced while a read runs discards what that read found. While the
//! database is away the last list serves.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::registry::NEVER_POISONED;
use crate::model::{GroupId, Store, StoreError, UserId};

/// How old a list may be.
const FRESH: Duration = Duration::from_secs(3);
/// Beyond this many groups the ones that are not fresh are forgotten.
const MOST_GROUPS: usize = 10_000;
/// Changes are counted for sets of groups, not for each.
const CHANGE_COUNTERS: usize = 64;
/// How often a read that a change has overtaken is tried again.
const READS: usize = 3;

struct Entry {
    members: Arc<[UserId]>,
    read_at: Instant,
    /// A change was announced: serves only while the database is away.
    dropped: bool,
}

/// Member lists by group.
pub struct GroupCache {
    entries: Mutex<HashMap<GroupId, Entry>>,
    changes: [AtomicU64; CHANGE_COUNTERS],
}

impl GroupCache {
    /// Knows no group.
    pub fn new() -> GroupCache {
        GroupCache {
            entries: Mutex::default(),
            changes: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// The members, ordered, if they are known and fresh. Memory only.
    pub fn fresh(&self, group: GroupId) -> Option<Arc<[UserId]>> {
        let entries = self.entries.lock().expect(NEVER_POISONED);
        let entry = entries.get(&group)?;
        let fresh = !entry.dropped && entry.read_at.elapsed() < FRESH;
        fresh.then(|| entry.members.clone())
    }

    /// The members, ordered, read from the database if need be; `None`: there
    /// is no such group.
    ///
    /// # Errors
    /// The database's, where no list from before can serve.
    pub fn load(
        &self,
        store: &dyn Store,
        group: GroupId,
    ) -> Result<Option<Arc<[UserId]>>, StoreError> {
        let mut members = self.fresh(group);
        for _ in 0..READS {
            if members.is_some() {
                break;
            }
            let read_at = Instant::now();
            let changes = self.counter(group).load(Ordering::Acquire);
            let read: Arc<[UserId]> = match store.group_members(group) {
                Ok(Some(read)) => read.into(),
                Ok(None) => {
                    self.entries.lock().expect(NEVER_POISONED).remove(&group);
                    return Ok(None);
                }
                Err(StoreError::Unavailable(why)) => {
                    let entries = self.entries.lock().expect(NEVER_POISONED);
                    return match entries.get(&group) {
                        Some(entry) => Ok(Some(entry.members.clone())),
                        None => Err(StoreError::Unavailable(why)),
                    };
                }
                Err(err) => return Err(err),
            };
            if self.remember(group, &read, read_at, changes) {
                members = Some(read);
            }
        }
        match members {
            Some(members) => Ok(Some(members)),
            // Changes come faster than reads: one more, and not remembered.
            None => Ok(store.group_members(group)?.map(Arc::from)),
        }
    }

    /// The membership changed.
    pub fn drop_entry(&self, group: GroupId) {
        self.counter(group).fetch_add(1, Ordering::AcqRel);
        if let Some(entry) = self.entries.lock().expect(NEVER_POISONED).get_mut(&group) {
            entry.dropped = true;
        }
    }

    /// Keeps what a read found, unless a change was announced since it began.
    fn remember(
        &self,
        group: GroupId,
        members: &Arc<[UserId]>,
        read_at: Instant,
        changes: u64,
    ) -> bool {
        let mut entries = self.entries.lock().expect(NEVER_POISONED);
        if self.counter(group).load(Ordering::Acquire) != changes {
            return false;
        }
        if entries.len() >= MOST_GROUPS {
            entries.retain(|_, entry| entry.read_at.elapsed() < FRESH);
        }
        let members = members.clone();
        entries.insert(group, Entry { members, read_at, dropped: false });
        true
    }

    fn counter(&self, group: GroupId) -> &AtomicU64 {
        &self.changes[group.0 as usize % CHANGE_COUNTERS]
    }
}

impl Default for GroupCache {
    fn default() -> GroupCache {
        GroupCache::new()
    }
}
