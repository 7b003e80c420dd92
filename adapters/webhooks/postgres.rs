//! The inbox in Postgres, raw messages sealed under the master key.

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use commands::ports::inbox::{
    ArchivedWebhook, Kept, NewWebhook, RawMessage, StoredWebhook, WebhookId, WebhookOutcome, WebhookPastTerm,
    WebhookRecord, pause_after,
};
use commands::ports::{InboxError, WebhookInbox};
use domain::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
use zeroize::Zeroizing;

use crate::vault::{Cipher, MasterKey};

/// Messages archived in one go: short transactions, whatever has piled up.
const ARCHIVED_AT_ONCE: i64 = 200;

pub struct PostgresInbox {
    pool: PgPool,
    sealing: Cipher,
}

/// A raw message as it is sealed.
#[derive(Serialize, Deserialize)]
struct Message {
    headers: Vec<(String, String)>,
    body_base64: String,
}

impl PostgresInbox {
    pub fn new(pool: PgPool, master: &MasterKey) -> PostgresInbox {
        PostgresInbox { pool, sealing: Cipher::new(&master.derive("seal webhooks")) }
    }

    fn seal(&self, id: &WebhookId, message: &RawMessage) -> Result<Vec<u8>, InboxError> {
        let message = Message { headers: message.headers.clone(), body_base64: STANDARD.encode(&message.body) };
        let text = serde_json::to_vec(&message).map(Zeroizing::new);
        let text = text.map_err(|error| InboxError::Damaged(error.to_string()))?;
        let sealed = self.sealing.seal(&context(id), &text);
        sealed.map_err(|error| InboxError::Unavailable(error.to_string()))
    }

    fn open(&self, id: &WebhookId, sealed: &[u8]) -> Option<RawMessage> {
        let text = self.sealing.open(&context(id), sealed)?;
        let message: Message = serde_json::from_slice(&text).ok()?;
        Some(RawMessage { headers: message.headers, body: STANDARD.decode(&message.body_base64).ok()? })
    }
}

/// A message cannot be moved to another row.
fn context(id: &WebhookId) -> [&[u8]; 2] {
    [id.channel.as_str().as_bytes(), id.event_id.as_bytes()]
}

fn failed(error: sqlx::Error) -> InboxError {
    match error {
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => InboxError::Damaged(error.to_string()),
        _ => InboxError::Unavailable(error.to_string()),
    }
}

fn id_of(row: &PgRow) -> Result<WebhookId, sqlx::Error> {
    let channel = row.try_get::<&str, _>("channel")?.parse();
    let channel = channel.map_err(|reason| decode_error("channel", reason))?;
    Ok(WebhookId { channel, event_id: row.try_get("event_id")? })
}

fn decode_error(column: &str, reason: &'static str) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: reason.into() }
}

struct TakenRow {
    id: WebhookId,
    received_at: Timestamp,
    attempts: u32,
    sealed: Vec<u8>,
}

impl<'r> FromRow<'r, PgRow> for TakenRow {
    fn from_row(row: &'r PgRow) -> Result<TakenRow, sqlx::Error> {
        let attempts = row.try_get::<i32, _>("attempts")?;
        Ok(TakenRow {
            id: id_of(row)?,
            received_at: row.try_get::<DateTime<Utc>, _>("received_at")?.into(),
            attempts: u32::try_from(attempts).map_err(|_| decode_error("attempts", "negative"))?,
            sealed: row.try_get("message")?,
        })
    }
}

struct RecordRow(WebhookRecord);

