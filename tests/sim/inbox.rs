//! A node's line to the inbox of webhooks: slow, and losing answers. The inbox behind it is the real one in memory; what
//! became of each webhook is noted beside it, for the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use adapters::webhooks::MemoryInbox;
use async_trait::async_trait;
use commands::ports::inbox::{
    ArchivedWebhook, Kept, NewWebhook, StoredWebhook, WebhookId, WebhookOutcome, WebhookPastTerm, WebhookRecord,
};
use commands::ports::{InboxError, WebhookInbox};
use domain::Timestamp;
use parking_lot::Mutex;

use crate::weather::{Fate, Weather};

/// Survives every node.
#[derive(Default)]
pub struct Inbox {
    kept: MemoryInbox,
    outcomes: Mutex<BTreeMap<WebhookId, Option<WebhookOutcome>>>,
}

impl Inbox {
    /// Why it is not done, if it is not: a webhook waits, or a person would have to look at one.
    pub fn left_to_do(&self) -> Option<String> {
        let outcomes = self.outcomes.lock();
        outcomes.iter().find_map(|(id, outcome)| match outcome {
            None => Some(format!("{id:?} was not acted on")),
            Some(WebhookOutcome::Parked { reason }) => Some(format!("{id:?} was parked: {reason}")),
            Some(WebhookOutcome::Acted | WebhookOutcome::Ignored { .. }) => None,
        })
    }
}

pub struct InboxLine {
    inbox: Arc<Inbox>,
    weather: Weather,
}

impl InboxLine {
    pub fn new(inbox: Arc<Inbox>, weather: Weather) -> InboxLine {
        InboxLine { inbox, weather }
    }

    async fn call<T>(&self, call: impl Future<Output = Result<T, InboxError>>) -> Result<T, InboxError> {
        let lost = || InboxError::Unavailable("the line was cut".to_owned());
        let fate = self.weather.there().await;
        if fate == Fate::LostBefore {
            return Err(lost());
        }
        let answer = call.await;
        self.weather.back().await;
        if fate == Fate::LostAfter { Err(lost()) } else { answer }
    }
}

#[async_trait]
impl WebhookInbox for InboxLine {
    async fn keep(&self, webhook: NewWebhook, grace: Duration) -> Result<Kept, InboxError> {
        let keep = async {
            self.inbox.outcomes.lock().entry(webhook.id.clone()).or_default();
            self.inbox.kept.keep(webhook, grace).await
        };
        self.call(keep).await
    }

    async fn take_due(&self, now: Timestamp, limit: usize) -> Result<Vec<StoredWebhook>, InboxError> {
        self.call(self.inbox.kept.take_due(now, limit)).await
    }

    async fn settle(&self, id: &WebhookId, outcome: &WebhookOutcome, at: Timestamp) -> Result<(), InboxError> {
        let settle = async {
            self.inbox.outcomes.lock().entry(id.clone()).or_default().get_or_insert_with(|| outcome.clone());
            self.inbox.kept.settle(id, outcome, at).await
        };
        self.call(settle).await
    }

    async fn note_failure(&self, id: &WebhookId, reason: &str) -> Result<(), InboxError> {
        self.call(self.inbox.kept.note_failure(id, reason)).await
    }

    async fn about(&self, stream_ids: &[String]) -> Result<Vec<WebhookRecord>, InboxError> {
        self.call(self.inbox.kept.about(stream_ids)).await
    }

    async fn past_term(&self, received_before: Timestamp) -> Result<Vec<WebhookPastTerm>, InboxError> {
        self.call(self.inbox.kept.past_term(received_before)).await
    }

    async fn archive_messages(&self, webhooks: &[ArchivedWebhook]) -> Result<(), InboxError> {
        self.call(self.inbox.kept.archive_messages(webhooks)).await
    }

    async fn count_messages(&self, received_before: Timestamp) -> Result<u64, InboxError> {
        self.call(self.inbox.kept.count_messages(received_before)).await
    }
}
