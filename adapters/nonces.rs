//! The memory of nonces, shared by all nodes: Postgres, or memory for tests and simulation.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use async_trait::async_trait;
use commands::ports::nonces::REMEMBERED_FOR;
use commands::ports::{Nonces, NoncesUnavailable};
use domain::{ApiKeyId, Timestamp};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use uuid::Uuid;

/// Nonces forgotten in one go: short transactions, whatever has piled up.
const FORGET_BATCH: i64 = 10_000;

pub struct PostgresNonces {
    pool: PgPool,
}

impl PostgresNonces {
    pub fn new(pool: PgPool) -> PostgresNonces {
        PostgresNonces { pool }
    }
}

#[async_trait]
impl Nonces for PostgresNonces {
    async fn use_once(&self, key_id: ApiKeyId, nonce: &str, now: Timestamp) -> Result<bool, NoncesUnavailable> {
        let forgotten = now.minus(REMEMBERED_FOR);
        // One statement, so that of two nodes exactly one gets the row.
        let used = sqlx::query(
            "INSERT INTO nonces (digest, used_at) VALUES ($1, $2)
             ON CONFLICT (digest) DO UPDATE SET used_at = excluded.used_at WHERE nonces.used_at < $3",
        )
        .bind(digest(key_id, nonce))
        .bind(now.to_datetime())
        .bind(forgotten.to_datetime())
        .execute(&self.pool)
        .await;
        Ok(used.map_err(unavailable)?.rows_affected() == 1)
    }

    /// A row that is being used anew is skipped, so that no request waits for this.
    async fn forget(&self, used_before: Timestamp) -> Result<u64, NoncesUnavailable> {
        let mut forgotten = 0;
        loop {
            let deleted = sqlx::query(
                "DELETE FROM nonces WHERE digest IN
                     (SELECT digest FROM nonces WHERE used_at < $1 ORDER BY used_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
            )
            .bind(used_before.to_datetime())
            .bind(FORGET_BATCH)
            .execute(&self.pool)
            .await;
            let deleted = deleted.map_err(unavailable)?.rows_affected();
            forgotten += deleted;
            if deleted < FORGET_BATCH.unsigned_abs() {
                return Ok(forgotten);
            }
        }
    }
}

#[derive(Default)]
pub struct MemoryNonces {
    used_at: Mutex<HashMap<Uuid, Timestamp>>,
}

#[async_trait]
impl Nonces for MemoryNonces {
    async fn use_once(&self, key_id: ApiKeyId, nonce: &str, now: Timestamp) -> Result<bool, NoncesUnavailable> {
        let forgotten = now.minus(REMEMBERED_FOR);
        let mut used_at = self.used_at.lock();
        let last = used_at.entry(digest(key_id, nonce));
        let first = match &last {
            Entry::Occupied(last) => *last.get() < forgotten,
            Entry::Vacant(_) => true,
        };
        if first {
            last.insert_entry(now);
        }
        Ok(first)
    }

    async fn forget(&self, used_before: Timestamp) -> Result<u64, NoncesUnavailable> {
        let mut used_at = self.used_at.lock();
        let before = used_at.len();
        used_at.retain(|_, used_at| *used_at >= used_before);
        Ok(u64::try_from(before - used_at.len()).unwrap_or(u64::MAX))
    }
}

fn unavailable(error: sqlx::Error) -> NoncesUnavailable {
    NoncesUnavailable(error.to_string())
}

fn digest(key_id: ApiKeyId, nonce: &str) -> Uuid {
    let digest = Sha256::new().chain_update(key_id.as_uuid().as_bytes()).chain_update(nonce.as_bytes()).finalize();
    let mut bytes = [0_u8; 16];
    bytes.copy_from_slice(&digest[..16]);
    Uuid::from_bytes(bytes)
}
