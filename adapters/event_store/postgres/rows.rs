//! The statements that read the log, and how their rows become events and receipts. A row that cannot be read is
//! damage, never skipped.

use commands::ports::event::Decoded;
use commands::ports::{Receipt, RecordedEvent, StoreError, StreamId};
use domain::Timestamp;
use domain::chain::ChainHash;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::types::chrono::{DateTime, Utc};
use sqlx::{Decode, Postgres, Row, Type};

macro_rules! event_columns {
    () => {
        "position, event_id, aggregate_type, aggregate_id, sequence, event_type, event_version, payload::text, \
         metadata::text, recorded_at, effective_at, hash"
    };
}

pub(super) const READ_STREAM: &str = concat!(
    "SELECT ",
    event_columns!(),
    " FROM events WHERE aggregate_type = $1 AND aggregate_id = $2 AND sequence > $3 ORDER BY sequence LIMIT $4"
);

pub(super) const READ_ALL: &str =
    concat!("SELECT ", event_columns!(), " FROM events WHERE position > $1 ORDER BY position LIMIT $2");

/// Whole streams, or of some only the newest events, each by one index scan whatever the planner believes of the table's
/// size: the inner ORDER BY and LIMIT keep it from becoming a hash join over the log. A limit of NULL is none.
pub(super) const READ_STREAMS: &str = concat!(
    "SELECT number, stored.* FROM unnest($1::text[], $2::text[], $3::bigint[]) WITH ORDINALITY
            AS wanted(category, id, newest, number)
     CROSS JOIN LATERAL (SELECT ",
    event_columns!(),
    " FROM events WHERE aggregate_type = wanted.category AND aggregate_id = wanted.id
            ORDER BY sequence DESC LIMIT wanted.newest) AS stored
     ORDER BY number, sequence"
);

pub(super) const READ_NEWEST_OF_STREAM: &str = concat!(
    "SELECT ",
    event_columns!(),
    " FROM events WHERE aggregate_type = $1 AND aggregate_id = $2 ORDER BY sequence DESC LIMIT 1"
);

pub(super) const NEWEST_POSITION: &str = "SELECT coalesce(max(position), 0) FROM events";

pub(super) const FIND_COMMANDS: &str =
    "SELECT command_id, fingerprint, object, stream_category, stream_id, version, position, rejection
     FROM commands WHERE command_id = ANY($1)";

/// Positions, versions and limits are bigint in the database; what exceeds it is beyond every log.
pub(super) fn position_of(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| StoreError::Corrupt(format!("{number} is not a position or version")))
}

pub(super) fn event_of(row: &PgRow) -> Result<RecordedEvent, StoreError> {
    let position = unsigned(column(row, "position")?)?;
    let schema_version: &str = column(row, "event_version")?;
    Ok(RecordedEvent {
        position,
        event_id: column(row, "event_id")?,
        stream: StreamId::new(column::<String>(row, "aggregate_type")?, column::<String>(row, "aggregate_id")?),
        version: unsigned(column(row, "sequence")?)?,
        event_type: column(row, "event_type")?,
        schema_version: schema_version.parse().map_err(|_| damaged(position, "event_version"))?,
        payload: column(row, "payload")?,
        metadata: column(row, "metadata")?,
        recorded_at: timestamp(row, "recorded_at")?,
        effective_at: timestamp(row, "effective_at")?,
        hash: hash(row, "hash")?.ok_or_else(|| damaged(position, "hash"))?,
        decoded: Decoded::default(),
    })
}

/// A stored receipt is always a repeat of the first answer.
pub(super) fn receipt_of(row: &PgRow) -> Result<Receipt, StoreError> {
    let fingerprint: Option<&[u8]> = column(row, "fingerprint")?;
    let rejection: Option<Json<_>> = column(row, "rejection")?;
    Ok(Receipt {
        command_id: column(row, "command_id")?,
        replayed: true,
        fingerprint: fingerprint.and_then(|bytes| bytes.try_into().ok()),
        object: column(row, "object")?,
        stream: StreamId::new(column::<String>(row, "stream_category")?, column::<String>(row, "stream_id")?),
        version: unsigned(column(row, "version")?)?,
        position: unsigned(column(row, "position")?)?,
        rejection: rejection.map(|Json(rejection)| rejection),
    })
}

pub(super) fn column<'r, T: Decode<'r, Postgres> + Type<Postgres>>(
    row: &'r PgRow,
    name: &str,
) -> Result<T, StoreError> {
    row.try_get(name).map_err(|error| StoreError::Corrupt(error.to_string()))
}

pub(super) fn timestamp(row: &PgRow, name: &str) -> Result<Timestamp, StoreError> {
    Ok(column::<DateTime<Utc>>(row, name)?.into())
}

pub(super) fn hash(row: &PgRow, name: &str) -> Result<Option<ChainHash>, StoreError> {
    let bytes: Option<&[u8]> = column(row, name)?;
    Ok(bytes.and_then(|bytes| bytes.try_into().ok()).map(ChainHash::from_bytes))
}

fn damaged(position: u64, column: &str) -> StoreError {
    StoreError::Corrupt(format!("event {position} has an unreadable {column}"))
}
