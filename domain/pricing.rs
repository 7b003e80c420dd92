//! What a merchant pays for a capture and gets back on a refund. Rates are decimals, fees whole minor units.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::money::floor_share;
pub use crate::tier::TierName as Tier;

/// What a merchant is charged, fixed in the payment when it is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pricing {
    pub model: PricingModel,
    /// Our share of each capture: 0.003 is 0.3 %.
    pub markup_rate: Decimal,
    pub refund_fee_policy: RefundFeePolicy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PricingModel {
    /// The channel's fee is passed on and our markup comes on top.
    CostPlus,
    /// The markup is the whole price; the channel's fee is ours and not shown.
    Blended,
}

/// What happens to our markup when a capture is refunded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundFeePolicy {
    Retain,
    /// The markup goes back in proportion to what was refunded, rounded down.
    Proportional,
}

impl RefundFeePolicy {
    /// The part of `markup` on a capture of `captured` that is returned once `refunded` of it went back,
    /// rounded down. All in minor units.
    pub fn markup_returned(&self, markup: i64, refunded: i64, captured: i64) -> i64 {
        match self {
            RefundFeePolicy::Retain => 0,
            RefundFeePolicy::Proportional => floor_share(markup, refunded, captured),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn proportional_markup_rounds_down() {
        let table = [
            (80, 0, 10_000, 0),
            (80, 1, 10_000, 0),
            (80, 5_000, 10_000, 40),
            (80, 9_999, 10_000, 79),
            (80, 10_000, 10_000, 80),
        ];
        for (markup, refunded, captured, returned) in table {
            assert_eq!(RefundFeePolicy::Proportional.markup_returned(markup, refunded, captured), returned);
            assert_eq!(RefundFeePolicy::Retain.markup_returned(markup, refunded, captured), 0);
        }
    }

    proptest! {
        #[test]
        fn partial_refunds_return_the_markup_exactly_once(
            captured in 1..1_000_000_i64, markup in 0..10_000_i64, parts in prop::collection::vec(1..50_000_i64, 1..30)
        ) {
            let (mut refunded, mut returned) = (0, 0);
            for part in parts {
                let part = part.min(captured - refunded);
                refunded += part;
                let so_far = RefundFeePolicy::Proportional.markup_returned(markup, refunded, captured);
                prop_assert!(so_far >= returned && so_far <= markup);
                returned = so_far;
            }
            if refunded == captured {
                prop_assert_eq!(returned, markup);
            }
        }
    }
}
