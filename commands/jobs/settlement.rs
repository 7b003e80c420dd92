//! The job that closes settlement batches when their cut-offs have come.

use std::time::Duration;

use async_trait::async_trait;
use domain::Timestamp;

use super::{Job, JobFailed, Timetable};
use crate::settlement::{Idle, Settlements};

/// Closes every account whose cut-off has come since its last batch; each merchant's calendar says when that is. A batch
/// that was closed already is not closed again, so a run after a crash closes the rest. Releasing batches and reserve
/// lots is what their sagas do.
pub struct CloseSettlements {
    pub settlements: Settlements,
    pub idle: Idle,
}

#[async_trait]
impl Job for CloseSettlements {
    fn name(&self) -> &'static str {
        "close_settlements"
    }

    /// How late a cut-off may be seen; the batch ends at the cut-off all the same.
    fn timetable(&self) -> Timetable {
        Timetable::every(Duration::from_secs(5 * 60))
    }

    async fn run(&self, now: Timestamp) -> Result<u64, JobFailed> {
        let closed = self.settlements.settle_due(now, &self.idle).await.map_err(JobFailed::because)?;
        Ok(u64::try_from(closed.len()).unwrap_or(u64::MAX))
    }
}
