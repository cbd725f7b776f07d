//! A table of bounded size, which forgets what was not used for longest.

use std::collections::HashMap;
use std::hash::Hash;
use std::mem;

pub(crate) struct Recent<K, V> {
    /// With the time of the last use.
    entries: HashMap<K, (u64, V)>,
    now: u64,
    most: usize,
}

impl<K: Hash + Eq, V> Recent<K, V> {
    /// A table of at most so many entries.
    pub(crate) fn new(most: usize) -> Recent<K, V> {
        Recent { entries: HashMap::new(), now: 0, most: most.max(1) }
    }

    #[inline]
    pub(crate) fn get(&mut self, key: &K) -> Option<&V> {
        self.now += 1;
        let (used, value) = self.entries.get_mut(key)?;
        *used = self.now;
        Some(value)
    }

    /// Adds an entry, and gives the one that it took the place of, for the caller to drop.
    #[must_use]
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<(K, V)> {
        self.now += 1;
        let before = self.entries.remove_entry(&key).or_else(|| self.make_room());
        self.entries.insert(key, (self.now, value));
        before.map(|(key, (_, value))| (key, value))
    }

    /// Forgets an entry if there is no place for one more.
    fn make_room(&mut self) -> Option<(K, (u64, V))> {
        if self.entries.len() < self.most {
            return None;
        }
        let oldest = self.entries.values().map(|(used, _)| *used).min()?;
        self.entries.extract_if(|_, (used, _)| *used == oldest).next()
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.values().map(|(_, value)| value)
    }

    /// All entries, which it then has no more.
    pub(crate) fn take(&mut self) -> Vec<(K, V)> {
        let entries = mem::take(&mut self.entries);
        entries.into_iter().map(|(key, (_, value))| (key, value)).collect()
    }
}
