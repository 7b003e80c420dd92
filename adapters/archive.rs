//! The archive in Postgres, as auditors read it. What is put there is put there by whoever deletes it elsewhere.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use commands::ports::{ArchiveReader, ArchiveUnavailable, Archived};
use domain::Timestamp;
use sqlx::PgPool;

pub struct PostgresArchive {
    pool: PgPool,
}

impl PostgresArchive {
    pub fn new(pool: PgPool) -> PostgresArchive {
        PostgresArchive { pool }
    }
}

type Row = (i64, String, DateTime<Utc>, DateTime<Utc>, String);

#[async_trait]
impl ArchiveReader for PostgresArchive {
    async fn page(
        &self,
        shelf: &str,
        after: Option<(Timestamp, i64)>,
        limit: usize,
    ) -> Result<Vec<Archived>, ArchiveUnavailable> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT archive_id, name, happened_at, archived_at, content::text FROM archive
              WHERE shelf = $1 AND ($2::timestamptz IS NULL OR (happened_at, archive_id) > ($2, $3))
              ORDER BY happened_at, archive_id LIMIT $4",
        )
        .bind(shelf)
        .bind(after.map(|(happened_at, _)| happened_at.to_datetime()))
        .bind(after.map_or(0, |(_, archive_id)| archive_id))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await
        .map_err(ArchiveUnavailable::because)?;
        let archived = |(archive_id, name, happened_at, archived_at, content): Row| Archived {
            archive_id,
            name,
            happened_at: happened_at.into(),
            archived_at: archived_at.into(),
            content,
        };
        Ok(rows.into_iter().map(archived).collect())
    }
}
