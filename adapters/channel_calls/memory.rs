//! The log of channel calls in memory.

use async_trait::async_trait;
use commands::ports::channel_calls::{CallLogUnavailable, ChannelCall, ChannelCallLog};
use domain::Timestamp;
use parking_lot::Mutex;

#[derive(Default)]
pub struct MemoryChannelCalls(Mutex<Vec<ChannelCall>>);

#[async_trait]
impl ChannelCallLog for MemoryChannelCalls {
    fn note(&self, call: ChannelCall) {
        self.0.lock().push(call);
    }

    async fn flush(&self) {}

    async fn about(&self, stream_ids: &[String]) -> Result<Vec<ChannelCall>, CallLogUnavailable> {
        let calls = self.0.lock();
        let mut about: Vec<_> = calls.iter().filter(|call| stream_ids.contains(&call.stream_id)).cloned().collect();
        about.sort_by_key(|call| call.started_at);
        Ok(about)
    }

    async fn count(&self, before: Timestamp) -> Result<u64, CallLogUnavailable> {
        let counted = self.0.lock().iter().filter(|call| call.started_at < before).count();
        Ok(u64::try_from(counted).unwrap_or(u64::MAX))
    }

    async fn archive(&self, before: Timestamp) -> Result<u64, CallLogUnavailable> {
        let mut calls = self.0.lock();
        let had = calls.len();
        calls.retain(|call| call.started_at >= before);
        Ok(u64::try_from(had - calls.len()).unwrap_or(u64::MAX))
    }
}
