//! The memory of nonces, shared by all nodes: Postgres, or memory for tests and simulation.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use commands::ports::nonces::REMEMBERED_FOR;
use commands::ports::{Nonces, NoncesUnavailable};
use domain::{ApiKeyId, Timestamp};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use uuid::Uuid;

/// Every so many nonces, about twice as many that have had their time are dropped: the table follows the traffic down.
const PRUNE_EVERY: u64 = 100;
const PRUNE_BATCH: i64 = 200;
/// The clock of the node that prunes may be ahead of the one that must still remember.
const CLOCK_SKEW_MAX: Duration = Duration::from_secs(300);

pub struct PostgresNonces {
    pool: PgPool,
    used: AtomicU64,
}

impl PostgresNonces {
    pub fn new(pool: PgPool) -> PostgresNonces {
        PostgresNonces { pool, used: AtomicU64::new(0) }
    }

    /// Nodes skip each other's rows, so pruning never waits and never blocks.
    async fn prune(&self, used_before: Timestamp) -> Result<(), sqlx::Error> {
        sqlx::query(
            "DELETE FROM nonces WHERE digest IN
                 (SELECT digest FROM nonces WHERE used_at < $1 ORDER BY used_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
        )
        .bind(used_before.to_datetime())
        .bind(PRUNE_BATCH)
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

#[async_trait]
impl Nonces for PostgresNonces {
    async fn use_once(&self, key_id: ApiKeyId, nonce: &str, now: Timestamp) -> Result<bool, NoncesUnavailable> {
        let forgotten = before(now, REMEMBERED_FOR);
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
        let first = used.map_err(|error| NoncesUnavailable(error.to_string()))?.rows_affected() == 1;
        if self.used.fetch_add(1, Ordering::Relaxed) % PRUNE_EVERY == PRUNE_EVERY - 1
            && let Err(error) = self.prune(before(forgotten, CLOCK_SKEW_MAX)).await
        {
            tracing::warn!(%error, "pruning old nonces failed; the next request tries again");
        }
        Ok(first)
    }
}

#[derive(Default)]
pub struct MemoryNonces {
    used_at: Mutex<HashMap<Uuid, Timestamp>>,
}

#[async_trait]
impl Nonces for MemoryNonces {
    async fn use_once(&self, key_id: ApiKeyId, nonce: &str, now: Timestamp) -> Result<bool, NoncesUnavailable> {
        let forgotten = before(now, REMEMBERED_FOR);
        let mut used_at = self.used_at.lock();
        used_at.retain(|_, used_at| *used_at >= forgotten);
        let first = !used_at.contains_key(&digest(key_id, nonce));
        used_at.entry(digest(key_id, nonce)).or_insert(now);
        Ok(first)
    }
}

fn before(now: Timestamp, duration: Duration) -> Timestamp {
    let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(now.as_micros().saturating_sub(micros))
}

fn digest(key_id: ApiKeyId, nonce: &str) -> Uuid {
    let digest = Sha256::new().chain_update(key_id.as_uuid().as_bytes()).chain_update(nonce.as_bytes()).finalize();
    let mut bytes = [0_u8; 16];
    bytes.copy_from_slice(&digest[..16]);
    Uuid::from_bytes(bytes)
}
