//! The one statement that stores a batch, all or nothing, in one round trip.
//!
//! It writes only if its guard holds: nobody is on the locked path, the log's head is the one that the batch was
//! decided on, commands answered without a record are unknown, and streams believed to be new are. The guard reads
//! the snapshot that the statement began with; whoever commits after that takes the same position, and the primary
//! key lets only one of the two have it. So a guard that fails, and a unique violation, both mean: nothing happened.

use commands::ports::{RejectionRecord, StreamId};
use sqlx::types::Uuid;
use sqlx::types::chrono::{DateTime, Utc};
use sqlx::{PgConnection, Row};

use super::connection::Setback;
use super::rows::position_of;
use crate::event_store::batch::{Batch, Head, RecordedCommand};

/// The advisory lock of the log: shared by every append on the fast path, exclusive on the locked path. "payledge".
pub(super) const LOG_LOCK: i64 = 0x7061_796c_6564_6765;

/// Whether the append still has to get the log's lock. Whoever holds it must not ask again: a shared request queues
/// behind those who wait for the exclusive lock, even if they wait for the one who asks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Lock {
    NotHeld,
    Held,
}

/// Every append announces the new head here, once a batch.
pub(super) const CHANNEL: &str = "payledger_head";

/// Events before commands, and commands in the order of their ids, so that two appenders never wait for each other
/// crosswise. The inner LIMIT keeps the check of new streams an index probe whatever the planner believes.
const APPEND: &str = "
WITH guard AS MATERIALIZED (
    SELECT ($30 OR pg_try_advisory_xact_lock_shared($1))
       AND coalesce((SELECT position = $2 AND hash = $3 FROM events ORDER BY position DESC LIMIT 1), $2 = 0)
       AND NOT EXISTS (SELECT FROM commands WHERE command_id = ANY($4))
       AND NOT EXISTS (
           SELECT FROM unnest($5::text[], $6::text[]) AS fresh(category, id)
           CROSS JOIN LATERAL (SELECT FROM events
               WHERE aggregate_type = fresh.category AND aggregate_id = fresh.id AND sequence = 1 LIMIT 1) AS existing)
       AS held
), appended AS (
    INSERT INTO events (position, event_id, aggregate_type, aggregate_id, sequence, event_type, event_version,
                        payload, metadata, recorded_at, effective_at, hash)
    SELECT e.position, e.event_id, e.category, e.stream, e.version, e.event_type, e.schema_version,
           e.payload::json, e.metadata::json, e.recorded_at, e.effective_at, e.hash
    FROM guard, unnest($7::bigint[], $8::uuid[], $9::text[], $10::text[], $11::bigint[], $12::text[], $13::text[],
                       $14::text[], $15::text[], $16::timestamptz[], $17::timestamptz[], $18::bytea[])
         AS e(position, event_id, category, stream, version, event_type, schema_version,
              payload, metadata, recorded_at, effective_at, hash)
    WHERE guard.held
    RETURNING 1
), recorded AS (
    INSERT INTO commands (command_id, fingerprint, object, stream_category, stream_id, version, position, rejection,
                          recorded_at)
    SELECT c.id, c.fingerprint, c.object, c.category, c.stream, c.version, c.position, c.rejection::json, c.recorded_at
    FROM guard, unnest($19::uuid[], $20::bytea[], $21::text[], $22::text[], $23::text[], $24::bigint[],
                       $25::bigint[], $26::text[], $27::timestamptz[])
         AS c(id, fingerprint, object, category, stream, version, position, rejection, recorded_at)
    WHERE guard.held AND (SELECT count(*) FROM appended) >= 0
)
SELECT held, CASE WHEN held AND $28 > $2 THEN pg_notify($29, $28::text) END FROM guard";

