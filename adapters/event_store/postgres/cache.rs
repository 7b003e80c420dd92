//! What one process remembers of the log: folded streams and recent receipts. Only what is known to be committed
//! enters it, so each entry is true; whether it is still the newest is for the append to prove.

use std::num::NonZeroUsize;

use commands::ports::{Receipt, StreamId, StreamState};
use lru::LruCache;
use parking_lot::Mutex;
use uuid::Uuid;

/// Folded streams; the least recently used are forgotten. Shared by the appender and the readers.
pub(super) struct StateCache(Mutex<LruCache<StreamId, StreamState>>);

impl StateCache {
    pub(super) fn new(streams_max: usize) -> StateCache {
        StateCache(Mutex::new(LruCache::new(at_least_one(streams_max))))
    }

    pub(super) fn get(&self, stream: &StreamId) -> Option<StreamState> {
        self.0.lock().get(stream).cloned()
    }

    pub(super) fn put_all(&self, states: impl Iterator<Item = (StreamId, StreamState)>) {
        let mut cache = self.0.lock();
        for (stream, state) in states {
            cache.put(stream, state);
        }
    }

    pub(super) fn forget(&self, streams: &[StreamId]) {
        let mut cache = self.0.lock();
        for stream in streams {
            cache.pop(stream);
        }
    }

    pub(super) fn clear(&self) {
        self.0.lock().clear();
    }
}

/// Receipts by command id; the least recently used are forgotten.
pub(super) struct RecentReceipts(LruCache<Uuid, Receipt>);

impl RecentReceipts {
    pub(super) fn new(receipts_max: usize) -> RecentReceipts {
        RecentReceipts(LruCache::new(at_least_one(receipts_max)))
    }

    pub(super) fn get(&mut self, command_id: Uuid) -> Option<Receipt> {
        self.0.get(&command_id).cloned()
    }

    pub(super) fn put(&mut self, receipt: Receipt) {
        self.0.put(receipt.command_id, receipt);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

fn at_least_one(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MIN)
}
