//! A generation's row in the table `projections`: the lease that lets one runner feed it, and how far it has got.
//! Every write names the epoch in which the lease was taken, so that a runner that was overtaken changes nothing.

use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Row};
use uuid::Uuid;

use crate::database::{from_sql, to_sql};
use crate::generation::{Generation, Standing};

/// A runner that does not renew its lease for so long has lost it.
pub(crate) const LEASE: Duration = Duration::from_secs(5);
const RENEW_EVERY: Duration = Duration::from_millis(1_500);

/// The right to feed one generation, until somebody else takes it.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) generation: Generation,
    pub(crate) epoch: i64,
}

/// Where a generation stands, as its row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) position: u64,
    pub(crate) standing: Standing,
    /// Somebody wants the parked streams tried again.
    pub(crate) retry_requested: bool,
}

/// What comes of asking for a lease.
#[derive(Debug)]
pub(crate) enum Acquired {
    Lease(Lease, Checkpoint),
    /// Somebody else has it.
    Held,
    /// The generation is not fed any more.
    Gone,
}

/// The lease is somebody else's by now, or its generation is not fed any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lease is lost")]
pub(crate) struct Lost;

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

fn checkpoint(row: &PgRow) -> Result<Checkpoint, sqlx::Error> {
    Ok(Checkpoint {
        position: from_sql(row.try_get("position")?)?,
        standing: Standing::parse(row.try_get("standing")?)?,
        retry_requested: row.try_get("retry_requested")?,
    })
}

impl Lease {
    /// The lease, if it is free, has run out or was `owner`'s own.
    pub(crate) async fn acquire(pool: &PgPool, generation: Generation, owner: Uuid) -> Result<Acquired, sqlx::Error> {
        let taken = sqlx::query(
            "UPDATE projections
                SET owner = $3, epoch = epoch + 1, lease_until = clock_timestamp() + make_interval(secs => $4)
              WHERE name = $1 AND generation = $2 AND standing <> 'retired'
                AND (lease_until <= clock_timestamp() OR owner = $3)
          RETURNING epoch, position, standing, retry_requested",
        )
        .bind(generation.name)
        .bind(generation.number)
        .bind(owner)
        .bind(seconds(LEASE))
        .fetch_optional(pool)
        .await?;
        if let Some(row) = taken {
            return Ok(Acquired::Lease(Lease { generation, epoch: row.try_get("epoch")? }, checkpoint(&row)?));
        }
        let stands: Option<i64> = sqlx::query_scalar(
            "SELECT epoch FROM projections WHERE name = $1 AND generation = $2 AND standing <> 'retired'",
        )
        .bind(generation.name)
        .bind(generation.number)
        .fetch_optional(pool)
        .await?;
        Ok(if stands.is_some() { Acquired::Held } else { Acquired::Gone })
    }

    /// Renews the lease as long as it is polled; ends only when the lease is lost. A database that cannot be reached
    /// is no loss yet: what is written decides.
    pub(crate) async fn keep(&self, pool: &PgPool) -> Lost {
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            let renewed = sqlx::query(
                "UPDATE projections SET lease_until = clock_timestamp() + make_interval(secs => $4)
                  WHERE name = $1 AND generation = $2 AND epoch = $3 AND standing <> 'retired'",
            )
            .bind(self.generation.name)
            .bind(self.generation.number)
            .bind(self.epoch)
            .bind(seconds(LEASE))
            .execute(pool)
            .await;
            if renewed.is_ok_and(|done| done.rows_affected() == 0) {
                return Lost;
            }
        }
    }

    /// Moves the checkpoint within the transaction of the batch. If this fails, the batch must be rolled back.
    pub(crate) async fn advance(
        &self,
        connection: &mut PgConnection,
        from: u64,
        to: u64,
        caught_up: bool,
    ) -> Result<Result<Checkpoint, Lost>, sqlx::Error> {
        let moved = sqlx::query(
            "UPDATE projections
                SET position = $5, error = NULL, updated_at = clock_timestamp(),
                    lease_until = clock_timestamp() + make_interval(secs => $7),
                    state = CASE WHEN state = 'rebuilding' AND NOT $6 THEN state ELSE 'running' END
              WHERE name = $1 AND generation = $2 AND epoch = $3 AND position = $4 AND standing <> 'retired'
          RETURNING position, standing, retry_requested",
        )
        .bind(self.generation.name)
        .bind(self.generation.number)
        .bind(self.epoch)
        .bind(to_sql(from))
        .bind(to_sql(to))
        .bind(caught_up)
        .bind(seconds(LEASE))
        .fetch_optional(connection)
        .await?;
        moved.as_ref().map_or(Ok(Err(Lost)), |row| checkpoint(row).map(Ok))
    }

    /// Where the read model stands, whatever this runner believes: a commit whose answer was lost may have taken
    /// effect, and one that was acknowledged may be gone with a crash of Postgres, since nobody waited for the disk.
    pub(crate) async fn checkpoint(&self, pool: &PgPool) -> Result<Result<Checkpoint, Lost>, sqlx::Error> {
        let row = sqlx::query(
            "SELECT position, standing, retry_requested FROM projections
              WHERE name = $1 AND generation = $2 AND epoch = $3 AND standing <> 'retired'",
        )
        .bind(self.generation.name)
        .bind(self.generation.number)
        .bind(self.epoch)
        .fetch_optional(pool)
        .await?;
        row.as_ref().map_or(Ok(Err(Lost)), |row| checkpoint(row).map(Ok))
    }

    /// Notes that what was asked for again has been tried, in the transaction that tried it.
    pub(crate) async fn retried(&self, connection: &mut PgConnection) -> Result<Result<(), Lost>, sqlx::Error> {
        let noted = sqlx::query(
            "UPDATE projections SET retry_requested = false, updated_at = clock_timestamp()
              WHERE name = $1 AND generation = $2 AND epoch = $3 AND standing <> 'retired'",
        )
        .bind(self.generation.name)
        .bind(self.generation.number)
        .bind(self.epoch)
        .execute(connection)
        .await?;
        Ok(if noted.rows_affected() == 1 { Ok(()) } else { Err(Lost) })
    }

    /// Notes that there is nothing left to apply.
    pub(crate) async fn settle(&self, pool: &PgPool) -> Result<(), sqlx::Error> {
        self.note(pool, "running", None).await
    }

    /// Notes why the projection does not go on.
    pub(crate) async fn stop(&self, pool: &PgPool, error: &str) -> Result<(), sqlx::Error> {
        self.note(pool, "stopped", Some(error)).await
    }

    async fn note(&self, pool: &PgPool, state: &str, error: Option<&str>) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE projections SET state = $4, error = $5, updated_at = clock_timestamp()
              WHERE name = $1 AND generation = $2 AND epoch = $3 AND (state, error) IS DISTINCT FROM ($4, $5)",
        )
        .bind(self.generation.name)
        .bind(self.generation.number)
        .bind(self.epoch)
        .bind(state)
        .bind(error)
        .execute(pool)
        .await?;
        Ok(())
    }

    /// Lets the next runner in at once.
    pub(crate) async fn release(&self, pool: &PgPool) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE projections SET owner = NULL, lease_until = '-infinity'
              WHERE name = $1 AND generation = $2 AND epoch = $3",
        )
        .bind(self.generation.name)
        .bind(self.generation.number)
        .bind(self.epoch)
        .execute(pool)
        .await?;
        Ok(())
    }
}
