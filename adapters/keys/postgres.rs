//! API keys in Postgres. A node that serves requests remembers keys for moments and hears of revocations by NOTIFY;
//! while it cannot listen it remembers nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use commands::ports::keys::{CreatedBefore, Creation, Credential, NewApiKey};
use commands::ports::{Access, ApiKey, KeyDirectory, KeyDirectoryError, Role, Secret};
use domain::{ApiKeyId, Timestamp};
use sqlx::postgres::{PgListener, PgPool, PgRow};
use sqlx::{FromRow, Row};
use subtle::ConstantTimeEq;
use tokio::task::AbortHandle;

use super::secret_hash;
use crate::short_cache::ShortCache;
use crate::vault::{Cipher, MasterKey};

const REVOCATIONS: &str = "payledger_key_revocations";
/// Bounds what a connection that died without a sign can hide.
const REMEMBERED_FOR: Duration = Duration::from_secs(5);
const REMEMBERED_MAX: usize = 10_000;
const RECONNECT_AFTER: Duration = Duration::from_secs(1);

pub struct PostgresKeys {
    pool: PgPool,
    sealing: Cipher,
    memory: Arc<KeyMemory>,
    listener: Option<AbortHandle>,
}

struct KeyMemory {
    listening: AtomicBool,
    by_id: ShortCache<ApiKeyId, Credential>,
    by_hash: ShortCache<[u8; 32], ApiKey>,
}

impl KeyMemory {
    fn is_listening(&self) -> bool {
        self.listening.load(Ordering::Acquire)
    }

    fn set_listening(&self, listening: bool) {
        self.listening.store(listening, Ordering::Release);
        self.forget();
    }

    fn forget(&self) {
        self.by_id.clear();
        self.by_hash.clear();
    }
}

impl PostgresKeys {
    /// Asks the database each time.
    pub fn new(pool: PgPool, master: &MasterKey) -> PostgresKeys {
        let memory = KeyMemory {
            listening: AtomicBool::new(false),
            by_id: ShortCache::new(REMEMBERED_MAX, REMEMBERED_FOR),
            by_hash: ShortCache::new(REMEMBERED_MAX, REMEMBERED_FOR),
        };
        let sealing = Cipher::new(&master.derive("seal API key secrets"));
        PostgresKeys { pool, sealing, memory: Arc::new(memory), listener: None }
    }

    /// Remembers keys between requests, for which one connection listens to revocations until this is dropped.
    pub fn remembering(mut self) -> PostgresKeys {
        let task = tokio::spawn(listen(self.pool.clone(), self.memory.clone()));
        self.listener = Some(task.abort_handle());
        self
    }

    /// True once it listens, so that it may remember.
    pub fn is_remembering(&self) -> bool {
        self.memory.is_listening()
    }

    fn open_secret(&self, key_id: ApiKeyId, sealed: &[u8]) -> Result<Secret, KeyDirectoryError> {
        let damaged = || KeyDirectoryError::Damaged(format!("the secret of {key_id} does not open"));
        let secret = self.sealing.open(&[key_id.to_string().as_bytes()], sealed).ok_or_else(damaged)?;
        Ok(Secret::new(std::str::from_utf8(&secret).map_err(|_| damaged())?))
    }
}

impl Drop for PostgresKeys {
    fn drop(&mut self) {
        if let Some(listener) = &self.listener {
            listener.abort();
        }
    }
}

/// Ends with the pool.
async fn listen(pool: PgPool, memory: Arc<KeyMemory>) {
    while !pool.is_closed() {
        if let Err(error) = listen_once(&pool, &memory).await
            && !pool.is_closed()
        {
            tracing::warn!(%error, "listening to key revocations failed; keys are looked up each time until it works");
        }
        memory.set_listening(false);
        tokio::time::sleep(RECONNECT_AFTER).await;
    }
}

/// Returns when the connection is lost.
async fn listen_once(pool: &PgPool, memory: &KeyMemory) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(REVOCATIONS).await?;
    memory.set_listening(true);
    while listener.try_recv().await?.is_some() {
        memory.forget();
    }
    Ok(())
}

/// A row without its secret.
struct KeyRow(ApiKey);

const COLUMNS: &str = "key_id, role, merchant_id, principal, signed_only, created_at, revoked_at";

impl<'r> FromRow<'r, PgRow> for KeyRow {
    fn from_row(row: &'r PgRow) -> Result<KeyRow, sqlx::Error> {
        let unreadable =
            |column: &str| sqlx::Error::ColumnDecode { index: column.to_owned(), source: "unknown value".into() };
        let role: Role = row.try_get::<&str, _>("role")?.parse().map_err(|_| unreadable("role"))?;
        let merchant_id = match row.try_get::<Option<&str>, _>("merchant_id")? {
            Some(text) => Some(text.parse().map_err(|_| unreadable("merchant_id"))?),
            None => None,
        };
        Ok(KeyRow(ApiKey {
            key_id: row.try_get::<&str, _>("key_id")?.parse().map_err(|_| unreadable("key_id"))?,
            access: Access::new(role, merchant_id).ok_or_else(|| unreadable("merchant_id"))?,
            principal: row.try_get("principal")?,
            signed_only: row.try_get("signed_only")?,
            created_at: row.try_get::<DateTime<Utc>, _>("created_at")?.into(),
            revoked_at: row.try_get::<Option<DateTime<Utc>>, _>("revoked_at")?.map(Timestamp::from),
        }))
    }
}

/// A row that cannot be read is damage; everything else may work again later.
fn failed(error: sqlx::Error) -> KeyDirectoryError {
    match error {
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) | sqlx::Error::Decode(_) => {
            KeyDirectoryError::Damaged(error.to_string())
        }
        _ => KeyDirectoryError::Unavailable(error.to_string()),
    }
}

