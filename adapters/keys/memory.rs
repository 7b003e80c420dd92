//! API keys in memory, for as long as the process lives.

use async_trait::async_trait;
use commands::ports::keys::{CreatedBefore, Creation, Credential, NewApiKey};
use commands::ports::{ApiKey, KeyDirectory, KeyDirectoryError, Secret};
use domain::{ApiKeyId, Timestamp};
use parking_lot::Mutex;
use subtle::ConstantTimeEq;

use super::secret_hash;

/// In the order of creation.
#[derive(Default)]
pub struct MemoryKeys {
    keys: Mutex<Vec<NewApiKey>>,
}

impl MemoryKeys {
    fn find_live(&self, matches: impl Fn(&NewApiKey) -> bool) -> Option<NewApiKey> {
        self.keys.lock().iter().find(|new| new.key.revoked_at.is_none() && matches(new)).cloned()
    }
}

#[async_trait]
impl KeyDirectory for MemoryKeys {
    async fn create(&self, new: NewApiKey) -> Result<Creation, KeyDirectoryError> {
        let mut keys = self.keys.lock();
        if let Some(before) = keys.iter().find(|before| before.command_id == new.command_id) {
            let before = CreatedBefore { key: before.key.clone(), fingerprint: before.fingerprint };
            return Ok(Creation::Before(before));
        }
        keys.push(new);
        Ok(Creation::Created)
    }

    async fn list(&self, before: Option<ApiKeyId>, limit: usize) -> Result<Vec<ApiKey>, KeyDirectoryError> {
        let mut keys: Vec<ApiKey> = self.keys.lock().iter().map(|new| new.key.clone()).collect();
        keys.sort_by_key(|key| std::cmp::Reverse(key.key_id));
        let older = |key: &ApiKey| before.is_none_or(|before| key.key_id < before);
        Ok(keys.into_iter().filter(older).take(limit).collect())
    }

    async fn revoke(&self, key_id: ApiKeyId, at: Timestamp) -> Result<Option<ApiKey>, KeyDirectoryError> {
        let mut keys = self.keys.lock();
        Ok(keys.iter_mut().find(|new| new.key.key_id == key_id).map(|new| {
            new.key.revoked_at.get_or_insert(at);
            new.key.clone()
        }))
    }

    async fn find(&self, key_id: ApiKeyId) -> Result<Option<Credential>, KeyDirectoryError> {
        let found = self.find_live(|new| new.key.key_id == key_id);
        Ok(found.map(|new| Credential { key: new.key, secret: new.secret }))
    }

    async fn find_by_secret(&self, secret: &Secret) -> Result<Option<ApiKey>, KeyDirectoryError> {
        let wanted = secret_hash(secret);
        Ok(self.find_live(|new| secret_hash(&new.secret).ct_eq(&wanted).into()).map(|new| new.key))
    }
}
