//! The bytes of the files, in chunks. Each write names the attempt that it belongs to, so that one that was overtaken
//! writes nothing. Knows no row and no format.

use std::ops::Range;

use futures::Stream;
use futures::stream;
use sqlx::{PgPool, Row};

use super::job::{Claim, seconds};
use super::{Export, Failure};
use crate::ReadError;
use crate::database::{damaged, position, to_sql};

/// Chunks that are deleted at once: about a hundred megabytes.
const DELETED_AT_ONCE: i64 = 100;

/// Stores one chunk and goes on holding the export, or does neither if the export is another attempt's by now.
pub(super) async fn append(pool: &PgPool, claim: &Claim, start: u64, bytes: &[u8]) -> Result<(), Failure> {
    let stored = sqlx::query(
        "WITH held AS (
             UPDATE exports SET held_until = clock_timestamp() + make_interval(secs => $3)
              WHERE export_id = $1 AND attempt = $2 AND state = 'running' RETURNING export_id)
         INSERT INTO export_chunks SELECT export_id, $2, $4, $5 FROM held",
    )
    .bind(claim.export_id.to_string())
    .bind(claim.attempt)
    .bind(seconds(claim.lease))
    .bind(to_sql(start))
    .bind(bytes)
    .execute(pool)
    .await?;
    if stored.rows_affected() == 1 { Ok(()) } else { Err(Failure::Lost) }
}

/// Drops what earlier attempts have left.
pub(super) async fn drop_older(pool: &PgPool, claim: &Claim) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM export_chunks WHERE export_id = $1 AND attempt < $2")
        .bind(claim.export_id.to_string())
        .bind(claim.attempt)
        .execute(pool)
        .await?;
    Ok(())
}

/// Drops the chunks that no file is made of or will be: of earlier attempts, of failed and of expired exports.
pub(super) async fn drop_unused(pool: &PgPool) -> Result<(), sqlx::Error> {
    loop {
        let dropped = sqlx::query(
            "DELETE FROM export_chunks WHERE (export_id, attempt, start) IN (
                 SELECT export_id, chunk.attempt, start FROM export_chunks AS chunk JOIN exports USING (export_id)
                  WHERE state IN ('failed', 'expired') OR chunk.attempt < exports.attempt LIMIT $1)",
        )
        .bind(DELETED_AT_ONCE)
        .execute(pool)
        .await?;
        if dropped.rows_affected() == 0 {
            return Ok(());
        }
    }
}

/// The bytes of `range`, a chunk at a time. Ends with an error if the file is deleted meanwhile.
pub fn read(
    pool: PgPool,
    export: &Export,
    range: Range<u64>,
) -> impl Stream<Item = Result<Vec<u8>, ReadError>> + Send + use<> {
    let (export_id, attempt) = (export.request.export_id.to_string(), export.attempt);
    stream::try_unfold(range.start, move |offset| {
        let (pool, export_id) = (pool.clone(), export_id.clone());
        async move {
            if offset >= range.end {
                return Ok(None);
            }
            let bytes = part(&pool, &export_id, attempt, offset..range.end).await?;
            let next = offset.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            Ok(Some((bytes, next)))
        }
    })
}

/// What the chunk that holds the first byte of `range` has of it; never empty.
async fn part(pool: &PgPool, export_id: &str, attempt: i32, range: Range<u64>) -> Result<Vec<u8>, ReadError> {
    let row = sqlx::query(
        "SELECT start, bytes FROM export_chunks
          WHERE export_id = $1 AND attempt = $2 AND start <= $3 ORDER BY start DESC LIMIT 1",
    )
    .bind(export_id)
    .bind(attempt)
    .bind(to_sql(range.start))
    .fetch_optional(pool)
    .await?;
    let row = row.ok_or_else(|| ReadError::Unavailable(format!("the file of {export_id} was deleted")))?;
    let start = position(&row, "start")?;
    let mut bytes: Vec<u8> = row.try_get("bytes")?;
    let within = |offset: u64| usize::try_from(offset - start).unwrap_or(usize::MAX);
    bytes.truncate(within(range.end));
    let bytes = bytes.split_off(within(range.start).min(bytes.len()));
    if bytes.is_empty() {
        return Err(damaged(format!("the file of {export_id} has a hole at {}", range.start)).into());
    }
    Ok(bytes)
}
