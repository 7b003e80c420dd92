//! Random commands of payments and their refunds.

use std::time::Duration;

use domain::payment::{
    ChargeOutcome, Closing, Command, Created, Failure, Payment, Record, RecordDispute, RefundOutcome, RequestRefund,
    State,
};
use domain::pricing::{Pricing, PricingModel, RefundFeePolicy};
use domain::{DisputeId, MerchantId, PaymentId, PreAuthId, RefundId, Timestamp};
use rust_decimal::Decimal;

use crate::draw::{CURRENCIES, Draw, sealed};
use crate::model::Model;

pub struct Payments;

impl Model for Payments {
    type D = Payment;

    const STREAMS: u128 = 3;

    fn command(stream: u128, state: &State, draw: &Draw, now: Timestamp) -> Command {
        let Some(record) = state.record().filter(|_| !draw.one_in(40)) else {
            return Command::Create(terms(stream, draw, now));
        };
        match draw.kind % 16 {
            0 if draw.one_in(4) => Command::Cancel { at: now },
            0 | 1 => Command::Expire { at: now },
            2..=6 => Command::RecordCharge { outcome: charge_outcome(record, draw), at: now },
            7..=10 => Command::RequestRefund(RequestRefund {
                refund_id: refund_id(record, draw, stream),
                amount: if draw.one_in(3) { None } else { Some(draw.amount) },
                reason: None,
                cover: if draw.one_in(9) { i128::from(draw.other_amount) } else { i128::MAX },
                at: now,
            }),
            11 | 12 => Command::RecordDispute(dispute(record, draw, stream, now)),
            _ => Command::RecordRefund {
                refund_id: refund_id(record, draw, stream),
                outcome: refund_outcome(draw),
                at: now,
            },
        }
    }
}

/// One of the payment's own, or another.
fn refund_id(record: &Record, draw: &Draw, stream: u128) -> RefundId {
    let refunds = record.capture().map_or(&[][..], |capture| &capture.refunds);
    match refunds.get(usize::from(draw.id)) {
        Some(refund) if draw.kind % 16 > 10 || draw.one_in(5) => refund.refund_id,
        _ => RefundId::from_uuid(draw.uuid_of(stream, draw.choice)),
    }
}

fn terms(stream: u128, draw: &Draw, now: Timestamp) -> Created {
    let rates = [Decimal::new(8, 3), Decimal::new(1, 2), Decimal::ZERO, Decimal::ONE, Decimal::new(-1, 3)];
    Created {
        payment_id: PaymentId::from_uuid(draw.uuid_of(stream, 0)),
        merchant_id: MerchantId::from_uuid(draw.uuid_of(0, 1)),
        order_no: "A-1".parse().unwrap(),
        order_id: None,
        pre_auth_id: draw.pick(&[None, None, None, Some(PreAuthId::from_uuid(draw.uuid_of(stream, 0)))]),
        limit: None,
        amount: draw.amount,
        currency: draw.pick(&CURRENCIES),
        channel: "sandbox".parse().unwrap(),
        method: "card".to_owned(),
        country: None,
        pricing: Pricing {
            model: if draw.one_in(3) { PricingModel::Blended } else { PricingModel::CostPlus },
            markup_rate: rates[usize::from(draw.id)],
            refund_fee_policy: if draw.one_in(2) { RefundFeePolicy::Proportional } else { RefundFeePolicy::Retain },
        },
        expected_channel_fee_rate: draw.pick(&rates),
        sealed: sealed(),
        created_at: now,
        expires_at: now.plus(Duration::from_secs(u64::from(draw.kind) * 60)),
    }
}

fn charge_outcome(record: &Record, draw: &Draw) -> ChargeOutcome {
    let channel_reference = draw.pick(&["ch_1", "ch_1", "ch_1", "ch_2"]).to_owned();
    match draw.choice % 12 {
        0..=4 => {
            let fee = [None, Some(record.terms.amount / 100), Some(draw.other_amount), Some(0)];
            let amount = if draw.one_in(6) { draw.amount } else { record.terms.amount };
            ChargeOutcome::Captured { channel_reference, amount, fee: fee[usize::from(draw.id)] }
        }
        5 => ChargeOutcome::ActionRequired { channel_reference, action: sealed() },
        6 => ChargeOutcome::Accepted { channel_reference },
        7 => ChargeOutcome::Declined { channel_reference: None, failure: Failure::new("card_declined", None) },
        8 | 9 => ChargeOutcome::Voided,
        _ => ChargeOutcome::Unknown,
    }
}

fn refund_outcome(draw: &Draw) -> RefundOutcome {
    let channel_reference = "rf_1".to_owned();
    match draw.choice % 7 {
        0..=2 => RefundOutcome::Succeeded { channel_reference, fee_returned: draw.other_amount },
        3 => RefundOutcome::Accepted { channel_reference },
        4 | 5 => RefundOutcome::Failed(Failure::new("refund_failed", None)),
        _ => RefundOutcome::Unknown,
    }
}

/// As the channel tells it, which may be anything.
fn dispute(record: &Record, draw: &Draw, stream: u128, now: Timestamp) -> RecordDispute {
    let captured = record.capture().map_or(0, |capture| capture.amount);
    let amount = draw.pick(&[captured, captured / 2, draw.amount]);
    let fee = draw.pick(&[0, 1_500, draw.other_amount]);
    let closings = [None, None, Some((amount, fee)), Some((0, 0)), Some((amount / 2, 0)), Some((draw.other_amount, 1))];
    let closing = closings[usize::from(draw.kind / 16) % closings.len()];
    RecordDispute {
        dispute_id: DisputeId::from_uuid(draw.uuid_of(stream, 100 + draw.id % 2)),
        channel_reference: format!("dp_{}", draw.id % 2),
        amount,
        fee,
        closing: closing.map(|(won, fee_returned)| Closing { won, fee_returned }),
        asked: draw.choice % 5 < 2,
        at: now,
    }
}
