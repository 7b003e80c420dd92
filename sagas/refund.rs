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

mod process;
#[cfg(test)]
mod tests;

pub use commands::payment::refund_key;
use domain::payment::{Record, RefundCause, RefundStatus};
use domain::{RefundId, Timestamp};

pub use process::RefundProcess;

use crate::schedule::Schedule;
use crate::step::{Due, Step};

/// Call the channel to send the money back.
pub const REFUND: Step = Step::new("refund", Schedule::AT_ONCE);
/// The answer to the refund was lost: ask.
pub const FIND_OUT_REFUND: Step = Step::new("find_out_refund", Schedule::OUTCOME_UNKNOWN);
/// The channel works on the refund: ask whether it is done.
pub const AWAIT_REFUND: Step = Step::new("await_refund", Schedule::CHANNEL_WORKS);

pub fn next_step(record: &Record, refund_id: RefundId, now: Timestamp) -> Option<Due> {
    let capture = record.capture()?;
    let refund = capture.refund(refund_id)?;
    let step = match &refund.status {
        RefundStatus::Due => REFUND,
        RefundStatus::OutcomeUnknown { .. } => FIND_OUT_REFUND,
        RefundStatus::Accepted => AWAIT_REFUND,
        RefundStatus::Succeeded { .. } | RefundStatus::Failed(_) | RefundStatus::Reversed(_) => return None,
    };
    let goes_on = step == REFUND && refund.cause == RefundCause::LateSuccess;
    let tried_before = if goes_on { capture.compensations_failed() } else { 0 };
    let first_try = refund.requested_at.plus(step.schedule.wait(tried_before));
    let not_before = (tried_before > 0 && now < first_try).then_some(first_try);
    Some(Due { not_before, tried_before, ..Due::now(step) })
}
