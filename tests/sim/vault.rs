//! A vault whose seals come from no chance, so that the same seed writes the same log. It hides nothing.

use async_trait::async_trait;
use commands::ports::vault::BlindIndex;
use commands::ports::{Subject, Vault, VaultError};
use domain::{MerchantId, Sealed};

use crate::weather::{Fate, Weather};

pub struct GlassVault(pub Weather);

impl GlassVault {
    async fn reach(&self) -> Result<(), VaultError> {
        match self.0.there().await {
            Fate::Arrives => Ok(()),
            _ => Err(VaultError::Unavailable("the line was cut".to_owned())),
        }
    }
}

fn sealed(key: &str, context: &str, plaintext: &[u8]) -> Sealed {
    Sealed { key: key.to_owned(), nonce: context.to_owned(), data: String::from_utf8_lossy(plaintext).into_owned() }
}

#[async_trait]
impl Vault for GlassVault {
    async fn seal(&self, subject: &Subject, context: &str, plaintext: &[u8]) -> Result<Sealed, VaultError> {
        self.reach().await?;
        Ok(sealed(&subject.merchant_id.to_string(), context, plaintext))
    }

    async fn seal_beside(
        &self,
        beside: &Sealed,
        context: &str,
        plaintext: &[u8],
    ) -> Result<Option<Sealed>, VaultError> {
        self.reach().await?;
        Ok(Some(sealed(&beside.key, context, plaintext)))
    }

    async fn open(&self, context: &str, sealed: &Sealed) -> Result<Option<Vec<u8>>, VaultError> {
        self.reach().await?;
        if sealed.nonce != context { Err(VaultError::Damaged) } else { Ok(Some(sealed.data.clone().into_bytes())) }
    }
}

impl BlindIndex for GlassVault {
    fn index(&self, merchant_id: MerchantId, text: &str) -> [u8; 16] {
        *commands::executor::deterministic_id(&[&merchant_id.to_string(), text]).as_bytes()
    }
}
