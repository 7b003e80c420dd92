//! What was moved out of the tables of every day, and what is still to be moved there. Nothing is ever decided on it.

use async_trait::async_trait;
use domain::Timestamp;

/// Rows that go to the archive once they have had their term.
#[async_trait]
pub trait Shelved: Send + Sync {
    /// How many are past their term.
    async fn count(&self, before: Timestamp) -> Result<u64, ArchiveUnavailable>;

    /// Moves one small batch of them, all or none; how many, 0 once none is left.
    async fn archive(&self, before: Timestamp) -> Result<u64, ArchiveUnavailable>;
}

/// What stands in the archive, for auditors.
#[async_trait]
pub trait ArchiveReader: Send + Sync {
    /// The next of a shelf behind `after`, oldest first.
    async fn page(
        &self,
        shelf: &str,
        after: Option<(Timestamp, i64)>,
        limit: usize,
    ) -> Result<Vec<Archived>, ArchiveUnavailable>;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archived {
    pub archive_id: i64,
    pub name: String,
    pub happened_at: Timestamp,
    pub archived_at: Timestamp,
    /// JSON, as it was written.
    pub content: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the archive is not available: {0}")]
pub struct ArchiveUnavailable(pub String);

impl ArchiveUnavailable {
    pub fn because(error: impl std::error::Error) -> ArchiveUnavailable {
        ArchiveUnavailable(error.to_string())
    }
}
