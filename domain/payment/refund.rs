//! Refunds inside a payment: what may be asked for, what the channel said, and what became of each.

use serde::{Deserialize, Serialize};

use super::event::{
    Created, Event, Failure, RefundCause, RefundFailed, RefundRequested, RefundReversed, RefundSucceeded,
};
use super::{Capture, PaymentRejection, Record, RequestRefund, dispute};
use crate::money::AMOUNT_MAX;
use crate::{RefundId, Sealed, Timestamp};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refund {
    pub refund_id: RefundId,
    /// Minor units.
    pub amount: i64,
    pub cause: RefundCause,
    pub reason: Option<Sealed>,
    pub requested_at: Timestamp,
    /// The channel's own id of the refund, once it told one.
    pub channel_reference: Option<String>,
    pub status: RefundStatus,
}

/// Knowledge only grows: a lost answer counts only where nothing is known (`Due`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RefundStatus {
    /// The call may or may not have gone out.
    Due,
    OutcomeUnknown {
        since: Timestamp,
    },
    /// The channel took it and will tell its result later.
    Accepted,
    /// `after_failure`: the channel made it after all, when what it would move had been promised anew.
    Succeeded {
        channel_fee_returned: i64,
        after_failure: bool,
    },
    Failed(Failure),
    /// It had succeeded, then the channel took it back.
    Reversed(Failure),
}

/// What the channel said about a refund, or that it said nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum RefundOutcome {
    /// `fee_returned` in minor units: what the channel gives back of its fee.
    Succeeded {
        channel_reference: String,
        fee_returned: i64,
    },
    Accepted {
        channel_reference: String,
    },
    Failed(Failure),
    Unknown,
}

impl RefundStatus {
    pub fn is_pending(&self) -> bool {
        matches!(self, RefundStatus::Due | RefundStatus::OutcomeUnknown { .. } | RefundStatus::Accepted)
    }

    /// What merchants see.
    pub fn as_str(&self) -> &'static str {
        match self {
            RefundStatus::Due | RefundStatus::OutcomeUnknown { .. } | RefundStatus::Accepted => "pending",
            RefundStatus::Succeeded { .. } => "succeeded",
            RefundStatus::Failed(_) | RefundStatus::Reversed(_) => "failed",
        }
    }

    pub fn failure(&self) -> Option<&Failure> {
        match self {
            RefundStatus::Failed(failure) | RefundStatus::Reversed(failure) => Some(failure),
            _ => None,
        }
    }
}

/// The most refunds that one payment takes from its merchant: each of them makes its stream and state longer.
pub const REFUNDS_MAX: usize = 1_000;

pub(super) fn request(record: &Record, request: RequestRefund) -> Result<Vec<Event>, PaymentRejection> {
    let capture = record.capture().ok_or(PaymentRejection::NotRefundable)?;
    match capture.refund(request.refund_id) {
        Some(known) if request.amount.is_none_or(|amount| amount == known.amount) => return Ok(vec![]),
        Some(_) => return Err(PaymentRejection::RefundAlreadyExists),
        None => {}
    }
    let left = capture.refundable();
    let amount = request.amount.unwrap_or(left);
    if left == 0 {
        return Err(PaymentRejection::AlreadyRefunded);
    }
    if capture.refunds.len() >= REFUNDS_MAX {
        return Err(PaymentRejection::TooManyRefunds);
    }
    if !(1..=AMOUNT_MAX).contains(&amount) {
        return Err(PaymentRejection::InvalidAmount);
    }
    if amount > left {
        return Err(PaymentRejection::RefundExceedsCaptured);
    }
    if i128::from(amount) > request.cover {
        return Err(PaymentRejection::InsufficientBalance);
    }

    let terms = &record.terms;
    Ok(vec![Event::RefundRequested(RefundRequested {
        refund_id: request.refund_id,
        payment_id: terms.payment_id,
        merchant_id: terms.merchant_id,
        channel: terms.channel.clone(),
        amount,
        currency: terms.currency,
        cause: RefundCause::Merchant,
        reason: request.reason,
        requested_at: request.at,
    })])
}

/// What the ledger itself asks for when a payment succeeded that nobody wanted any more; `attempt` counts from 0.
pub(super) fn of_late_success(terms: &Created, attempt: u32, amount: i64, at: Timestamp) -> Event {
    Event::RefundRequested(RefundRequested {
        refund_id: RefundId::of_late_success(terms.payment_id, attempt),
        payment_id: terms.payment_id,
        merchant_id: terms.merchant_id,
        channel: terms.channel.clone(),
        amount,
        currency: terms.currency,
        cause: RefundCause::LateSuccess,
        reason: None,
        requested_at: at,
    })
}

