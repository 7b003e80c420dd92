//! The streams that one generation cannot go on with: their events wait, known by the version and position of the first
//! one, until they are retried. Knows neither why nor how they are folded.

use std::collections::{HashMap, HashSet};
use std::fmt;

use commands::ports::{RecordedEvent, StreamId};
use domain::Timestamp;
use serde::Serialize;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use crate::database::{moment, position, to_sql};
use crate::generation::Generation;

/// More than so many are not a few bad events but a bad program: then the read model stops.
pub(crate) const PARKED_MAX: usize = 1_000;

/// A stream whose events wait, as operators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ParkedStream {
    pub category: String,
    pub id: String,
    /// Of the first event that waits, within its stream and in the log.
    pub version: u64,
    pub position: u64,
    pub event_type: String,
    pub error: String,
    /// Events that wait, the first included.
    pub waiting: u64,
    pub parked_at: Timestamp,
}

impl fmt::Display for ParkedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ParkedStream { category, id, position, waiting, error, .. } = self;
        write!(f, "{category}/{id} is parked at {position}, {waiting} events wait: {error}")
    }
}

/// The streams that are parked in a generation, as the holder of its lease knows them.
#[derive(Debug, Default)]
pub(crate) struct Parked {
    streams: HashSet<StreamId>,
}

/// What a batch adds: streams that it parks, and events that only join those that wait.
#[derive(Debug, Default)]
pub(crate) struct Additions {
    parked: Vec<(RecordedEvent, String)>,
    /// Of each stream the number of events and the position of the last.
    waiting: HashMap<StreamId, (u64, u64)>,
}

impl Parked {
    pub(crate) async fn load(connection: &mut PgConnection, generation: Generation) -> Result<Parked, sqlx::Error> {
        let rows = sqlx::query("SELECT category, stream_id FROM projection_parked WHERE name = $1 AND generation = $2")
            .bind(generation.name)
            .bind(generation.number)
            .fetch_all(connection)
            .await?;
        let stream = |row: &PgRow| {
            Ok(StreamId::new(row.try_get::<String, _>("category")?, row.try_get::<String, _>("stream_id")?))
        };
        Ok(Parked { streams: rows.iter().map(stream).collect::<Result<_, sqlx::Error>>()? })
    }

    pub(crate) fn len(&self) -> usize {
        self.streams.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// Takes the events of parked streams out of a batch.
    pub(crate) fn hold_back(&self, events: &mut Vec<&RecordedEvent>) -> Additions {
        let mut additions = Additions::default();
        if !self.is_empty() {
            events.retain(|event| {
                let waits = self.streams.contains(&event.stream);
                if waits {
                    additions.wait(event);
                }
                !waits
            });
        }
        additions
    }

    /// Believes what was committed.
    pub(crate) fn add(&mut self, additions: &Additions) {
        self.streams.extend(additions.parked.iter().map(|(event, _)| event.stream.clone()));
    }
}

impl Additions {
    pub(crate) fn parked(&self) -> &[(RecordedEvent, String)] {
        &self.parked
    }

    /// Parks the stream of the event at `index` of a batch, and takes what waits with it out of the batch.
    pub(crate) fn park(&mut self, events: &mut Vec<&RecordedEvent>, index: usize, error: String) {
        let culprit = events.remove(index);
        self.wait(culprit);
        events.retain(|event| {
            let waits = event.stream == culprit.stream && event.position > culprit.position;
            if waits {
                self.wait(event);
            }
            !waits
        });
        self.parked.push((culprit.clone(), error));
    }

    fn wait(&mut self, event: &RecordedEvent) {
        let (waiting, last) = self.waiting.entry(event.stream.clone()).or_default();
        (*waiting, *last) = (*waiting + 1, event.position.max(*last));
    }

    /// Within the transaction of the batch.
    pub(crate) async fn store(&self, connection: &mut PgConnection, generation: Generation) -> Result<(), sqlx::Error> {
        for (event, error) in &self.parked {
            // What waits is counted below.
            park(connection, generation, event, error, 1).await?;
        }
        let fresh = |stream: &StreamId| self.parked.iter().any(|(event, _)| event.stream == *stream);
        for (stream, (waiting, last)) in &self.waiting {
            let counted = u64::from(fresh(stream));
            sqlx::query(
                "UPDATE projection_parked SET waiting = waiting + $5, last_position = $6
                  WHERE name = $1 AND generation = $2 AND category = $3 AND stream_id = $4",
            )
            .bind(generation.name)
            .bind(generation.number)
            .bind(stream.category.as_ref())
            .bind(&stream.id)
            .bind(to_sql(waiting - counted))
            .bind(to_sql(*last))
            .execute(&mut *connection)
            .await?;
        }
        Ok(())
    }
}

/// Notes that a stream waits from `event` on; if it waits already, from where and why now.
pub(crate) async fn park(
    connection: &mut PgConnection,
    generation: Generation,
    event: &RecordedEvent,
    error: &str,
    waiting: u64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO projection_parked AS parked
                (name, generation, category, stream_id, version, position, event_type, error, waiting, last_position)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $6)
         ON CONFLICT (name, generation, category, stream_id) DO UPDATE
            SET version = excluded.version, position = excluded.position, event_type = excluded.event_type,
                error = excluded.error, waiting = excluded.waiting",
    )
    .bind(generation.name)
    .bind(generation.number)
    .bind(event.stream.category.as_ref())
    .bind(&event.stream.id)
    .bind(to_sql(event.version))
    .bind(to_sql(event.position))
    .bind(&event.event_type)
    .bind(error)
    .bind(to_sql(waiting))
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes that nothing of the stream waits any more.
pub(crate) async fn release(
    connection: &mut PgConnection,
    generation: Generation,
    stream: &ParkedStream,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "DELETE FROM projection_parked WHERE name = $1 AND generation = $2 AND category = $3 AND stream_id = $4",
    )
    .bind(generation.name)
    .bind(generation.number)
    .bind(&stream.category)
    .bind(&stream.id)
    .execute(connection)
    .await?;
    Ok(())
}

/// The streams that are parked in a generation, the longest waiting first.
pub(crate) async fn list(
    connection: &mut PgConnection,
    name: &str,
    generation: i32,
) -> Result<Vec<ParkedStream>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT category, stream_id, version, position, event_type, error, waiting, parked_at FROM projection_parked
          WHERE name = $1 AND generation = $2 ORDER BY position",
    )
    .bind(name)
    .bind(generation)
    .fetch_all(connection)
    .await?;
    rows.iter().map(read).collect()
}

fn read(row: &PgRow) -> Result<ParkedStream, sqlx::Error> {
    Ok(ParkedStream {
        category: row.try_get("category")?,
        id: row.try_get("stream_id")?,
        version: position(row, "version")?,
        position: position(row, "position")?,
        event_type: row.try_get("event_type")?,
        error: row.try_get("error")?,
        waiting: position(row, "waiting")?,
        parked_at: moment(row, "parked_at")?,
    })
}
