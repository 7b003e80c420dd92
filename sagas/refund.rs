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
//! saga of its own, so one that is stuck does not hold up the others.

#[cfg(test)]
mod tests;

use commands::ports::SagaId;
use domain::RefundId;
use domain::payment::{Record, RefundStatus};

use crate::step::{Due, Step};

/// The refund's idempotency key at the channel. Never derived from the attempt.
pub fn refund_key(refund_id: RefundId) -> String {
    format!("{refund_id}:refund")
}

pub fn next_step(record: &Record, refund_id: RefundId) -> Option<Due> {
    let step = match &record.capture()?.refund(refund_id)?.status {
        RefundStatus::Due => Step::Refund,
        RefundStatus::OutcomeUnknown { .. } => Step::FindOutRefund,
        RefundStatus::Accepted => Step::AwaitRefund,
        RefundStatus::Succeeded { .. } | RefundStatus::Failed(_) | RefundStatus::Reversed(_) => return None,
    };
    Some(Due { saga: SagaId::Refund(record.payment_id(), refund_id), step, deadline: None })
}
