//! All slots: one per user who is online here or has copies under way, sharded
//! by user. Each shard's lock is a leaf.

use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

use super::slot::{LocalSession, Slot};
use crate::model::UserId;

/// Why a lock is never found poisoned.
pub(super) const NEVER_POISONED: &str = "a panic ends the process";

/// A power of two, well above the number of reactors and workers.
const SHARDS: usize = 64;

/// Slots by their user, who is in the box, too: a table has up to twice as many
/// places as it needs.
#[derive(Default)]
struct Shard(HashTable<Box<Entry>>);

struct Entry {
    user: UserId,
    slot: Slot,
}

/// Everybody who is online has one: what is rare is boxed.
const _: () = assert!(size_of::<Entry>() <= 104);

fn hash(user: UserId) -> u64 {
    FxBuildHasher.hash_one(user)
}

impl Shard {
    fn get(&self, user: UserId) -> Option<&Slot> {
        self.0.find(hash(user), |entry| entry.user == user).map(|entry| &entry.slot)
    }

    fn get_mut(&mut self, user: UserId) -> Option<&mut Slot> {
        self.0.find_mut(hash(user), |entry| entry.user == user).map(|entry| &mut entry.slot)
    }

    fn get_or_insert(&mut self, user: UserId) -> &mut Slot {
        let entry = self.0.entry(hash(user), |entry| entry.user == user, |entry| hash(entry.user));
        let made = || Box::new(Entry { user, slot: Slot::default() });
        &mut entry.or_insert_with(made).into_mut().slot
    }

    fn remove(&mut self, user: UserId) {
        if let Ok(entry) = self.0.find_entry(hash(user), |entry| entry.user == user) {
            entry.remove();
        }
    }
}

/// All slots, sharded by user.
pub struct Registry {
    shards: Box<[Mutex<Shard>]>,
}

impl Registry {
    /// Knows nobody.
    pub fn new() -> Registry {
        Registry { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    fn shard(&self, user: UserId) -> MutexGuard<'_, Shard> {
        self.shards[user.0 as usize % SHARDS].lock().expect(NEVER_POISONED)
    }

    /// Does something with a user's slot, under its shard's lock. The slot is
    /// made if need be, and dropped if nothing is left in it.
    pub fn with<R>(&self, user: UserId, act: impl FnOnce(&mut Slot) -> R) -> R {
        let mut shard = self.shard(user);
        let slot = shard.get_or_insert(user);
        let result = act(slot);
        let idle = slot.is_idle(Instant::now);
        if idle {
            shard.remove(user);
        }
        result
    }

    /// Does something to `what` with the slot of a user who has a session here;
    /// gives it back for anybody else.
    pub fn with_session<T, R>(
        &self,
        user: UserId,
        what: T,
        act: impl FnOnce(&mut Slot, T) -> R,
    ) -> Result<R, T> {
        let mut shard = self.shard(user);
        match shard.get_mut(user).filter(|slot| slot.session.is_some()) {
            Some(slot) => Ok(act(slot, what)),
            None => Err(what),
        }
    }

    /// Does something with every slot, one shard at a time, and drops those
    /// in which nothing is left.
    pub fn for_each(&self, mut act: impl FnMut(UserId, &mut Slot)) {
        let now = Instant::now();
        for shard in &self.shards {
            shard.lock().expect(NEVER_POISONED).0.retain(|entry| {
                act(entry.user, &mut entry.slot);
                !entry.slot.is_idle(|| now)
            });
        }
    }

    /// The session of a user who is online here.
    pub fn session(&self, user: UserId) -> Option<LocalSession> {
        self.shard(user).get(user).and_then(|slot| slot.session.clone())
    }

    /// The claims of everybody who is online here.
    pub fn claims(&self) -> Vec<(UserId, i64)> {
        let places = self.shards.iter().map(|shard| shard.lock().expect(NEVER_POISONED).0.len());
        let mut all = Vec::with_capacity(places.sum());
        self.for_each(|user, slot| all.extend(slot.session.as_ref().map(|s| (user, s.claim))));
        all
    }
}

impl Default for Registry {
    fn default() -> Registry {
        Registry::new()
    }
}
