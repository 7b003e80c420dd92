//! The inbox of channel webhooks: each verified webhook is kept once, before anything is done about it.

use std::time::Duration;

use async_trait::async_trait;
use domain::{ChannelName, Sealed, Timestamp};
use serde::Serialize;

/// Every adapter of it passes one contract suite. The raw message is sealed at rest.
#[async_trait]
pub trait WebhookInbox: Send + Sync {
    /// Durable when this returns. It becomes due after `grace`, unless it is settled by then.
    async fn keep(&self, webhook: NewWebhook, grace: Duration) -> Result<Kept, InboxError>;

    /// Webhooks that are due, oldest first. Each gets one attempt more and is due again only after
    /// [`pause_after`] it, so that no two nodes work on one at the same time.
    async fn take_due(&self, now: Timestamp, limit: usize) -> Result<Vec<StoredWebhook>, InboxError>;

    /// Nothing more is due for this webhook.
    async fn settle(&self, id: &WebhookId, outcome: &WebhookOutcome, at: Timestamp) -> Result<(), InboxError>;

    /// Notes why an attempt failed; it stays due.
    async fn note_failure(&self, id: &WebhookId, reason: &str) -> Result<(), InboxError>;

    /// What the channels told about the objects of these streams, oldest first.
    async fn about(&self, stream_ids: &[String]) -> Result<Vec<WebhookRecord>, InboxError>;

    /// Some of the settled webhooks received before this moment whose raw messages are still here, the oldest first.
    async fn past_term(&self, received_before: Timestamp) -> Result<Vec<WebhookPastTerm>, InboxError>;

    /// Puts the message, sealed for the person that it tells about, into the archive and drops it here, all of them or
    /// none; that they came stays known. Of a webhook whose message is not here any more, nothing is done.
    async fn archive_messages(&self, webhooks: &[ArchivedWebhook]) -> Result<(), InboxError>;

    /// How many messages are past their term in all.
    async fn count_messages(&self, received_before: Timestamp) -> Result<u64, InboxError>;
}

/// How long a webhook rests after its `attempts`-th attempt: 10 s, doubled each time, at most an hour.
pub fn pause_after(attempts: u32) -> Duration {
    Duration::from_secs(10).saturating_mul(2_u32.saturating_pow(attempts)).min(Duration::from_secs(3600))
}

/// The channel's own id of a webhook, unique within the channel.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct WebhookId {
    pub channel: ChannelName,
    pub event_id: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct NewWebhook {
    pub id: WebhookId,
    pub event_type: String,
    /// The stream of the first of our objects that it tells about, as far as it says so itself: `pay_...`, `pa_...`.
    pub stream_id: Option<String>,
    pub message: RawMessage,
    pub received_at: Timestamp,
}

/// What came in, as far as it is needed to verify and read it again.
#[derive(Clone, PartialEq, Default)]
pub struct RawMessage {
    /// The headers that the channel's signature stands in, by lower-case name.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Personal data may stand in it: only its size is ever printed.
impl std::fmt::Debug for RawMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RawMessage({} bytes)", self.body.len())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    New,
    /// The channel sent it before; nothing was stored.
    Duplicate,
}

#[derive(Debug, Clone, PartialEq)]
pub struct StoredWebhook {
    pub id: WebhookId,
    pub received_at: Timestamp,
    /// This one included; the attempt at reception is not counted.
    pub attempts: u32,
    /// `None` if it does not open: damage, or the master key of another installation.
    pub message: Option<RawMessage>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookOutcome {
    /// Its facts were put to the payments they speak of.
    Acted,
    /// It tells nothing about a payment of ours.
    Ignored { reason: String },
    /// Given up: an operator must look.
    Parked { reason: String },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookRecord {
    pub id: WebhookId,
    pub stream_id: Option<String>,
    pub event_type: String,
    pub received_at: Timestamp,
    /// `None` while it is due.
    pub outcome: Option<WebhookOutcome>,
    pub settled_at: Option<Timestamp>,
    /// Why the latest attempt failed.
    pub last_error: Option<String>,
}

/// A settled webhook that is to be archived.
#[derive(Debug, Clone, PartialEq)]
pub struct WebhookPastTerm {
    pub record: WebhookRecord,
    /// `None` if it does not open.
    pub message: Option<RawMessage>,
}

/// A webhook as it goes to the archive.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ArchivedWebhook {
    #[serde(flatten)]
    pub id: WebhookId,
    pub event_type: String,
    pub stream_id: Option<String>,
    pub received_at: Timestamp,
    /// `acted`, `ignored` or `parked`, and why.
    pub outcome: Option<&'static str>,
    pub reason: Option<String>,
    pub settled_at: Option<Timestamp>,
    /// SHA-256 of the body as it came, in hex: a copy that somebody shows can be held against it.
    pub body_sha256: Option<String>,
    /// The message, which opens as long as the person that it tells about is not erased. `None` where there is no
    /// such key to seal it under: then only its digest is kept.
    pub message: Option<Sealed>,
}

impl WebhookOutcome {
    pub fn as_str(&self) -> &'static str {
        match self {
            WebhookOutcome::Acted => "acted",
            WebhookOutcome::Ignored { .. } => "ignored",
            WebhookOutcome::Parked { .. } => "parked",
        }
    }

    pub fn reason(&self) -> Option<&str> {
        match self {
            WebhookOutcome::Acted => None,
            WebhookOutcome::Ignored { reason } | WebhookOutcome::Parked { reason } => Some(reason),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InboxError {
    #[error("the webhook inbox is not available: {0}")]
    Unavailable(String),
    /// A stored row cannot be read.
    #[error("the webhook inbox is damaged: {0}")]
    Damaged(String),
}
