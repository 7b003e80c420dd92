//! The vault: personal data sealed under one data key per subject, the data keys wrapped under the master key.
//! Knows nothing of payments; where wrapped keys are stored is behind `SubjectKeys`.

pub mod cipher;
pub mod master_key;
mod subject_keys;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use commands::ports::{BlindIndex, Subject, Vault, VaultError};
use domain::{MerchantId, Sealed};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use sqlx::PgPool;
use zeroize::Zeroizing;

pub use cipher::Cipher;
pub use master_key::{MasterKey, MasterKeyError};
pub use subject_keys::{MemorySubjectKeys, PostgresSubjectKeys, Stored, SubjectKeys};

use crate::short_cache::ShortCache;

/// An erasure on another node is honoured here after this time at the latest.
const CACHED_FOR: Duration = Duration::from_secs(5);
/// About 1 MB of unwrapped keys.
const CACHED_MAX: usize = 10_000;
/// Names the row that is sealed under the master key itself.
const MASTER_KEY_CHECK: &str = "master-key-check";

pub type PostgresVault = KeyVault<PostgresSubjectKeys>;
pub type MemoryVault = KeyVault<MemorySubjectKeys>;

/// - A data key's id is an HMAC under the master key over the subject and a generation, so that ids tell nothing, and
///   two nodes that meet a new subject at once agree on its id and thereby, through the table, on one key.
/// - Erasing takes the subject's keys of all generations. Data sealed for the same subject later (the person came
///   back) goes under a key of the next generation, whose id cannot be linked with the erased one without the master key.
/// - A node that has a key in its cache may go on sealing and opening with it for [`CACHED_FOR`] after an erasure on
///   another node; what it seals in that time is erased too.
pub struct KeyVault<K> {
    keys: K,
    wrapping: Cipher,
    blind_index: Zeroizing<[u8; 32]>,
    text_index: Zeroizing<[u8; 32]>,
    /// `None` is a key that was erased, which it stays.
    cache: ShortCache<String, Option<Arc<Cipher>>>,
}

impl PostgresVault {
    pub fn on_postgres(pool: PgPool, master: &MasterKey) -> PostgresVault {
        KeyVault::new(PostgresSubjectKeys::new(pool), master)
    }
}

impl MemoryVault {
    pub fn in_memory() -> MemoryVault {
        KeyVault::new(MemorySubjectKeys::default(), &MasterKey::from_bytes([7; 32]))
    }
}

impl<K: SubjectKeys> KeyVault<K> {
    pub fn new(keys: K, master: &MasterKey) -> KeyVault<K> {
        KeyVault {
            keys,
            wrapping: Cipher::new(&master.derive("wrap subject keys")),
            blind_index: master.derive("index subjects"),
            text_index: master.derive("index texts"),
            cache: ShortCache::new(CACHED_MAX, CACHED_FOR),
        }
    }

    /// Another bound on how long an erasure on another node may go unnoticed here.
    pub fn cached_for(mut self, duration: Duration) -> KeyVault<K> {
        self.cache = ShortCache::new(CACHED_MAX, duration);
        self
    }

    /// `Damaged` unless this is the master key that the keys were first used with: to be asked once at start, before
    /// anything is sealed under a wrong one.
    pub async fn check_master_key(&self) -> Result<(), VaultError> {
        let mine = self.wrapping.seal(&[MASTER_KEY_CHECK.as_bytes()], b"")?;
        match self.keys.insert_or_find(MASTER_KEY_CHECK, &mine).await? {
            Stored::Live(sealed) => self.wrapping.open(&[MASTER_KEY_CHECK.as_bytes()], &sealed).map(drop),
            Stored::Erased | Stored::Absent => None,
        }
        .ok_or(VaultError::Damaged)
    }

    /// Erases the subject: nothing that was sealed for it opens any more. True if there was anything to erase.
    pub async fn erase(&self, subject: &Subject) -> Result<bool, VaultError> {
        let mut erased = false;
        for generation in 0_u32.. {
            let key_id = self.key_id(subject, generation);
            match self.keys.find(&key_id).await? {
                Stored::Absent => break,
                Stored::Erased => {}
                Stored::Live(_) => {
                    self.keys.erase(&key_id).await?;
                    erased = true;
                }
            }
            self.cache.withdraw(&key_id);
        }
        Ok(erased)
    }

    /// The id of the subject's data key. Nobody without the master key can compute or recognise it.
    fn key_id(&self, subject: &Subject, generation: u32) -> String {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(self.blind_index.as_slice())
            .expect("HMAC takes keys of any length");
        mac.update(&generation.to_be_bytes());
        mac.update(subject.merchant_id.as_uuid().as_bytes());
        if let Some(customer) = &subject.customer {
            let customer = Zeroizing::new(customer.trim().to_lowercase());
            mac.update(b"/");
            mac.update(customer.as_bytes());
        }
        URL_SAFE_NO_PAD.encode(&mac.finalize().into_bytes()[..16])
    }

