//! How a raw webhook goes to the archive: its message sealed for the person that it tells about. Knows no table.

use domain::payment::Payment;
use domain::pre_auth::PreAuth;
use domain::{Sealed, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Archive;
use crate::ports::inbox::{ArchivedWebhook, RawMessage, WebhookId, WebhookOutcome, WebhookPastTerm};
use crate::ports::{ArchiveUnavailable, Category, state_of};

/// A message as it is sealed.
#[derive(Serialize, Deserialize)]
struct Message {
    headers: Vec<(String, String)>,
    #[serde(flatten)]
    body: Body,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Body {
    Body(String),
    /// What is no text.
    BodyBytes(Vec<u8>),
}

impl Archive {
    pub(super) async fn clear_webhooks(&self, before: Timestamp) -> Result<u64, ArchiveUnavailable> {
        let past_term = self.inbox.past_term(before).await.map_err(ArchiveUnavailable::because)?;
        let mut archived = Vec::with_capacity(past_term.len());
        for webhook in past_term {
            archived.push(self.sealed(webhook).await?);
        }
        self.inbox.archive_messages(&archived).await.map_err(ArchiveUnavailable::because)?;
        Ok(archived.len() as u64)
    }

    async fn sealed(&self, webhook: WebhookPastTerm) -> Result<ArchivedWebhook, ArchiveUnavailable> {
        let record = webhook.record;
        let mut message = None;
        if let (Some(raw), Some(stream_id)) = (&webhook.message, &record.stream_id)
            && let Some(details) = self.details_of(stream_id).await?
        {
            let text = serde_json::to_vec(&Message::of(raw)).map_err(ArchiveUnavailable::because)?;
            let sealed = self.payments.vault.seal_beside(&details, &context(&name(&record.id)), &text).await;
            message = sealed.map_err(ArchiveUnavailable::because)?;
        }
        Ok(ArchivedWebhook {
            body_sha256: webhook.message.as_ref().map(|raw| hex(&Sha256::digest(&raw.body))),
            event_type: record.event_type,
            stream_id: record.stream_id,
            received_at: record.received_at,
            outcome: record.outcome.as_ref().map(WebhookOutcome::as_str),
            reason: record.outcome.as_ref().and_then(WebhookOutcome::reason).map(str::to_owned),
            settled_at: record.settled_at,
            id: record.id,
            message,
        })
    }

    /// What is sealed of the payment or pre-auth, if it is one of ours.
    async fn details_of(&self, stream_id: &str) -> Result<Option<Sealed>, ArchiveUnavailable> {
        let store = self.payments.executor.store();
        let payment = store.load(Category::of::<Payment>(), stream_id).await.map_err(ArchiveUnavailable::because)?;
        if let Some(record) = state_of::<Payment>(&payment).record() {
            return Ok(Some(record.terms.sealed.clone()));
        }
        let held = store.load(Category::of::<PreAuth>(), stream_id).await.map_err(ArchiveUnavailable::because)?;
        Ok(state_of::<PreAuth>(&held).record().map(|record| record.terms.sealed.clone()))
    }

    /// Puts the message in the place of its ciphertext; `null` once its person was erased.
    pub(super) async fn open_webhook(&self, name: &str, content: &mut Value) -> Result<(), ArchiveUnavailable> {
        let sealed: Option<Sealed> =
            serde_json::from_value(content["message"].take()).map_err(ArchiveUnavailable::because)?;
        if let Some(sealed) = sealed {
            let text = self.payments.vault.open(&context(name), &sealed).await.map_err(ArchiveUnavailable::because)?;
            let message = text.map(|text| serde_json::from_slice(&text)).transpose();
            content["message"] = message.map_err(ArchiveUnavailable::because)?.unwrap_or_default();
        }
        Ok(())
    }
}

impl Message {
    fn of(raw: &RawMessage) -> Message {
        let body = String::from_utf8(raw.body.clone());
        let body = body.map_or_else(|error| Body::BodyBytes(error.into_bytes()), Body::Body);
        Message { headers: raw.headers.clone(), body }
    }
}

/// What names it on its shelf.
fn name(id: &WebhookId) -> String {
    format!("{}/{}", id.channel, id.event_id)
}

/// A message cannot be moved to another row.
fn context(name: &str) -> String {
    format!("webhook/{name}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