#[async_trait]
impl KeyDirectory for PostgresKeys {
    async fn create(&self, new: NewApiKey) -> Result<Creation, KeyDirectoryError> {
        let key = &new.key;
        let context = key.key_id.to_string();
        let sealed = self.sealing.seal(&[context.as_bytes()], new.secret.expose().as_bytes());
        let sealed = sealed.map_err(|error| KeyDirectoryError::Unavailable(error.to_string()))?;
        let inserted = sqlx::query(
            "INSERT INTO api_keys (key_id, role, merchant_id, principal, signed_only, secret_sha256, sealed_secret,
                 command_id, fingerprint, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (command_id) DO NOTHING",
        )
        .bind(&context)
        .bind(key.access.role().as_str())
        .bind(key.access.merchant_id().map(|merchant_id| merchant_id.to_string()))
        .bind(&key.principal)
        .bind(key.signed_only)
        .bind(secret_hash(&new.secret).as_slice())
        .bind(&sealed)
        .bind(new.command_id)
        .bind(new.fingerprint.map(|fingerprint| fingerprint.to_vec()))
        .bind(key.created_at.to_datetime())
        .execute(&self.pool)
        .await
        .map_err(failed)?;
        if inserted.rows_affected() == 1 {
            return Ok(Creation::Created);
        }
        let query = format!("SELECT {COLUMNS}, fingerprint FROM api_keys WHERE command_id = $1");
        let row = sqlx::query(&query).bind(new.command_id).fetch_one(&self.pool).await.map_err(failed)?;
        let fingerprint = match row.try_get::<Option<Vec<u8>>, _>("fingerprint").map_err(failed)? {
            Some(bytes) => {
                let bytes = <[u8; 32]>::try_from(bytes);
                Some(bytes.map_err(|_| KeyDirectoryError::Damaged("a fingerprint is not 32 bytes".to_owned()))?)
            }
            None => None,
        };
        Ok(Creation::Before(CreatedBefore { key: KeyRow::from_row(&row).map_err(failed)?.0, fingerprint }))
    }

    async fn list(&self, before: Option<ApiKeyId>, limit: usize) -> Result<Vec<ApiKey>, KeyDirectoryError> {
        let query = format!(
            "SELECT {COLUMNS} FROM api_keys WHERE $1::text IS NULL OR key_id COLLATE \"C\" < $1
             ORDER BY key_id COLLATE \"C\" DESC LIMIT $2"
        );
        let rows: Vec<KeyRow> = sqlx::query_as(&query)
            .bind(before.map(|key_id| key_id.to_string()))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await
            .map_err(failed)?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }

    async fn revoke(&self, key_id: ApiKeyId, at: Timestamp) -> Result<Option<ApiKey>, KeyDirectoryError> {
        let query = format!(
            "UPDATE api_keys SET revoked_at = COALESCE(revoked_at, $2) WHERE key_id = $1
             RETURNING {COLUMNS}, pg_notify($3, key_id)"
        );
        let row: Option<KeyRow> = sqlx::query_as(&query)
            .bind(key_id.to_string())
            .bind(at.to_datetime())
            .bind(REVOCATIONS)
            .fetch_optional(&self.pool)
            .await
            .map_err(failed)?;
        // This node need not wait for its own notification.
        self.memory.forget();
        Ok(row.map(|row| row.0))
    }

    async fn find(&self, key_id: ApiKeyId) -> Result<Option<Credential>, KeyDirectoryError> {
        let remembering = self.memory.is_listening();
        if let Some(credential) = remembering.then(|| self.memory.by_id.get(&key_id)).flatten() {
            return Ok(Some(credential));
        }
        let seen = self.memory.by_id.withdrawals();
        let query = format!("SELECT {COLUMNS}, sealed_secret FROM api_keys WHERE key_id = $1 AND revoked_at IS NULL");
        let Some(row) =
            sqlx::query(&query).bind(key_id.to_string()).fetch_optional(&self.pool).await.map_err(failed)?
        else {
            return Ok(None);
        };
        let secret = self.open_secret(key_id, row.try_get("sealed_secret").map_err(failed)?)?;
        let credential = Credential { key: KeyRow::from_row(&row).map_err(failed)?.0, secret };
        if remembering {
            self.memory.by_id.put(key_id, credential.clone(), seen);
        }
        Ok(Some(credential))
    }

    async fn find_by_secret(&self, secret: &Secret) -> Result<Option<ApiKey>, KeyDirectoryError> {
        let hash = secret_hash(secret);
        let remembering = self.memory.is_listening();
        if let Some(key) = remembering.then(|| self.memory.by_hash.get(&hash)).flatten() {
            return Ok(Some(key));
        }
        let seen = self.memory.by_hash.withdrawals();
        let query =
            format!("SELECT {COLUMNS}, secret_sha256 FROM api_keys WHERE secret_sha256 = $1 AND revoked_at IS NULL");
        let Some(row) = sqlx::query(&query).bind(hash.as_slice()).fetch_optional(&self.pool).await.map_err(failed)?
        else {
            return Ok(None);
        };
        // The index compared the hash, whose bytes a caller cannot steer; the whole of it is compared in constant time.
        if !bool::from(row.try_get::<&[u8], _>("secret_sha256").map_err(failed)?.ct_eq(&hash)) {
            return Ok(None);
        }
        let key = KeyRow::from_row(&row).map_err(failed)?.0;
        if remembering {
            self.memory.by_hash.put(hash, key.clone(), seen);
        }
        Ok(Some(key))
    }
}
