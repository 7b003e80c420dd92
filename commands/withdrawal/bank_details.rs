//! Bank details as they are sealed, opened and recognised.

use domain::bank_account::Registered;
use domain::bank_details::{BankDetails, BankNumber};
use domain::{BankAccountId, MerchantId, Sealed};
use serde::{Deserialize, Serialize};
use uuid::Builder;

use super::Withdrawals;
use crate::executor::CommandError;
use crate::ports::Subject;

/// What stands inside the seal.
#[derive(Serialize, Deserialize)]
struct Plain {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iban: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account_number: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bic: Option<String>,
    name: String,
}

impl Withdrawals {
    /// The account's number, bank and holder; `None` once the merchant was erased.
    pub async fn details(&self, account: &Registered) -> Result<Option<BankDetails>, CommandError> {
        let Some(text) = self.vault.open(&account.bank_account_id.to_string(), &account.sealed).await? else {
            return Ok(None);
        };
        let damaged = || CommandError::Bug("sealed bank details are not what was sealed".to_owned());
        let plain: Plain = serde_json::from_slice(&text).map_err(|_| damaged())?;
        details_of(&plain).map(Some).ok_or_else(damaged)
    }

    /// A text sealed for a withdrawal, such as the reason of a rejection.
    pub async fn open_text(&self, context: &str, sealed: &Sealed) -> Result<Option<String>, CommandError> {
        let text = self.vault.open(context, sealed).await?;
        Ok(text.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// The same account has the same id, whoever names it and whenever.
    pub(super) fn account_id(&self, merchant_id: MerchantId, details: &BankDetails) -> BankAccountId {
        let index = self.index.index(merchant_id, &details.identity());
        BankAccountId::from_uuid(Builder::from_custom_bytes(index).into_uuid())
    }

    pub(super) async fn seal_details(
        &self,
        merchant_id: MerchantId,
        account_id: BankAccountId,
        details: &BankDetails,
    ) -> Result<Sealed, CommandError> {
        let (iban, account_number) = match &details.number {
            BankNumber::Iban(iban) => (Some(iban.as_str().to_owned()), None),
            BankNumber::Other(number) => (None, Some(number.as_str().to_owned())),
        };
        let bic = details.bic.as_ref().map(|bic| bic.as_str().to_owned());
        let plain = Plain { iban, account_number, bic, name: details.name().to_owned() };
        let text = serde_json::to_vec(&plain).map_err(|error| CommandError::Bug(error.to_string()))?;
        let subject = Subject { merchant_id, customer: None };
        Ok(self.vault.seal(&subject, &account_id.to_string(), &text).await?)
    }
}

fn details_of(plain: &Plain) -> Option<BankDetails> {
    let number = match (&plain.iban, &plain.account_number) {
        (Some(iban), None) => BankNumber::Iban(iban.parse().ok()?),
        (None, Some(number)) => BankNumber::Other(number.parse().ok()?),
        _ => return None,
    };
    let bic = match &plain.bic {
        Some(bic) => Some(bic.parse().ok()?),
        None => None,
    };
    BankDetails::new(number, bic, &plain.name).ok()
}
