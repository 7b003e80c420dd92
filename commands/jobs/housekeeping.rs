//! The jobs that put away what has had its time.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::Timestamp;

use super::{Job, JobFailed, Timetable};
use crate::archive::{Archive, Shelf};
use crate::ports::Nonces;
use crate::ports::nonces::REMEMBERED_FOR;

/// The clock of the node that forgets may be ahead of the one that must still remember.
const CLOCK_SKEW_MAX: Duration = Duration::from_secs(300);

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

/// Moves what has had its term where it is used to one shelf of the archive.
pub struct PutAway {
    pub archive: Archive,
    pub shelf: Shelf,
}

#[async_trait]
impl Job for PutAway {
    fn name(&self) -> &'static str {
        match self.shelf {
            Shelf::ChannelCalls => "archive_channel_calls",
            Shelf::Exports => "archive_exports",
            Shelf::JobRuns => "archive_job_runs",
            Shelf::WebhookMessages => "archive_webhook_messages",
        }
    }

    fn timetable(&self) -> Timetable {
        match self.shelf {
            Shelf::ChannelCalls | Shelf::WebhookMessages => Timetable::every(Duration::from_secs(3_600)),
            Shelf::Exports => Timetable::daily_at(3, 20),
            Shelf::JobRuns => Timetable::daily_at(3, 10),
        }
    }

    async fn run(&self, now: Timestamp) -> Result<u64, JobFailed> {
        self.archive.clear(self.shelf, now).await.map_err(JobFailed::because)
    }
}
