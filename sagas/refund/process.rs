//! The refund saga's part in the machinery, and the effects of its steps. Whoever asks again after a lost answer asks
//! what became of it before it calls again.

use async_trait::async_trait;
use commands::payment::{Payments, refund_order};
use commands::ports::{Category, Channel, RecordedEvent, RefundAnswer, RefundOrder, SagaId, StreamState, state_of};
use domain::payment::{Event, Payment};
use domain::{RefundId, Timestamp};

use super::{AWAIT_REFUND, FIND_OUT_REFUND, REFUND, next_step};
use crate::attempt::{Attempt, FRESH, accepted};
use crate::payment::{channel_of, record};
use crate::process::{Learned, Meaning, Process, Trouble};
use crate::step::{Due, Step};

/// Drives each refund of each payment.
pub struct RefundProcess {
    payments: Payments,
}

impl RefundProcess {
    pub fn new(payments: Payments) -> RefundProcess {
        RefundProcess { payments }
    }
}

#[async_trait]
impl Process for RefundProcess {
    fn kind(&self) -> &'static str {
        "refund"
    }

    fn category(&self) -> Category {
        Category::of::<Payment>()
    }

    fn steps(&self) -> &'static [Step] {
        &[REFUND, FIND_OUT_REFUND, AWAIT_REFUND]
    }

    fn meaning(&self, event: &RecordedEvent) -> Option<Meaning> {
        // Of one that cannot be read nobody knows which refund it is about; the payment's own saga alerts.
        match event.decode::<Event>().ok()? {
            Event::RefundRequested(requested) => Meaning::due(requested.refund_id),
            Event::RefundSucceeded(succeeded) => Meaning::finished(succeeded.refund_id),
            Event::RefundFailed(failed) => Meaning::finished(failed.refund_id),
            Event::Created(_)
            | Event::CancellationRequested { .. }
            | Event::Captured(_)
            | Event::Failed(_)
            | Event::Cancelled { .. }
            | Event::Expired { .. }
            | Event::ActionRequired(_)
            | Event::Accepted { .. }
            | Event::OutcomeUnknown { .. }
            | Event::FeeTruedUp(_)
            | Event::RefundAccepted { .. }
            | Event::RefundOutcomeUnknown { .. }
            | Event::RefundReversed(_)
            | Event::RefundSucceededLate(_)
            | Event::DisputeOpened(_)
            | Event::DisputeAdjusted(_)
            | Event::DisputeClosed(_)
            | Event::DisputeReopened(_)
            | Event::OverReturned(_) => None,
        }
    }

    fn due(&self, saga: &SagaId, stream: &StreamState, now: Timestamp) -> Result<Option<Due>, Trouble> {
        Ok(next_step(record(state_of::<Payment>(stream))?, refund_id(saga)?, now))
    }

    async fn perform(&self, attempt: &Attempt<'_>) -> Result<Learned, Trouble> {
        let (record, refund_id) = (record(attempt.state::<Payment>())?, refund_id(attempt.saga())?);
        let step = attempt.due.step;
        let channel = channel_of(&self.payments, record)?;
        let refund = record.capture().and_then(|capture| capture.refund(refund_id));
        let refund = refund.ok_or_else(|| Trouble::Parked(format!("{refund_id} is not in its payment")))?;
        let order = refund_order(record, refund)?;
        let fresh = attempt.now.since(refund.requested_at) <= FRESH;
        let answer = if step == REFUND && fresh {
            let first = channel.refund(&order).await;
            attempt.insist(first, is_unknown, || ask_first(channel, &order)).await
        } else if step == REFUND || step == FIND_OUT_REFUND {
            let first = ask_first(channel, &order).await;
            attempt.insist(first, is_unknown, || ask_first(channel, &order)).await
        } else {
            channel.find_refund(&order).await
        };

        let (outcome, error) = (kind(&answer), reason(&answer));
        if is_news(step, &answer) {
            let (issued, payment_id) = (attempt.issued(outcome), record.payment_id());
            accepted(self.payments.record_refund(issued, payment_id, refund_id, answer).await?)?;
        }
        Ok(Learned { outcome, error })
    }
}

fn refund_id(saga: &SagaId) -> Result<RefundId, Trouble> {
    saga.object.parse().map_err(|_| Trouble::Parked(format!("{saga} is not the id of a refund")))
}

async fn ask_first(channel: &dyn Channel, order: &RefundOrder) -> RefundAnswer {
    match channel.find_refund(order).await {
        RefundAnswer::NotFound => channel.refund(order).await,
        told => told,
    }
}

fn is_unknown(answer: &RefundAnswer) -> bool {
    matches!(answer, RefundAnswer::Unknown { .. })
}

/// Is there anything to record? Who merely waits does not take a lost answer for a lost outcome.
fn is_news(step: Step, answer: &RefundAnswer) -> bool {
    match answer {
        RefundAnswer::Succeeded { .. } | RefundAnswer::Failed { .. } => true,
        RefundAnswer::Accepted { .. } => step != AWAIT_REFUND,
        RefundAnswer::Unknown { .. } => step == REFUND,
        RefundAnswer::NotFound => false,
    }
}

fn kind(answer: &RefundAnswer) -> &'static str {
    match answer {
        RefundAnswer::Succeeded { .. } => "succeeded",
        RefundAnswer::Accepted { .. } => "accepted",
        RefundAnswer::Failed { .. } => "failed",
        RefundAnswer::NotFound => "not_found",
        RefundAnswer::Unknown { .. } => "unknown",
    }
}

fn reason(answer: &RefundAnswer) -> Option<String> {
    match answer {
        RefundAnswer::Unknown { reason } => Some(reason.clone()),
        RefundAnswer::NotFound => Some("the channel does not know the refund".to_owned()),
        _ => None,
    }
}
