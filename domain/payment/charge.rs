//! What is decided about the charge of a payment: cancelling it, its expiry, and what the channel says of it.

use super::event::{
    ActionRequired, CancellationCause, Captured, ChannelFee, Created, Event, Failed, Failure, FeeTruedUp,
};
use super::{Capture, Charge, ChargeOutcome, Open, PaymentRejection, Phase, Record, refund};
use crate::Timestamp;
use crate::money::AMOUNT_MAX;

/// A capture of a pre-auth takes what is held already and cannot be called back: it is refunded instead.
pub(super) fn cancel(record: &Record, at: Timestamp) -> Result<Vec<Event>, PaymentRejection> {
    match &record.phase {
        Phase::Open(Open { cancellation: Some(_), .. }) | Phase::Cancelled => return Ok(vec![]),
        Phase::Open(_) if record.terms.pre_auth_id.is_none() => {}
        Phase::Open(_) => return Err(PaymentRejection::NotCancellable),
        Phase::Captured(_) | Phase::Failed(_) | Phase::Expired => return Err(PaymentRejection::NotCancellable),
    }

    Ok(vec![Event::CancellationRequested { cause: CancellationCause::Merchant, requested_at: at }])
}

/// A timer that rings too early, twice or after the end is harmless. A capture has none: the channel alone ends it.
pub(super) fn expire(record: &Record, at: Timestamp) -> Result<Vec<Event>, PaymentRejection> {
    let may_expire = record.terms.pre_auth_id.is_none() && at >= record.terms.expires_at;
    match &record.phase {
        Phase::Open(Open { cancellation: None, .. }) if may_expire => {}
        _ => return Ok(vec![]),
    }

    Ok(vec![Event::CancellationRequested { cause: CancellationCause::Expiry, requested_at: at }])
}

/// What the channel tells is a fact; facts come twice, late and out of order, so old or weaker news is no event.
/// Only a capture still counts once the payment has ended.
pub(super) fn record(record: &Record, outcome: ChargeOutcome, at: Timestamp) -> Result<Vec<Event>, PaymentRejection> {
    let told = match outcome {
        ChargeOutcome::Captured { channel_reference, amount, fee } => {
            return capture(record, channel_reference, amount, fee, at);
        }
        told => told,
    };
    let Phase::Open(open) = &record.phase else {
        return Ok(vec![]);
    };
    let known = |reference: &String| record.channel_reference.as_ref() == Some(reference);

    Ok(match (told, &open.charge) {
        (ChargeOutcome::ActionRequired { channel_reference, .. }, Charge::ActionRequired(_))
            if known(&channel_reference) =>
        {
            vec![]
        }
        (ChargeOutcome::ActionRequired { channel_reference, action }, _) => {
            vec![Event::ActionRequired(ActionRequired { channel_reference, action })]
        }
        (ChargeOutcome::Accepted { channel_reference }, Charge::Due | Charge::OutcomeUnknown { .. }) => {
            vec![Event::Accepted { channel_reference }]
        }
        (ChargeOutcome::Unknown, Charge::Due) => vec![Event::OutcomeUnknown { since: at }],
        (ChargeOutcome::Declined { channel_reference, failure }, _) => {
            vec![Event::Failed(Failed { channel_reference, failure, failed_at: at })]
        }
        (ChargeOutcome::Voided, _) => vec![voided(record, open, at)],
        (ChargeOutcome::Captured { .. } | ChargeOutcome::Accepted { .. } | ChargeOutcome::Unknown, _) => vec![],
    })
}

fn voided(record: &Record, open: &Open, at: Timestamp) -> Event {
    let payment_id = record.terms.payment_id;
    match open.cancellation {
        Some(CancellationCause::Merchant) => Event::Cancelled { payment_id },
        Some(CancellationCause::Expiry) => Event::Expired { payment_id },
        None => Event::Failed(Failed {
            channel_reference: record.channel_reference.clone(),
            failure: Failure::voided_by_channel(),
            failed_at: at,
        }),
    }
}

/// A capture of nothing or of more than was authorised is nothing that can be booked under these terms, and nothing
/// that passes: the rejection parks the webhook and leaves the saga stuck with an alert, and the payment `processing`
/// until a person has cleared it with the channel.
fn capture(
    record: &Record,
    channel_reference: String,
    amount: i64,
    fee: Option<i64>,
    at: Timestamp,
) -> Result<Vec<Event>, PaymentRejection> {
    let terms = &record.terms;
    if let Phase::Captured(capture) = &record.phase {
        if record.channel_reference.as_ref() != Some(&channel_reference) || capture.amount != amount {
            return Err(PaymentRejection::ContradictsCapture);
        }
        return Ok(true_up(terms, capture, fee));
    }
    if !(1..=terms.amount).contains(&amount) {
        return Err(PaymentRejection::CaptureOutOfRange);
    }

    let wanted = matches!(&record.phase, Phase::Open(Open { cancellation: None, .. }));
    let mut events = vec![Event::Captured(Captured::of(terms, channel_reference, amount, fee, at))];
    if !wanted {
        events.push(refund::of_late_success(terms, 0, amount, at));
    }
    Ok(events)
}

fn true_up(terms: &Created, capture: &Capture, fee: Option<i64>) -> Vec<Event> {
    match (capture.channel_fee, fee) {
        (ChannelFee::Estimated(estimate), Some(actual)) if (0..=AMOUNT_MAX).contains(&actual) => {
            vec![Event::FeeTruedUp(FeeTruedUp {
                payment_id: terms.payment_id,
                merchant_id: terms.merchant_id,
                channel: terms.channel.clone(),
                currency: terms.currency,
                estimate,
                actual,
                pricing_model: terms.pricing.model,
            })]
        }
        _ => vec![],
    }
}
