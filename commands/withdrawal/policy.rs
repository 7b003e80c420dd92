//! What this installation asks of withdrawals.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::withdrawal::FeePolicy;
use domain::{Currency, Money};

#[derive(Debug, Clone)]
pub struct WithdrawalPolicy {
    /// How long after its approval a new bank account is not paid to.
    pub cooling_off: Duration,
    /// What a withdrawal costs the merchant, in minor units; nothing in a currency that is not named.
    pub fees: BTreeMap<Currency, i64>,
    pub fee_policy: FeePolicy,
    /// A withdrawal of more than this, in major units of its currency, needs two people.
    pub two_people_above: i64,
}

impl Default for WithdrawalPolicy {
    fn default() -> Self {
        WithdrawalPolicy {
            cooling_off: Duration::from_secs(24 * 60 * 60),
            fees: BTreeMap::new(),
            fee_policy: FeePolicy::default(),
            two_people_above: 10_000,
        }
    }
}

impl WithdrawalPolicy {
    pub(super) fn fee(&self, currency: Currency) -> i64 {
        self.fees.get(&currency).copied().unwrap_or(0)
    }

    pub(super) fn approvals_needed(&self, amount: Money) -> u32 {
        let threshold = amount.currency().minor_per_major().saturating_mul(self.two_people_above);
        if amount.minor() > threshold { 2 } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_above_the_threshold_needs_two_people() {
        let policy = WithdrawalPolicy::default();
        for (currency, minor, people) in [
            (Currency::USD, 1_000_000, 1),
            (Currency::USD, 1_000_001, 2),
            (Currency::JPY, 10_000, 1),
            (Currency::JPY, 10_001, 2),
            (Currency::KWD, 10_000_000, 1),
        ] {
            let amount = Money::new(minor, currency).unwrap();
            assert_eq!(policy.approvals_needed(amount), people, "{minor} {currency}");
        }
    }
}
