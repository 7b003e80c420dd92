//! The inbox in memory, for as long as the process lives.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use commands::ports::inbox::{
    ArchivedWebhook, Kept, NewWebhook, RawMessage, StoredWebhook, WebhookId, WebhookOutcome, WebhookPastTerm,
    WebhookRecord, pause_after,
};
use commands::ports::{InboxError, WebhookInbox};
use domain::Timestamp;
use parking_lot::Mutex;

#[derive(Default)]
pub struct MemoryInbox {
    webhooks: Mutex<BTreeMap<WebhookId, Row>>,
}

struct Row {
    record: WebhookRecord,
    message: Option<RawMessage>,
    due_at: Option<Timestamp>,
    attempts: u32,
}

#[async_trait]
impl WebhookInbox for MemoryInbox {
    async fn keep(&self, webhook: NewWebhook, grace: Duration) -> Result<Kept, InboxError> {
        let mut webhooks = self.webhooks.lock();
        if webhooks.contains_key(&webhook.id) {
            return Ok(Kept::Duplicate);
        }
        let record = WebhookRecord {
            id: webhook.id.clone(),
            stream_id: webhook.stream_id,
            event_type: webhook.event_type,
            received_at: webhook.received_at,
            outcome: None,
            settled_at: None,
            last_error: None,
        };
        let row =
            Row { record, message: Some(webhook.message), due_at: Some(webhook.received_at.plus(grace)), attempts: 0 };
        webhooks.insert(webhook.id, row);
        Ok(Kept::New)
    }

    async fn take_due(&self, now: Timestamp, limit: usize) -> Result<Vec<StoredWebhook>, InboxError> {
        let mut webhooks = self.webhooks.lock();
        let mut due: Vec<&mut Row> =
            webhooks.values_mut().filter(|row| row.due_at.is_some_and(|due_at| due_at <= now)).collect();
        due.sort_by_key(|row| row.due_at);
        let take = |row: &mut Row| {
            row.attempts += 1;
            row.due_at = Some(now.plus(pause_after(row.attempts)));
            StoredWebhook {
                id: row.record.id.clone(),
                received_at: row.record.received_at,
                attempts: row.attempts,
                message: row.message.clone(),
            }
        };
        Ok(due.into_iter().take(limit).map(take).collect())
    }

    async fn settle(&self, id: &WebhookId, outcome: &WebhookOutcome, at: Timestamp) -> Result<(), InboxError> {
        if let Some(row) = self.webhooks.lock().get_mut(id)
            && row.due_at.take().is_some()
        {
            row.record.outcome = Some(outcome.clone());
            row.record.settled_at = Some(at);
        }
        Ok(())
    }

    async fn note_failure(&self, id: &WebhookId, reason: &str) -> Result<(), InboxError> {
        if let Some(row) = self.webhooks.lock().get_mut(id) {
            row.record.last_error = Some(reason.to_owned());
        }
        Ok(())
    }

    async fn about(&self, stream_ids: &[String]) -> Result<Vec<WebhookRecord>, InboxError> {
        let webhooks = self.webhooks.lock();
        let is_about =
            |row: &&Row| row.record.stream_id.as_ref().is_some_and(|stream_id| stream_ids.contains(stream_id));
        let about = webhooks.values().filter(is_about);
        let mut records: Vec<WebhookRecord> = about.map(|row| row.record.clone()).collect();
        records.sort_by_key(|record| record.received_at);
        Ok(records)
    }

    async fn past_term(&self, received_before: Timestamp) -> Result<Vec<WebhookPastTerm>, InboxError> {
        let webhooks = self.webhooks.lock();
        let settled = webhooks.values().filter(|row| row.due_at.is_none() && row.record.received_at < received_before);
        let past_term = settled.filter(|row| row.message.is_some());
        let mut past_term: Vec<WebhookPastTerm> =
            past_term.map(|row| WebhookPastTerm { record: row.record.clone(), message: row.message.clone() }).collect();
        past_term.sort_by_key(|webhook| webhook.record.received_at);
        Ok(past_term)
    }

    async fn archive_messages(&self, webhooks: &[ArchivedWebhook]) -> Result<(), InboxError> {
        let mut kept = self.webhooks.lock();
        for webhook in webhooks {
            if let Some(row) = kept.get_mut(&webhook.id) {
                row.message = None;
            }
        }
        Ok(())
    }

    async fn count_messages(&self, received_before: Timestamp) -> Result<u64, InboxError> {
        let webhooks = self.webhooks.lock();
        let kept = webhooks.values().filter(|row| row.due_at.is_none() && row.message.is_some());
        let counted = kept.filter(|row| row.record.received_at < received_before).count();
        Ok(u64::try_from(counted).unwrap_or(u64::MAX))
    }
}
