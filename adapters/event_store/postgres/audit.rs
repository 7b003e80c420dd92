//! The store's half of invariant 3: every command whose events stand in the log has its record.

use sqlx::PgPool;
use uuid::Uuid;

/// Ids asked for at once.
const PAGE: usize = 10_000;

/// The first of `commands` that the store has no record of.
pub async fn first_unrecorded(pool: &PgPool, commands: &[Uuid]) -> Result<Option<Uuid>, sqlx::Error> {
    for page in commands.chunks(PAGE) {
        let missing: Option<Uuid> = sqlx::query_scalar(
            "SELECT id FROM unnest($1::uuid[]) AS id
             WHERE NOT EXISTS (SELECT 1 FROM commands WHERE command_id = id) LIMIT 1",
        )
        .bind(page)
        .fetch_optional(pool)
        .await?;
        if missing.is_some() {
            return Ok(missing);
        }
    }
    Ok(None)
}
