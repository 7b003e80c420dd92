//! A bounded memory of values that must not outlive their withdrawal for long: keys that can be erased or revoked.

use std::hash::Hash;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use lru::LruCache;
use parking_lot::Mutex;

/// Values leave it after `lifetime`, however often they are used.
pub(crate) struct ShortCache<K, V> {
    lifetime: Duration,
    inner: Mutex<Inner<K, V>>,
}

struct Inner<K, V> {
    values: LruCache<K, (V, Instant)>,
    withdrawals: u64,
}

impl<K: Hash + Eq, V: Clone> ShortCache<K, V> {
    pub(crate) fn new(capacity: usize, lifetime: Duration) -> ShortCache<K, V> {
        let capacity = NonZeroUsize::new(capacity).unwrap_or(NonZeroUsize::MIN);
        ShortCache { lifetime, inner: Mutex::new(Inner { values: LruCache::new(capacity), withdrawals: 0 }) }
    }

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let mut inner = self.inner.lock();
        let (value, loaded_at) = inner.values.get(key)?;
        if loaded_at.elapsed() < self.lifetime {
            return Some(value.clone());
        }
        inner.values.pop(key);
        None
    }

    /// To be read before a value is fetched, and given to `put` with it.
    pub(crate) fn withdrawals(&self) -> u64 {
        self.inner.lock().withdrawals
    }

    /// Does nothing if anything was withdrawn since `seen`: it may be this value, fetched just before.
    pub(crate) fn put(&self, key: K, value: V, seen: u64) {
        let mut inner = self.inner.lock();
        if inner.withdrawals == seen {
            inner.values.put(key, (value, Instant::now()));
        }
    }

    pub(crate) fn withdraw(&self, key: &K) {
        let mut inner = self.inner.lock();
        inner.withdrawals += 1;
        inner.values.pop(key);
    }

    pub(crate) fn clear(&self) {
        let mut inner = self.inner.lock();
        inner.withdrawals += 1;
        inner.values.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_fetched_before_a_withdrawal_is_not_remembered() {
        let cache = ShortCache::new(2, Duration::from_secs(60));
        let seen = cache.withdrawals();
        cache.put("a", 1, seen);
        cache.withdraw(&"a");
        cache.put("a", 1, seen);
        assert_eq!(cache.get(&"a"), None);
        cache.put("a", 2, cache.withdrawals());
        assert_eq!(cache.get(&"a"), Some(2));
        cache.clear();
        assert_eq!(cache.get(&"a"), None);
    }

    #[test]
    fn values_end_with_their_time_and_the_oldest_give_way() {
        let cache = ShortCache::new(2, Duration::ZERO);
        cache.put("a", 1, 0);
        assert_eq!(cache.get(&"a"), None);
        let cache = ShortCache::new(2, Duration::from_secs(60));
        for (key, value) in [("a", 1), ("b", 2), ("c", 3)] {
            cache.put(key, value, 0);
        }
        assert_eq!((cache.get(&"a"), cache.get(&"c")), (None, Some(3)));
    }
}