/// Stores `batch` behind `known`. True if it did, false if the guard failed and nothing was written.
///
/// `fresh` are streams that were taken to be new without looking and that the batch appends nothing to; those that it
/// appends to are guarded by the uniqueness of their first version.
pub(super) async fn append(
    connection: &mut PgConnection,
    holding: Lock,
    known: &Head,
    batch: &Batch,
    fresh: &[StreamId],
) -> Result<bool, Setback> {
    let mut recorded: Vec<&RecordedCommand> = batch.commands.iter().collect();
    recorded.sort_unstable_by_key(|command| command.receipt.command_id);
    let events = EventColumns::of(batch);
    let commands = CommandColumns::of(&recorded);
    let row = sqlx::query(APPEND)
        .bind(LOG_LOCK)
        .bind(position_of(known.position))
        .bind(known.hash.as_bytes().as_slice())
        .bind(&batch.unrecorded)
        .bind(fresh.iter().map(|stream| stream.category.as_ref()).collect::<Vec<_>>())
        .bind(fresh.iter().map(|stream| stream.id.as_str()).collect::<Vec<_>>())
        .bind(&events.positions)
        .bind(&events.ids)
        .bind(&events.categories)
        .bind(&events.streams)
        .bind(&events.versions)
        .bind(&events.types)
        .bind(&events.schema_versions)
        .bind(&events.payloads)
        .bind(&events.metadata)
        .bind(&events.recorded_at)
        .bind(&events.effective_at)
        .bind(&events.hashes)
        .bind(&commands.ids)
        .bind(&commands.fingerprints)
        .bind(&commands.objects)
        .bind(&commands.categories)
        .bind(&commands.streams)
        .bind(&commands.versions)
        .bind(&commands.positions)
        .bind(&commands.rejections)
        .bind(&commands.recorded_at)
        .bind(position_of(batch.head.position))
        .bind(CHANNEL)
        .bind(holding == Lock::Held)
        .fetch_one(connection)
        .await?;
    Ok(row.try_get("held")?)
}

#[derive(Default)]
struct EventColumns<'a> {
    positions: Vec<i64>,
    ids: Vec<Uuid>,
    categories: Vec<&'a str>,
    streams: Vec<&'a str>,
    versions: Vec<i64>,
    types: Vec<&'a str>,
    schema_versions: Vec<String>,
    payloads: Vec<&'a str>,
    metadata: Vec<&'a str>,
    recorded_at: Vec<DateTime<Utc>>,
    effective_at: Vec<DateTime<Utc>>,
    hashes: Vec<&'a [u8]>,
}

impl EventColumns<'_> {
    fn of(batch: &Batch) -> EventColumns<'_> {
        let mut columns = EventColumns::default();
        for event in &batch.events {
            columns.positions.push(position_of(event.position));
            columns.ids.push(event.event_id);
            columns.categories.push(&event.stream.category);
            columns.streams.push(&event.stream.id);
            columns.versions.push(position_of(event.version));
            columns.types.push(&event.event_type);
            columns.schema_versions.push(event.schema_version.to_string());
            columns.payloads.push(&event.payload);
            columns.metadata.push(&event.metadata);
            columns.recorded_at.push(event.recorded_at.to_datetime());
            columns.effective_at.push(event.effective_at.to_datetime());
            columns.hashes.push(event.hash.as_bytes());
        }
        columns
    }
}

#[derive(Default)]
struct CommandColumns<'a> {
    ids: Vec<Uuid>,
    fingerprints: Vec<Option<&'a [u8]>>,
    objects: Vec<&'a str>,
    categories: Vec<&'a str>,
    streams: Vec<&'a str>,
    versions: Vec<i64>,
    positions: Vec<i64>,
    rejections: Vec<Option<String>>,
    recorded_at: Vec<DateTime<Utc>>,
}

impl<'a> CommandColumns<'a> {
    fn of(recorded: &[&'a RecordedCommand]) -> CommandColumns<'a> {
        let mut columns = CommandColumns::default();
        for RecordedCommand { receipt, recorded_at } in recorded {
            columns.ids.push(receipt.command_id);
            columns.fingerprints.push(receipt.fingerprint.as_ref().map(|bytes| bytes.as_slice()));
            columns.objects.push(&receipt.object);
            columns.categories.push(&receipt.stream.category);
            columns.streams.push(&receipt.stream.id);
            columns.versions.push(position_of(receipt.version));
            columns.positions.push(position_of(receipt.position));
            columns.rejections.push(receipt.rejection.as_ref().map(text_of));
            columns.recorded_at.push(recorded_at.to_datetime());
        }
        columns
    }
}

fn text_of(rejection: &RejectionRecord) -> String {
    serde_json::to_string(rejection).expect("a record of strings and booleans always serialises")
}
