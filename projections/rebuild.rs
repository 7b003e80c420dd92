//! Makes a projection's tables: the first time, for a new version, and when an operator asks for a rebuild.
//! Safe while runners and readers are at work, and at every point where the process may die.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Executor, PgPool, Postgres, Transaction};

use crate::checkpoint::Lease;
use crate::database::begin;
use crate::{Projection, ReadError};

/// How long a rebuild may wait for readers to let go of the old tables.
const PATIENCE: Duration = Duration::from_secs(15);
/// Behind a lock that is waited for, readers queue up: better to give up and be asked again.
const BEGIN: &str = "BEGIN; SET LOCAL lock_timeout = '10s'";

#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    #[error("there is no projection of this name")]
    Unknown,
    #[error("somebody else rebuilds this projection now")]
    Overtaken,
    #[error("the read model is of a newer version than this program")]
    NewerVersion,
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
}

/// Throws the read model `name` away; the runners fold it again from position 0. Until they are done it answers as a
/// projection that is behind.
pub async fn rebuild(pool: &PgPool, name: &str) -> Result<(), RebuildError> {
    let projection: Arc<dyn Projection> = crate::find(name).ok_or(RebuildError::Unknown)?;
    rebuild_projection(pool, projection.as_ref()).await
}

/// [`rebuild`] of a projection that need not be one of [`crate::all`].
pub async fn rebuild_projection(pool: &PgPool, projection: &dyn Projection) -> Result<(), RebuildError> {
    ensure(pool, projection).await?;
    recreate(pool, projection).await
}

/// Makes the tables unless they are there, and makes them anew for a new version.
pub(crate) async fn ensure(pool: &PgPool, projection: &dyn Projection) -> Result<(), RebuildError> {
    let version: Option<i32> = sqlx::query_scalar("SELECT version FROM projections WHERE name = $1")
        .bind(projection.name())
        .fetch_optional(pool)
        .await?;
    match version {
        None => install(pool, projection).await,
        Some(version) if version < projection.version() => recreate(pool, projection).await,
        Some(_) => Ok(()),
    }
}

/// Of two that install at once, the second waits for the first one's row and then finds the work done.
async fn install(pool: &PgPool, projection: &dyn Projection) -> Result<(), RebuildError> {
    let mut transaction = begin(pool, BEGIN).await?;
    let added = sqlx::query("INSERT INTO projections (name, version) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(projection.name())
        .bind(projection.version())
        .execute(&mut *transaction)
        .await?;
    if added.rows_affected() == 1 {
        create_tables(&mut transaction, projection).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// First the lease, in a transaction of its own: whatever a runner has under way then rolls back and lets go of the
/// tables, so the two never wait for each other. If the process dies in between, the lease runs out and the old tables
/// go on. The batch under way may hold one table and want the next when this wants them all; Postgres then ends one of
/// the two, and as no further batch can begin, once more is enough.
async fn recreate(pool: &PgPool, projection: &dyn Projection) -> Result<(), RebuildError> {
    let lease = Lease::seize(pool, projection, PATIENCE).await?.ok_or(RebuildError::NewerVersion)?;
    let mut outcome = replace_tables(pool, projection, &lease).await;
    while is_deadlock(&outcome) {
        outcome = replace_tables(pool, projection, &lease).await;
    }
    if outcome.is_err() {
        lease.release(pool).await?;
    }
    outcome
}

async fn replace_tables(pool: &PgPool, projection: &dyn Projection, lease: &Lease) -> Result<(), RebuildError> {
    let mut transaction = begin(pool, BEGIN).await?;
    lock_tables(&mut transaction, projection).await?;
    create_tables(&mut transaction, projection).await?;
    let reset = sqlx::query(
        "UPDATE projections
            SET version = $3, position = 0, state = 'rebuilding', error = NULL, updated_at = clock_timestamp(),
                lease_until = '-infinity'
          WHERE name = $1 AND epoch = $2",
    )
    .bind(lease.name)
    .bind(lease.epoch)
    .bind(projection.version())
    .execute(&mut *transaction)
    .await?;
    if reset.rows_affected() == 0 {
        return Err(RebuildError::Overtaken);
    }
    transaction.commit().await?;
    Ok(())
}

/// In the order of their names, as readers do.
async fn lock_tables(
    transaction: &mut Transaction<'static, Postgres>,
    projection: &dyn Projection,
) -> Result<(), sqlx::Error> {
    let tables: Vec<String> = sqlx::query_scalar(
        r#"SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = $1
            ORDER BY tablename COLLATE "C""#,
    )
    .bind(schema(projection))
    .fetch_all(&mut **transaction)
    .await?;
    if !tables.is_empty() {
        let statement = format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", tables.join(", "));
        transaction.execute(sqlx::raw_sql(&statement)).await?;
    }
    Ok(())
}

async fn create_tables(
    transaction: &mut Transaction<'static, Postgres>,
    projection: &dyn Projection,
) -> Result<(), sqlx::Error> {
    let schema = schema(projection);
    let statements = format!("DROP SCHEMA IF EXISTS {schema} CASCADE;\nCREATE SCHEMA {schema};\n{}", projection.ddl());
    transaction.execute(sqlx::raw_sql(&statements)).await?;
    Ok(())
}

fn schema(projection: &dyn Projection) -> String {
    format!("rm_{}", projection.name())
}

fn is_deadlock(outcome: &Result<(), RebuildError>) -> bool {
    let Err(RebuildError::Database(sqlx::Error::Database(error))) = outcome else { return false };
    error.code().as_deref() == Some("40P01")
}

impl From<RebuildError> for ReadError {
    fn from(error: RebuildError) -> Self {
        ReadError::Unavailable(error.to_string())
    }
}
