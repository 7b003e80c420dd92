//! The table of exports: asking for one, taking one up, holding it, and ending it. All moments are the database's, so
//! that nodes whose clocks differ agree on who holds what.

use std::time::Duration;

use domain::{ExportId, MerchantId};
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};

use super::sheet::Written;
use super::{Export, ExportStatus, Failure, File, Format, Kind, NewExport, Selection};
use crate::ReadError;
use crate::database::{begin, damaged, json, moment, parsed, position, to_sql};

/// After so many attempts that came to nothing an export has failed for good.
const TRIES_MAX: i32 = 5;

/// The right to make one export's file, until another attempt begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    pub export_id: ExportId,
    pub(crate) attempt: i32,
    pub(crate) lease: Duration,
    pub(crate) kind: Kind,
    pub(crate) format: Format,
    pub(crate) selection: Selection,
    pub(crate) min_position: u64,
}

pub(super) fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

/// Enters an export; the same id again enters nothing. `None` if the asker has `unfinished_max` that wait or are made.
pub async fn request(pool: &PgPool, new: &NewExport, unfinished_max: i64) -> Result<Option<Export>, ReadError> {
    let mut transaction = begin(pool, "BEGIN").await?;
    // Two requests of one asker at once must not both find room for one.
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('export:' || $1, 0))")
        .bind(&new.requested_by)
        .execute(&mut *transaction)
        .await?;
    let selection = serde_json::to_string(&new.selection).map_err(|error| damaged(error.to_string()))?;
    sqlx::query(
        "INSERT INTO exports (export_id, owner, requested_by, kind, format, selection, min_position, state, held_until)
         SELECT $1, $2, $3, $4, $5, $6::json, $7, 'pending', clock_timestamp()
          WHERE (SELECT count(*) FROM exports WHERE requested_by = $3 AND state IN ('pending', 'running')) < $8
         ON CONFLICT DO NOTHING",
    )
    .bind(new.export_id.to_string())
    .bind(new.owner.map(|owner| owner.to_string()))
    .bind(&new.requested_by)
    .bind(new.kind.as_str())
    .bind(new.format.as_str())
    .bind(selection)
    .bind(to_sql(new.min_position))
    .bind(unfinished_max)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    find(pool, new.export_id).await
}

pub async fn find(pool: &PgPool, export_id: ExportId) -> Result<Option<Export>, ReadError> {
    let row = sqlx::query(
        "SELECT export_id, owner, requested_by, kind, format, selection::text, min_position, attempt, position,
                is_complete, digest, rows, bytes, created_at, completed_at, expires_at,
                CASE WHEN state = 'ready' AND expires_at <= clock_timestamp() THEN 'expired' ELSE state END AS state
           FROM exports WHERE export_id = $1",
    )
    .bind(export_id.to_string())
    .fetch_optional(pool)
    .await?;
    Ok(row.as_ref().map(read).transpose()?)
}

fn read(row: &PgRow) -> Result<Export, sqlx::Error> {
    let owner: Option<&str> = row.try_get("owner")?;
    let owner =
        owner.map(|owner| owner.parse::<MerchantId>().map_err(|error| damaged(error.to_string()))).transpose()?;
    let status = parsed(row, "state")?;
    Ok(Export {
        request: NewExport {
            export_id: parsed(row, "export_id")?,
            owner,
            requested_by: row.try_get("requested_by")?,
            kind: parsed(row, "kind")?,
            format: parsed(row, "format")?,
            selection: json(row, "selection")?.unwrap_or_default(),
            min_position: position(row, "min_position")?,
        },
        status,
        attempt: row.try_get("attempt")?,
        file: match status {
            ExportStatus::Ready | ExportStatus::Expired => Some(file(row)?),
            ExportStatus::Pending | ExportStatus::Running | ExportStatus::Failed => None,
        },
        created_at: moment(row, "created_at")?,
    })
}

fn file(row: &PgRow) -> Result<File, sqlx::Error> {
    Ok(File {
        position: position(row, "position")?,
        is_complete: row.try_get("is_complete")?,
        digest: row.try_get("digest")?,
        rows: position(row, "rows")?,
        bytes: position(row, "bytes")?,
        completed_at: moment(row, "completed_at")?,
        expires_at: moment(row, "expires_at")?,
    })
}

