//! The generations of a read model, as rows of the table `projections`: which one queries read, which one is built or
//! kept beside it, and how they change places. Knows no read model and no event.

use sqlx::postgres::PgRow;
use sqlx::{Executor, PgConnection, PgPool, Postgres, Row, Transaction};

use crate::Projection;
use crate::checkpoint::Lease;
use crate::database::{begin, damaged, from_sql};

/// Sorting in memory is most of the work. The lease's holder renews it meanwhile.
const BEGIN_INDEXES: &str = "BEGIN; SET LOCAL client_min_messages = warning; SET LOCAL maintenance_work_mem = '256MB'";

/// One build of a read model, in a schema of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Generation {
    pub(crate) name: &'static str,
    pub(crate) number: i32,
}

/// What a generation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Building,
    Live,
    Kept,
    Shadow,
    Retired,
}

/// A generation as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) generation: Generation,
    pub(crate) version: i32,
    pub(crate) standing: Standing,
    pub(crate) position: u64,
}

impl Generation {
    pub(crate) fn schema(&self) -> String {
        format!("rm_{}_{}", self.name, self.number)
    }

    /// For the rest of the transaction, tables without a schema are this generation's.
    pub(crate) async fn enter(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::query("SELECT set_config('search_path', $1 || ', ' || current_setting('search_path'), true)")
            .bind(self.schema())
            .execute(connection)
            .await?;
        Ok(())
    }
}

impl Standing {
    pub(crate) fn parse(text: &str) -> Result<Standing, sqlx::Error> {
        match text {
            "building" => Ok(Standing::Building),
            "live" => Ok(Standing::Live),
            "kept" => Ok(Standing::Kept),
            "shadow" => Ok(Standing::Shadow),
            "retired" => Ok(Standing::Retired),
            _ => Err(damaged(format!("{text:?} is no standing of a generation"))),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Standing::Building => "building",
            Standing::Live => "live",
            Standing::Kept => "kept",
            Standing::Shadow => "shadow",
            Standing::Retired => "retired",
        }
    }
}

const SELECT: &str = "SELECT generation, version, standing, position FROM projections";

fn read(name: &'static str, row: &PgRow) -> Result<Stored, sqlx::Error> {
    Ok(Stored {
        generation: Generation { name, number: row.try_get("generation")? },
        version: row.try_get("version")?,
        standing: Standing::parse(row.try_get("standing")?)?,
        position: from_sql(row.try_get("position")?)?,
    })
}

/// All that are not retired, oldest first.
pub(crate) async fn all(pool: &PgPool, name: &'static str) -> Result<Vec<Stored>, sqlx::Error> {
    of(&mut *pool.acquire().await?, name).await
}

async fn of(connection: &mut PgConnection, name: &'static str) -> Result<Vec<Stored>, sqlx::Error> {
    let query = format!("{SELECT} WHERE name = $1 AND standing <> 'retired' ORDER BY generation");
    let rows = sqlx::query(&query).bind(name).fetch_all(connection).await?;
    rows.iter().map(|row| read(name, row)).collect()
}

/// The live one, which stays where it is until the transaction ends: nobody moves its checkpoint and nobody else gives
/// the generations other places.
pub(crate) async fn hold_live(
    transaction: &mut Transaction<'static, Postgres>,
    name: &'static str,
) -> Result<Option<Stored>, sqlx::Error> {
    let query = format!("{SELECT} WHERE name = $1 AND standing = 'live' FOR NO KEY UPDATE");
    let row = sqlx::query(&query).bind(name).fetch_optional(&mut **transaction).await?;
    row.as_ref().map(|row| read(name, row)).transpose()
}

/// Those beside a live one that is held.
pub(crate) async fn beside(
    transaction: &mut Transaction<'static, Postgres>,
    name: &'static str,
) -> Result<Vec<Stored>, sqlx::Error> {
    of(transaction, name).await
}

/// Makes the tables of a new generation, empty.
pub(crate) async fn create(
    transaction: &mut Transaction<'static, Postgres>,
    projection: &dyn Projection,
    standing: Standing,
) -> Result<Option<Generation>, sqlx::Error> {
    let number: Option<i32> = sqlx::query_scalar(
        "INSERT INTO projections (name, version, generation, standing, state)
         SELECT $1, $2, coalesce(max(generation), 0) + 1, $3, CASE $3 WHEN 'live' THEN 'running' ELSE 'rebuilding' END
           FROM projections WHERE name = $1
         ON CONFLICT DO NOTHING RETURNING generation",
    )
    .bind(projection.name())
    .bind(projection.version())
    .bind(standing.as_str())
    .fetch_optional(&mut **transaction)
    .await?;
    let Some(number) = number else { return Ok(None) };
    let generation = Generation { name: projection.name(), number };
    let create = format!("CREATE SCHEMA {}", generation.schema());
    transaction.execute(sqlx::raw_sql(&create)).await?;
    generation.enter(transaction).await?;
    transaction.execute(sqlx::raw_sql(projection.ddl())).await?;
    if standing == Standing::Live {
        transaction.execute(sqlx::raw_sql(projection.indexes())).await?;
    }
    Ok(Some(generation))
}

