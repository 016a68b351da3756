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
/// So many groups are remembered.
const MOST_GROUPS: usize = 10_000;
/// Of so many groups the one read longest ago gives way when all are fresh.
const SAMPLE: usize = 16;
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

struct Entries {
    by_group: HashMap<GroupId, Entry>,
    swept_at: Option<Instant>,
    /// How often all entries were looked at.
    #[cfg(test)]
    sweeps: usize,
}

impl Entries {
    /// A sweep looks at all entries under a lock that reactors take, and so is
    /// rare: the next one finds something once these are no longer fresh.
    fn make_room(&mut self) {
        if self.by_group.len() < MOST_GROUPS {
            return;
        }
        if self.swept_at.is_none_or(|at| at.elapsed() >= FRESH) {
            self.by_group.retain(|_, entry| entry.read_at.elapsed() < FRESH);
            self.swept_at = Some(Instant::now());
            #[cfg(test)]
            {
                self.sweeps += 1;
            }
        }
        if self.by_group.len() >= MOST_GROUPS {
            let sample = self.by_group.iter().take(SAMPLE);
            let oldest = sample.min_by_key(|(_, entry)| entry.read_at);
            if let Some(group) = oldest.map(|(group, _)| *group) {
                self.by_group.remove(&group);
            }
        }
    }
}

/// Member lists by group.
pub struct GroupCache {
    entries: Mutex<Entries>,
    changes: [AtomicU64; CHANGE_COUNTERS],
}

impl GroupCache {
    /// Knows no group.
    pub fn new() -> GroupCache {
        GroupCache {
            entries: Mutex::new(Entries {
                by_group: HashMap::new(),
                swept_at: None,
                #[cfg(test)]
                sweeps: 0,
            }),
            changes: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// The members, ordered, if they are known and fresh. Memory only.
    pub fn fresh(&self, group: GroupId) -> Option<Arc<[UserId]>> {
        let entries = self.entries.lock().expect(NEVER_POISONED);
        let entry = entries.by_group.get(&group)?;
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
                    self.entries.lock().expect(NEVER_POISONED).by_group.remove(&group);
                    return Ok(None);
                }
                Err(StoreError::Unavailable(why)) => {
                    let entries = self.entries.lock().expect(NEVER_POISONED);
                    return match entries.by_group.get(&group) {
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
        let mut entries = self.entries.lock().expect(NEVER_POISONED);
        if let Some(entry) = entries.by_group.get_mut(&group) {
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
        if !entries.by_group.contains_key(&group) {
            entries.make_room();
        }
        let members = members.clone();
        entries.by_group.insert(group, Entry { members, read_at, dropped: false });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_cache_is_not_swept_for_every_group_and_never_grows() {
        let cache = GroupCache::new();
        let (members, now): (Arc<[UserId]>, _) = ([UserId(1)].into(), Instant::now());
        for group in 1..=MOST_GROUPS as u32 * 3 {
            assert!(cache.remember(GroupId(group), &members, now, 0));
        }
        let entries = cache.entries.lock().unwrap();
        assert_eq!(entries.by_group.len(), MOST_GROUPS);
        assert!(entries.sweeps <= 20, "{} sweeps", entries.sweeps);
        drop(entries);
        assert!(cache.fresh(GroupId(MOST_GROUPS as u32 * 3)).is_some(), "the newest is there");
    }

    #[test]
    fn groups_that_nobody_writes_to_make_room_for_others() {
        let cache = GroupCache::new();
        let members: Arc<[UserId]> = [UserId(1)].into();
        let long_ago = Instant::now().checked_sub(2 * FRESH).unwrap();
        for group in 1..=MOST_GROUPS as u32 {
            cache.remember(GroupId(group), &members, long_ago, 0);
        }
        cache.remember(GroupId(MOST_GROUPS as u32 + 1), &members, Instant::now(), 0);
        assert_eq!(cache.entries.lock().unwrap().by_group.len(), 1);
    }
}
