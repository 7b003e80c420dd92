//! What the books say of merchants' pending money: all that a settlement is made of.

use async_trait::async_trait;
use domain::merchant_account::Holder;
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