impl<'r> FromRow<'r, PgRow> for RecordRow {
    fn from_row(row: &'r PgRow) -> Result<RecordRow, sqlx::Error> {
        let reason = row.try_get::<Option<String>, _>("outcome_reason")?.unwrap_or_default();
        let outcome = match row.try_get::<Option<&str>, _>("outcome")? {
            None => None,
            Some("acted") => Some(WebhookOutcome::Acted),
            Some("ignored") => Some(WebhookOutcome::Ignored { reason }),
            Some("parked") => Some(WebhookOutcome::Parked { reason }),
            Some(_) => return Err(decode_error("outcome", "unknown outcome")),
        };
        Ok(RecordRow(WebhookRecord {
            id: id_of(row)?,
            stream_id: row.try_get("stream_id")?,
            event_type: row.try_get("event_type")?,
            received_at: row.try_get::<DateTime<Utc>, _>("received_at")?.into(),
            outcome,
            settled_at: row.try_get::<Option<DateTime<Utc>>, _>("settled_at")?.map(Timestamp::from),
            last_error: row.try_get("last_error")?,
        }))
    }
}

struct PastTermRow {
    record: WebhookRecord,
    sealed: Vec<u8>,
}

impl<'r> FromRow<'r, PgRow> for PastTermRow {
    fn from_row(row: &'r PgRow) -> Result<PastTermRow, sqlx::Error> {
        Ok(PastTermRow { record: RecordRow::from_row(row)?.0, sealed: row.try_get("message")? })
    }
}

#[async_trait]
impl WebhookInbox for PostgresInbox {
    async fn keep(&self, webhook: NewWebhook, grace: Duration) -> Result<Kept, InboxError> {
        let sealed = self.seal(&webhook.id, &webhook.message)?;
        let inserted = sqlx::query(
            "INSERT INTO webhooks (channel, event_id, event_type, stream_id, message, received_at, due_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        )
        .bind(webhook.id.channel.as_str())
        .bind(&webhook.id.event_id)
        .bind(&webhook.event_type)
        .bind(&webhook.stream_id)
        .bind(sealed)
        .bind(webhook.received_at.to_datetime())
        .bind(webhook.received_at.plus(grace).to_datetime())
        .execute(&self.pool)
        .await
        .map_err(failed)?;
        Ok(if inserted.rows_affected() == 1 { Kept::New } else { Kept::Duplicate })
    }

    async fn take_due(&self, now: Timestamp, limit: usize) -> Result<Vec<StoredWebhook>, InboxError> {
        let mut transaction = projections::begin(&self.pool, "BEGIN").await.map_err(failed)?;
        let taken: Vec<TakenRow> = sqlx::query_as(
            "SELECT channel, event_id, received_at, attempts + 1 AS attempts, message FROM webhooks
             WHERE due_at <= $1 ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED",
        )
        .bind(now.to_datetime())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&mut *transaction)
        .await
        .map_err(failed)?;
        if taken.is_empty() {
            return Ok(vec![]);
        }
        let due_again = taken.iter().map(|row| now.plus(pause_after(row.attempts)).to_datetime());
        sqlx::query(
            "UPDATE webhooks SET attempts = attempts + 1, due_at = taken.due_at
             FROM UNNEST($1::text[], $2::text[], $3::timestamptz[]) AS taken (channel, event_id, due_at)
             WHERE webhooks.channel = taken.channel AND webhooks.event_id = taken.event_id",
        )
        .bind(taken.iter().map(|row| row.id.channel.as_str()).collect::<Vec<_>>())
        .bind(taken.iter().map(|row| row.id.event_id.as_str()).collect::<Vec<_>>())
        .bind(due_again.collect::<Vec<_>>())
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        let stored = |row: TakenRow| {
            let message = self.open(&row.id, &row.sealed);
            StoredWebhook { id: row.id, received_at: row.received_at, attempts: row.attempts, message }
        };
        Ok(taken.into_iter().map(stored).collect())
    }

