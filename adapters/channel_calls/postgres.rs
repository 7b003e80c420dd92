//! The log of channel calls in Postgres. Lines wait in memory for a moment and are written many at once by a task of its
//! own, without waiting for the disk: noting a call costs its caller no I/O, and a crash loses the newest lines.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use commands::ports::channel_calls::{CallLogUnavailable, ChannelCall, ChannelCallLog};
use domain::Timestamp;
use metrics::counter;
use projections::begin;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgPool, Row};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

/// Lines that may wait to be written; more are dropped and counted.
const WAITING_MAX: usize = 16_384;
const WRITTEN_AT_ONCE: usize = 1_000;
/// A line waits so long for others to be written with.
const LINGER: Duration = Duration::from_millis(50);
/// Lines forgotten in one go: short transactions, whatever has piled up.
const ARCHIVED_AT_ONCE: i64 = 1_000;

pub struct PostgresChannelCalls {
    pool: PgPool,
    sender: mpsc::Sender<Message>,
}

enum Message {
    Note(Box<ChannelCall>),
    /// To be told once everything before is written.
    Flush(oneshot::Sender<()>),
}

impl PostgresChannelCalls {
    /// Starts the task that writes; it ends with the last clone of what it is returned to.
    pub fn start(pool: PgPool) -> PostgresChannelCalls {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        tokio::spawn(write_all(pool.clone(), receiver));
        PostgresChannelCalls { pool, sender }
    }
}

async fn write_all(pool: PgPool, mut receiver: mpsc::Receiver<Message>) {
    while let Some(first) = receiver.recv().await {
        let (mut lines, mut waiting) = (vec![], None);
        let mut next = Some(first);
        let written_at = Instant::now() + LINGER;
        while let Some(message) = next.take() {
            match message {
                Message::Note(call) => lines.push(*call),
                Message::Flush(told) => {
                    waiting = Some(told);
                    break;
                }
            }
            if lines.len() < WRITTEN_AT_ONCE {
                next = timeout_at(written_at, receiver.recv()).await.ok().flatten();
            }
        }
        if let Err(error) = write(&pool, &lines).await {
            dropped(lines.len());
            tracing::warn!(%error, lines = lines.len(), "calls to channels could not be noted");
        }
        if let Some(told) = waiting {
            let _ = told.send(());
        }
    }
}

fn dropped(lines: usize) {
    counter!("channel_call_lines_dropped_total").increment(u64::try_from(lines).unwrap_or(u64::MAX));
}

async fn write(pool: &PgPool, lines: &[ChannelCall]) -> Result<(), sqlx::Error> {
    if lines.is_empty() {
        return Ok(());
    }
    fn column<T>(lines: &[ChannelCall], of: impl Fn(&ChannelCall) -> T) -> Vec<T> {
        lines.iter().map(of).collect()
    }
    let mut transaction = begin(pool, "BEGIN").await?;
    sqlx::query("SET LOCAL synchronous_commit = off").execute(&mut *transaction).await?;
    sqlx::query(
        "INSERT INTO channel_calls (stream_id, called, operation, step, attempt, number, idempotency_key, request_id,
                                    started_at, latency_ms, result)
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::text[],
                              $8::text[], $9::timestamptz[], $10::bigint[], $11::text[])",
    )
    .bind(column(lines, |line| line.stream_id.clone()))
    .bind(column(lines, |line| line.called.clone()))
    .bind(column(lines, |line| line.operation.clone()))
    .bind(column(lines, |line| line.step.clone()))
    .bind(column(lines, |line| i64::from(line.attempt)))
    .bind(column(lines, |line| i64::from(line.number)))
    .bind(column(lines, |line| line.idempotency_key.clone()))
    .bind(column(lines, |line| line.request_id.clone()))
    .bind(column(lines, |line| line.started_at.to_datetime()))
    .bind(column(lines, |line| i64::from(line.latency_ms)))
    .bind(column(lines, |line| line.result.as_str()))
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await
}

#[async_trait]
impl ChannelCallLog for PostgresChannelCalls {
    fn note(&self, call: ChannelCall) {
        if self.sender.try_send(Message::Note(Box::new(call))).is_err() {
            dropped(1);
        }
    }

    async fn flush(&self) {
        let (told, written) = oneshot::channel();
        if self.sender.send(Message::Flush(told)).await.is_ok() {
            // An error means that the task is gone, and with it whatever waited.
            let _ = written.await;
        }
    }

    async fn about(&self, stream_ids: &[String]) -> Result<Vec<ChannelCall>, CallLogUnavailable> {
        let query = sqlx::query_as(
            "SELECT stream_id, called, operation, step, attempt, number, idempotency_key, request_id, started_at,
                    latency_ms, result
             FROM channel_calls WHERE stream_id = ANY($1) ORDER BY started_at, call_id",
        );
        let rows: Vec<CallRow> = query.bind(stream_ids).fetch_all(&self.pool).await.map_err(unavailable)?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }

    async fn count(&self, before: Timestamp) -> Result<u64, CallLogUnavailable> {
        let query = sqlx::query_scalar("SELECT count(*) FROM channel_calls WHERE started_at < $1");
        let counted: i64 = query.bind(before.to_datetime()).fetch_one(&self.pool).await.map_err(unavailable)?;
        Ok(u64::try_from(counted).unwrap_or_default())
    }

    async fn archive(&self, before: Timestamp) -> Result<u64, CallLogUnavailable> {
        let query = sqlx::query(
            "WITH gone AS (
                 DELETE FROM channel_calls WHERE call_id IN
                     (SELECT call_id FROM channel_calls WHERE started_at < $1 ORDER BY started_at LIMIT $2
                      FOR UPDATE SKIP LOCKED)
                 RETURNING *)
             INSERT INTO archive (shelf, name, happened_at, content)
             SELECT 'channel_calls', call_id::text, started_at, to_json(gone) FROM gone",
        );
        let query = query.bind(before.to_datetime()).bind(ARCHIVED_AT_ONCE);
        Ok(query.execute(&self.pool).await.map_err(unavailable)?.rows_affected())
    }
}

fn unavailable(error: sqlx::Error) -> CallLogUnavailable {
    CallLogUnavailable(error.to_string())
}

struct CallRow(ChannelCall);

impl<'r> FromRow<'r, PgRow> for CallRow {
    fn from_row(row: &'r PgRow) -> Result<CallRow, sqlx::Error> {
        let natural = |column: &str| {
            let number = u32::try_from(row.try_get::<i64, _>(column)?);
            number.map_err(|error| sqlx::Error::ColumnDecode { index: column.to_owned(), source: error.into() })
        };
        let result = row.try_get::<&str, _>("result")?.parse();
        let result = result
            .map_err(|reason: String| sqlx::Error::ColumnDecode { index: "result".to_owned(), source: reason.into() });
        Ok(CallRow(ChannelCall {
            stream_id: row.try_get("stream_id")?,
            called: row.try_get("called")?,
            operation: row.try_get("operation")?,
            step: row.try_get("step")?,
            attempt: natural("attempt")?,
            number: natural("number")?,
            idempotency_key: row.try_get("idempotency_key")?,
            request_id: row.try_get("request_id")?,
            started_at: row.try_get::<DateTime<Utc>, _>("started_at")?.into(),
            latency_ms: natural("latency_ms")?,
            result: result?,
        }))
    }
}
