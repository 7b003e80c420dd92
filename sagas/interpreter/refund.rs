//! The steps of the refund saga. Whoever asks again after a lost answer asks what became of it before it calls again.

use commands::payment::refund_order;
use commands::ports::{Channel, RefundAnswer, RefundOrder};
use domain::RefundId;

use super::charge::FRESH;
use super::recording::{accepted, issued};
use super::{Interpreter, Learned, Seen, Trouble};
use crate::step::{Due, Step};

impl Interpreter {
    pub(super) async fn perform_refund(
        &self,
        seen: &Seen,
        due: &Due,
        refund_id: RefundId,
        attempts: u32,
    ) -> Result<Learned, Trouble> {
        let channel = self.channel(seen)?;
        let capture = seen.record.capture();
        let refund = capture.and_then(|capture| capture.refund(refund_id));
        let refund = refund.ok_or_else(|| Trouble::Parked(format!("{refund_id} is not in its payment")))?;
        let order = refund_order(&seen.record, refund)?;
        let fresh = self.now().since(refund.requested_at) <= FRESH;
        let answer = match due.step {
            Step::Refund if fresh => {
                let first = channel.refund(&order).await;
                self.insist(first, attempts, is_unknown, || ask_first(channel, &order)).await
            }
            Step::Refund | Step::FindOutRefund => {
                let first = ask_first(channel, &order).await;
                self.insist(first, attempts, is_unknown, || ask_first(channel, &order)).await
            }
            _ => channel.find_refund(&order).await,
        };

        let (outcome, error) = (kind(&answer), reason(&answer));
        if is_news(due.step, &answer) {
            let issued = issued(seen, due, outcome);
            let payment_id = seen.record.payment_id();
            accepted(self.payments().record_refund(issued, payment_id, refund_id, answer).await?)?;
        }
        Ok(Learned { outcome, error })
    }
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
        RefundAnswer::Accepted { .. } => step != Step::AwaitRefund,
        RefundAnswer::Unknown { .. } => step == Step::Refund,
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