    /// The key that the subject's data goes under now. It is durable when this returns.
    async fn current_key(&self, subject: &Subject) -> Result<(String, Arc<Cipher>), VaultError> {
        for generation in 0_u32.. {
            let key_id = self.key_id(subject, generation);
            match self.cache.get(&key_id) {
                Some(Some(key)) => return Ok((key_id, key)),
                Some(None) => continue,
                None => {}
            }
            let seen = self.cache.withdrawals();
            let fresh = cipher::draw_key()?;
            let wrapped = self.wrapping.seal(&[key_id.as_bytes()], fresh.as_slice())?;
            match self.keys.insert_or_find(&key_id, &wrapped).await? {
                Stored::Live(wrapped) => {
                    let key = self.unwrap(&key_id, &wrapped)?;
                    self.cache.put(key_id.clone(), Some(key.clone()), seen);
                    return Ok((key_id, key));
                }
                Stored::Erased | Stored::Absent => {}
            }
        }
        Err(VaultError::Damaged)
    }

    /// The key that something was sealed under; `None` once it was erased.
    async fn known_key(&self, key_id: &str) -> Result<Option<Arc<Cipher>>, VaultError> {
        if let Some(key) = self.cache.get(&key_id.to_owned()) {
            return Ok(key);
        }
        let seen = self.cache.withdrawals();
        let key = match self.keys.find(key_id).await? {
            Stored::Erased => None,
            // A key is durable before anything is sealed under it, and its row is never deleted.
            Stored::Absent => return Err(VaultError::Damaged),
            Stored::Live(wrapped) => Some(self.unwrap(key_id, &wrapped)?),
        };
        self.cache.put(key_id.to_owned(), key.clone(), seen);
        Ok(key)
    }

    fn unwrap(&self, key_id: &str, wrapped: &[u8]) -> Result<Arc<Cipher>, VaultError> {
        let key = self.wrapping.open(&[key_id.as_bytes()], wrapped).ok_or(VaultError::Damaged)?;
        let key = Zeroizing::new(<[u8; 32]>::try_from(key.as_slice()).map_err(|_| VaultError::Damaged)?);
        Ok(Arc::new(Cipher::new(&key)))
    }
}

#[async_trait]
impl<K: SubjectKeys> Vault for KeyVault<K> {
    async fn seal(&self, subject: &Subject, context: &str, plaintext: &[u8]) -> Result<Sealed, VaultError> {
        let (key_id, key) = self.current_key(subject).await?;
        seal_with(&key, key_id, context, plaintext)
    }

    async fn seal_beside(
        &self,
        sealed: &Sealed,
        context: &str,
        plaintext: &[u8],
    ) -> Result<Option<Sealed>, VaultError> {
        let key = self.known_key(&sealed.key).await?;
        key.map(|key| seal_with(&key, sealed.key.clone(), context, plaintext)).transpose()
    }

    async fn prepare(&self, sealed: &[&Sealed]) -> Result<(), VaultError> {
        let mut unknown: Vec<String> = sealed.iter().map(|sealed| sealed.key.clone()).collect();
        unknown.sort();
        unknown.dedup();
        unknown.retain(|key_id| self.cache.get(key_id).is_none());
        if unknown.is_empty() {
            return Ok(());
        }
        let seen = self.cache.withdrawals();
        for (key_id, wrapped) in self.keys.find_many(&unknown).await? {
            let key = wrapped.map(|wrapped| self.unwrap(&key_id, &wrapped)).transpose()?;
            self.cache.put(key_id, key, seen);
        }
        Ok(())
    }

    async fn open(&self, context: &str, sealed: &Sealed) -> Result<Option<Vec<u8>>, VaultError> {
        let Some(key) = self.known_key(&sealed.key).await? else {
            return Ok(None);
        };
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| VaultError::Damaged);
        let bytes = [decode(&sealed.nonce)?, decode(&sealed.data)?].concat();
        let text = key.open(&[sealed.key.as_bytes(), context.as_bytes()], &bytes).ok_or(VaultError::Damaged)?;
        Ok(Some(text.to_vec()))
    }
}

impl<K: SubjectKeys> BlindIndex for KeyVault<K> {
    fn index(&self, merchant_id: MerchantId, text: &str) -> [u8; 16] {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(self.text_index.as_slice())
            .expect("HMAC takes keys of any length");
        mac.update(merchant_id.as_uuid().as_bytes());
        mac.update(text.as_bytes());
        let mut index = [0; 16];
        index.copy_from_slice(&mac.finalize().into_bytes()[..16]);
        index
    }
}

fn seal_with(key: &Cipher, key_id: String, context: &str, plaintext: &[u8]) -> Result<Sealed, VaultError> {
    let sealed = key.seal(&[key_id.as_bytes(), context.as_bytes()], plaintext)?;
    let (nonce, data) = sealed.split_at(cipher::NONCE_LENGTH);
    Ok(Sealed { nonce: URL_SAFE_NO_PAD.encode(nonce), data: URL_SAFE_NO_PAD.encode(data), key: key_id })
}
