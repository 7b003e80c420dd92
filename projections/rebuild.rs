//! Makes generations of a read model: the first one, one for a new version, and one when an operator asks for a rebuild;
//! puts the one before back, and drops what nobody needs any more. Safe while runners and readers are at work, and at
//! every point where the process may die.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Executor, PgPool};

use crate::database::{begin, from_sql};
use crate::generation::{self, Generation, Standing, Stored};
use crate::{Projection, ReadError};

/// Behind a lock that is waited for, others queue up: better to give up and be asked again.
const BEGIN: &str = "BEGIN; SET LOCAL lock_timeout = '5s'";
/// How long the live one may stand still while the kept one comes to its position.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(4);
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long the generation before can be put back.
const KEPT_FOR: &str = "1 day";
/// No query that began before a generation was retired is expected to begin with its tables only then.
const DROPPED_AFTER: &str = "1 minute";

#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    #[error("there is no projection of this name")]
    Unknown,
    #[error("the projection is being rebuilt already")]
    Overtaken,
    #[error("the read model is of a newer version than this program")]
    NewerVersion,
    #[error("there is no generation of this program's version to put back")]
    NothingKept,
    #[error("the generation before is behind and does not catch up: is it fed?")]
    KeptIsBehind,
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
}

/// How far a rebuild has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RebuildProgress {
    /// The next generation has folded the log up to here.
    Building { position: u64 },
    /// It serves, or there is none.
    Done,
}

/// Has the read model `name` built anew beside the one that serves; the runners fold it from position 0 and put it in
/// its place once it has caught up.
pub async fn rebuild(pool: &PgPool, name: &str) -> Result<(), RebuildError> {
    rebuild_projection(pool, named(name)?.as_ref()).await
}

/// [`rebuild`] of a projection that need not be one of [`crate::all`].
pub async fn rebuild_projection(pool: &PgPool, projection: &dyn Projection) -> Result<(), RebuildError> {
    ensure(pool, projection).await?;
    start(pool, projection).await
}

pub async fn rebuild_progress(pool: &PgPool, name: &str) -> Result<RebuildProgress, RebuildError> {
    let position: Option<i64> =
        sqlx::query_scalar("SELECT position FROM projections WHERE name = $1 AND standing = 'building'")
            .bind(name)
            .fetch_optional(pool)
            .await?;
    Ok(match position {
        Some(position) => RebuildProgress::Building { position: from_sql(position)? },
        None => RebuildProgress::Done,
    })
}

/// Puts the generation before the last rebuild back in its place.
pub async fn rollback(pool: &PgPool, name: &str) -> Result<(), RebuildError> {
    rollback_projection(pool, named(name)?.as_ref()).await
}

