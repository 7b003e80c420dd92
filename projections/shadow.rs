//! Compares a read model with a rebuild of it: a shadow generation is folded to exactly the position of the live one,
//! and the two are compared table by table in one view of the database. Knows no read model.

use std::collections::BTreeMap;
use std::time::Duration;

use commands::ports::{EventStore, StoreError};
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Postgres, Row, Transaction};
use uuid::Uuid;

use crate::batch::{Batch, Writer};
use crate::checkpoint::{Acquired, Checkpoint, Lease};
use crate::database::{begin, damaged, sum_of};
use crate::feeder::Interrupted;
use crate::generation::{self, Generation, Standing, Stored};
use crate::parking::{self, Parked, ParkedStream};
use crate::rebuild::drop_generation;
use crate::{Projection, RebuildError};

const PAGE: usize = 5_000;
const BATCH_WITHIN: Duration = Duration::from_secs(60);
const BEGIN: &str = "BEGIN; SET LOCAL lock_timeout = '5s'";
const BEGIN_VIEW: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";
/// Differing rows that are told, of each table.
const TOLD_MAX: usize = 20;
/// Characters of a value that are told.
const VALUE_MAX: usize = 200;

#[derive(Debug, thiserror::Error)]
pub enum ShadowError {
    #[error("there is no projection of this name")]
    Unknown,
    #[error("no generation of this program's version serves")]
    NothingLive,
    #[error("somebody else works on the generations of this projection")]
    Overtaken,
    #[error("the shadow does not go on: {0}")]
    Interrupted(String),
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
}

/// What came of comparing a read model with its rebuild.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    pub projection: &'static str,
    /// Up to which both had folded the log.
    pub position: u64,
    pub tables: Vec<ComparedTable>,
    /// Streams that are parked, and the first rows that differ.
    pub differences: Vec<String>,
}

/// A table of a read model beside its rebuild.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComparedTable {
    pub table: &'static str,
    pub rows: u64,
    /// Over all rows, whatever their order.
    pub digest: String,
    pub is_equal: bool,
}

impl Comparison {
    pub fn is_clean(&self) -> bool {
        self.differences.is_empty()
    }
}

/// Compares the read model `name` with its rebuild. `reached` is told how far that has got, and how far it is to get.
pub async fn compare(
    pool: &PgPool,
    store: &dyn EventStore,
    name: &str,
    reached: impl Fn(u64, u64) + Send + Sync,
) -> Result<Comparison, ShadowError> {
    let projection = crate::find(name).ok_or(ShadowError::Unknown)?;
    let shadow = Shadow::make(pool, store, projection.as_ref()).await?;
    let compared = tokio::select! {
        compared = shadow.compare(reached) => compared,
        lost = shadow.lease.keep(pool) => Err(ShadowError::Interrupted(lost.to_string())),
    };
    shadow.lease.release(pool).await?;
    drop_generation(pool, shadow.lease.generation).await?;
    compared
}

struct Shadow<'a> {
    pool: &'a PgPool,
    store: &'a dyn EventStore,
    projection: &'a dyn Projection,
    lease: Lease,
}

impl<'a> Shadow<'a> {
    async fn make(
        pool: &'a PgPool,
        store: &'a dyn EventStore,
        projection: &'a dyn Projection,
    ) -> Result<Shadow<'a>, ShadowError> {
        let mut transaction = begin(pool, BEGIN).await?;
        let made = generation::create(&mut transaction, projection, Standing::Shadow).await?;
        let generation = made.ok_or(ShadowError::Overtaken)?;
        transaction.commit().await?;
        match Lease::acquire(pool, generation, Uuid::new_v4()).await? {
            Acquired::Lease(lease, _) => Ok(Shadow { pool, store, projection, lease }),
            Acquired::Held | Acquired::Gone => Err(ShadowError::Overtaken),
        }
    }

    async fn compare(&self, reached: impl Fn(u64, u64) + Send + Sync) -> Result<Comparison, ShadowError> {
        let mut parked = Parked::default();
        let mut at =
            self.lease.checkpoint(self.pool).await?.map_err(|lost| ShadowError::Interrupted(lost.to_string()))?;
        loop {
            let live = self.live(generation::all(self.pool, self.projection.name()).await?)?;
            reached(at.position, live.position);
            if live.position.saturating_sub(at.position) <= PAGE as u64 {
                break;
            }
            at = self.fold(at, live.position, &mut parked).await?;
        }
        let mut hold = begin(self.pool, BEGIN).await?;
        let held = generation::hold_live(&mut hold, self.projection.name()).await?;
        let live = self.live(held.into_iter().collect())?;
        while at.position < live.position {
            at = self.fold(at, live.position, &mut parked).await?;
        }
        // The first statement of the view takes its snapshot, while the live one stands still.
        let mut view = begin(self.pool, BEGIN_VIEW).await?;
        let waiting = parking::list(&mut view, live.generation.name, live.generation.number).await?;
        hold.rollback().await?;
        self.compare_tables(&mut view, live, &waiting).await
    }

    fn live(&self, stored: Vec<Stored>) -> Result<Stored, ShadowError> {
        let is_ours = |one: &Stored| one.standing == Standing::Live && one.version == self.projection.version();
        stored.into_iter().find(is_ours).ok_or(ShadowError::NothingLive)
    }

    /// One batch further, at most to `position`.
    async fn fold(&self, at: Checkpoint, position: u64, parked: &mut Parked) -> Result<Checkpoint, ShadowError> {
        let mut events = self.store.read_all(at.position, PAGE).await?;
        events.retain(|event| event.position <= position);
        let to = events.last().map(|event| event.position);
        let to = to.ok_or_else(|| ShadowError::Interrupted("the log ends too soon".to_owned()))?;
        let events = events.iter().filter(|event| self.projection.folds(&event.stream.category)).collect();
        let writer = Writer { pool: self.pool, projection: self.projection, lease: &self.lease, within: BATCH_WITHIN };
        Ok(writer.write(Batch { from: at.position, to, caught_up: false, events }, parked).await?)
    }

    async fn compare_tables(
        &self,
        view: &mut Transaction<'static, Postgres>,
        live: Stored,
        waiting: &[ParkedStream],
    ) -> Result<Comparison, ShadowError> {
        let mut differences: Vec<String> = waiting.iter().map(ParkedStream::to_string).collect();
        let mut tables = vec![];
        for table in self.projection.tables() {
            let (rows, digest) = digest_of(view, live.generation, table).await?;
            let is_equal = digest_of(view, self.lease.generation, table).await? == (rows, digest.clone());
            if !is_equal {
                differences.extend(differing_rows(view, table, live.generation, self.lease.generation).await?);
            }
            tables.push(ComparedTable { table, rows, digest, is_equal });
        }
        Ok(Comparison { projection: self.projection.name(), position: live.position, tables, differences })
    }
}

