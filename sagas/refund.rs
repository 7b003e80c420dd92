//! The saga of one refund: what its payment's stream says is due next, and its key at the channel. Pure.
//!
//! ```text
//! refund ──answer──▶ recorded, finished
//!   │ lost             ▲
//!   ├──▶ find out ─────┤
//!   └──▶ await refund ─┘
//! ```
//!
//! A refund never gives up by itself: it is failed only because the channel said so. Each refund of a payment is a
//! saga of its own, so one that is stuck does not hold up the others. Where the money of a late success must go back,
//! the payment asks for the next refund when one has failed; its saga goes on with the waits where the last one ended.

#[cfg(test)]
mod tests;

pub use commands::payment::refund_key;
use commands::ports::SagaId;
use domain::payment::{Record, RefundCause, RefundStatus};
use domain::{RefundId, Timestamp};

use crate::step::{Due, Step};

pub fn next_step(record: &Record, refund_id: RefundId, now: Timestamp) -> Option<Due> {
    let capture = record.capture()?;
    let refund = capture.refund(refund_id)?;
    let step = match &refund.status {
        RefundStatus::Due => Step::Refund,
        RefundStatus::OutcomeUnknown { .. } => Step::FindOutRefund,
        RefundStatus::Accepted => Step::AwaitRefund,
        RefundStatus::Succeeded { .. } | RefundStatus::Failed(_) | RefundStatus::Reversed(_) => return None,
    };
    let tried_before = match (step, refund.cause) {
        (Step::Refund, RefundCause::LateSuccess) => capture.compensations_failed(),
        _ => 0,
    };
    let first_try = refund.requested_at.plus(step.schedule().wait(tried_before));
    let not_before = (tried_before > 0 && now < first_try).then_some(first_try);
    let saga = SagaId::Refund(record.payment_id(), refund_id);
    Some(Due { saga, step, deadline: None, not_before, tried_before })
}
