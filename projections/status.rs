//! How the projections stand: the list that operators see, and the lag as a metric.

use std::collections::HashMap;

use commands::ports::{EventStore, StoreError};
use serde::Serialize;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};

use crate::database::from_sql;
use crate::parking::{self, ParkedStream};
use crate::{Projection, ReadError};

/// One line of `projections list` and of `GET /projections`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProjectionStatus {
    pub name: String,
    pub version: i32,
    pub position: u64,
    /// Events of the log that it has not seen yet.
    pub lag_events: u64,
    /// How long ago the oldest of them was recorded.
    pub lag_seconds: u64,
    pub state: ProjectionState,
    /// Why it stopped, or why the first of the parked streams is parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Streams whose events wait, because one of them cannot be applied.
    pub parked_streams: u64,
    /// How far the next generation has got, while it is built beside the one that serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rebuilt_to: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProjectionState {
    Running,
    /// Streams are parked. Sums over all streams are incomplete.
    Parked,
    /// It does not go on; it is tried again with growing pauses.
    Stopped,
    Rebuilding,
}

const SELECT: &str = "
    SELECT live.name, live.version, live.position, live.state, live.error, next.position AS rebuilt_to,
           count(parked.*) AS parked_streams, (array_agg(parked.error ORDER BY parked.position))[1] AS parked_error
      FROM projections AS live
      LEFT JOIN projections AS next ON next.name = live.name AND next.standing = 'building'
      LEFT JOIN projection_parked AS parked
             ON parked.name = live.name AND parked.generation IN (live.generation, next.generation)
     WHERE live.standing = 'live'
     GROUP BY live.name, live.generation, next.name, next.generation";

/// Every projection of the ledger by name; one that no runner has begun yet stands at position 0.
pub async fn list(
    pool: &PgPool,
    store: &dyn EventStore,
    now: domain::Timestamp,
) -> Result<Vec<ProjectionStatus>, ReadError> {
    let rows = sqlx::query(SELECT).fetch_all(pool).await?;
    let begun = rows.iter().map(read).collect::<Result<Vec<_>, sqlx::Error>>()?;
    let mut begun: HashMap<String, ProjectionStatus> =
        begun.into_iter().map(|status| (status.name.clone(), status)).collect();
    let head = store.head().await?;
    let mut list = Vec::new();
    for projection in crate::all() {
        let mut status = begun.remove(projection.name()).unwrap_or_else(|| not_begun(projection.as_ref()));
        status.lag_events = head.saturating_sub(status.position);
        if status.lag_events > 0 {
            let oldest = store.read_all(status.position, 1).await?;
            status.lag_seconds = oldest.first().map_or(0, |event| now.since(event.recorded_at).as_secs());
        }
        list.push(status);
    }
    Ok(list)
}

fn read(row: &PgRow) -> Result<ProjectionStatus, sqlx::Error> {
    let parked_streams = from_sql(row.try_get("parked_streams")?)?;
    let rebuilt_to: Option<i64> = row.try_get("rebuilt_to")?;
    let (error, parked_error): (Option<String>, Option<String>) = (row.try_get("error")?, row.try_get("parked_error")?);
    Ok(ProjectionStatus {
        name: row.try_get("name")?,
        version: row.try_get("version")?,
        position: from_sql(row.try_get("position")?)?,
        lag_events: 0,
        lag_seconds: 0,
        state: match row.try_get("state")? {
            "stopped" => ProjectionState::Stopped,
            _ if rebuilt_to.is_some() => ProjectionState::Rebuilding,
            _ if parked_streams > 0 => ProjectionState::Parked,
            _ => ProjectionState::Running,
        },
        error: error.or(parked_error),
        parked_streams,
        rebuilt_to: rebuilt_to.map(from_sql).transpose()?,
    })
}

fn not_begun(projection: &dyn Projection) -> ProjectionStatus {
    ProjectionStatus {
        name: projection.name().to_owned(),
        version: projection.version(),
        position: 0,
        lag_events: 0,
        lag_seconds: 0,
        state: ProjectionState::Running,
        error: None,
        parked_streams: 0,
        rebuilt_to: None,
    }
}

/// The streams that are parked in the read model `name`, the longest waiting first: in the generation that serves, then
/// in the one that is built beside it.
pub async fn parked(pool: &PgPool, name: &str) -> Result<Vec<ParkedStream>, ReadError> {
    let generations: Vec<i32> = sqlx::query_scalar(
        "SELECT generation FROM projections WHERE name = $1 AND standing IN ('live', 'building') ORDER BY generation",
    )
    .bind(name)
    .fetch_all(pool)
    .await?;
    let mut connection = pool.acquire().await?;
    let mut streams: Vec<ParkedStream> = vec![];
    for generation in generations {
        for stream in parking::list(&mut connection, name, generation).await? {
            if !streams.iter().any(|known| (&known.category, &known.id) == (&stream.category, &stream.id)) {
                streams.push(stream);
            }
        }
    }
    Ok(streams)
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        ReadError::Unavailable(error.to_string())
    }
}

/// The lag of a projection that another node feeds.
pub(crate) async fn report_lag(pool: &PgPool, name: &'static str, head: u64) -> Result<(), sqlx::Error> {
    let live = "SELECT position FROM projections WHERE name = $1 AND standing = 'live'";
    let position: Option<i64> = sqlx::query_scalar(live).bind(name).fetch_optional(pool).await?;
    lag_gauge(name, head.saturating_sub(from_sql(position.unwrap_or_default())?));
    Ok(())
}

pub(crate) fn lag_gauge(name: &'static str, events: u64) {
    let events = u32::try_from(events).unwrap_or(u32::MAX);
    metrics::gauge!("projection_lag_events", "projection" => name).set(events);
}

/// What is to be alerted on: anything but 0.
pub(crate) fn parked_gauge(name: &'static str, streams: usize) {
    let streams = u32::try_from(streams).unwrap_or(u32::MAX);
    metrics::gauge!("projection_parked_streams", "projection" => name).set(streams);
}
