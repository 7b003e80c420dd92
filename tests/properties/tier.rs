//! Random commands of tiers.

use domain::Timestamp;
use domain::tier::{Command, Limits, SettlementCycle, State, Terms, Tier, TierName};
use rust_decimal::Decimal;

use crate::draw::Draw;
use crate::model::Model;

pub struct Tiers;

impl Model for Tiers {
    type D = Tier;

    const STREAMS: u128 = 1;

    fn command(_: u128, _: &State, draw: &Draw, now: Timestamp) -> Command {
        let per_payment = draw.amount;
        let terms = Terms {
            tier: TierName::Starter,
            limits: Limits {
                per_payment,
                daily: draw.pick(&[per_payment, per_payment.saturating_mul(2), draw.other_amount]),
                monthly: draw.pick(&[per_payment.saturating_mul(3), draw.other_amount]),
            },
            markup_rate: draw.pick(&[Decimal::new(8, 3), Decimal::ZERO, Decimal::new(2, 0), Decimal::new(1, 9)]),
            settlement_cycle: draw.pick(&SettlementCycle::ALL),
            several_currencies: draw.one_in(2),
            pre_auth: draw.one_in(3),
            api_calls_per_minute: draw.pick(&[100, 100, 0, u32::MAX]),
            effective_from: draw.pick(&[now, now, Timestamp::default()]),
        };
        Command::Define { terms, at: now }
    }
}
