//! The jobs that throw away what has had its time.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::Timestamp;

use super::{Job, JobFailed, Timetable};
use crate::ports::nonces::REMEMBERED_FOR;
use crate::ports::{JobBoard, Nonces};
use crate::webhook::Webhooks;

/// The clock of the node that forgets may be ahead of the one that must still remember.
const CLOCK_SKEW_MAX: Duration = Duration::from_secs(300);
/// What became of a job is asked about for a quarter.
const RUNS_KEPT_FOR: Duration = Duration::from_secs(90 * 24 * 3_600);

/// Nonces that no signature can carry any more.
pub struct ForgetNonces {
    pub nonces: Arc<dyn Nonces>,
}

#[async_trait]
impl Job for ForgetNonces {
    fn name(&self) -> &'static str {
        "forget_nonces"
    }

    fn timetable(&self) -> Timetable {
        Timetable::every(Duration::from_secs(60))
    }

    async fn run(&self, now: Timestamp) -> Result<u64, JobFailed> {
        self.nonces.forget(now.minus(REMEMBERED_FOR + CLOCK_SKEW_MAX)).await.map_err(JobFailed::because)
    }
}

/// Raw messages of webhooks: they are evidence for a while, and personal data may stand in them.
pub struct ForgetWebhookMessages {
    pub webhooks: Webhooks,
}

#[async_trait]
impl Job for ForgetWebhookMessages {
    fn name(&self) -> &'static str {
        "forget_webhook_messages"
    }

    fn timetable(&self) -> Timetable {
        Timetable::every(Duration::from_secs(3_600))
    }

    async fn run(&self, now: Timestamp) -> Result<u64, JobFailed> {
        self.webhooks.forget_messages(now).await.map_err(JobFailed::because)
    }
}

/// The history of jobs itself.
pub struct ForgetJobRuns {
    pub board: Arc<dyn JobBoard>,
}

#[async_trait]
impl Job for ForgetJobRuns {
    fn name(&self) -> &'static str {
        "forget_job_runs"
    }

    fn timetable(&self) -> Timetable {
        Timetable::daily_at(3, 10)
    }

    async fn run(&self, now: Timestamp) -> Result<u64, JobFailed> {
        self.board.forget(now.minus(RUNS_KEPT_FOR)).await.map_err(JobFailed::because)
    }
}