/// Takes up the export that has waited longest, if nobody holds one; gives up those that were tried too often.
pub(super) async fn claim(pool: &PgPool, lease: Duration) -> Result<Option<Claim>, sqlx::Error> {
    sqlx::query(
        "UPDATE exports SET state = 'failed', completed_at = clock_timestamp()
          WHERE state IN ('pending', 'running') AND held_until <= clock_timestamp() AND tries >= $1",
    )
    .bind(TRIES_MAX)
    .execute(pool)
    .await?;
    let row = sqlx::query(
        "UPDATE exports
            SET state = 'running', attempt = attempt + 1, tries = tries + 1,
                held_until = clock_timestamp() + make_interval(secs => $1)
          WHERE export_id = (SELECT export_id FROM exports
                              WHERE state IN ('pending', 'running') AND held_until <= clock_timestamp()
                              ORDER BY held_until LIMIT 1 FOR UPDATE SKIP LOCKED)
      RETURNING export_id, attempt, kind, format, selection::text, min_position",
    )
    .bind(seconds(lease))
    .fetch_optional(pool)
    .await?;
    let claim = |row: &PgRow| {
        Ok(Claim {
            export_id: parsed(row, "export_id")?,
            attempt: row.try_get("attempt")?,
            lease,
            kind: parsed(row, "kind")?,
            format: parsed(row, "format")?,
            selection: json(row, "selection")?.unwrap_or_default(),
            min_position: position(row, "min_position")?,
        })
    };
    row.as_ref().map(claim).transpose()
}

/// Marks the files whose term is over.
pub(super) async fn expire(pool: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE exports SET state = 'expired' WHERE state = 'ready' AND expires_at <= clock_timestamp()")
        .execute(pool)
        .await?;
    Ok(())
}

impl Claim {
    /// Goes on holding the export for as long as it is polled; ends only when another attempt has begun or nobody waits
    /// for it, not when this one has just ended it. A database that cannot be reached is no loss yet: what is written decides.
    pub(super) async fn keep(&self, pool: &PgPool) -> Failure {
        loop {
            tokio::time::sleep(self.lease / 3).await;
            let kept = sqlx::query(
                "UPDATE exports SET held_until = clock_timestamp() + make_interval(secs => $3)
                  WHERE export_id = $1 AND attempt = $2 AND state IN ('running', 'ready')",
            )
            .bind(self.export_id.to_string())
            .bind(self.attempt)
            .bind(seconds(self.lease))
            .execute(pool)
            .await;
            if kept.is_ok_and(|kept| kept.rows_affected() == 0) {
                return Failure::Lost;
            }
        }
    }

    pub(super) async fn complete(
        &self,
        pool: &PgPool,
        (position, is_complete): (u64, bool),
        written: &Written,
        kept_for: Duration,
    ) -> Result<(), Failure> {
        let completed = sqlx::query(
            "UPDATE exports
                SET state = 'ready', position = $3, is_complete = $4, digest = $5, rows = $6, bytes = $7, error = NULL,
                    completed_at = now(), expires_at = now() + make_interval(secs => $8)
              WHERE export_id = $1 AND attempt = $2 AND state = 'running'",
        )
        .bind(self.export_id.to_string())
        .bind(self.attempt)
        .bind(to_sql(position))
        .bind(is_complete)
        .bind(&written.digest)
        .bind(to_sql(written.rows))
        .bind(to_sql(written.bytes))
        .bind(seconds(kept_for))
        .execute(pool)
        .await?;
        if completed.rows_affected() == 1 { Ok(()) } else { Err(Failure::Lost) }
    }

    /// Leaves the export to whoever takes it up next, after `pause`. Without an error the attempt does not count.
    pub(super) async fn put_back(
        &self,
        pool: &PgPool,
        pause: Duration,
        error: Option<&str>,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE exports
                SET state = 'pending', held_until = clock_timestamp() + make_interval(secs => $3),
                    tries = CASE WHEN $4::text IS NULL THEN tries - 1 ELSE tries END, error = coalesce($4, error)
              WHERE export_id = $1 AND attempt = $2 AND state = 'running'",
        )
        .bind(self.export_id.to_string())
        .bind(self.attempt)
        .bind(seconds(pause))
        .bind(error)
        .execute(pool)
        .await?;
        Ok(())
    }
}
