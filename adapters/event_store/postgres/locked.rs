//! The locked path: what the appender does when its picture of the log turned out to be old, or an answer got lost.
//!
//! The lock comes in a statement of its own. A statement takes its snapshot before it waits, so only the statements
//! after it see what those before us in the queue have committed. A backend that is still at work on a batch whose
//! answer we lost holds the lock shared; waiting for it is how we learn what became of that batch.

use std::collections::HashMap;

use commands::ports::{Category, Receipt, StreamId};
use domain::chain::ChainHash;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::append::LOG_LOCK;
use super::connection::Setback;
use super::rows::{self, column, event_of, position_of, receipt_of, unsigned};
use crate::event_store::batch::{Head, Streams};

/// More changed streams than this are not told one by one.
const CHANGED_STREAMS_MAX: i64 = 10_000;

/// What others did to the log since a known head.
pub(super) enum News {
    Nothing,
    Changed(Vec<StreamId>),
    /// Too much has changed, or the log is not the one that we knew: nothing remembered may be used.
    Everything,
}

/// Waits until no other appender is at work; held until the transaction ends.
pub(super) async fn lock(transaction: &mut PgConnection) -> Result<(), Setback> {
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOG_LOCK).execute(transaction).await?;
    Ok(())
}

/// The log's head.
pub(super) async fn newest(connection: &mut PgConnection) -> Result<Head, Setback> {
    let statement = "SELECT position, hash, recorded_at FROM events ORDER BY position DESC LIMIT 1";
    let Some(row) = sqlx::query(statement).fetch_optional(connection).await? else {
        return Ok(Head::genesis());
    };
    let hash = rows::hash(&row, "hash")?.ok_or_else(|| Setback::Refused("the newest event has no hash".to_owned()))?;
    let position = unsigned(column(&row, "position")?)?;
    Ok(Head { position, hash, recorded_at: rows::timestamp(&row, "recorded_at")? })
}

/// What changed between the `known` head and the `newest`.
pub(super) async fn news(transaction: &mut PgConnection, known: Option<Head>, newest: &Head) -> Result<News, Setback> {
    let Some(known) = known else { return Ok(News::Everything) };
    if known == *newest {
        return Ok(News::Nothing);
    }
    if known.position > 0 && hash_at(transaction, known.position).await? != Some(known.hash) {
        return Ok(News::Everything);
    }
    let changed = sqlx::query(
        "SELECT DISTINCT aggregate_type, aggregate_id FROM events WHERE position > $1 AND position <= $2 LIMIT $3",
    )
    .bind(position_of(known.position))
    .bind(position_of(newest.position))
    .bind(CHANGED_STREAMS_MAX + 1)
    .fetch_all(transaction)
    .await?;
    if i64::try_from(changed.len()).is_ok_and(|streams| streams > CHANGED_STREAMS_MAX) {
        return Ok(News::Everything);
    }
    let stream =
        |row| Ok(StreamId::new(column::<String>(row, "aggregate_type")?, column::<String>(row, "aggregate_id")?));
    Ok(News::Changed(changed.iter().map(stream).collect::<Result<_, Setback>>()?))
}

async fn hash_at(transaction: &mut PgConnection, position: u64) -> Result<Option<ChainHash>, Setback> {
    let statement = sqlx::query("SELECT hash FROM events WHERE position = $1").bind(position_of(position));
    match statement.fetch_optional(transaction).await? {
        Some(row) => Ok(rows::hash(&row, "hash")?),
        None => Ok(None),
    }
}

/// The receipts of those commands that are known.
pub(super) async fn receipts(
    transaction: &mut PgConnection,
    command_ids: &[Uuid],
) -> Result<HashMap<Uuid, Receipt>, Setback> {
    let rows = sqlx::query(rows::FIND_COMMANDS).bind(command_ids).fetch_all(transaction).await?;
    let receipts = rows.iter().map(|row| receipt_of(row).map(|receipt| (receipt.command_id, receipt)));
    Ok(receipts.collect::<Result<_, _>>()?)
}

/// Folds all of `wanted` in one round trip. A stream that cannot be read says why and spoils no other.
pub(super) async fn load(connection: &mut PgConnection, wanted: Vec<(StreamId, Category)>) -> Result<Streams, Setback> {
    if wanted.is_empty() {
        return Ok(Streams::new());
    }
    let rows = sqlx::query(rows::READ_STREAMS)
        .bind(wanted.iter().map(|(stream, _)| stream.category.as_ref()).collect::<Vec<_>>())
        .bind(wanted.iter().map(|(stream, _)| stream.id.as_str()).collect::<Vec<_>>())
        .bind(
            wanted
                .iter()
                .map(|(_, category)| category.newest_event_tells_all.then_some(1))
                .collect::<Vec<Option<i64>>>(),
        )
        .fetch_all(connection)
        .await?;
    let mut folded: Vec<_> = wanted.iter().map(|(_, category)| Ok(category.empty())).collect();
    for row in &rows {
        let number: i64 = row.try_get("number")?;
        let index = usize::try_from(number - 1).unwrap_or(usize::MAX);
        if let (Some(Ok(state)), Some((_, category))) = (folded.get(index), wanted.get(index)) {
            let event = event_of(row).map_err(|error| error.to_string());
            folded[index] = event.and_then(|event| {
                let begun = category.newest_event_tells_all.then(|| category.before(&event));
                let state = begun.as_ref().unwrap_or(state);
                category.apply_recorded(state, &event).map_err(|error| error.to_string())
            });
        }
    }
    Ok(wanted.into_iter().map(|(stream, _)| stream).zip(folded).collect())
}