/// Old or weaker news is no event. A success counts while the refund is pending, and after it failed: the money went
/// out. A failure counts while it is pending, and after it succeeded: the money came back. What came back stays back.
pub(super) fn record(
    record: &Record,
    refund_id: RefundId,
    outcome: RefundOutcome,
    at: Timestamp,
) -> Result<Vec<Event>, PaymentRejection> {
    let capture = record.capture().ok_or(PaymentRejection::NotFound)?;
    let refund = capture.refund(refund_id).ok_or(PaymentRejection::NotFound)?;

    Ok(match (&refund.status, outcome) {
        (status, RefundOutcome::Succeeded { channel_reference, fee_returned }) if status.is_pending() => {
            let succeeded = succeeded(record, capture, refund, channel_reference, fee_returned);
            made(record, capture, Event::RefundSucceeded(succeeded), at)
        }
        (RefundStatus::Failed(_), RefundOutcome::Succeeded { channel_reference, fee_returned }) => {
            let succeeded = succeeded(record, capture, refund, channel_reference, fee_returned);
            made(record, capture, Event::RefundSucceededLate(succeeded), at)
        }
        (status, RefundOutcome::Failed(failure)) if status.is_pending() => {
            let failed = Event::RefundFailed(RefundFailed {
                refund_id,
                payment_id: record.terms.payment_id,
                merchant_id: record.terms.merchant_id,
                amount: refund.amount,
                currency: record.terms.currency,
                failure,
            });
            std::iter::once(failed).chain(next_attempt(record, capture, refund, at)).collect()
        }
        (RefundStatus::Succeeded { channel_fee_returned, .. }, RefundOutcome::Failed(failure)) => {
            let reversed = Event::RefundReversed(reversed(record, capture, refund, *channel_fee_returned, failure));
            std::iter::once(reversed).chain(next_attempt(record, capture, refund, at)).collect()
        }
        (RefundStatus::Due | RefundStatus::OutcomeUnknown { .. }, RefundOutcome::Accepted { channel_reference }) => {
            vec![Event::RefundAccepted { refund_id, channel_reference }]
        }
        (RefundStatus::Due, RefundOutcome::Unknown) => vec![Event::RefundOutcomeUnknown { refund_id, since: at }],
        _ => vec![],
    })
}

/// A refund that was made, and what it took beyond the capture: a dispute may have taken the same money meanwhile.
fn made(record: &Record, capture: &Capture, event: Event, at: Timestamp) -> Vec<Event> {
    let events = vec![event];
    let over_returned = dispute::over_returned(record, &dispute::fold(capture, &events), at);
    events.into_iter().chain(over_returned).collect()
}

/// The money of a late success must go back: where one refund did not bring that about, the next one is due, until
/// nothing of the capture is left to give back. When it is called, and when a person is told, is the saga's schedule.
fn next_attempt(record: &Record, capture: &Capture, ended: &Refund, at: Timestamp) -> Option<Event> {
    if ended.cause != RefundCause::LateSuccess {
        return None;
    }
    let others = capture.amount_refunded() + capture.amount_refund_pending() + capture.amount_disputed() - ended.amount;
    let owed = (capture.amount - others).clamp(0, ended.amount);
    let attempt = capture.refunds.iter().filter(|refund| refund.cause == RefundCause::LateSuccess).count();
    let attempt = u32::try_from(attempt).unwrap_or(u32::MAX);
    (owed > 0).then(|| of_late_success(&record.terms, attempt, owed, at))
}

/// What the channel claims to give back of its fee is booked up to the fee itself: more is no reason to refuse a refund
/// that was made, and shows when its book is compared with ours.
fn succeeded(
    record: &Record,
    capture: &Capture,
    refund: &Refund,
    channel_reference: String,
    fee_returned: i64,
) -> RefundSucceeded {
    let terms = &record.terms;
    let fee_left = (capture.channel_fee.amount() - capture.channel_fee_returned).max(0);
    let markup_due = markup_due(record, capture, capture.amount_refunded() + refund.amount);
    RefundSucceeded {
        refund_id: refund.refund_id,
        payment_id: terms.payment_id,
        merchant_id: terms.merchant_id,
        channel: terms.channel.clone(),
        channel_reference,
        amount: refund.amount,
        currency: terms.currency,
        markup_returned: markup_due - capture.markup_returned,
        channel_fee_returned: fee_returned.clamp(0, fee_left),
        pricing_model: terms.pricing.model,
    }
}

