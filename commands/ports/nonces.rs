//! Nonces of signed requests: each is good once, whichever node it reaches.

use std::time::Duration;

use async_trait::async_trait;
use domain::{ApiKeyId, Timestamp};

/// A signature is accepted up to 300 s before and after its own time, both in whole seconds of the node's clock, so it
/// can be replayed for just under 601 s.
pub const REMEMBERED_FOR: Duration = Duration::from_secs(601);

#[async_trait]
pub trait Nonces: Send + Sync {
    /// True the first time that this key uses this nonce within [`REMEMBERED_FOR`], also across a crash of the store.
    async fn use_once(&self, key_id: ApiKeyId, nonce: &str, now: Timestamp) -> Result<bool, NoncesUnavailable>;

    /// Drops those that were used before; how many.
    async fn forget(&self, used_before: Timestamp) -> Result<u64, NoncesUnavailable>;
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the memory of nonces is not available: {0}")]
pub struct NoncesUnavailable(pub String);
