//! Opens a consistent view of one or more read models: the rows and the position that they speak for belong together.
//! Knows no read model.

use std::time::Duration;

use sqlx::{Executor, PgConnection, PgPool, Postgres, Row, Transaction};
use tokio::time::Instant;

use crate::database::{begin, from_sql, to_sql};
use crate::progress::POLL_EVERY;
use crate::{ApplyError, Progress, Projection};

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";

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
            self.progress.reached(&self.pool, projection.name(), position).await;
        }
    }

    /// The tables are locked before the snapshot is taken, so that a rebuild either comes before it or waits for it:
    /// otherwise an old snapshot would see the new, empty tables beside the old checkpoint.
    /// They are locked in the order of their names, as a rebuild does, so that the two cannot block each other for good.
    /// `None` if no runner has made the tables yet.
    async fn open(&self, projections: &[&dyn Projection]) -> Result<Option<(Snapshot, Vec<u64>)>, sqlx::Error> {
        let mut tables: Vec<&str> = projections.iter().flat_map(|projection| projection.tables()).copied().collect();
        tables.sort_unstable();
        let checkpoint = |projection: &&dyn Projection| {
            format!("SELECT position FROM projections WHERE name = '{}'", projection.name())
        };
        let checkpoints: Vec<String> = projections.iter().map(checkpoint).collect();
        let statements =
            format!("LOCK TABLE {} IN ACCESS SHARE MODE; {}", tables.join(", "), checkpoints.join(" UNION ALL "),);
        let mut transaction = begin(&self.pool, BEGIN).await?;
        let rows = match transaction.fetch_all(sqlx::raw_sql(&statements)).await {
            Ok(rows) => rows,
            Err(error) if is_undefined_table(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        if rows.len() < projections.len() {
            return Ok(None);
        }
        let checkpoints: Vec<u64> =
            rows.iter().map(|row| from_sql(row.try_get("position")?)).collect::<Result<_, sqlx::Error>>()?;
        let position = checkpoints.iter().copied().min().unwrap_or(0);
        Ok(Some((Snapshot { transaction, position }, checkpoints)))
    }
}

fn is_undefined_table(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(code.as_deref(), Some("42P01" | "3F000"))
}

impl Snapshot {
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