/// [`rollback`] of a projection that need not be one of [`crate::all`]. The live one stands still until the other has
/// come to the same position, so that no query sees an older one than before.
pub async fn rollback_projection(pool: &PgPool, projection: &dyn Projection) -> Result<(), RebuildError> {
    let mut transaction = begin(pool, BEGIN).await?;
    let name = projection.name();
    let live = generation::hold_live(&mut transaction, name).await?.ok_or(RebuildError::NothingKept)?;
    let deadline = tokio::time::Instant::now() + CATCH_UP_WITHIN;
    loop {
        let beside = generation::beside(&mut transaction, name).await?;
        let is_ours = |stored: &&Stored| stored.standing == Standing::Kept && stored.version == projection.version();
        let kept = beside.iter().find(is_ours).ok_or(RebuildError::NothingKept)?;
        if kept.position >= live.position {
            generation::exchange(&mut transaction, live.generation, kept.generation).await?;
            transaction.commit().await?;
            return Ok(());
        }
        if tokio::time::Instant::now() >= deadline {
            return Err(RebuildError::KeptIsBehind);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Asks the runners to try the parked streams of `name` again.
pub async fn retry(pool: &PgPool, name: &str) -> Result<(), RebuildError> {
    named(name)?;
    sqlx::query("UPDATE projections SET retry_requested = true WHERE name = $1 AND standing <> 'retired'")
        .bind(name)
        .execute(pool)
        .await?;
    Ok(())
}

/// Whether somebody still has to try them.
pub async fn retry_is_due(pool: &PgPool, name: &str) -> Result<bool, RebuildError> {
    let due = sqlx::query_scalar(
        "SELECT coalesce(bool_or(retry_requested), false) FROM projections WHERE name = $1 AND standing = 'live'",
    );
    Ok(due.bind(name).fetch_one(pool).await?)
}

fn named(name: &str) -> Result<Arc<dyn Projection>, RebuildError> {
    crate::find(name).ok_or(RebuildError::Unknown)
}

/// Makes the first generation, and begins a new one for a new version. All that there are then.
pub(crate) async fn ensure(pool: &PgPool, projection: &dyn Projection) -> Result<Vec<Stored>, RebuildError> {
    let stored = generation::all(pool, projection.name()).await?;
    if !stored.iter().any(|stored| stored.standing == Standing::Live) {
        install(pool, projection).await?;
    } else if stored.iter().any(|one| one.version >= projection.version() && one.standing != Standing::Shadow) {
        return Ok(stored);
    } else {
        match start(pool, projection).await {
            Err(RebuildError::Overtaken | RebuildError::NewerVersion) => {}
            started => started?,
        }
    }
    Ok(generation::all(pool, projection.name()).await?)
}

/// Of two that install at once, the second waits for the first one's row and then finds the work done.
async fn install(pool: &PgPool, projection: &dyn Projection) -> Result<(), RebuildError> {
    let mut transaction = begin(pool, BEGIN).await?;
    if generation::create(&mut transaction, projection, Standing::Live).await?.is_some() {
        transaction.commit().await?;
    }
    Ok(())
}

/// Begins a generation beside the live one. One that is being built already goes on, unless it is of an older version.
async fn start(pool: &PgPool, projection: &dyn Projection) -> Result<(), RebuildError> {
    let mut transaction = begin(pool, BEGIN).await?;
    let Some(live) = generation::hold_live(&mut transaction, projection.name()).await? else {
        return Err(RebuildError::Overtaken);
    };
    let beside = generation::beside(&mut transaction, projection.name()).await?;
    let building = beside.iter().find(|stored| stored.standing == Standing::Building);
    if live.version.max(building.map_or(0, |building| building.version)) > projection.version() {
        return Err(RebuildError::NewerVersion);
    }
    if let Some(building) = building {
        if building.version == projection.version() {
            return Err(RebuildError::Overtaken);
        }
        generation::retire(&mut transaction, building.generation).await?;
    }
    generation::create(&mut transaction, projection, Standing::Building).await?.ok_or(RebuildError::Overtaken)?;
    transaction.commit().await?;
    tracing::info!(projection = projection.name(), projection.version = projection.version(), "a rebuild has begun");
    Ok(())
}

/// Retires what has been kept for long enough and the shadows that were left behind, and drops what was retired.
pub(crate) async fn tidy_up(pool: &PgPool, name: &'static str) -> Result<(), RebuildError> {
    let retire = format!(
        "UPDATE projections SET standing = 'retired', standing_since = clock_timestamp()
          WHERE name = $1 AND (standing = 'kept' AND standing_since < clock_timestamp() - interval '{KEPT_FOR}'
                OR standing = 'shadow' AND lease_until < clock_timestamp() - interval '{DROPPED_AFTER}'
                   AND standing_since < clock_timestamp() - interval '{DROPPED_AFTER}')"
    );
    sqlx::query(&retire).bind(name).execute(pool).await?;
    let retired = format!(
        "SELECT generation FROM projections
          WHERE name = $1 AND standing = 'retired' AND standing_since < clock_timestamp() - interval '{DROPPED_AFTER}'"
    );
    let retired: Vec<i32> = sqlx::query_scalar(&retired).bind(name).fetch_all(pool).await?;
    for number in retired {
        drop_generation(pool, Generation { name, number }).await?;
    }
    Ok(())
}

/// Drops a generation, unless a query or a runner has not let go of it: then another time.
pub(crate) async fn drop_generation(pool: &PgPool, generation: Generation) -> Result<(), RebuildError> {
    let mut transaction = begin(pool, BEGIN).await?;
    let free: bool = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))")
        .bind(generation.schema())
        .fetch_one(&mut *transaction)
        .await?;
    if free {
        let drop = format!("DROP SCHEMA IF EXISTS {} CASCADE", generation.schema());
        transaction.execute(sqlx::raw_sql(&drop)).await?;
        sqlx::query("DELETE FROM projections WHERE name = $1 AND generation = $2")
            .bind(generation.name)
            .bind(generation.number)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
    }
    Ok(())
}

impl From<RebuildError> for ReadError {
    fn from(error: RebuildError) -> Self {
        ReadError::Unavailable(error.to_string())
    }
}
