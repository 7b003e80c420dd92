//! The schema's migrations, compiled into the program, so that a binary always carries the schema that it expects.
//! What each of them does stands in `/migrations`; this file only embeds them.

use sqlx::PgPool;
use sqlx::migrate::{MigrateError, Migrator};

/// Every migration of `/migrations`, in order. Running it is idempotent and safe from several processes at once.
pub static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// Brings the schema up to date.
pub async fn migrate(pool: &PgPool) -> Result<(), MigrateError> {
    MIGRATOR.run(pool).await
}

/// Does the database stand at the schema that this program carries, or at a newer one?
pub async fn is_current(pool: &PgPool) -> bool {
    let applied: Result<Option<i64>, sqlx::Error> =
        sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations WHERE success").fetch_one(pool).await;
    let known = MIGRATOR.iter().map(|migration| migration.version).max();
    applied.is_ok_and(|applied| applied >= known)
}
