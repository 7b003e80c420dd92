//! Random commands of merchants.

use domain::merchant::{Changes, Command, Merchant, OwnLimits, ReservePlan, State, Terms};
use domain::pricing::{PricingModel, RefundFeePolicy};
use domain::tier::TierName;
use domain::{MerchantId, Timestamp};

use crate::draw::{CURRENCIES, Draw};
use crate::model::Model;

pub struct Merchants;

impl Model for Merchants {
    type D = Merchant;

    const STREAMS: u128 = 1;

    fn command(stream: u128, state: &State, draw: &Draw, now: Timestamp) -> Command {
        let tier = TierName::ALL[usize::from(draw.id)];
        match draw.kind % 12 {
            kind if kind == 0 || *state == State::Absent => Command::Onboard(Terms {
                merchant_id: MerchantId::from_uuid(draw.uuid_of(stream, 0)),
                name: draw.pick(&["Acme", "Acme", "Other", "", "a\nb"]).to_owned(),
                tier,
                pricing_model: PricingModel::CostPlus,
                refund_fee_policy: RefundFeePolicy::Retain,
                home_currency: None,
                time_zone: None,
                onboarded_at: now,
            }),
            1..=3 => Command::ChangeTier {
                tier,
                effective_from: draw.pick(&[None, Some(now), Some(Timestamp::default())]),
                at: now,
            },
            4..=6 => Command::ChangeTerms { changes: Box::new(changes(draw)), at: now },
            7 | 8 => Command::Suspend { at: now },
            9 | 10 => Command::Activate { at: now },
            _ if draw.one_in(3) => Command::Close { at: now },
            _ => Command::Activate { at: now },
        }
    }
}

fn changes(draw: &Draw) -> Changes {
    let amount = Some(draw.amount);
    Changes {
        pricing_model: draw.pick(&[None, Some(PricingModel::Blended)]),
        home_currency: draw.pick(&[None, Some(CURRENCIES[1])]),
        limits: draw.pick(&[None, Some(OwnLimits { daily: amount, ..OwnLimits::default() })]),
        credit_limit: draw.pick(&[None, Some(None), Some(amount)]),
        reserve: draw.pick(&[
            None,
            Some(ReservePlan { basis_points: u32::from(draw.kind) * 60, days: u32::from(draw.choice) * 5 }),
        ]),
        settlement_approval: draw.pick(&[None, None, amount]),
        ..Changes::default()
    }
}
