//! Opens a consistent view of one or more read models: the rows and the position that they speak for belong together.
//! Knows no read model.

use std::sync::LazyLock;
use std::time::Duration;

use sqlx::{PgConnection, PgPool, Postgres, Row, Transaction};
use tokio::time::Instant;

use crate::database::{begin, position, to_sql};
use crate::generation::{READABLE, Wanted};
use crate::parking::{self, ParkedStream};
use crate::progress::POLL_EVERY;
use crate::{ApplyError, Progress, Projection};

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";

static OPEN: LazyLock<String> = LazyLock::new(|| {
    format!(
        "WITH readable AS MATERIALIZED ({READABLE}),
              path AS MATERIALIZED (
                  SELECT string_agg(schema, ', ' ORDER BY number) || ', ' || current_setting('search_path') AS path
                    FROM readable)
         SELECT position, generation, set_config('search_path', path, true),
                pg_advisory_xact_lock_shared(hashtextextended(schema, 0))::text,
                EXISTS (SELECT FROM projection_parked AS parked
                         WHERE parked.name = readable.name AND parked.generation = readable.generation) AS parked
           FROM readable CROSS JOIN path ORDER BY number"
    )
});

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reader {
    pool: PgPool,
    progress: Progress,
}

/// Read models frozen at `position`: the least of their checkpoints. Ends when dropped.
#[derive(Debug)]
pub struct Snapshot {
    transaction: Transaction<'static, Postgres>,
    pub position: u64,
    /// No stream is parked in any of them. Otherwise sums lack what waits.
    pub is_complete: bool,
    /// Of each read model, in the order in which they were asked for.
    generations: Vec<i32>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// A read model has not got to the wanted position within the time that the caller would wait.
    #[error("the read model has reached position {position} only")]
    Behind { position: u64 },
    #[error("the read models are not available: {0}")]
    Unavailable(String),
    /// A row is not what this crate writes: a bug or damage.
    #[error("a read model is damaged: {0}")]
    Damaged(String),
}

impl From<sqlx::Error> for ReadError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) => {
                ReadError::Damaged(error.to_string())
            }
            _ => ReadError::Unavailable(error.to_string()),
        }
    }
}

impl From<ApplyError> for ReadError {
    fn from(error: ApplyError) -> Self {
        ReadError::Damaged(error.to_string())
    }
}

impl Reader {
    pub fn new(pool: PgPool, progress: Progress) -> Reader {
        Reader { pool, progress }
    }

    /// A view of `projections` that includes the event at `position`, if they get there within `wait`.
    pub async fn at_least(
        &self,
        projections: &[&dyn Projection],
        position: Option<u64>,
        wait: Duration,
    ) -> Result<Snapshot, ReadError> {
        let (wanted, deadline) = (position.unwrap_or(0), Instant::now() + wait);
        loop {
            let believed: Vec<u64> = projections.iter().map(|each| self.progress.known(each.name())).collect();
            let opened = self.open(projections).await?;
            let reached = match opened {
                Some((snapshot, _)) if snapshot.position >= wanted => return Ok(snapshot),
                Some((snapshot, checkpoints)) => {
                    for ((projection, believed), read) in projections.iter().zip(believed).zip(checkpoints) {
                        self.progress.correct(projection.name(), believed, read);
                    }
                    snapshot.position
                }
                None => 0,
            };
            let progress = self.wait_for(projections, wanted);
            if tokio::time::timeout_at(deadline, progress).await.is_err() {
                return Err(ReadError::Behind { position: reached });
            }
        }
    }

    /// A view of the projections as they stand now.
    pub async fn now(&self, projections: &[&dyn Projection]) -> Result<Snapshot, ReadError> {
        self.at_least(projections, None, Duration::ZERO).await
    }

    async fn wait_for(&self, projections: &[&dyn Projection], position: u64) {
        if position == 0 {
            tokio::time::sleep(POLL_EVERY).await;
        }
        for projection in projections {
            self.progress.reached(&self.pool, *projection, position).await;
        }
    }

    /// One statement takes the snapshot, reads the checkpoints in it and puts the tables that they speak for on the search
    /// path. A lock that only the dropping of tables asks for keeps them there until the transaction ends.
    /// `None` if no generation is there that this program can read.
    async fn open(&self, projections: &[&dyn Projection]) -> Result<Option<(Snapshot, Vec<u64>)>, sqlx::Error> {
        let wanted = Wanted::of(projections);
        let mut transaction = begin(&self.pool, BEGIN).await?;
        let rows = sqlx::query(&OPEN)
            .bind(&wanted.names)
            .bind(&wanted.oldest)
            .bind(&wanted.newest)
            .fetch_all(&mut *transaction)
            .await?;
        if rows.len() < projections.len() {
            return Ok(None);
        }
        let checkpoints: Vec<u64> = rows.iter().map(|row| position(row, "position")).collect::<Result<_, _>>()?;
        let parked: Vec<bool> = rows.iter().map(|row| row.try_get("parked")).collect::<Result<_, _>>()?;
        let snapshot = Snapshot {
            transaction,
            position: checkpoints.iter().copied().min().unwrap_or(0),
            is_complete: !parked.contains(&true),
            generations: rows.iter().map(|row| row.try_get("generation")).collect::<Result<_, _>>()?,
        };
        Ok(Some((snapshot, checkpoints)))
    }
}

impl Snapshot {
    /// The streams that are parked in `projection`, the only read model of this view.
    pub(crate) async fn parked(&mut self, projection: &dyn Projection) -> Result<Vec<ParkedStream>, ReadError> {
        let mut streams = vec![];
        for generation in self.generations.clone() {
            streams.extend(parking::list(&mut self.transaction, projection.name(), generation).await?);
        }
        Ok(streams)
    }

    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }

    /// `as_of` as a `bigint`, or this view's own position; a view cannot speak of what lies behind it.
    pub(crate) fn up_to(&self, as_of: Option<u64>) -> Result<i64, ReadError> {
        match as_of {
            Some(as_of) if as_of > self.position => Err(ReadError::Behind { position: self.position }),
            as_of => Ok(to_sql(as_of.unwrap_or(self.position))),
        }
    }
}
