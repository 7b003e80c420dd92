//! What a payment has cost the merchant so far, what refunds gave back taken off.

use super::Record;
use crate::pricing::PricingModel;

/// Minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fees {
    /// The channel's fee that is passed on; none with blended pricing, where the markup is the whole price.
    pub channel: Option<i64>,
    pub markup: i64,
}

impl Fees {
    pub fn total(&self) -> i64 {
        self.markup + self.channel.unwrap_or(0)
    }
}

impl Record {
    pub fn fees(&self) -> Fees {
        let is_passed_on = self.terms.pricing.model == PricingModel::CostPlus;
        let (channel, markup) = self.capture().map_or((0, 0), |capture| {
            (capture.channel_fee.amount() - capture.channel_fee_returned, capture.markup - capture.markup_returned)
        });
        Fees { channel: is_passed_on.then_some(channel), markup }
    }
}
