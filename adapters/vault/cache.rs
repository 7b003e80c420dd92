//! A bounded memory of unwrapped data keys. They are wiped when they leave it and no caller holds them any more.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lru::LruCache;
use parking_lot::Mutex;

use super::cipher::Cipher;

pub(super) struct KeyCache {
    lifetime: Duration,
    inner: Mutex<Inner>,
}

struct Inner {
    keys: LruCache<String, (Arc<Cipher>, Instant)>,
    erasures: u64,
}

impl KeyCache {
    pub(super) fn new(capacity: usize, lifetime: Duration) -> KeyCache {
        let capacity = NonZeroUsize::new(capacity).unwrap_or(NonZeroUsize::MIN);
        KeyCache { lifetime, inner: Mutex::new(Inner { keys: LruCache::new(capacity), erasures: 0 }) }
    }

    pub(super) fn get(&self, key_id: &str) -> Option<Arc<Cipher>> {
        let mut inner = self.inner.lock();
        let (key, loaded_at) = inner.keys.get(key_id)?;
        if loaded_at.elapsed() < self.lifetime {
            return Some(key.clone());
        }
        inner.keys.pop(key_id);
        None
    }

    /// To be read before a key is fetched, and given to `put` with it.
    pub(super) fn erasures(&self) -> u64 {
        self.inner.lock().erasures
    }

    /// Does nothing if a key was erased since `seen`: it may be this one, fetched just before.
    pub(super) fn put(&self, key_id: &str, key: Arc<Cipher>, seen: u64) {
        let mut inner = self.inner.lock();
        if inner.erasures == seen {
            inner.keys.put(key_id.to_owned(), (key, Instant::now()));
        }
    }

    pub(super) fn forget(&self, key_id: &str) {
        let mut inner = self.inner.lock();
        inner.erasures += 1;
        inner.keys.pop(key_id);
    }
}