fn reversed(
    record: &Record,
    capture: &Capture,
    refund: &Refund,
    channel_fee_returned: i64,
    failure: Failure,
) -> RefundReversed {
    let terms = &record.terms;
    let markup_due = markup_due(record, capture, capture.amount_refunded() - refund.amount);
    RefundReversed {
        refund_id: refund.refund_id,
        payment_id: terms.payment_id,
        merchant_id: terms.merchant_id,
        channel: terms.channel.clone(),
        amount: refund.amount,
        currency: terms.currency,
        markup_returned: capture.markup_returned - markup_due,
        channel_fee_returned,
        pricing_model: terms.pricing.model,
        failure,
    }
}

/// How much of the markup is to be given back in all, once `refunded` minor units of the capture went back.
fn markup_due(record: &Record, capture: &Capture, refunded: i64) -> i64 {
    let policy = record.terms.pricing.refund_fee_policy;
    policy.markup_returned(capture.markup, refunded.min(capture.amount), capture.amount)
}

impl Capture {
    pub fn refund(&self, refund_id: RefundId) -> Option<&Refund> {
        self.refunds.iter().find(|refund| refund.refund_id == refund_id)
    }

    /// Minor units that went back for good so far.
    pub fn amount_refunded(&self) -> i64 {
        self.sum(|status| matches!(status, RefundStatus::Succeeded { .. }))
    }

    pub fn amount_refund_pending(&self) -> i64 {
        self.sum(RefundStatus::is_pending)
    }

    /// Minor units that may still be asked for. A channel that makes a refund after it had failed, or takes the whole in
    /// a dispute after a refund, may have taken more than was captured; then nothing is left.
    pub fn refundable(&self) -> i64 {
        (self.amount - self.amount_refunded() - self.amount_refund_pending() - self.amount_disputed()).max(0)
    }

    fn sum(&self, counts: impl Fn(&RefundStatus) -> bool) -> i64 {
        self.refunds.iter().filter(|refund| counts(&refund.status)).map(|refund| refund.amount).sum()
    }

    /// Late-success refunds that came to nothing: how often sending the money back has been tried in vain.
    pub fn compensations_failed(&self) -> u32 {
        let failed = |refund: &&Refund| refund.cause == RefundCause::LateSuccess && refund.status.failure().is_some();
        u32::try_from(self.refunds.iter().filter(failed).count()).unwrap_or(u32::MAX)
    }

    pub(super) fn evolve(mut self, event: &Event) -> Capture {
        match event {
            Event::FeeTruedUp(trued_up) => self.channel_fee = super::ChannelFee::Known(trued_up.actual),
            Event::RefundRequested(requested) => self.refunds.push(Refund {
                refund_id: requested.refund_id,
                amount: requested.amount,
                cause: requested.cause,
                reason: requested.reason.clone(),
                requested_at: requested.requested_at,
                channel_reference: None,
                status: RefundStatus::Due,
            }),
            Event::RefundAccepted { refund_id, channel_reference } => {
                self.change(*refund_id, Some(channel_reference), RefundStatus::Accepted);
            }
            Event::RefundOutcomeUnknown { refund_id, since } => {
                self.change(*refund_id, None, RefundStatus::OutcomeUnknown { since: *since });
            }
            Event::RefundSucceeded(succeeded) => self.succeed(succeeded, false),
            Event::RefundSucceededLate(succeeded) => self.succeed(succeeded, true),
            Event::RefundFailed(failed) => {
                self.change(failed.refund_id, None, RefundStatus::Failed(failed.failure.clone()));
            }
            Event::RefundReversed(reversed) => {
                self.markup_returned -= reversed.markup_returned;
                self.channel_fee_returned -= reversed.channel_fee_returned;
                self.change(reversed.refund_id, None, RefundStatus::Reversed(reversed.failure.clone()));
            }
            event => self.evolve_dispute(event),
        }
        if self.over_returned > 0 {
            self.over_returned = self.over_returned.min(self.excess());
        }
        self
    }

    fn succeed(&mut self, succeeded: &RefundSucceeded, after_failure: bool) {
        let channel_fee_returned = succeeded.channel_fee_returned;
        self.markup_returned += succeeded.markup_returned;
        self.channel_fee_returned += channel_fee_returned;
        let status = RefundStatus::Succeeded { channel_fee_returned, after_failure };
        self.change(succeeded.refund_id, Some(&succeeded.channel_reference), status);
    }

    fn change(&mut self, refund_id: RefundId, told_reference: Option<&String>, status: RefundStatus) {
        if let Some(refund) = self.refunds.iter_mut().find(|refund| refund.refund_id == refund_id) {
            refund.status = status;
            if let Some(told) = told_reference {
                refund.channel_reference = Some(told.clone());
            }
        }
    }
}
