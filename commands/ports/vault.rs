//! Seals personal data and free text under a key per subject that lives outside the log.

use std::fmt;

use async_trait::async_trait;
use domain::{MerchantId, Sealed};

/// Whose data it is: a merchant's customer where one is named, else the merchant itself.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Subject {
    pub merchant_id: MerchantId,
    /// The customer's e-mail address as given; never stored in clear.
    pub customer: Option<String>,
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").field("merchant_id", &self.merchant_id).finish_non_exhaustive()
    }
}

#[async_trait]
pub trait Vault: Send + Sync {
    /// The subject's key is durable when this returns. `context` is authenticated with the text: the stream id.
    async fn seal(&self, subject: &Subject, context: &str, plaintext: &[u8]) -> Result<Sealed, VaultError>;

    /// Seals under the very key that `sealed` is sealed under; `None` once its subject was erased.
    async fn seal_beside(&self, sealed: &Sealed, context: &str, plaintext: &[u8])
    -> Result<Option<Sealed>, VaultError>;

    /// Gets the keys of all these at once, so that opening one after another waits for none. Only saves time.
    async fn prepare(&self, _sealed: &[&Sealed]) -> Result<(), VaultError> {
        Ok(())
    }

    /// `None` once the subject was erased.
    async fn open(&self, context: &str, sealed: &Sealed) -> Result<Option<Vec<u8>>, VaultError>;
}

/// Recognises personal data of a merchant without keeping it: equal texts have equal indexes, which tell nothing to
/// anybody without the master key.
pub trait BlindIndex: Send + Sync {
    fn index(&self, merchant_id: MerchantId, text: &str) -> [u8; 16];
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    #[error("the key vault is not available: {0}")]
    Unavailable(String),
    #[error("sealed data does not open with its key")]
    Damaged,
}