    async fn settle(&self, id: &WebhookId, outcome: &WebhookOutcome, at: Timestamp) -> Result<(), InboxError> {
        let (name, reason) = match outcome {
            WebhookOutcome::Acted => ("acted", None),
            WebhookOutcome::Ignored { reason } => ("ignored", Some(reason)),
            WebhookOutcome::Parked { reason } => ("parked", Some(reason)),
        };
        sqlx::query(
            "UPDATE webhooks SET due_at = NULL, outcome = $3, outcome_reason = $4, settled_at = $5
             WHERE channel = $1 AND event_id = $2 AND due_at IS NOT NULL",
        )
        .bind(id.channel.as_str())
        .bind(&id.event_id)
        .bind(name)
        .bind(reason)
        .bind(at.to_datetime())
        .execute(&self.pool)
        .await
        .map_err(failed)?;
        Ok(())
    }

    async fn note_failure(&self, id: &WebhookId, reason: &str) -> Result<(), InboxError> {
        sqlx::query("UPDATE webhooks SET last_error = $3 WHERE channel = $1 AND event_id = $2")
            .bind(id.channel.as_str())
            .bind(&id.event_id)
            .bind(reason)
            .execute(&self.pool)
            .await
            .map_err(failed)?;
        Ok(())
    }

    async fn about(&self, stream_ids: &[String]) -> Result<Vec<WebhookRecord>, InboxError> {
        let rows: Vec<RecordRow> = sqlx::query_as(
            "SELECT channel, event_id, stream_id, event_type, received_at, outcome, outcome_reason, settled_at, last_error
             FROM webhooks WHERE stream_id = ANY($1) ORDER BY received_at, channel, event_id",
        )
        .bind(stream_ids)
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }

    async fn past_term(&self, received_before: Timestamp) -> Result<Vec<WebhookPastTerm>, InboxError> {
        let rows: Vec<PastTermRow> = sqlx::query_as(
            "SELECT channel, event_id, stream_id, event_type, received_at, outcome, outcome_reason, settled_at, last_error,
                    message
               FROM webhooks WHERE message IS NOT NULL AND due_at IS NULL AND received_at < $1
              ORDER BY received_at LIMIT $2",
        )
        .bind(received_before.to_datetime())
        .bind(ARCHIVED_AT_ONCE)
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        let opened = rows.into_iter().map(|PastTermRow { record, sealed }| {
            let message = self.open(&record.id, &sealed);
            WebhookPastTerm { record, message }
        });
        Ok(opened.collect())
    }

    async fn archive_messages(&self, webhooks: &[ArchivedWebhook]) -> Result<(), InboxError> {
        let contents = webhooks.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>();
        let contents = contents.map_err(|error| InboxError::Damaged(error.to_string()))?;
        let column = |of: fn(&ArchivedWebhook) -> &str| webhooks.iter().map(of).collect::<Vec<_>>();
        sqlx::query(
            "WITH gone AS (
                 UPDATE webhooks SET message = NULL
                   FROM unnest($1::text[], $2::text[], $3::text[]) AS past (channel, event_id, content)
                  WHERE (webhooks.channel, webhooks.event_id) = (past.channel, past.event_id) AND message IS NOT NULL
                 RETURNING webhooks.channel, webhooks.event_id, received_at, content)
             INSERT INTO archive (shelf, name, happened_at, content)
             SELECT 'webhook_messages', channel || '/' || event_id, received_at, content::json FROM gone",
        )
        .bind(column(|webhook| webhook.id.channel.as_str()))
        .bind(column(|webhook| &webhook.id.event_id))
        .bind(contents)
        .execute(&self.pool)
        .await
        .map_err(failed)?;
        Ok(())
    }

    async fn count_messages(&self, received_before: Timestamp) -> Result<u64, InboxError> {
        let query = sqlx::query_scalar(
            "SELECT count(*) FROM webhooks WHERE message IS NOT NULL AND due_at IS NULL AND received_at < $1",
        );
        let counted: i64 = query.bind(received_before.to_datetime()).fetch_one(&self.pool).await.map_err(failed)?;
        Ok(u64::try_from(counted).unwrap_or_default())
    }
}
