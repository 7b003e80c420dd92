//! The schema's migrations, compiled into the program, so that a binary always carries the schema that it expects.
//! What each of them does stands in `/migrations`; this file only embeds them.

use sqlx::migrate::Migrator;

/// Every migration of `/migrations`, in order. Running it is idempotent and safe from several processes at once.
pub static MIGRATOR: Migrator = sqlx::migrate!("../migrations");
