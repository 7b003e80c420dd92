//! What the books say of merchants' pending money: all that a settlement is made of.

use async_trait::async_trait;
use domain::merchant_account::{Holder, Window};
use domain::settlement::Tally;
use domain::{Currency, MerchantId};

use super::funds::FundsUnavailable;

/// Reads wait until the journal has passed the position that they speak of: no window is read before it is complete.
#[async_trait]
pub trait PendingActivity: Send + Sync {
    /// Every merchant and currency, of those wanted, whose pending balance ever moved up to `position`.
    async fn holders(
        &self,
        merchant_id: Option<MerchantId>,
        currency: Option<Currency>,
        position: u64,
    ) -> Result<Vec<Holder>, FundsUnavailable>;

    /// The window (from, to] of one holder: all postings to its pending balance except its account's own.
    async fn tally(&self, holder: Holder, from: u64, to: u64) -> Result<Tally, FundsUnavailable>;
}

/// What one payment brought into a batch. Only what is told to people is made of it.
#[async_trait]
pub trait BatchParts: Send + Sync {
    /// Waits as [`PendingActivity`] does.
    async fn part_of(&self, holder: Holder, window: Window, payment: &str) -> Result<BatchPart, FundsUnavailable>;
}

/// Amounts in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BatchPart {
    /// Negative where it took more than it brought.
    pub net: i64,
    /// What those payments brought, of all that brought anything, that moved first before this one did.
    pub before: i128,
    /// What all of them brought.
    pub total: i128,
}
