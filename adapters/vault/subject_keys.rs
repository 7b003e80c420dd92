//! Where wrapped data keys are stored: Postgres, or memory for tests and simulation. Sees no key in clear.

use std::collections::HashMap;

use async_trait::async_trait;
use commands::ports::VaultError;
use parking_lot::Mutex;
use sqlx::PgPool;

/// Rows are never deleted: an erased key stays known as erased.
#[async_trait]
pub trait SubjectKeys: Send + Sync {
    /// Stores the wrapped key unless the id is taken, and answers what is stored then: durable, and the same for all.
    async fn insert_or_find(&self, key_id: &str, wrapped: &[u8]) -> Result<Stored, VaultError>;

    async fn find(&self, key_id: &str) -> Result<Stored, VaultError>;

    /// Those of the keys that are not absent, each with its id: wrapped, or `None` once erased.
    async fn find_many(&self, key_ids: &[String]) -> Result<Vec<(String, Option<Vec<u8>>)>, VaultError>;

    async fn erase(&self, key_id: &str) -> Result<(), VaultError>;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    Absent,
    Live(Vec<u8>),
    Erased,
}

pub struct PostgresSubjectKeys {
    pool: PgPool,
}

impl PostgresSubjectKeys {
    pub fn new(pool: PgPool) -> PostgresSubjectKeys {
        PostgresSubjectKeys { pool }
    }
}

#[async_trait]
impl SubjectKeys for PostgresSubjectKeys {
    async fn insert_or_find(&self, key_id: &str, wrapped: &[u8]) -> Result<Stored, VaultError> {
        let inserted =
            sqlx::query("INSERT INTO subject_keys (key_id, wrapped_key) VALUES ($1, $2) ON CONFLICT DO NOTHING")
                .bind(key_id)
                .bind(wrapped)
                .execute(&self.pool)
                .await
                .map_err(unavailable)?;
        if inserted.rows_affected() == 1 {
            return Ok(Stored::Live(wrapped.to_vec()));
        }
        // A statement of its own, with a snapshot that sees the row which was in the way.
        self.find(key_id).await
    }

    async fn find(&self, key_id: &str) -> Result<Stored, VaultError> {
        let row: Option<Option<Vec<u8>>> = sqlx::query_scalar("SELECT wrapped_key FROM subject_keys WHERE key_id = $1")
            .bind(key_id)
            .fetch_optional(&self.pool)
            .await
            .map_err(unavailable)?;
        Ok(match row {
            None => Stored::Absent,
            Some(None) => Stored::Erased,
            Some(Some(wrapped)) => Stored::Live(wrapped),
        })
    }

    async fn find_many(&self, key_ids: &[String]) -> Result<Vec<(String, Option<Vec<u8>>)>, VaultError> {
        sqlx::query_as("SELECT key_id, wrapped_key FROM subject_keys WHERE key_id = ANY($1)")
            .bind(key_ids)
            .fetch_all(&self.pool)
            .await
            .map_err(unavailable)
    }

    async fn erase(&self, key_id: &str) -> Result<(), VaultError> {
        sqlx::query(
            "UPDATE subject_keys SET wrapped_key = NULL, erased_at = now() WHERE key_id = $1 AND erased_at IS NULL",
        )
        .bind(key_id)
        .execute(&self.pool)
        .await
        .map_err(unavailable)?;
        Ok(())
    }
}

fn unavailable(error: sqlx::Error) -> VaultError {
    VaultError::Unavailable(error.to_string())
}

/// `None` is an erased key.
#[derive(Default)]
pub struct MemorySubjectKeys {
    keys: Mutex<HashMap<String, Option<Vec<u8>>>>,
}

#[async_trait]
impl SubjectKeys for MemorySubjectKeys {
    async fn insert_or_find(&self, key_id: &str, wrapped: &[u8]) -> Result<Stored, VaultError> {
        self.keys.lock().entry(key_id.to_owned()).or_insert_with(|| Some(wrapped.to_vec()));
        self.find(key_id).await
    }

    async fn find(&self, key_id: &str) -> Result<Stored, VaultError> {
        Ok(match self.keys.lock().get(key_id) {
            None => Stored::Absent,
            Some(None) => Stored::Erased,
            Some(Some(wrapped)) => Stored::Live(wrapped.clone()),
        })
    }

    async fn find_many(&self, key_ids: &[String]) -> Result<Vec<(String, Option<Vec<u8>>)>, VaultError> {
        let keys = self.keys.lock();
        let known = |key_id: &String| Some((key_id.clone(), keys.get(key_id)?.clone()));
        Ok(key_ids.iter().filter_map(known).collect())
    }

    async fn erase(&self, key_id: &str) -> Result<(), VaultError> {
        if let Some(key) = self.keys.lock().get_mut(key_id) {
            *key = None;
        }
        Ok(())
    }
}
