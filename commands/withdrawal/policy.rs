//! What this installation asks of withdrawals.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::Currency;
use domain::withdrawal::FeePolicy;

#[derive(Debug, Clone)]
pub struct WithdrawalPolicy {
    /// How long after its approval a new bank account is not paid to.
    pub cooling_off: Duration,
    /// What a withdrawal costs the merchant, in minor units; nothing in a currency that is not named.
    pub fees: BTreeMap<Currency, i64>,
    pub fee_policy: FeePolicy,
}

impl Default for WithdrawalPolicy {
    fn default() -> Self {
        WithdrawalPolicy {
            cooling_off: Duration::from_secs(24 * 60 * 60),
            fees: BTreeMap::new(),
            fee_policy: FeePolicy::default(),
        }
    }
}

impl WithdrawalPolicy {
    pub(super) fn fee(&self, currency: Currency) -> i64 {
        self.fees.get(&currency).copied().unwrap_or(0)
    }
}
