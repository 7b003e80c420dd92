//! The net below the runs that follow an import: those whose node died, or could not reach the read models.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::Timestamp;

use super::{Job, JobFailed, Timetable};
use crate::ports::PendingRuns;
use crate::reconciliation::Reconciliations;

/// Makes the runs that were asked for and that nobody has finished. One that is under way elsewhere is waited for, and
/// its word stands.
pub struct FinishReconciliations {
    pub reconciliations: Reconciliations,
    pub pending: Arc<dyn PendingRuns>,
}

#[async_trait]
impl Job for FinishReconciliations {
    fn name(&self) -> &'static str {
        "finish_reconciliations"
    }

    fn timetable(&self) -> Timetable {
        Timetable::every(Duration::from_secs(60))
    }

    async fn run(&self, _: Timestamp) -> Result<u64, JobFailed> {
        let (mut finished, mut failed) = (0, None);
        for statement_id in self.pending.pending().await.map_err(JobFailed::because)? {
            match self.reconciliations.run(statement_id).await {
                Ok(true) => finished += 1,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(statement.id = %statement_id, %error, "a statement could not be reconciled");
                    failed.get_or_insert(error);
                }
            }
        }
        failed.map_or(Ok(finished), |error| Err(JobFailed::because(error)))
    }
}
