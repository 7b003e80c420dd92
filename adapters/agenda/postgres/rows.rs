//! How the agenda's values stand in rows.

use commands::ports::agenda::{AgendaUnavailable, Change, SagaId, SagaStatus};
use domain::Timestamp;
use sqlx::Row;
use sqlx::postgres::PgRow;
use sqlx::types::chrono::{DateTime, Utc};

pub(super) fn unavailable(error: sqlx::Error) -> AgendaUnavailable {
    AgendaUnavailable(error.to_string())
}

fn damaged(what: impl std::fmt::Display) -> AgendaUnavailable {
    AgendaUnavailable(format!("a row of the agenda cannot be read: {what}"))
}

pub(super) fn integer(natural: u64) -> Result<i64, AgendaUnavailable> {
    i64::try_from(natural).map_err(damaged)
}

pub(super) fn natural(row: &PgRow, column: &str) -> Result<u64, AgendaUnavailable> {
    u64::try_from(row.try_get::<i64, _>(column).map_err(unavailable)?).map_err(damaged)
}

pub(super) fn saga_id(row: &PgRow) -> Result<SagaId, AgendaUnavailable> {
    let text = |column: &str| row.try_get::<String, _>(column).map_err(unavailable);
    Ok(SagaId::new(text("kind")?, text("stream_id")?, text("saga_id")?))
}

/// The keys of rows: streams, kinds and objects.
pub(super) fn columns(changes: &[&Change]) -> (Vec<String>, Vec<String>, Vec<String>) {
    let keys = changes.iter().map(|change| &change.saga);
    (
        keys.clone().map(|saga| saga.stream_id.clone()).collect(),
        keys.clone().map(|saga| saga.kind.to_string()).collect(),
        keys.map(|saga| saga.object.clone()).collect(),
    )
}

pub(super) fn status(row: &PgRow) -> Result<SagaStatus, AgendaUnavailable> {
    let saga = saga_id(row)?;
    let time = |column: &str| row.try_get::<Option<DateTime<Utc>>, _>(column).map_err(unavailable);
    let moment = |column: &str| Ok(time(column)?.map(Timestamp::from).unwrap_or_default());
    Ok(SagaStatus {
        kind: saga.kind.clone(),
        stream_id: saga.stream_id.clone(),
        saga_id: saga,
        state: row.try_get::<String, _>("state").map_err(unavailable)?.parse().map_err(damaged)?,
        due_at: moment("due_at")?,
        attempts: u32::try_from(natural(row, "attempts")?).unwrap_or(u32::MAX),
        last_error: row.try_get("last_error").map_err(unavailable)?,
        claimed_by: row.try_get("claimed_by").map_err(unavailable)?,
        claimed_until: time("claimed_until")?.map(Timestamp::from),
        position: natural(row, "position")?,
        updated_at: moment("updated_at")?,
    })
}
