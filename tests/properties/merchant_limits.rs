//! Random commands of merchants' limits.

use domain::merchant_limits::{Command, MerchantLimits, Reserve, State};
use domain::rates::InUsd;
use domain::tier::Limits;
use domain::{Currency, MerchantId, PaymentId, Timestamp};
use rust_decimal::Decimal;

use crate::draw::Draw;
use crate::model::Model;

pub struct Limited;

impl Model for Limited {
    type D = MerchantLimits;

    const STREAMS: u128 = 1;

    fn command(stream: u128, state: &State, draw: &Draw, _: Timestamp) -> Command {
        let merchant_id = MerchantId::from_uuid(draw.uuid_of(stream, 0));
        let payment_id = PaymentId::from_uuid(draw.uuid_of(stream, draw.choice));
        let day = draw.pick(&["2026-11-18", "2026-11-19", "2026-11-01"]).parse().unwrap();
        if draw.kind % 2 == 0 {
            // What a payment holds is its own business; it was reserved on a day that was counted.
            let [before, after] = [draw.amount, draw.other_amount].map(|amount| amount.max(0));
            let reserved_on = state.map_or(day, |used| used.day);
            return Command::Adjust { merchant_id, payment_id, reserved_on, before, after };
        }
        Command::Reserve(Reserve {
            merchant_id,
            payment_id,
            day,
            amount: draw.amount,
            currency: Currency::USD,
            in_usd: InUsd { usd: draw.amount.max(1), rate: Decimal::ONE, rate_date: None },
            limits: Limits { per_payment: 20_000, daily: 50_000, monthly: 90_000 },
        })
    }
}
