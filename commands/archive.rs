//! What is kept for a term and then thrown away: it stands beside the log, and nothing is ever decided on it. Events are
//! kept for ever.

use std::sync::Arc;
use std::time::Duration;

use domain::Timestamp;

use crate::ports::{ChannelCallLog, JobBoard, WebhookInbox};

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// How long each is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    pub channel_calls: Duration,
    pub job_runs: Duration,
    pub webhook_messages: Duration,
}

impl Terms {
    pub fn in_days(channel_calls: u32, job_runs: u32, webhook_messages: u32) -> Terms {
        Terms { channel_calls: DAY * channel_calls, job_runs: DAY * job_runs, webhook_messages: DAY * webhook_messages }
    }
}

/// Calls are asked about while a payment is young; what became of a job, and what a channel has sent, for a quarter.
impl Default for Terms {
    fn default() -> Self {
        Terms::in_days(30, 90, 90)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shelf {
    ChannelCalls,
    /// The history of jobs.
    JobRuns,
    /// Raw messages of settled webhooks: personal data may stand in them. That they came stays known.
    WebhookMessages,
}

impl Shelf {
    pub const ALL: [Shelf; 3] = [Shelf::ChannelCalls, Shelf::JobRuns, Shelf::WebhookMessages];

    pub fn as_str(&self) -> &'static str {
        match self {
            Shelf::ChannelCalls => "channel_calls",
            Shelf::JobRuns => "job_runs",
            Shelf::WebhookMessages => "webhook_messages",
        }
    }
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Archive {
    pub calls: Arc<dyn ChannelCallLog>,
    pub board: Arc<dyn JobBoard>,
    pub inbox: Arc<dyn WebhookInbox>,
    pub terms: Terms,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ArchiveUnavailable(String);

impl ArchiveUnavailable {
    fn because(error: impl std::error::Error) -> ArchiveUnavailable {
        ArchiveUnavailable(error.to_string())
    }
}

impl Archive {
    /// What is older than this has had its time.
    pub fn end_of_term(&self, shelf: Shelf, now: Timestamp) -> Timestamp {
        now.minus(match shelf {
            Shelf::ChannelCalls => self.terms.channel_calls,
            Shelf::JobRuns => self.terms.job_runs,
            Shelf::WebhookMessages => self.terms.webhook_messages,
        })
    }

    /// How much [`Archive::clear`] would throw away.
    pub async fn count(&self, shelf: Shelf, now: Timestamp) -> Result<u64, ArchiveUnavailable> {
        let before = self.end_of_term(shelf, now);
        match shelf {
            Shelf::ChannelCalls => self.calls.count(before).await.map_err(ArchiveUnavailable::because),
            Shelf::JobRuns => self.board.count(before).await.map_err(ArchiveUnavailable::because),
            Shelf::WebhookMessages => self.inbox.count_messages(before).await.map_err(ArchiveUnavailable::because),
        }
    }

    /// Throws away what has had its time, in small batches; how much.
    pub async fn clear(&self, shelf: Shelf, now: Timestamp) -> Result<u64, ArchiveUnavailable> {
        let (before, mut cleared) = (self.end_of_term(shelf, now), 0);
        loop {
            match self.clear_some(shelf, before).await? {
                0 => return Ok(cleared),
                some => cleared += some,
            }
        }
    }

    async fn clear_some(&self, shelf: Shelf, before: Timestamp) -> Result<u64, ArchiveUnavailable> {
        match shelf {
            Shelf::ChannelCalls => self.calls.forget(before).await.map_err(ArchiveUnavailable::because),
            Shelf::JobRuns => self.board.forget(before).await.map_err(ArchiveUnavailable::because),
            Shelf::WebhookMessages => self.inbox.forget_messages(before).await.map_err(ArchiveUnavailable::because),
        }
    }
}
