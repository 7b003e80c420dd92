//! Random commands of pre-auths and their captures.

use std::time::Duration;

use domain::payment::Failure;
use domain::pre_auth::{
    AuthorizationOutcome, Capture, CaptureOutcome, CaptureStatus, Command, Created, Phase, PreAuth, Record,
    RequestCapture, State,
};
use domain::pricing::{Pricing, PricingModel, RefundFeePolicy};
use domain::{MerchantId, PaymentId, PreAuthId, Timestamp};
use rust_decimal::Decimal;

use crate::draw::{CURRENCIES, Draw, sealed};
use crate::model::Model;

pub struct PreAuths;

impl Model for PreAuths {
    type D = PreAuth;

    const STREAMS: u128 = 3;

    fn command(stream: u128, state: &State, draw: &Draw, now: Timestamp) -> Command {
        let Some(record) = state.record().filter(|_| !draw.one_in(40)) else {
            return Command::Create(terms(stream, draw, now));
        };
        match draw.kind % 16 {
            0 if draw.one_in(4) => Command::Cancel { at: now },
            0 | 1 => Command::Expire { at: now },
            2..=5 => Command::RecordAuthorization { outcome: authorization(record, draw, now), at: now },
            6..=10 => Command::RequestCapture(RequestCapture {
                payment_id: payment_id(record, draw, stream),
                amount: if draw.one_in(4) { None } else { Some(draw.amount) },
                is_final: draw.one_in(6),
                at: now,
            }),
            _ => Command::RecordCapture {
                payment_id: payment_id(record, draw, stream),
                outcome: capture(record, draw, payment_id(record, draw, stream)),
                at: now,
            },
        }
    }
}

fn captures(record: &Record) -> &[Capture] {
    match &record.phase {
        Phase::Authorized(hold) => &hold.captures,
        _ => &[],
    }
}

/// A capture's of this pre-auth, now and then one that had failed, or another.
fn payment_id(record: &Record, draw: &Draw, stream: u128) -> PaymentId {
    let failed = captures(record).iter().find(|capture| capture.status == CaptureStatus::Failed);
    if let Some(failed) = failed.filter(|_| draw.one_in(3)) {
        return failed.payment_id;
    }
    match captures(record).get(usize::from(draw.id)) {
        Some(capture) if draw.kind % 16 > 10 || draw.one_in(5) => capture.payment_id,
        _ => PaymentId::from_uuid(draw.uuid_of(stream, draw.choice)),
    }
}

fn terms(stream: u128, draw: &Draw, now: Timestamp) -> Created {
    let seconds = |seconds: u64| now.plus(Duration::from_secs(seconds));
    Created {
        pre_auth_id: PreAuthId::from_uuid(draw.uuid_of(stream, 0)),
        merchant_id: MerchantId::from_uuid(draw.uuid_of(0, 1)),
        order_no: "A-1".parse().unwrap(),
        amount: draw.amount,
        currency: draw.pick(&CURRENCIES),
        channel: "sandbox".parse().unwrap(),
        method: "card".to_owned(),
        country: None,
        pricing: Pricing {
            model: PricingModel::CostPlus,
            markup_rate: Decimal::new(8, 3),
            refund_fee_policy: RefundFeePolicy::Retain,
        },
        expected_channel_fee_rate: Decimal::new(1, 2),
        multiple_captures: !draw.one_in(4),
        order_id: None,
        sealed: sealed(),
        created_at: now,
        authorize_before: seconds(u64::from(draw.kind) * 60),
        expires_at: seconds(u64::from(draw.kind) * 6_000),
    }
}

fn authorization(record: &Record, draw: &Draw, now: Timestamp) -> AuthorizationOutcome {
    let channel_reference = draw.pick(&["au_1", "au_1", "au_1", "au_2"]).to_owned();
    match draw.choice % 12 {
        0..=4 => {
            let amount = if draw.one_in(6) { draw.amount } else { record.terms.amount };
            let capture_before = draw.pick(&[None, None, Some(now.plus(Duration::from_secs(3_600))), Some(now)]);
            AuthorizationOutcome::Authorized { channel_reference, amount, capture_before }
        }
        5 => AuthorizationOutcome::ActionRequired { channel_reference, action: sealed() },
        6 => AuthorizationOutcome::Accepted { channel_reference },
        7 => AuthorizationOutcome::Declined { channel_reference: None, failure: Failure::new("card_declined", None) },
        8 | 9 => AuthorizationOutcome::Released,
        _ => AuthorizationOutcome::Unknown,
    }
}

fn capture(record: &Record, draw: &Draw, payment_id: PaymentId) -> CaptureOutcome {
    let asked = captures(record).iter().find(|capture| capture.payment_id == payment_id);
    let asked = asked.map_or(0, |capture| capture.amount);
    let amounts = [asked, asked, asked - 1, draw.amount];
    match draw.choice % 4 {
        0 => CaptureOutcome::Failed,
        _ => CaptureOutcome::Succeeded { amount: draw.pick(&amounts) },
    }
}
