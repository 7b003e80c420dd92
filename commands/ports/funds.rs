//! What a merchant's own money covers, read from the books.

use async_trait::async_trait;
use domain::{Currency, MerchantId};

#[async_trait]
pub trait MerchantFunds: Send + Sync {
    /// `pending + available + reserve - receivable` in minor units, read once the books have reached `position`.
    /// May be negative.
    async fn net_balance(
        &self,
        merchant: MerchantId,
        currency: Currency,
        position: u64,
    ) -> Result<i128, FundsUnavailable>;
}

/// What a merchant has earned since its last settlement; below zero, it eats into what may be withdrawn.
#[async_trait]
pub trait PendingBalance: Send + Sync {
    /// Minor units, read once the books have reached `position`.
    async fn pending(&self, merchant: MerchantId, currency: Currency, position: u64) -> Result<i128, FundsUnavailable>;
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the books are not available: {0}")]
pub struct FundsUnavailable(pub String);
