//! Runs over statements that were asked for and that nobody has finished, as the read models see them.

use async_trait::async_trait;
use domain::StatementId;

#[async_trait]
pub trait PendingRuns: Send + Sync {
    /// Perhaps late, never too many.
    async fn pending(&self) -> Result<Vec<StatementId>, PendingRunsUnavailable>;
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the pending runs are not known: {0}")]
pub struct PendingRunsUnavailable(pub String);
