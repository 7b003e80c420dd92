//! Records what a channel said about a charge or a refund, whoever heard it: the saga, a webhook, a poller.

use std::sync::Arc;

use domain::order_claim::{self, OrderClaim};
use domain::payment::{ChargeOutcome, Command, Event, Payment, PaymentRejection, RefundOutcome};
use domain::{Decider, PaymentId, RefundId, Rejection};

use super::{Payments, payment_events};
use crate::executor::{CommandError, Issued};
use crate::ports::{
    ChannelAnswer, Decision, Expected, NewEvent, Receipt, RefundAnswer, Request, StreamRef, StreamState,
};

impl Payments {
    /// Records the channel's answer about the charge. An order number whose payment ended without money is freed in
    /// the same entry.
    pub async fn record_charge(
        &self,
        issued: Issued,
        payment_id: PaymentId,
        answer: ChannelAnswer,
    ) -> Result<Receipt, CommandError> {
        let payment = self.load(payment_id).await?;
        let record = payment.of::<Payment>().and_then(|state| state.record());
        let terms = &record.ok_or_else(unknown_payment)?.terms;
        let outcome = match answer {
            ChannelAnswer::Captured { channel_reference, amount, fee } => {
                ChargeOutcome::Captured { channel_reference, amount, fee }
            }
            ChannelAnswer::ActionRequired { channel_reference, url } => {
                ChargeOutcome::ActionRequired { channel_reference, action: self.seal_text(terms, &url).await? }
            }
            ChannelAnswer::Accepted { channel_reference } => ChargeOutcome::Accepted { channel_reference },
            ChannelAnswer::Declined { channel_reference, failure } => {
                ChargeOutcome::Declined { channel_reference, failure }
            }
            ChannelAnswer::Voided => ChargeOutcome::Voided,
            ChannelAnswer::NotFound | ChannelAnswer::Unknown { .. } => ChargeOutcome::Unknown,
        };
        let command = Command::RecordCharge { outcome, at: self.clock.now() };
        let claim_stream = order_claim::stream_id(terms.merchant_id, &terms.order_no);
        let request = Request {
            metadata: issued.metadata,
            fingerprint: issued.fingerprint,
            object: payment_id.to_string(),
            streams: vec![
                StreamRef::new::<Payment>(payment_id.to_string(), Expected::Any),
                StreamRef::new::<OrderClaim>(claim_stream, Expected::Any),
            ],
            decide: Arc::new(move |states| decide_outcome(states, payment_id, command.clone())),
        };
        self.execute_and_count(request).await
    }

    pub async fn record_refund(
        &self,
        issued: Issued,
        payment_id: PaymentId,
        refund_id: RefundId,
        answer: RefundAnswer,
    ) -> Result<Receipt, CommandError> {
        let outcome = match answer {
            RefundAnswer::Succeeded { channel_reference, fee_returned } => {
                RefundOutcome::Succeeded { channel_reference, fee_returned }
            }
            RefundAnswer::Accepted { channel_reference } => RefundOutcome::Accepted { channel_reference },
            RefundAnswer::Failed { failure } => RefundOutcome::Failed(failure),
            RefundAnswer::NotFound | RefundAnswer::Unknown { .. } => RefundOutcome::Unknown,
        };
        let command = Command::RecordRefund { refund_id, outcome, at: self.clock.now() };
        self.decide_on_payment(issued, payment_id, refund_id.to_string(), None, command).await
    }
}

fn unknown_payment() -> CommandError {
    CommandError::Invalid {
        code: PaymentRejection::NotFound.code(),
        pointer: "/payment_id",
        detail: PaymentRejection::NotFound.to_string(),
    }
}

fn decide_outcome(states: &[StreamState], payment_id: PaymentId, command: Command) -> Decision {
    let events = match payment_events(states, None, command) {
        Ok(events) => events,
        Err(rejection) => return Decision::Reject(rejection.into()),
    };
    let ended_without_money =
        events.iter().any(|event| matches!(event, Event::Failed(_) | Event::Cancelled { .. } | Event::Expired { .. }));
    let mut entry: Vec<NewEvent> = events.into_iter().map(|event| NewEvent::of(0, event)).collect();
    if ended_without_money {
        let held = states.get(1).and_then(StreamState::of::<OrderClaim>).cloned().unwrap_or_default();
        let released = OrderClaim::decide(&held, order_claim::Command::Release { payment_id });
        entry.extend(released.unwrap_or_default().into_iter().map(|event| NewEvent::of(1, event)));
    }
    Decision::Append(entry)
}
