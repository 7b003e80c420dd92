//! What is kept for a term where it is used every day and then moved to the archive, in small batches: it stands beside
//! the log, and nothing is ever decided on it. Events are kept where they are for ever.
//!
//! What is moved is moved by one statement of the database, so a crash at any point loses and doubles nothing. The archive
//! holds no personal datum in clear: calls and runs of jobs have none, exports are archived without their files, and a
//! webhook's message is sealed beside the details of the payment that it tells about, under the key that goes when that
//! person is erased. A message about nothing of ours has no such key: of it only the digest is kept.

mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use domain::Timestamp;
use serde_json::Value;

use crate::payment::Payments;
use crate::ports::{ArchiveReader, ArchiveUnavailable, ChannelCallLog, JobBoard, Shelved, WebhookInbox};

const DAY: Duration = Duration::from_secs(24 * 3_600);
/// Rows read at once.
const PAGE: usize = 500;

/// How long each is kept before it is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    pub channel_calls: Duration,
    /// Of an export's file from when it is made, and again of its row from when the file is gone.
    pub exports: Duration,
    pub job_runs: Duration,
    pub webhook_messages: Duration,
}

impl Terms {
    pub fn in_days(channel_calls: u32, exports: u32, job_runs: u32, webhook_messages: u32) -> Terms {
        Terms {
            channel_calls: DAY * channel_calls,
            exports: DAY * exports,
            job_runs: DAY * job_runs,
            webhook_messages: DAY * webhook_messages,
        }
    }
}

/// Calls are asked about while a payment is young; what became of a job, and what a channel has sent, for a quarter; files
/// for half a year.
impl Default for Terms {
    fn default() -> Self {
        Terms::in_days(30, 180, 90, 90)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shelf {
    ChannelCalls,
    /// Exports whose files are gone, or never came about: who asked for which rows, and the digest of what was told.
    Exports,
    /// The history of jobs.
    JobRuns,
    /// Raw messages of settled webhooks. That they came stays known where they were.
    WebhookMessages,
}

impl Shelf {
    pub const ALL: [Shelf; 4] = [Shelf::ChannelCalls, Shelf::Exports, Shelf::JobRuns, Shelf::WebhookMessages];

    pub fn as_str(&self) -> &'static str {
        match self {
            Shelf::ChannelCalls => "channel_calls",
            Shelf::Exports => "exports",
            Shelf::JobRuns => "job_runs",
            Shelf::WebhookMessages => "webhook_messages",
        }
    }
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Archive {
    pub calls: Arc<dyn ChannelCallLog>,
    pub exports: Arc<dyn Shelved>,
    pub board: Arc<dyn JobBoard>,
    pub inbox: Arc<dyn WebhookInbox>,
    /// Whose key a webhook's message is sealed under.
    pub payments: Payments,
    pub reader: Arc<dyn ArchiveReader>,
    pub terms: Terms,
}

impl Archive {
    /// What is older than this has had its time.
    pub fn end_of_term(&self, shelf: Shelf, now: Timestamp) -> Timestamp {
        now.minus(match shelf {
            Shelf::ChannelCalls => self.terms.channel_calls,
            Shelf::Exports => self.terms.exports,
            Shelf::JobRuns => self.terms.job_runs,
            Shelf::WebhookMessages => self.terms.webhook_messages,
        })
    }

    /// How much [`Archive::clear`] would move.
    pub async fn count(&self, shelf: Shelf, now: Timestamp) -> Result<u64, ArchiveUnavailable> {
        let before = self.end_of_term(shelf, now);
        match shelf {
            Shelf::ChannelCalls => self.calls.count(before).await.map_err(ArchiveUnavailable::because),
            Shelf::Exports => self.exports.count(before).await,
            Shelf::JobRuns => self.board.count(before).await.map_err(ArchiveUnavailable::because),
            Shelf::WebhookMessages => self.inbox.count_messages(before).await.map_err(ArchiveUnavailable::because),
        }
    }

    /// Moves what has had its time to the archive, in small batches; how much.
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
            Shelf::ChannelCalls => self.calls.archive(before).await.map_err(ArchiveUnavailable::because),
            Shelf::Exports => self.exports.archive(before).await,
            Shelf::JobRuns => self.board.archive(before).await.map_err(ArchiveUnavailable::because),
            Shelf::WebhookMessages => self.clear_webhooks(before).await,
        }
    }

    /// Hands everything on a shelf of the archive to `each`, oldest first, webhooks with their messages opened where that
    /// is still possible.
    pub async fn read(&self, shelf: Shelf, mut each: impl FnMut(Value)) -> Result<(), ArchiveUnavailable> {
        let mut after = None;
        loop {
            let page = self.reader.page(shelf.as_str(), after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some((last.happened_at, last.archive_id));
            for row in page {
                let mut content: Value = serde_json::from_str(&row.content).map_err(ArchiveUnavailable::because)?;
                if shelf == Shelf::WebhookMessages {
                    self.open_webhook(&row.name, &mut content).await?;
                }
                each(serde_json::json!({
                    "name": row.name, "happened_at": row.happened_at, "archived_at": row.archived_at, "content": content,
                }));
            }
        }
    }
}
