//! What of a payment is personal or free text: sealed before it enters an event, opened to be shown or charged.

use std::collections::BTreeMap;
use std::fmt;

use domain::payment::Created;
use domain::{Country, Sealed};
use serde::{Deserialize, Serialize};

use super::Payments;
use crate::executor::CommandError;
use crate::ports::{Subject, VaultError};

#[derive(Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PaymentDetails {
    /// The payment method's token at the channel.
    pub token: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<Customer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BTreeMap<String, String>>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Customer {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
}

/// Neither token nor person may end in a log.
impl fmt::Debug for PaymentDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaymentDetails").finish_non_exhaustive()
    }
}

impl PaymentDetails {
    pub fn subject(&self, merchant_id: domain::MerchantId) -> Subject {
        let customer = self.customer.as_ref().and_then(|customer| customer.email.clone());
        Subject { merchant_id, customer }
    }

    /// The one thing about the customer that is not sealed.
    pub(crate) fn country(&self) -> Option<Country> {
        self.customer.as_ref().and_then(|customer| customer.country)
    }
}

impl From<VaultError> for CommandError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Unavailable(reason) => CommandError::Unavailable(reason),
            VaultError::Damaged => CommandError::Bug(error.to_string()),
        }
    }
}

impl Payments {
    /// The payment's sealed details; `None` once their subject was erased.
    pub async fn details(&self, terms: &Created) -> Result<Option<PaymentDetails>, CommandError> {
        let Some(text) = self.vault.open(&terms.payment_id.to_string(), &terms.sealed).await? else {
            return Ok(None);
        };
        let details = serde_json::from_slice(&text);
        details.map(Some).map_err(|_| CommandError::Bug("sealed details are not what was sealed".to_owned()))
    }

    /// Gets the keys that the details of these are sealed with, so that opening them one after another waits for none.
    pub async fn prepare_details(&self, terms: impl IntoIterator<Item = &Created>) -> Result<(), CommandError> {
        let sealed: Vec<_> = terms.into_iter().map(|terms| &terms.sealed).collect();
        Ok(self.vault.prepare(&sealed).await?)
    }

    /// A text sealed for this payment, such as a refund's reason or the address of a redirect.
    pub async fn open_text(&self, terms: &Created, sealed: &Sealed) -> Result<Option<String>, CommandError> {
        let text = self.vault.open(&terms.payment_id.to_string(), sealed).await?;
        Ok(text.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Seals a text for this payment under the key of its details, so that erasing the customer erases it too.
    /// `None` once they were erased.
    pub(crate) async fn seal_text(&self, terms: &Created, text: &str) -> Result<Option<Sealed>, CommandError> {
        Ok(self.vault.seal_beside(&terms.sealed, &terms.payment_id.to_string(), text.as_bytes()).await?)
    }
}
