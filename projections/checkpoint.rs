//! A projection's row in the table `projections`: the lease that lets one runner feed it, and how far it has got.
//! Every write names the epoch in which the lease was taken, so that a runner that was overtaken changes nothing.

use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::Projection;
use crate::database::{from_sql, to_sql};

/// A runner that does not renew its lease for so long has lost it.
pub(crate) const LEASE: Duration = Duration::from_secs(5);
const RENEW_EVERY: Duration = Duration::from_millis(1_500);

/// The right to feed one projection, until somebody else takes it.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) name: &'static str,
    pub(crate) epoch: i64,
}

/// The lease is somebody else's by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lease is lost")]
pub(crate) struct Lost;

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

impl Lease {
    /// The lease and the position to go on from, if it is free, has run out or was `owner`'s own, and the read model
    /// is of this program's version.
    pub(crate) async fn acquire(
        pool: &PgPool,
        projection: &dyn Projection,
        owner: Uuid,
    ) -> Result<Option<(Lease, u64)>, sqlx::Error> {
        let taken: Option<(i64, i64)> = sqlx::query_as(
            "UPDATE projections
                SET owner = $2, epoch = epoch + 1, lease_until = clock_timestamp() + make_interval(secs => $3)
              WHERE name = $1 AND version = $4 AND (lease_until <= clock_timestamp() OR owner = $2)
          RETURNING epoch, position",
        )
        .bind(projection.name())
        .bind(owner)
        .bind(seconds(LEASE))
        .bind(projection.version())
        .fetch_optional(pool)
        .await?;
        let Some((epoch, position)) = taken else { return Ok(None) };
        Ok(Some((Lease { name: projection.name(), epoch }, from_sql(position)?)))
    }

    /// Takes the lease from whoever has it, for `term`, so that the read model can be thrown away. From here on
    /// nothing that a runner has under way is committed. `None` if the read model is of a newer version.
    pub(crate) async fn seize(
        pool: &PgPool,
        projection: &dyn Projection,
        term: Duration,
    ) -> Result<Option<Lease>, sqlx::Error> {
        let epoch: Option<i64> = sqlx::query_scalar(
            "UPDATE projections
                SET owner = NULL, epoch = epoch + 1, lease_until = clock_timestamp() + make_interval(secs => $2)
              WHERE name = $1 AND version <= $3
          RETURNING epoch",
        )
        .bind(projection.name())
        .bind(seconds(term))
        .bind(projection.version())
        .fetch_optional(pool)
        .await?;
        Ok(epoch.map(|epoch| Lease { name: projection.name(), epoch }))
    }

    /// Renews the lease as long as it is polled; ends only when the lease is lost. A database that cannot be reached
    /// is no loss yet: what is written decides.
    pub(crate) async fn keep(&self, pool: &PgPool) -> Lost {
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            let renewed = sqlx::query(
                "UPDATE projections SET lease_until = clock_timestamp() + make_interval(secs => $3)
                  WHERE name = $1 AND epoch = $2",
            )
            .bind(self.name)
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
    ) -> Result<Result<(), Lost>, sqlx::Error> {
        let moved = sqlx::query(
            "UPDATE projections
                SET position = $4, error = NULL, updated_at = clock_timestamp(),
                    lease_until = clock_timestamp() + make_interval(secs => $6),
                    state = CASE WHEN state = 'rebuilding' AND NOT $5 THEN state ELSE 'running' END
              WHERE name = $1 AND epoch = $2 AND position = $3",
        )
        .bind(self.name)
        .bind(self.epoch)
        .bind(to_sql(from))
        .bind(to_sql(to))
        .bind(caught_up)
        .bind(seconds(LEASE))
        .execute(connection)
        .await?;
        Ok(if moved.rows_affected() == 1 { Ok(()) } else { Err(Lost) })
    }

    /// How far the read model has got, whatever this runner believes: a commit whose answer was lost may have taken
    /// effect, and one that was acknowledged may be gone with a crash of Postgres, since nobody waited for the disk.
    pub(crate) async fn position(&self, pool: &PgPool) -> Result<Result<u64, Lost>, sqlx::Error> {
        let position: Option<i64> =
            sqlx::query_scalar("SELECT position FROM projections WHERE name = $1 AND epoch = $2")
                .bind(self.name)
                .bind(self.epoch)
                .fetch_optional(pool)
                .await?;
        position.map_or(Ok(Err(Lost)), |position| from_sql(position).map(Ok))
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
            "UPDATE projections SET state = $3, error = $4, updated_at = clock_timestamp()
              WHERE name = $1 AND epoch = $2 AND (state, error) IS DISTINCT FROM ($3, $4)",
        )
        .bind(self.name)
        .bind(self.epoch)
        .bind(state)
        .bind(error)
        .execute(pool)
        .await?;
        Ok(())
    }

    /// Lets the next runner in at once.
    pub(crate) async fn release(&self, pool: &PgPool) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE projections SET owner = NULL, lease_until = '-infinity' WHERE name = $1 AND epoch = $2")
            .bind(self.name)
            .bind(self.epoch)
            .execute(pool)
            .await?;
        Ok(())
    }
}
