//! What is known of many connections, each under its key.
//!
//! Boxed: a hash table has up to twice as many places as it needs, and an idle
//! connection should cost what is known of it, once.

use std::hash::Hash;

use rustc_hash::FxHashMap;

/// Things by key, found by it alone.
pub struct Table<K, T>(FxHashMap<K, Box<T>>);

impl<K, T> Default for Table<K, T> {
    fn default() -> Self {
        Table(FxHashMap::default())
    }
}

impl<K: Copy + Eq + Hash, T> Table<K, T> {
    /// What is under this key.
    pub fn get(&self, key: &K) -> Option<&T> {
        self.0.get(key).map(Box::as_ref)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut T> {
        self.0.get_mut(key).map(Box::as_mut)
    }

    /// Puts something under a key that is free.
    pub fn insert(&mut self, key: K, value: T) {
        let former = self.0.insert(key, Box::new(value));
        debug_assert!(former.is_none(), "a key is used once");
    }

    /// Takes out what is under this key.
    pub fn remove(&mut self, key: &K) -> Option<T> {
        self.0.remove(key).map(|value| *value)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in no order.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.0.values().map(Box::as_ref)
    }

    /// All keys, in no order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.keys()
    }
}
