//! What is decided about the authorisation: cancelling it, its expiry, and what the channel says of it.

use super::capture::close;
use super::event::{ActionRequired, Authorized, ClosingCause, Event, Failed};
use super::{Authorization, AuthorizationOutcome, Hold, Open, Phase, PreAuthRejection, Record};
use crate::Timestamp;
use crate::payment::{CancellationCause, Failure};

/// What is held is given back at once; an authorisation that is still open is asked for first.
pub(super) fn cancel(record: &Record, at: Timestamp) -> Result<Vec<Event>, PreAuthRejection> {
    match &record.phase {
        Phase::Open(Open { cancellation: Some(_), .. }) | Phase::Cancelled => Ok(vec![]),
        Phase::Authorized(Hold { closed: Some(ClosingCause::Merchant), .. }) => Ok(vec![]),
        Phase::Authorized(Hold { closed: Some(_), .. }) | Phase::Failed(_) | Phase::Expired => {
            Err(PreAuthRejection::NotCancellable)
        }
        Phase::Authorized(hold) => Ok(vec![close(record, ClosingCause::Merchant, hold.rest(), at)]),
        Phase::Open(_) => {
            Ok(vec![Event::CancellationRequested { cause: CancellationCause::Merchant, requested_at: at }])
        }
    }
}

/// A timer that rings too early, twice or after the end is harmless.
pub(super) fn expire(record: &Record, at: Timestamp) -> Vec<Event> {
    match &record.phase {
        Phase::Open(Open { cancellation: None, .. }) if at >= record.terms.authorize_before => {
            vec![Event::CancellationRequested { cause: CancellationCause::Expiry, requested_at: at }]
        }
        Phase::Authorized(hold) if hold.is_open() && at >= hold.expires_at => {
            vec![close(record, ClosingCause::Expiry, hold.rest(), at)]
        }
        _ => vec![],
    }
}

/// What the channel tells is a fact; facts come twice, late and out of order, so old or weaker news is no event. A
/// decline and a release are final words of the channel: what is told after them is older.
pub(super) fn record(
    record: &Record,
    outcome: AuthorizationOutcome,
    at: Timestamp,
) -> Result<Vec<Event>, PreAuthRejection> {
    match &record.phase {
        Phase::Open(open) => of_open(record, open, outcome, at),
        Phase::Authorized(hold) => of_held(record, hold, outcome, at),
        Phase::Failed(_) | Phase::Cancelled | Phase::Expired => Ok(vec![]),
    }
}

fn of_open(
    record: &Record,
    open: &Open,
    outcome: AuthorizationOutcome,
    at: Timestamp,
) -> Result<Vec<Event>, PreAuthRejection> {
    let known = |reference: &String| record.channel_reference.as_ref() == Some(reference);
    Ok(match (outcome, &open.authorization) {
        (AuthorizationOutcome::Authorized { channel_reference, amount, capture_before }, _) => {
            return authorized(record, open, channel_reference, amount, capture_before, at);
        }
        (AuthorizationOutcome::ActionRequired { channel_reference, .. }, Authorization::ActionRequired(_))
            if known(&channel_reference) =>
        {
            vec![]
        }
        (AuthorizationOutcome::ActionRequired { channel_reference, action }, _) => {
            vec![Event::ActionRequired(ActionRequired { channel_reference, action })]
        }
        (
            AuthorizationOutcome::Accepted { channel_reference },
            Authorization::Due | Authorization::OutcomeUnknown { .. },
        ) => vec![Event::Accepted { channel_reference }],
        (AuthorizationOutcome::Unknown, Authorization::Due) => vec![Event::OutcomeUnknown { since: at }],
        (AuthorizationOutcome::Declined { channel_reference, failure }, _) => {
            vec![Event::Failed(Failed { channel_reference, failure, failed_at: at })]
        }
        (AuthorizationOutcome::Released, _) => vec![voided(record, open, at)],
        (AuthorizationOutcome::Accepted { .. } | AuthorizationOutcome::Unknown, _) => vec![],
    })
}

/// One that comes after it was cancelled is held for a moment only: it is closed in the same breath.
fn authorized(
    record: &Record,
    open: &Open,
    channel_reference: String,
    amount: i64,
    capture_before: Option<Timestamp>,
    at: Timestamp,
) -> Result<Vec<Event>, PreAuthRejection> {
    let terms = &record.terms;
    if !(1..=terms.amount).contains(&amount) {
        return Err(PreAuthRejection::AuthorizationOutOfRange);
    }

    let mut events = vec![Event::Authorized(Authorized {
        pre_auth_id: terms.pre_auth_id,
        merchant_id: terms.merchant_id,
        channel: terms.channel.clone(),
        channel_reference,
        amount,
        currency: terms.currency,
        authorized_at: at,
        expires_at: capture_before.map_or(terms.expires_at, |before| before.min(terms.expires_at)),
    })];
    let unwanted = open.cancellation.map(|cause| match cause {
        CancellationCause::Merchant => ClosingCause::Merchant,
        CancellationCause::Expiry => ClosingCause::Expiry,
    });
    events.extend(unwanted.map(|cause| close(record, cause, amount, at)));
    Ok(events)
}

fn voided(record: &Record, open: &Open, at: Timestamp) -> Event {
    let pre_auth_id = record.terms.pre_auth_id;
    match open.cancellation {
        Some(CancellationCause::Merchant) => Event::Cancelled { pre_auth_id },
        Some(CancellationCause::Expiry) => Event::Expired { pre_auth_id },
        None => Event::Failed(Failed {
            channel_reference: record.channel_reference.clone(),
            failure: Failure::voided_by_channel(),
            failed_at: at,
        }),
    }
}

fn of_held(
    record: &Record,
    hold: &Hold,
    outcome: AuthorizationOutcome,
    at: Timestamp,
) -> Result<Vec<Event>, PreAuthRejection> {
    match outcome {
        AuthorizationOutcome::Authorized { channel_reference, .. }
            if record.channel_reference.as_ref() != Some(&channel_reference) =>
        {
            Err(PreAuthRejection::ContradictsAuthorization)
        }
        AuthorizationOutcome::Released | AuthorizationOutcome::Declined { .. } if hold.released_by_channel => {
            Ok(vec![])
        }
        // To decline what it holds is to let go of it.
        AuthorizationOutcome::Released | AuthorizationOutcome::Declined { .. } => {
            let cause = if at >= hold.expires_at { ClosingCause::Expiry } else { ClosingCause::Channel };
            let closed = hold.is_open().then(|| close(record, cause, hold.rest(), at));
            Ok(closed.into_iter().chain([Event::HoldReleased { released_at: at }]).collect())
        }
        _ => Ok(vec![]),
    }
}
