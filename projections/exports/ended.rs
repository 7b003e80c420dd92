//! Exports that are over, the file gone or never made: how many are past their term, and their way to the archive.

use async_trait::async_trait;
use commands::ports::{ArchiveUnavailable, Shelved};
use domain::Timestamp;
use sqlx::PgPool;

/// In one statement: a short transaction, whatever has piled up.
const ARCHIVED_AT_ONCE: i64 = 1_000;
/// When the file went; for what failed, when it was last tried.
const OVER: &str = "state IN ('expired', 'failed') AND coalesce(expires_at, held_until) < $1";

pub struct EndedExports {
    pool: PgPool,
}

impl EndedExports {
    pub fn new(pool: PgPool) -> EndedExports {
        EndedExports { pool }
    }
}

#[async_trait]
impl Shelved for EndedExports {
    async fn count(&self, before: Timestamp) -> Result<u64, ArchiveUnavailable> {
        let query = format!("SELECT count(*) FROM exports WHERE {OVER}");
        let counted = sqlx::query_scalar(&query).bind(before.to_datetime()).fetch_one(&self.pool).await;
        let counted: i64 = counted.map_err(ArchiveUnavailable::because)?;
        Ok(u64::try_from(counted).unwrap_or_default())
    }

    /// The row says who asked for which rows, and the digest of the file that was handed out.
    async fn archive(&self, before: Timestamp) -> Result<u64, ArchiveUnavailable> {
        let query = format!(
            "WITH gone AS (
                 DELETE FROM exports WHERE export_id IN
                     (SELECT export_id FROM exports WHERE {OVER} LIMIT $2 FOR UPDATE SKIP LOCKED)
                 RETURNING *)
             INSERT INTO archive (shelf, name, happened_at, content)
             SELECT 'exports', export_id, coalesce(expires_at, held_until), to_json(gone) FROM gone"
        );
        let moved = sqlx::query(&query).bind(before.to_datetime()).bind(ARCHIVED_AT_ONCE).execute(&self.pool).await;
        Ok(moved.map_err(ArchiveUnavailable::because)?.rows_affected())
    }
}
