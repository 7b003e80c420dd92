//! How the projections stand: the list that operators see, and the lag as a metric.

use std::collections::HashMap;

use commands::ports::{EventStore, StoreError};
use serde::Serialize;
use sqlx::{PgPool, Row};

use crate::ReadError;
use crate::database::from_sql;

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
    /// Why it stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProjectionState {
    Running,
    /// An event could not be applied; it is tried again with growing pauses.
    Stopped,
    Rebuilding,
}

/// Every projection of the ledger by name; one that no runner has begun yet stands at position 0.
pub async fn list(
    pool: &PgPool,
    store: &dyn EventStore,
    now: domain::Timestamp,
) -> Result<Vec<ProjectionStatus>, ReadError> {
    let rows = sqlx::query("SELECT name, version, position, state, error FROM projections").fetch_all(pool).await?;
    let mut begun = HashMap::new();
    for row in &rows {
        let status = ProjectionStatus {
            name: row.try_get("name")?,
            version: row.try_get("version")?,
            position: from_sql(row.try_get("position")?)?,
            lag_events: 0,
            lag_seconds: 0,
            state: match row.try_get("state")? {
                "stopped" => ProjectionState::Stopped,
                "rebuilding" => ProjectionState::Rebuilding,
                _ => ProjectionState::Running,
            },
            error: row.try_get("error")?,
        };
        begun.insert(status.name.clone(), status);
    }
    let head = store.head().await?;
    let mut list = Vec::new();
    for projection in crate::all() {
        let mut status = begun.remove(projection.name()).unwrap_or_else(|| ProjectionStatus {
            name: projection.name().to_owned(),
            version: projection.version(),
            position: 0,
            lag_events: 0,
            lag_seconds: 0,
            state: ProjectionState::Running,
            error: None,
        });
        status.lag_events = head.saturating_sub(status.position);
        if status.lag_events > 0 {
            let oldest = store.read_all(status.position, 1).await?;
            status.lag_seconds = oldest.first().map_or(0, |event| now.since(event.recorded_at).as_secs());
        }
        list.push(status);
    }
    Ok(list)
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        ReadError::Unavailable(error.to_string())
    }
}

/// The lag of a projection that another node feeds.
pub(crate) async fn report_lag(pool: &PgPool, name: &'static str, head: u64) -> Result<(), sqlx::Error> {
    let position = sqlx::query_scalar("SELECT position FROM projections WHERE name = $1").bind(name).fetch_one(pool);
    lag_gauge(name, head.saturating_sub(from_sql(position.await?)?));
    Ok(())
}

pub(crate) fn lag_gauge(name: &'static str, events: u64) {
    let events = u32::try_from(events).unwrap_or(u32::MAX);
    metrics::gauge!("projection_lag_events", "projection" => name).set(events);
}