async fn digest_of(
    connection: &mut PgConnection,
    generation: Generation,
    table: &str,
) -> Result<(u64, String), sqlx::Error> {
    let query = format!(
        "SELECT count(*)::text AS rows, coalesce(sum(hashtextextended(one::text, 0)::numeric), 0)::text AS first,
                coalesce(sum(hashtextextended(one::text, 1)::numeric), 0)::text AS second
           FROM {}.{table} AS one",
        generation.schema()
    );
    let row = sqlx::query(&query).fetch_one(connection).await?;
    let word = |column| Ok::<i128, sqlx::Error>(sum_of(&row, column)?.rem_euclid(1 << 64));
    let rows = u64::try_from(sum_of(&row, "rows")?).map_err(|error| damaged(error.to_string()))?;
    Ok((rows, format!("{:016x}{:016x}", word("first")?, word("second")?)))
}

/// What differs in the first rows that do, by their keys.
async fn differing_rows(
    connection: &mut PgConnection,
    table: &str,
    live: Generation,
    shadow: Generation,
) -> Result<Vec<String>, sqlx::Error> {
    let keyed = |schema: String, key: &str| {
        format!("(SELECT {key} COLLATE \"C\" AS key, row_to_json(one)::text AS row FROM {schema}.{table} AS one)")
    };
    let key = key_of(connection, table, live).await?;
    let query = format!(
        "SELECT key, live.row AS live, shadow.row AS shadow FROM {} AS live FULL JOIN {} AS shadow USING (key)
          WHERE live.row IS DISTINCT FROM shadow.row ORDER BY key LIMIT {TOLD_MAX}",
        keyed(live.schema(), &key),
        keyed(shadow.schema(), &key),
    );
    let rows = sqlx::query(&query).fetch_all(connection).await?;
    rows.iter().map(|row| difference(table, row)).collect()
}

/// The primary key as an expression; without one, the row.
async fn key_of(connection: &mut PgConnection, table: &str, generation: Generation) -> Result<String, sqlx::Error> {
    let columns: Vec<String> = sqlx::query_scalar(
        "SELECT attribute.attname FROM pg_index AS index
           JOIN pg_attribute AS attribute ON attrelid = indrelid AND attnum = ANY(indkey)
          WHERE indrelid = $1::text::regclass AND indisprimary ORDER BY array_position(indkey::smallint[], attnum)",
    )
    .bind(format!("{}.{table}", generation.schema()))
    .fetch_all(connection)
    .await?;
    Ok(if columns.is_empty() { "one::text".to_owned() } else { format!("concat_ws(' ', {})", columns.join(", ")) })
}

fn difference(table: &str, row: &PgRow) -> Result<String, sqlx::Error> {
    let key: &str = row.try_get("key")?;
    let (live, shadow): (Option<&str>, Option<&str>) = (row.try_get("live")?, row.try_get("shadow")?);
    let (Some(live), Some(shadow)) = (live, shadow) else {
        let what = if live.is_none() { "is missing" } else { "is there, although the log knows nothing of it" };
        return Ok(format!("{table} {key}: {what}"));
    };
    let (live, shadow) = (columns(live)?, columns(shadow)?);
    let differing = shadow.iter().filter_map(|(column, expected)| {
        let found = live.get(column).map_or("nothing", |value| value.get());
        (found != expected.get())
            .then(|| format!("{column} is {}, not {}", shortened(found), shortened(expected.get())))
    });
    Ok(format!("{table} {key}: {}", differing.collect::<Vec<_>>().join("; ")))
}

fn columns(row: &str) -> Result<BTreeMap<String, Box<RawValue>>, sqlx::Error> {
    serde_json::from_str(row).map_err(|error| damaged(error.to_string()))
}

fn shortened(value: &str) -> String {
    let kept: String = value.chars().take(VALUE_MAX).collect();
    if kept.len() < value.len() { format!("{kept}...") } else { kept }
}

impl From<StoreError> for ShadowError {
    fn from(error: StoreError) -> Self {
        ShadowError::Interrupted(error.to_string())
    }
}

impl From<Interrupted> for ShadowError {
    fn from(error: Interrupted) -> Self {
        ShadowError::Interrupted(error.to_string())
    }
}

impl From<RebuildError> for ShadowError {
    fn from(error: RebuildError) -> Self {
        ShadowError::Interrupted(error.to_string())
    }
}
