//! Refunds inside a payment: what may be asked for, what the channel said, and what became of each.

use serde::{Deserialize, Serialize};

use super::event::{Event, Failure, RefundCause, RefundFailed, RefundRequested, RefundReversed, RefundSucceeded};
use super::{Capture, PaymentRejection, Record, RequestRefund};
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
    pub status: RefundStatus,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RefundStatus {
    /// The call may or may not have gone out.
    Due,
    /// The channel took it and will tell its result later.
    Accepted {
        channel_reference: String,
    },
    OutcomeUnknown {
        since: Timestamp,
    },
    Succeeded {
        channel_reference: String,
        markup_returned: i64,
        channel_fee_returned: i64,
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
        matches!(self, RefundStatus::Due | RefundStatus::Accepted { .. } | RefundStatus::OutcomeUnknown { .. })
    }

    /// What merchants see.
    pub fn as_str(&self) -> &'static str {
        match self {
            RefundStatus::Due | RefundStatus::Accepted { .. } | RefundStatus::OutcomeUnknown { .. } => "pending",
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

pub(super) fn request(record: &Record, request: RequestRefund) -> Result<Vec<Event>, PaymentRejection> {
    let capture = record.capture().ok_or(PaymentRejection::NotRefundable)?;
    if capture.refund(request.refund_id).is_some() {
        return Ok(vec![]);
    }
    let left = capture.refundable();
    let amount = request.amount.unwrap_or(left);
    if left == 0 {
        return Err(PaymentRejection::AlreadyRefunded);
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

/// Old news is no event: only a pending refund can succeed or fail, and only one that succeeded can come back.
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
            vec![Event::RefundSucceeded(succeeded(record, capture, refund, channel_reference, fee_returned)?)]
        }
        (status, RefundOutcome::Failed(failure)) if status.is_pending() => {
            vec![Event::RefundFailed(RefundFailed {
                refund_id,
                payment_id: record.terms.payment_id,
                merchant_id: record.terms.merchant_id,
                amount: refund.amount,
                currency: record.terms.currency,
                failure,
            })]
        }
        (RefundStatus::Succeeded { markup_returned, channel_fee_returned, .. }, RefundOutcome::Failed(failure)) => {
            vec![Event::RefundReversed(RefundReversed {
                refund_id,
                payment_id: record.terms.payment_id,
                merchant_id: record.terms.merchant_id,
                channel: record.terms.channel.clone(),
                amount: refund.amount,
                currency: record.terms.currency,
                markup_returned: *markup_returned,
                channel_fee_returned: *channel_fee_returned,
                pricing_model: record.terms.pricing.model,
                failure,
            })]
        }
        (RefundStatus::Due | RefundStatus::OutcomeUnknown { .. }, RefundOutcome::Accepted { channel_reference }) => {
            vec![Event::RefundAccepted { refund_id, channel_reference }]
        }
        (RefundStatus::Due | RefundStatus::Accepted { .. }, RefundOutcome::Unknown) => {
            vec![Event::RefundOutcomeUnknown { refund_id, since: at }]
        }
        _ => vec![],
    })
}

fn succeeded(
    record: &Record,
    capture: &Capture,
    refund: &Refund,
    channel_reference: String,
    channel_fee_returned: i64,
) -> Result<RefundSucceeded, PaymentRejection> {
    let terms = &record.terms;
    if !(0..=capture.channel_fee.amount()).contains(&channel_fee_returned) {
        return Err(PaymentRejection::FeeOutOfRange);
    }
    let returned_so_far = terms.pricing.refund_fee_policy.markup_returned(
        capture.markup,
        capture.amount_refunded() + refund.amount,
        capture.amount,
    );
    Ok(RefundSucceeded {
        refund_id: refund.refund_id,
        payment_id: terms.payment_id,
        merchant_id: terms.merchant_id,
        channel: terms.channel.clone(),
        channel_reference,
        amount: refund.amount,
        currency: terms.currency,
        markup_returned: returned_so_far - capture.markup_returned(),
        channel_fee_returned,
        pricing_model: terms.pricing.model,
    })
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

    /// Minor units that may still be asked for. The parts never exceed the capture, so nothing can overflow.
    pub fn refundable(&self) -> i64 {
        self.amount - self.amount_refunded() - self.amount_refund_pending()
    }

    fn sum(&self, counts: impl Fn(&RefundStatus) -> bool) -> i64 {
        self.refunds.iter().filter(|refund| counts(&refund.status)).map(|refund| refund.amount).sum()
    }

    /// Our markup that refunds have given back so far, in minor units.
    pub fn markup_returned(&self) -> i64 {
        let returned = |refund: &Refund| match refund.status {
            RefundStatus::Succeeded { markup_returned, .. } => markup_returned,
            _ => 0,
        };
        self.refunds.iter().map(returned).sum()
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
                status: RefundStatus::Due,
            }),
            Event::RefundAccepted { refund_id, channel_reference } => {
                self.set(*refund_id, RefundStatus::Accepted { channel_reference: channel_reference.clone() });
            }
            Event::RefundOutcomeUnknown { refund_id, since } => {
                self.set(*refund_id, RefundStatus::OutcomeUnknown { since: *since });
            }
            Event::RefundSucceeded(succeeded) => self.set(
                succeeded.refund_id,
                RefundStatus::Succeeded {
                    channel_reference: succeeded.channel_reference.clone(),
                    markup_returned: succeeded.markup_returned,
                    channel_fee_returned: succeeded.channel_fee_returned,
                },
            ),
            Event::RefundFailed(failed) => self.set(failed.refund_id, RefundStatus::Failed(failed.failure.clone())),
            Event::RefundReversed(reversed) => {
                self.set(reversed.refund_id, RefundStatus::Reversed(reversed.failure.clone()));
            }
            _ => {}
        }
        self
    }

    fn set(&mut self, refund_id: RefundId, status: RefundStatus) {
        if let Some(refund) = self.refunds.iter_mut().find(|refund| refund.refund_id == refund_id) {
            refund.status = status;
        }
    }
}