/// Makes the indexes of a generation that was built without them.
pub(crate) async fn create_indexes(
    pool: &PgPool,
    projection: &dyn Projection,
    generation: Generation,
) -> Result<(), sqlx::Error> {
    let mut transaction = begin(pool, BEGIN_INDEXES).await?;
    generation.enter(&mut transaction).await?;
    transaction.execute(sqlx::raw_sql(projection.indexes())).await?;
    transaction.commit().await
}

/// Puts the lease's generation in the place of the live one, which is held and is kept from now on; what was kept
/// before is retired. `false` if the lease is lost.
pub(crate) async fn promote(
    transaction: &mut Transaction<'static, Postgres>,
    lease: &Lease,
) -> Result<bool, sqlx::Error> {
    let generation = lease.generation;
    move_all(transaction, generation.name, Standing::Kept, Standing::Retired).await?;
    move_all(transaction, generation.name, Standing::Live, Standing::Kept).await?;
    let promoted = sqlx::query(
        "UPDATE projections SET standing = 'live', standing_since = clock_timestamp(), state = 'running', error = NULL
          WHERE name = $1 AND generation = $2 AND epoch = $3 AND standing = 'building'",
    )
    .bind(generation.name)
    .bind(generation.number)
    .bind(lease.epoch)
    .execute(&mut **transaction)
    .await?;
    Ok(promoted.rows_affected() == 1)
}

/// Gives the live one's place, which is held, to the kept one, and keeps the other.
pub(crate) async fn exchange(
    transaction: &mut Transaction<'static, Postgres>,
    live: Generation,
    kept: Generation,
) -> Result<(), sqlx::Error> {
    for (generation, standing) in [(live, Standing::Retired), (kept, Standing::Live), (live, Standing::Kept)] {
        stand(transaction, generation, standing).await?;
    }
    Ok(())
}

/// Retires a generation, so that it is neither folded nor read any more and dropped later.
pub(crate) async fn retire(connection: &mut PgConnection, generation: Generation) -> Result<(), sqlx::Error> {
    stand(connection, generation, Standing::Retired).await
}

async fn stand(connection: &mut PgConnection, generation: Generation, standing: Standing) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE projections SET standing = $3, standing_since = clock_timestamp() WHERE name = $1 AND generation = $2",
    )
    .bind(generation.name)
    .bind(generation.number)
    .bind(standing.as_str())
    .execute(connection)
    .await?;
    Ok(())
}

async fn move_all(
    transaction: &mut Transaction<'static, Postgres>,
    name: &'static str,
    from: Standing,
    to: Standing,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE projections SET standing = $3, standing_since = clock_timestamp() WHERE name = $1 AND standing = $2",
    )
    .bind(name)
    .bind(from.as_str())
    .bind(to.as_str())
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Which read models somebody wants to read, and which versions of each its program can read.
pub(crate) struct Wanted {
    pub(crate) names: Vec<&'static str>,
    pub(crate) oldest: Vec<i32>,
    pub(crate) newest: Vec<i32>,
}

impl Wanted {
    pub(crate) fn of(projections: &[&dyn Projection]) -> Wanted {
        Wanted {
            names: projections.iter().map(|projection| projection.name()).collect(),
            oldest: projections.iter().map(|projection| projection.readable_since()).collect(),
            newest: projections.iter().map(|projection| projection.version()).collect(),
        }
    }
}

/// The generation of each wanted read model that queries of this program read, in the order in which they are wanted:
/// the live one, or while nodes of a newer version have made theirs live, the one that this version's nodes still feed.
pub(crate) const READABLE: &str = "SELECT DISTINCT ON (wanted.number) wanted.number, name, generation, position,
           'rm_' || name || '_' || generation AS schema
      FROM unnest($1::text[], $2::integer[], $3::integer[]) WITH ORDINALITY AS wanted (name, oldest, newest, number)
      JOIN projections USING (name)
     WHERE standing IN ('live', 'kept') AND version BETWEEN wanted.oldest AND wanted.newest
     ORDER BY wanted.number, standing = 'live' DESC";

/// How far the generation has got that queries read.
pub(crate) async fn readable_position(pool: &PgPool, projection: &dyn Projection) -> Result<Option<u64>, sqlx::Error> {
    let wanted = Wanted::of(&[projection]);
    let row =
        sqlx::query(READABLE).bind(wanted.names).bind(wanted.oldest).bind(wanted.newest).fetch_optional(pool).await?;
    row.map(|row| from_sql(row.try_get("position")?)).transpose()
}
