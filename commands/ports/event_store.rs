//! The append-only log of events. Every adapter of it passes one contract suite.

use async_trait::async_trait;
use tokio::sync::watch;
use uuid::Uuid;

use super::event::{RecordedEvent, StreamId};
use super::request::{Receipt, Request};
use super::stream_state::{Category, StreamState};

/// - What `execute` acknowledges is durable, and visible to every read that starts later.
/// - Positions are 1..N without a gap and become visible in their order.
/// - Precedence: a command seen before is answered with its first receipt; then an unexpected version is a conflict;
///   then the command is decided.
/// - A command without events is recorded all the same if it has a fingerprint, so that its repeat is answered alike.
#[async_trait]
pub trait EventStore: Send + Sync {
    async fn execute(&self, request: Request) -> Result<Receipt, StoreError>;

    /// The stream folded up to its newest version.
    async fn load(&self, category: Category, id: &str) -> Result<StreamState, StoreError>;

    /// Each of the streams as [`EventStore::load`] answers it, in their order. An adapter asks for all at once if it can.
    async fn load_many(&self, category: Category, ids: &[String]) -> Result<Vec<StreamState>, StoreError> {
        let mut streams = vec![];
        for id in ids {
            streams.push(self.load(category, id).await?);
        }
        Ok(streams)
    }

    /// The stream folded up to `version`, or up to its end if that is sooner.
    async fn load_at(&self, category: Category, id: &str, version: u64) -> Result<StreamState, StoreError>;

    /// Events of one stream behind `after_version`, oldest first, at most `limit`.
    async fn read_stream(
        &self,
        stream: &StreamId,
        after_version: u64,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError>;

    /// Events behind the position `after`, oldest first, at most `limit`.
    async fn read_all(&self, after: u64, limit: usize) -> Result<Vec<RecordedEvent>, StoreError>;

    /// The receipt of a command, if it is known.
    async fn find_command(&self, command_id: Uuid) -> Result<Option<Receipt>, StoreError>;

    /// The position of the newest event, 0 in an empty log.
    async fn head(&self) -> Result<u64, StoreError>;

    /// Changes as soon as this process learns of a newer head, whichever process appended.
    fn watch_head(&self) -> watch::Receiver<u64>;
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StoreError {
    /// Nothing was appended; the caller may load again and retry.
    #[error("{stream} has version {actual}, not the expected one")]
    Conflict { stream: StreamId, actual: u64 },
    /// The store cannot be reached or is overloaded. Whether a command took effect may be unknown: a repeat with the
    /// same command id finds out.
    #[error("the event store is not available: {0}")]
    Unavailable(String),
    /// A stored event cannot be read: a bug or damage, never the caller's fault.
    #[error("the event store is damaged: {0}")]
    Corrupt(String),
}
